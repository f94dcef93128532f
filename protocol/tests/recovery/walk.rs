//! P7.2 and P7.3: what is believed, and where the log ends.

use crate::script::{Script, Shelf, Shelves, id, open_from_10, segment, shelves, version, written};
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, Epoch};
use quarry_protocol::message::{Answer, Refusal, Reply, Request};
use quarry_protocol::record::SegmentEnd;
use quarry_protocol::recovery::SwapOutcome;

/// Settles with these answers, copies what has to be, and says where the log ended and where it was cut.
fn end_and_cut(script: &mut Script, shelves: &Shelves, answering: &[usize]) -> (u64, u64) {
    script.answer(shelves, answering);
    let chunks = written(id(3, 0), 10, 20);
    script.give_chunks(&chunks);
    if let Some(new) = script.attached() {
        script.up(new, &[0, 1]);
        for _ in 0..20 {
            for (replica, header, _) in script.copies() {
                script.store(replica, &header);
            }
            script.give_chunks(&chunks);
        }
    }
    let swap = script.swap();
    script.swapped(swap.request, SwapOutcome::Done(version(3)));
    let report = script.report();
    (report.next_seq.0, report.segment.as_ref().expect("opened to write").base.0)
}

/// Pitfall 1 (`BookKeeper` #2614): fence first, then ask. Nothing else goes to a replica before it confirmed the fence, and
/// nothing is believed before a read quorum did.
#[test]
fn nothing_is_asked_of_a_replica_that_is_not_fenced() {
    let mut script = Script::claimed(open_from_10(3, 2));
    let fences = script.calls();
    assert!(fences.iter().all(|call| matches!(call.what, Request::Fence { .. })));
    script.reply(&fences[0], Script::truth(&fences[0], &Shelves::new()));
    assert!(script.calls().is_empty(), "one of two needed");
    script.reply(&fences[2], Script::truth(&fences[2], &Shelves::new()));
    let freezes = script.calls();
    assert_eq!(freezes.iter().map(|call| call.to).collect::<Vec<_>>(), [0, 2]);
    assert!(freezes.iter().all(|call| matches!(call.what, Request::Freeze { from: ChunkSeq(10), .. })));
    assert!(script.fetches().is_empty() && script.copies().is_empty() && script.find_swap().is_none());
}

/// Pitfall 1: a reply that fences at another epoch, or speaks of other segments, is not the fence that was asked for.
#[test]
fn a_fence_that_was_not_asked_for_does_not_count() {
    let mut script = Script::claimed(open_from_10(1, 1));
    for wrong in [(3, id(3, 0)), (4, id(3, 1)), (4, id(2, 0))] {
        let calls = script.calls();
        let view = Shelf::default().view(wrong.1);
        script.reply(&calls[0], Reply::Fenced { fence: Epoch(wrong.0), floor: ChunkSeq(0), segments: vec![view] });
        assert!(script.calls().is_empty() && script.find_swap().is_none(), "{wrong:?}");
        script.until_retry();
    }
}

/// Pitfall 2 (`BookKeeper` #2615): a sealed boundary is never reopened, whatever replicas say of what lies below.
#[test]
fn a_recovery_never_starts_below_a_sealed_boundary() {
    let mut record = open_from_10(3, 2);
    let sealed = SegmentEnd::Sealed { at: ChunkSeq(10), digest: Digest([5; 16]) };
    record.segments.insert(0, segment(id(2, 0), 0, sealed, 3, 2));
    record.floor = ChunkSeq(0);
    let mut script = Script::claimed(record.clone());
    for call in script.calls() {
        assert!(matches!(&call.what, Request::Fence { segments, .. } if *segments == [id(3, 0)]));
        script.reply(&call, Script::truth(&call, &Shelves::new()));
    }
    for call in script.calls() {
        assert!(matches!(call.what, Request::Freeze { from: ChunkSeq(10), .. }));
        script.reply(&call, Script::truth(&call, &Shelves::new()));
    }
    let swap = script.swap();
    assert_eq!(swap.record.segments[0], record.segments[0], "the sealed segment stands as it was");
    assert_eq!(swap.record.segments.len(), 2, "the empty one left the chain");
    assert_eq!((swap.record.segments[1].id, swap.record.segments[1].base), (id(4, 0), ChunkSeq(10)));
}

/// Pitfall 3 (`BookKeeper` #2908), P8: *unknown* is neither a yes nor a no. The log is not cut there; another replica decides.
#[test]
fn a_read_error_never_shortens_the_log() {
    let id = id(3, 0);
    let unknown = || Shelf::with(10, [10]).and(11, Answer::Unknown);
    let shelves = shelves(id, [(0, unknown()), (1, Shelf::with(10, [10])), (2, Shelf::with(10, [10, 11]))]);
    let mut script = Script::claimed(open_from_10(3, 2));
    script.answer(&shelves, &[0, 1]);
    assert!(script.find_swap().is_none(), "one never and one unknown decide nothing");
    let mut script = Script::claimed(open_from_10(3, 2));
    assert_eq!(end_and_cut(&mut script, &shelves, &[0, 1, 2]), (12, 11));
}

/// P8: two authoritative *never* among an *unknown* decide: no ack quorum can have stored the chunk.
#[test]
fn a_read_quorum_of_never_ends_the_log_beside_an_unknown() {
    let shelves = shelves(id(3, 0), [(0, Shelf::with(10, [10]).and(11, Answer::Unknown)), (1, Shelf::with(10, [10]))]);
    let mut script = Script::claimed(open_from_10(3, 2));
    assert_eq!(end_and_cut(&mut script, &shelves, &[0, 1, 2]), (11, 11));
}

