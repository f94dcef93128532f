//! Fences, freezes and deletions: what recovery builds on.

use super::*;
use crate::replica::ToStore;
use crate::snapshot::{LogRecord, Record};

fn fenced(effects: &[ReplicaEffect]) -> (Epoch, ChunkSeq, Vec<crate::message::SegmentView>) {
    match only_reply(effects) {
        Reply::Fenced { fence, floor, segments } => (fence, floor, segments),
        reply => panic!("not fenced: {reply:?}"),
    }
}

/// P3, pitfalls 7 and 8: a fence is answered only after every put accepted before it is durable, and itself too.
#[test]
fn a_fence_drains_the_puts_before_it() {
    let mut driven = Driven::new();
    driven.put(1, 0);
    driven.put(1, 1);
    let record = LogRecord { log: LOG, fence: Epoch(2), ..LogRecord::default() };
    let what = ToStore::Control(Record::Log(record));
    assert_eq!(driven.fence(2, &[1]), [ReplicaEffect::Store { order: 3, what }]);
    assert!(replies(&driven.stored(2)).is_empty(), "the fence itself is not durable");
    let (fence, floor, segments) = fenced(&driven.stored(3));
    assert_eq!((fence, floor), (Epoch(2), ChunkSeq(0)));
    assert_eq!(segments[0].newest, Some(ChunkSeq(1)));
    assert_eq!(segments[0].runs, [run(0, 2, Answer::Have)]);
}

/// P3: the inventory in the answer holds what was accepted before the same epoch's fence came again.
#[test]
fn the_same_fence_again_drains_as_well() {
    let mut driven = Driven::new();
    driven.fence(2, &[]);
    driven.store_all();
    driven.put(2, 0);
    assert!(driven.fence(2, &[2]).is_empty(), "the put is not durable yet");
    let effects = driven.store_all();
    assert_eq!(fenced(&effects).2[0].newest, Some(ChunkSeq(0)));
    assert_eq!(fenced(&driven.fence(2, &[2])).0, Epoch(2), "at once when nothing is on its way");
}

/// P3, pitfall 8: a repeated fence is not answered before the first one is durable.
#[test]
fn the_same_fence_again_waits_for_the_first() {
    let mut driven = Driven::new();
    driven.fence(2, &[]);
    assert!(driven.fence(2, &[]).is_empty());
    assert_eq!(replies(&driven.store_all()).len(), 2);
}

/// P3: epochs only rise.
#[test]
fn a_lower_fence_is_refused_at_once() {
    let mut driven = Driven::new();
    driven.fence(3, &[]);
    assert_eq!(refusal(&driven.fence(2, &[])), Refusal::Fenced { by: Epoch(3) });
    assert_eq!(refusal(&driven.put(2, 0)), Refusal::Fenced { by: Epoch(3) }, "although epoch 3 is not durable");
}

/// Pitfall 20: of two recoveries that interleave, the lower one is told that it lost.
#[test]
fn a_fence_overtaken_while_it_waits_is_refused() {
    let mut driven = Driven::new();
    driven.fence(2, &[]);
    driven.fence(3, &[]);
    let answers = replies(&driven.store_all());
    assert_eq!(answers[0], Reply::Refused(Refusal::Fenced { by: Epoch(3) }));
    assert!(matches!(answers[1], Reply::Fenced { fence: Epoch(3), .. }));
}

