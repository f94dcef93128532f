//! Fences, freezes, views and reads.

use super::*;

#[test]
fn a_fence_marks_what_the_writer_cannot_pass_and_reports_the_newest() {
    let mut driven = Driven::new();
    assert_eq!(driven.fenced(5).newest, None);
    assert_eq!(driven.marks(), [3], "the last slot an empty log's writer may reach");

    let mut driven = Driven::new();
    driven.hold(0..100);
    let view = driven.fenced(5);
    assert_eq!((view.newest, view.watermark), (Some(ChunkSeq(99)), ChunkSeq(96)));
    assert_eq!(view.runs, [run(96, 100, Answer::Have)]);
    assert_eq!(driven.marks(), [103]);
    assert_eq!(driven.put(chunk(103, 1)), Err(Refusal::Fenced { by: Epoch(5) }));
}

/// Holes in the window do not hide what lies behind them, wherever the probes hit.
#[test]
fn the_newest_is_found_behind_any_holes_of_a_window() {
    for length in 1..40 {
        for holes in 0..8_u64 {
            let mut driven = Driven::new();
            let hole = |seq: &u64| length - seq <= 4 && length - seq > 1 && holes >> (length - seq - 2) & 1 == 1;
            driven.hold((0..length).filter(|seq| !hole(seq)));
            assert_eq!(driven.fenced(5).newest, Some(ChunkSeq(length - 1)), "{length} chunks, holes {holes:b}");
            assert_eq!(driven.marks().len(), 1);
        }
    }
}

/// A bucket that was left behind has a hole of any length. The walk that meets what lies beyond it moves the mark.
#[test]
fn a_freeze_beyond_the_mark_moves_the_mark() {
    let mut driven = Driven::new();
    driven.hold([0, 1, 50, 51, 52, 53, 54]);
    let newest = driven.fenced(5).newest.expect("some");
    assert!(newest == ChunkSeq(1) || newest == ChunkSeq(54));
    let frozen = Reply::Frozen { runs: vec![run(50, 55, Answer::Have), run(55, 56, Answer::Never)] };
    assert_eq!(driven.freeze(5, 50, 56), frozen);
    assert!(driven.marks().contains(&58), "{:?}", driven.marks());
}

/// What lies beyond a mark is not *never* because of it: a put may be on its way there. Believed, an acknowledged chunk would be
/// lost (see the module's documentation).
#[test]
fn a_slot_beyond_the_mark_is_never_only_once_it_is_marked_itself() {
    let mut driven = Driven::new();
    driven.hold(0..3);
    driven.fenced(5);
    assert_eq!(driven.marks(), [6]);
    let mut writer = Driven::new();
    std::mem::swap(&mut writer.store, &mut driven.store);
    writer.hold([9]);
    std::mem::swap(&mut writer.store, &mut driven.store);
    let runs = vec![run(8, 9, Answer::Never), run(9, 10, Answer::Have), run(10, 11, Answer::Never)];
    assert_eq!(driven.freeze(5, 8, 11), Reply::Frozen { runs });
    assert_eq!(driven.put(chunk(8, 1)), Err(Refusal::Fenced { by: Epoch(5) }));
    for seq in [8, 10] {
        assert!(driven.store.marker(slot(seq)).is_some(), "{seq}");
    }
}

#[test]
fn a_freeze_says_what_each_slot_holds_for_ever() {
    let mut driven = Driven::new();
    driven.hold([0, 2]);
    driven.mark(3, 4);
    driven.damage(4, b"somebody else's object");
    driven.fenced(5);
    let runs = vec![
        run(0, 1, Answer::Have),
        run(1, 2, Answer::Never),
        run(2, 3, Answer::Have),
        run(3, 4, Answer::Never),
        run(4, 5, Answer::Unknown),
        run(5, 6, Answer::Never),
    ];
    assert_eq!(driven.freeze(5, 0, 6), Reply::Frozen { runs: runs.clone() });
    assert_eq!(driven.freeze(5, 0, 6), Reply::Frozen { runs }, "the same, for ever");
    assert_eq!(driven.store.marker(slot(3)).map(|marker| marker.epoch), Some(Epoch(4)), "no marker is made anew");
}

