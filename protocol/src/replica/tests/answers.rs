//! Views and reads.

use super::*;
use crate::limits::{RANGES_PER_ANSWER_MAX, WINDOW_CHUNKS_MAX};

fn inspect(driven: &mut Driven, of: &[u64]) -> Vec<crate::message::SegmentView> {
    let segments = of.iter().map(|epoch| segment(*epoch)).collect();
    match only_reply(&driven.ask(Request::Inspect { log: LOG, segments })) {
        Reply::Inspected { segments, .. } => segments,
        reply => panic!("not inspected: {reply:?}"),
    }
}

/// D4: what is not durable is in no answer.
#[test]
fn chunks_on_their_way_are_not_shown() {
    let mut driven = Driven::new();
    driven.hold(1, 0..2);
    driven.put(1, 2);
    let views = inspect(&mut driven, &[1, 2]);
    assert_eq!(views[0].runs, [run(0, 2, Answer::Have)]);
    assert_eq!(views[0].newest, Some(ChunkSeq(1)));
    assert_eq!((views[1].newest, views[1].runs.len()), (None, 0));
    let end = Reply::ReadEnd { next: ChunkSeq(2), answer: Answer::Never };
    assert_eq!(only_reply(&driven.read(1, 2, 1)), end);
}

/// P6: a view starts at the watermark, or one largest window below the newest seq.
#[test]
fn a_view_covers_the_window() {
    let mut driven = Driven::new();
    driven.hold(1, 10..12);
    let newest = 12 + u64::from(WINDOW_CHUNKS_MAX);
    driven.hold(1, newest..newest + 1);
    let view = &inspect(&mut driven, &[1])[0];
    assert_eq!(view.runs, [run(13, newest, Answer::Never), run(newest, newest + 1, Answer::Have)]);
    driven.put_header(DISK, ChunkHeader { watermark: ChunkSeq(newest - 1), ..header(1, newest + 1) });
    driven.store_all();
    let view = &inspect(&mut driven, &[1])[0];
    assert_eq!(view.runs, [run(newest - 1, newest, Answer::Never), run(newest, newest + 2, Answer::Have)]);
}

/// D8: an answer fits in a control frame, whatever was put.
#[test]
fn an_answer_is_bounded() {
    let mut driven = Driven::new();
    for epoch in 1..=3 {
        for seq in 0..u64::from(WINDOW_CHUNKS_MAX) / 2 {
            driven.slots += 1;
            let event = ReplicaEvent::Put {
                from: 1,
                disk: DISK,
                header: header(epoch, 2 * seq),
                slot: Slot(driven.slots),
                copy: false,
            };
            driven.replica.handle(Micros(0), event);
        }
    }
    driven.store_all();
    let view = &inspect(&mut driven, &[1])[0];
    assert!(view.runs.len() <= RANGES_PER_ANSWER_MAX && view.runs.len() + 2 >= WINDOW_CHUNKS_MAX as usize);
    assert!(
        Reply::Frozen { runs: view.runs.clone() }.encode().len() < crate::limits::FRAME_CONTROL_BODY_BYTES_MAX as usize
    );
    let request = Request::Inspect { log: LOG, segments: [segment(1), segment(2), segment(3)].to_vec() };
    assert!(matches!(refusal(&driven.ask(request)), Refusal::BadRequest { .. }));
}

/// P14, pitfalls 20c and 33: an unknown log is never here, under the identity in force only.
#[test]
fn only_the_identity_in_force_says_never() {
    let mut driven = Driven::new();
    driven.hold(1, 0..2);
    driven.fence(2, &[]);
    driven.store_all();
    let runs = |absent| Reply::Frozen { runs: [run(0, 2, Answer::Have), run(2, 4, absent)].to_vec() };
    assert_eq!(driven.freeze_as(DISK, 2, 1, 0, 4), runs(Answer::Never));
    assert_eq!(driven.freeze_as(RETIRED, 2, 1, 0, 4), runs(Answer::Unknown));
    driven.fail();
    assert_eq!(driven.freeze_as(DISK, 2, 1, 0, 4), runs(Answer::Unknown), "a failed disk cannot say either");
}

/// Pitfall 3: the end of a read says why it ended.
#[test]
fn a_read_stops_at_the_end_of_what_is_held() {
    let mut driven = Driven::new();
    driven.hold(1, 2..6);
    let planned = |effects: Vec<ReplicaEffect>| match effects.as_slice() {
        [ReplicaEffect::Read { from, to_seq, answer_at_end, .. }] => (from.0, to_seq.0, *answer_at_end),
        effects => panic!("{effects:?}"),
    };
    assert_eq!(planned(driven.read(1, 2, 3)), (2, 5, Answer::Have));
    assert_eq!(planned(driven.read(1, 3, 9)), (3, 6, Answer::Never));
    assert_eq!(only_reply(&driven.read(1, 0, 9)), Reply::ReadEnd { next: ChunkSeq(0), answer: Answer::Never });
    assert_eq!(only_reply(&driven.read(9, 2, 9)), Reply::ReadEnd { next: ChunkSeq(2), answer: Answer::Never });
    assert!(matches!(refusal(&driven.read(1, 2, 0)), Refusal::BadRequest { .. }));
    let unknown =
        Request::Read { log: LogId([9; 16]), segment: segment(1), from: ChunkSeq(0), chunks_max: 1, bytes_max: 1 };
    assert_eq!(only_reply(&driven.ask(unknown)), Reply::ReadEnd { next: ChunkSeq(0), answer: Answer::Never });
}

/// P3: whoever only looks changes nothing.
#[test]
fn looking_at_an_unknown_log_does_not_make_it_known() {
    let mut driven = Driven::new();
    inspect(&mut driven, &[1]);
    driven.read(1, 0, 1);
    driven.freeze(1, 1, 0, 1);
    driven.ask(Request::Hello { cluster: "here".into() });
    assert_eq!(driven.replica.logs(), 0);
}