/// Pitfall 1: no freeze before the fence is durable, so that "never" stays true.
#[test]
fn a_freeze_needs_a_durable_fence_above_the_segment() {
    let mut driven = Driven::new();
    driven.hold(1, 0..1);
    let bad = |reply| matches!(reply, Reply::Refused(Refusal::BadRequest { .. }));
    assert!(bad(driven.freeze(1, 1, 0, 2)), "the segment's own epoch fences nobody out of it");
    driven.fence(2, &[]);
    assert!(bad(driven.freeze(2, 1, 0, 2)), "the fence is not durable");
    driven.store_all();
    assert!(bad(driven.freeze(3, 1, 0, 2)), "another fence than the asker's");
    assert!(bad(driven.freeze(2, 2, 0, 2)), "the new segment is not fenced");
    assert!(bad(driven.freeze(2, 1, 2, 1)), "backwards");
    assert!(bad(driven.freeze(2, 1, 0, 1 << 40)), "too many");
    let frozen = Reply::Frozen { runs: [run(0, 1, Answer::Have), run(1, 3, Answer::Never)].to_vec() };
    assert_eq!(driven.freeze(2, 1, 0, 3), frozen);
    assert_eq!(driven.freeze(1, 1, 0, 3), Reply::Refused(Refusal::Fenced { by: Epoch(2) }));
}

/// Pitfall 11, P13: nothing brings a deleted log back, durable or not yet.
#[test]
fn a_deleted_log_stays_deleted() {
    let mut driven = Driven::new();
    driven.hold(1, 0..3);
    assert!(replies(&driven.delete(2)).is_empty(), "not durable yet");
    for _ in 0..2 {
        let deleted = Refusal::LogDeleted { log: LOG, at: Epoch(2) };
        assert_eq!(refusal(&driven.put(1, 3)), Refusal::Fenced { by: Epoch(2) });
        assert_eq!(refusal(&driven.put(2, 3)), deleted);
        assert_eq!(refusal(&driven.put(9, 3)), deleted);
        assert_eq!(refusal(&driven.fence(9, &[])), deleted);
        assert_eq!(refusal(&driven.trim(9, 1)), deleted);
        assert_eq!(driven.freeze(9, 1, 0, 4), Reply::Frozen { runs: [run(0, 4, Answer::Unknown)].to_vec() });
        assert_eq!(refusal(&driven.read(1, 0, 1)), deleted);
        driven.store_all();
    }
    assert_eq!(only_reply(&driven.delete(2)), Reply::Deleted, "again");
    assert_eq!(only_reply(&driven.delete(1)), Reply::Deleted, "a late message of the deletion changes nothing");
    assert_eq!(driven.replica.log_records().next().unwrap().deleted, Epoch(2));
}

/// P12: data is freed only once the deletion is durable.
#[test]
fn a_deletion_frees_once_it_is_durable() {
    let mut driven = Driven::new();
    driven.hold(1, 0..3);
    driven.put(1, 3);
    assert!(!driven.delete(2).iter().any(|effect| matches!(effect, ReplicaEffect::Free { .. })));
    let effects = driven.store_all();
    assert_eq!(stored_to(&effects).len(), 1, "accepted before the deletion");
    assert!(effects.contains(&ReplicaEffect::Free { log: LOG, below: None }));
    assert_eq!(replies(&effects), [Reply::Deleted]);
}

/// Pitfall 11: a deletion of a log that never was here keeps late puts out all the same.
#[test]
fn deleting_an_unknown_log_is_remembered() {
    let mut driven = Driven::new();
    driven.delete(4);
    driven.store_all();
    assert_eq!(refusal(&driven.put(5, 0)), Refusal::LogDeleted { log: LOG, at: Epoch(4) });
}

/// P13: a deletion is a takeover; one that lost is refused.
#[test]
fn a_deletion_below_the_fence_is_refused() {
    let mut driven = Driven::new();
    driven.fence(3, &[]);
    driven.store_all();
    assert_eq!(refusal(&driven.delete(2)), Refusal::Fenced { by: Epoch(3) });
}

/// Epoch 0 is before any writer.
#[test]
fn epoch_zero_is_refused() {
    let mut driven = Driven::new();
    assert!(matches!(refusal(&driven.fence(0, &[])), Refusal::BadRequest { .. }));
    assert!(matches!(refusal(&driven.delete(0)), Refusal::BadRequest { .. }));
    assert!(matches!(refusal(&driven.fence(1, &[1; 65])), Refusal::BadRequest { .. }));
    assert_eq!(driven.replica.logs(), 0);
}