#[test]
fn an_ambiguous_marker_is_looked_for_before_it_is_believed() {
    for tricks in [[Trick::Unheard, Trick::Lost], [Trick::Lost, Trick::Unheard]] {
        let mut driven = Driven::new();
        driven.fenced(5);
        driven.tricks = tricks.into();
        assert_eq!(driven.freeze(5, 0, 1), Reply::Frozen { runs: vec![run(0, 1, Answer::Never)] });
        assert!(driven.store.marker(slot(0)).is_some());
    }
    // It was lost, and a chunk came first.
    let mut driven = Driven::new();
    driven.fenced(5);
    driven.tricks = [Trick::Lost].into();
    let freeze = Request::Freeze { log: LOG, epoch: Epoch(5), segment: SEGMENT, from: ChunkSeq(0), to: ChunkSeq(1) };
    driven.tell(BucketEvent::Request { from: 2, disk: DISK, request: freeze });
    driven.answer();
    let (header, payload) = chunk(0, 1);
    let key = ObjectKey::Slot(slot(0));
    driven.store.perform(&Operation::Create { key, head: Bytes::copy_from_slice(&header.encode()), payload });
    let reply = Reply::Frozen { runs: vec![run(0, 1, Answer::Have)] };
    assert_eq!(driven.settle(), [BucketEffect::Reply { to: 2, reply }]);
}

#[test]
fn a_freeze_that_cannot_mark_gives_no_answer() {
    let mut driven = Driven::new();
    driven.fenced(5);
    driven.tricks = vec![Trick::Failed; 4].into();
    assert!(matches!(driven.freeze(5, 0, 1), Reply::Refused(Refusal::DiskFailed { .. })));
}

/// P3: whoever comes with a lower epoch learns who holds the log.
#[test]
fn a_marker_of_a_higher_epoch_fences_the_asker() {
    let fenced = Reply::Refused(Refusal::Fenced { by: Epoch(8) });
    let mut driven = Driven::new();
    driven.mark(2, 8);
    assert_eq!(driven.fence(5), fenced);
    let mut driven = Driven::new();
    driven.fenced(5);
    driven.mark(0, 8);
    assert_eq!(driven.freeze(5, 0, 1), fenced);
    assert_eq!(driven.fence(5), fenced, "it is remembered");
    assert_eq!(driven.fenced(9).newest, None);
}

#[test]
fn a_freeze_wants_a_fence_and_a_request_wants_a_record() {
    let bad = |reply: Reply| assert!(matches!(reply, Reply::Refused(Refusal::BadRequest { .. })), "{reply:?}");
    let mut driven = Driven::new();
    bad(driven.freeze(5, 0, 1));
    driven.fenced(5);
    bad(driven.freeze(6, 0, 1));
    bad(driven.freeze(5, 2, 1));
    bad(driven.fence(0));
    let strange = SegmentId { epoch: Epoch(2), index: 0 };
    bad(driven.ask(Request::Fence { log: LOG, epoch: Epoch(5), segments: vec![strange] }));
    bad(driven.ask(Request::Inspect { log: LogId([8; 16]), segments: vec![] }));
    bad(driven.ask(Request::Hello { cluster: "here".into() }));
    let mut driven = Driven::new();
    bad(driven.fence(1));
}

/// P14, pitfall 33: the name is looked at after everything an answer says was seen, and before it is given.
#[test]
fn an_answer_about_a_bucket_that_lost_its_name_is_not_given() {
    for stays in 0..30 {
        let mut driven = Driven::new();
        driven.hold(0..3);
        driven.tell(BucketEvent::Request {
            from: 2,
            disk: DISK,
            request: Request::Fence { log: LOG, epoch: Epoch(5), segments: vec![SEGMENT] },
        });
        let mut answered = true;
        (0..stays).for_each(|_| answered = driven.answer());
        driven.store = Store::default();
        match driven.settle().pop() {
            Some(BucketEffect::Reply { reply: Reply::Refused(Refusal::WrongDisk { .. }), .. }) => assert!(answered),
            Some(BucketEffect::Reply { reply: Reply::Fenced { .. }, .. }) if stays > 10 => {}
            said => panic!("after {stays} answers: {said:?}"),
        }
    }
}