/// Pitfall 6 (Woodpecker #242): whoever is behind does not say where the log ends; any single *have* keeps a chunk.
#[test]
fn a_replica_that_is_behind_does_not_seal_short() {
    let shelves = shelves(id(3, 0), [(0, Shelf::with(10, [10, 11])), (1, Shelf::with(10, [10, 11, 12, 13]))]);
    let mut script = Script::claimed(open_from_10(3, 2));
    assert_eq!(end_and_cut(&mut script, &shelves, &[0, 1]), (14, 12));
}

/// P6: the walk starts at the window, even if the only watermark heard is old; a hole in the window ends the log.
#[test]
fn the_walk_covers_exactly_the_window() {
    // The window is 4 chunks: whoever put 15 had 12 as its oldest chunk in flight.
    let shelves = shelves(id(3, 0), [(0, Shelf::with(10, [15])), (1, Shelf::with(10, [12, 13]))]);
    let mut script = Script::claimed(open_from_10(3, 2));
    let fences = script.calls();
    script.reply(&fences[0], Script::truth(&fences[0], &shelves));
    script.reply(&fences[1], Script::truth(&fences[1], &shelves));
    let freezes = script.calls();
    assert!(matches!(freezes[0].what, Request::Freeze { from: ChunkSeq(12), to: ChunkSeq(17), .. }), "{freezes:?}");
    for call in freezes {
        script.reply(&call, Script::truth(&call, &shelves));
    }
    assert_eq!(end_and_cut(&mut script, &shelves, &[0, 1]), (14, 12));
}

/// Pitfall 19: a quorum stitched from different replicas counts chunk by chunk: what both of those that answer hold is proven,
/// and the copying begins at the first chunk that is not. (All three together: `src/recovery/walk.rs`.)
#[test]
fn a_stitched_quorum_counts_per_chunk() {
    let held = [(0, Shelf::with(10, [10, 12])), (1, Shelf::with(10, [10, 11])), (2, Shelf::with(10, [11, 12]))];
    let mut script = Script::claimed(open_from_10(3, 2));
    assert_eq!(end_and_cut(&mut script, &shelves(id(3, 0), held), &[0, 1]), (13, 11));
}

/// Pitfall 20a: trimmed is not never. The floor is read again, and the walk starts there.
#[test]
fn a_trimmed_seq_sends_recovery_back_to_the_floor() {
    let trimmed = || Shelf::with(10, [12]).and(10, Answer::Trimmed).and(11, Answer::Trimmed);
    let shelves = shelves(id(3, 0), [(0, trimmed()), (1, Shelf::with(10, [12]))]);
    let mut script = Script::claimed(open_from_10(3, 2));
    script.answer(&shelves, &[0, 1]);
    assert!(script.find_swap().is_none());
    script.until_retry();
    assert!(script.is_reading());
    let mut moved = open_from_10(3, 2);
    (moved.epoch, moved.owner, moved.floor) = (Epoch(4), crate::script::MINE, ChunkSeq(12));
    script.record_is(7, moved);
    assert_eq!(end_and_cut(&mut script, &shelves, &[0, 1]), (13, 13));
    assert_eq!(script.report().record.floor, ChunkSeq(12));
}

/// P8: the same, if all that is left of the log's end was trimmed, and by one replica only.
#[test]
fn two_nevers_beside_a_trimmed_do_not_cut_the_log_below_its_floor() {
    let shelves = shelves(id(3, 0), [(0, Shelf::default().and(10, Answer::Trimmed))]);
    let mut script = Script::claimed(open_from_10(3, 2));
    script.answer(&shelves, &[0, 1, 2]);
    assert!(script.find_swap().is_none(), "never, never, trimmed: the floor decides");
}

/// P14, pitfalls 20c and 33: another disk under the old address says nothing about the old one.
#[test]
fn a_wiped_replica_does_not_count() {
    let shelves = shelves(id(3, 0), [(0, Shelf::with(10, [10]))]);
    let mut script = Script::claimed(open_from_10(3, 2));
    for _ in 0..10 {
        for call in script.calls() {
            let here = crate::script::disk(40);
            match call.to {
                0 => script.lost(&call),
                1 => script.reply(&call, Reply::Refused(Refusal::WrongDisk { named: crate::script::disk(1), here })),
                _ => script.reply(&call, Script::truth(&call, &shelves)),
            }
        }
        assert!(script.find_swap().is_none() && script.outcome.is_none());
        script.until_retry();
    }
    assert_eq!(end_and_cut(&mut script, &shelves, &[0, 2]), (11, 10));
}

/// P3: somebody else is further. Only the register knows who.
#[test]
fn a_higher_fence_is_looked_up_in_the_register() {
    for (epoch, owner, superseded) in [(6, crate::script::OTHER, true), (4, crate::script::MINE, false)] {
        let mut script = Script::claimed(open_from_10(3, 2));
        let calls = script.calls();
        script.reply(&calls[0], Reply::Refused(Refusal::Fenced { by: Epoch(6) }));
        let mut now = open_from_10(3, 2);
        (now.epoch, now.owner) = (Epoch(epoch), owner);
        script.record_is(9, now);
        let error = script.error().to_string();
        assert_eq!(error.contains("took log"), superseded, "{error}");
        assert_eq!(error.contains("rolled back"), !superseded, "{error}");
    }
}
