//! Planning a boundary, crossing it, and sealing behind it.

use crate::script::{FIRST, MINE, SECOND, Script, same, version};
use quarry_protocol::ids::{ChunkSeq, OwnerId};
use quarry_protocol::record::SegmentEnd;
use quarry_protocol::recovery::SwapOutcome;
use quarry_protocol::rotation::{RotationEffect, RotationEvent, RotationReason};
use quarry_protocol::writer::WriterEvent;

fn up(script: &mut Script) {
    (0..3).for_each(|replica| script.link(SECOND, WriterEvent::Up { replica }));
}

/// Grown to its size after three chunks: the boundary lies as many chunks ahead as were appended in the last second.
fn planned() -> Script {
    let mut script = Script::new(30);
    script.append(3);
    assert_eq!(script.place(Ok(same())).0, same(), "healthy replicas stay");
    script
}

#[test]
fn a_segment_of_its_size_is_followed_by_another() {
    let mut script = planned();
    let plan = script.land().record;
    assert_eq!(plan.segments[0].end, SegmentEnd::Boundary { at: ChunkSeq(106) });
    assert_eq!((plan.segments[1].id, plan.segments[1].base), (SECOND, ChunkSeq(106)));
    assert_eq!(script.attached, [FIRST, SECOND], "the next segment's connections are up before it is needed");
    up(&mut script);
    script.append(5);
    assert_eq!((script.home(105), script.home(106)), (FIRST, SECOND));
    assert!(script.is_quiet(), "nothing is sealed before all of it is committed");
    script.store_all(FIRST, 100..106);
    let digest = match script.land().record.segments[0].end {
        SegmentEnd::Sealed { at: ChunkSeq(106), digest } => digest,
        end => panic!("{end:?}"),
    };
    assert_ne!(digest, quarry_protocol::digest::Digest::start(crate::script::LOG, FIRST, ChunkSeq(100)));
    assert_eq!(script.attached, [SECOND], "everybody has all of the sealed segment");
    script.store_all(SECOND, 106..108);
    assert_eq!(script.committed.len(), 8);
    assert_eq!(script.writer.segment().id, SECOND);
}

/// A recovery that changed its plan opens a segment that is not its epoch's first. Nothing lies uncommitted before it.
#[test]
fn the_first_segment_is_not_held_whatever_its_name() {
    let mut script = Script::in_segment(SECOND, u64::MAX);
    script.append(2);
    script.store_all(SECOND, 100..102);
    assert_eq!(script.committed, [100, 101]);
}

/// P2, P11: what lies beyond the boundary is acknowledged only after everything below it.
#[test]
fn nothing_beyond_the_boundary_is_committed_before_what_lies_below() {
    let mut script = planned();
    script.land();
    up(&mut script);
    script.append(5);
    script.store_all(SECOND, 106..108);
    script.store_all(FIRST, 101..106);
    assert!(script.committed.is_empty(), "chunk 100 is on no replica");
    script.store(FIRST, 100, &[0, 2]);
    assert_eq!(script.committed, (100..108).collect::<Vec<_>>());
}

/// P6: the window spans both sides of a boundary.
#[test]
fn the_window_counts_both_sides() {
    let mut script = planned();
    script.land();
    up(&mut script);
    script.append(5);
    assert!(!script.writer.would_fit(10), "eight chunks are in flight");
    script.force_append();
    assert_eq!(script.failed, [None]);
    script.store(FIRST, 100, &[0, 1]);
    assert!(script.writer.would_fit(10));
}

/// P11: while it is not known whether the boundary is on record, nothing goes to it or beyond.
#[test]
fn appends_stall_at_a_boundary_in_doubt() {
    let mut script = planned();
    let swap = script.swap();
    script.apply(&swap);
    script.say(&swap, SwapOutcome::Ambiguous("timed out".into()));
    script.append(3);
    assert!(!script.writer.would_fit(10));
    let (at, why) = script.writer.stalled_at().expect("it stands at the boundary");
    assert!(at == ChunkSeq(106) && why.contains("timed out"), "{at}: {why}");
    assert!(script.others.iter().any(|effect| matches!(effect, RotationEffect::Stalled { .. })));
    script.force_append();
    assert!(script.failed == [None] && script.puts.iter().all(|put| put.2 < 106), "{:?}", script.puts);
    script.read();
    assert!(script.writer.stalled_at().is_none() && script.attached == [FIRST, SECOND]);
    up(&mut script);
    script.append(2);
    assert_eq!(script.home(106), SECOND);
}