/// P12, pitfall 20a: what is below the floor is trimmed, not *never*.
#[test]
fn what_lies_below_the_floor_is_trimmed() {
    let mut driven = Driven::new();
    driven.hold(0..8);
    driven.tell(BucketEvent::Known(known(6, SegmentEnd::Open)));
    driven.fenced(5);
    let runs = vec![run(4, 6, Answer::Trimmed), run(6, 8, Answer::Have), run(8, 9, Answer::Never)];
    assert_eq!(driven.freeze(5, 4, 9), Reply::Frozen { runs });
    let read = Request::Read { log: LOG, segment: SEGMENT, from: ChunkSeq(5), chunks_max: 1, bytes_max: 1 };
    assert_eq!(driven.ask(read), Reply::ReadEnd { next: ChunkSeq(5), answer: Answer::Trimmed });
    // Everything is trimmed: the mark is measured from the floor.
    let mut driven = Driven::new();
    driven.tell(BucketEvent::Known(known(20, SegmentEnd::Open)));
    driven.fenced(5);
    assert_eq!(driven.marks(), [23]);
}

#[test]
fn a_segment_that_ends_needs_no_mark_beyond_its_end() {
    let mut driven = Driven::new();
    driven.hold(0..6);
    driven.tell(BucketEvent::Known(known(0, SegmentEnd::Boundary { at: ChunkSeq(8) })));
    assert_eq!(driven.fenced(5).newest, Some(ChunkSeq(5)));
    assert!(driven.marks().is_empty());
    assert_eq!(driven.freeze(5, 6, 8), Reply::Frozen { runs: vec![run(6, 8, Answer::Never)] });
}

#[test]
fn an_inspect_changes_nothing() {
    let mut driven = Driven::new();
    driven.hold([0, 1, 3]);
    let reply = driven.ask(Request::Inspect { log: LOG, segments: vec![SEGMENT] });
    let runs = vec![run(0, 2, Answer::Have), run(2, 3, Answer::Unknown), run(3, 4, Answer::Have)];
    let view = SegmentView { segment: SEGMENT, watermark: ChunkSeq(0), newest: Some(ChunkSeq(3)), runs };
    assert_eq!(reply, Reply::Inspected { fence: Epoch(0), floor: ChunkSeq(0), segments: vec![view] });
    assert!(driven.marks().is_empty());
    driven.hold([2]);
}

#[test]
fn a_read_passes_chunks_on_in_order_and_says_why_it_ends() {
    let mut driven = Driven::new();
    driven.hold(0..6);
    driven.mark(7, 4);
    let mut read = |from, chunks_max, bytes_max| {
        let request = Request::Read { log: LOG, segment: SEGMENT, from: ChunkSeq(from), chunks_max, bytes_max };
        driven.tell(BucketEvent::Request { from: 2, disk: DISK, request });
        let mut seqs = Vec::new();
        for said in driven.settle() {
            match said {
                BucketEffect::Chunk { header, payload, .. } => {
                    assert_eq!((header, payload), chunk(header.seq.0, 1));
                    seqs.push(header.seq.0);
                }
                BucketEffect::Reply { reply: Reply::ReadEnd { next, answer }, .. } => return (seqs, next.0, answer),
                said => panic!("{said:?}"),
            }
        }
        panic!("no end of the read");
    };
    assert_eq!(read(1, 3, 1000), (vec![1, 2, 3], 4, Answer::Have));
    assert_eq!(read(0, 1000, 1000), ((0..6).collect(), 6, Answer::Unknown));
    assert_eq!(read(7, 5, 1000), (vec![], 7, Answer::Never));
    assert_eq!(read(0, 5, 12), (vec![0, 1], 2, Answer::Have));
    assert_eq!(read(0, 5, 1), (vec![0], 1, Answer::Have), "the first one comes whatever its size");
}