/// 3.1: a change in doubt is asked for again just as it was, while the version that it compares is there.
#[test]
fn a_plan_that_may_still_come_is_asked_for_again_as_it_was() {
    let mut script = planned();
    let first = script.swap();
    script.say(&first, SwapOutcome::Ambiguous("timed out".into()));
    script.append(3);
    script.read();
    let again = script.swap();
    assert_eq!(again.record, first.record);
    assert!(!script.writer.would_fit(10), "the first one may take place at any time");
    script.apply(&first);
    script.say(&again, SwapOutcome::Conflict);
    script.read();
    assert_eq!(script.attached, [FIRST, SECOND], "the record says that it took place");
}

/// If the register is away, appends go on past the soft size.
#[test]
fn a_register_that_is_away_stops_nobody() {
    let mut script = planned();
    script.store_all(FIRST, 100..103);
    for _ in 0..3 {
        let swap = script.swap();
        script.say(&swap, SwapOutcome::Failed("connection refused".into()));
        for _ in 0..20 {
            let seq = script.writer.next_seq().0;
            script.append(1);
            script.store_all(FIRST, seq..seq + 1);
        }
        assert!(script.writer.stalled_at().is_none());
        let failed =
            |effect: &RotationEffect| matches!(effect, RotationEffect::Unrotated { reason: RotationReason::Size, .. });
        assert!(script.others.iter().any(failed));
        script.pass(60_000_000);
        script.append(1);
        let seq = script.writer.next_seq().0 - 1;
        script.store_all(FIRST, seq..seq + 1);
        script.place(Ok(same()));
    }
    script.land();
    assert_eq!(script.attached, [FIRST, SECOND]);
}

/// A trim changed the record meanwhile: what was compared is gone, so it is planned anew, on the new record.
#[test]
fn a_conflict_is_planned_anew() {
    let mut script = planned();
    let swap = script.swap();
    script.register = script.register.changed();
    script.register.floor = ChunkSeq(101);
    script.say(&swap, SwapOutcome::Conflict);
    script.append(3);
    script.read();
    let again = script.swap();
    assert_eq!(again.record.floor, ChunkSeq(101));
    let end = again.record.segments[0].end_seq().unwrap();
    assert!(end >= script.writer.next_seq(), "the boundary lies at {end}, behind the next seq");
}

/// 20e: epoch and owner stood there before; only the next segment's own name shows that it took place.
#[test]
fn a_plan_is_known_by_its_own_content() {
    let mut script = planned();
    let swap = script.swap();
    script.register = script.register.changed();
    script.say(&swap, SwapOutcome::Ambiguous("timed out".into()));
    script.read();
    assert_eq!(script.attached, [FIRST], "the record names no second segment");
    script.land();
    assert_eq!(script.attached, [FIRST, SECOND]);
}

#[test]
fn an_idle_log_rotates_on_demand_and_at_once() {
    let mut script = Script::new(u64::MAX);
    script.append(2);
    script.store_all(FIRST, 100..102);
    script.handle(RotationEvent::Rotate);
    script.place(Ok(same()));
    assert_eq!(script.land().record.segments[0].end_seq(), Some(ChunkSeq(102)), "right at the next seq");
    script.land();
    assert_eq!(script.attached, [SECOND]);
    assert!(script.others.contains(&RotationEffect::Sealed { segment: FIRST, at: ChunkSeq(102) }));
    // An empty segment has no end yet.
    script.handle(RotationEvent::Rotate);
    script.place(Ok(same()));
    assert_eq!(script.land().record.segments[1].end_seq(), Some(ChunkSeq(103)));
}

/// Somebody took the log over while the boundary was planned: this writer is finished.
#[test]
fn a_takeover_ends_it() {
    let mut script = planned();
    let swap = script.swap();
    script.register = script.register.changed();
    script.register.epoch = script.register.epoch.next();
    script.register.owner = OwnerId([2; 16]);
    assert_ne!(script.register.owner, MINE);
    script.say(&swap, SwapOutcome::Conflict);
    script.read();
    assert_eq!((script.stopped, script.failed.len()), (1, 3));
    assert!(script.is_quiet() && script.writer.poll_timeout().is_none());
    assert_ne!(version(&script.register), swap.expected);
}
