//! What cannot be read any more is unknown, never "never".

use super::*;
use crate::limits::LOSSES_PER_SHARD_MAX;
use crate::replica::{RestoredSegment, ToStore};
use crate::snapshot::{LogRecord, LossRecord, Record};

fn lose(driven: &mut Driven, from: u64, to: u64) -> Vec<ReplicaEffect> {
    driven.handle(ReplicaEvent::Lost { log: LOG, segment: segment(1), from: ChunkSeq(from), to: ChunkSeq(to) })
}

fn loss(from: u64, to: u64) -> LossRecord {
    LossRecord { log: LOG, segment: segment(1), from: ChunkSeq(from), to: ChunkSeq(to) }
}

/// Pitfall 3, P8, D6: an unreadable chunk is unknown at once, and durably so.
#[test]
fn a_lost_chunk_is_unknown() {
    let mut driven = Driven::new();
    driven.hold(1, 0..4);
    driven.fence(2, &[]);
    driven.store_all();
    let effects = lose(&mut driven, 1, 2);
    assert_eq!(effects, [ReplicaEffect::Store { order: 6, what: ToStore::Control(Record::Loss(loss(1, 2))) }]);
    let runs = [run(0, 1, Answer::Have), run(1, 2, Answer::Unknown), run(2, 4, Answer::Have)].to_vec();
    assert_eq!(driven.freeze(2, 1, 0, 4), Reply::Frozen { runs });
    assert_eq!(only_reply(&driven.read(1, 1, 1)), Reply::ReadEnd { next: ChunkSeq(1), answer: Answer::Unknown });
    assert!(driven.replica.losses().eq([loss(1, 2)]));
}

/// D6: a loss is carried forward until it is trimmed.
#[test]
fn a_trim_ends_a_loss() {
    let mut driven = Driven::new();
    driven.hold(1, 0..4);
    lose(&mut driven, 0, 4);
    driven.trim(1, 2);
    driven.store_all();
    assert!(driven.replica.losses().eq([loss(2, 4)]));
    assert!(lose(&mut driven, 0, 2).is_empty(), "below the floor nothing is lost");
    driven.trim(1, 4);
    driven.store_all();
    assert_eq!(driven.replica.losses().count(), 0);
}

/// D6: "newest" counts what is lost, so that a lost last chunk does not shorten the window that recovery settles.
#[test]
fn a_lost_last_chunk_is_still_the_newest() {
    let mut driven = Driven::new();
    driven.hold(1, 0..2);
    lose(&mut driven, 1, 2);
    driven.fence(2, &[1]);
    let Reply::Fenced { segments, .. } = only_reply(&driven.store_all()) else { panic!("not fenced") };
    assert_eq!(segments[0].newest, Some(ChunkSeq(1)));
    assert_eq!(segments[0].runs, [run(0, 1, Answer::Have), run(1, 2, Answer::Unknown)]);
}

/// P4: a lost chunk is not acknowledged again because it was held once; its writer may store it anew.
#[test]
fn a_lost_chunk_can_be_put_again() {
    let mut driven = Driven::new();
    driven.hold(1, 0..2);
    lose(&mut driven, 0, 1);
    let effects = driven.put(1, 0);
    assert!(has_store(&effects) && stored_to(&effects).is_empty());
    assert_eq!(stored_to(&driven.store_all()).len(), 1);
    assert_eq!(driven.replica.losses().count(), 0);
}

/// P8: more losses than a snapshot can carry fail the disk: better no answer than a forgotten loss.
#[test]
fn too_many_losses_fail_the_disk() {
    let mut driven = Driven::new();
    let mut held = crate::ranges::SeqRanges::new();
    held.insert(ChunkSeq(0), ChunkSeq(1 << 20));
    let record = LogRecord { log: LOG, ..LogRecord::default() };
    let segments = [RestoredSegment { segment: segment(1), held, ..RestoredSegment::default() }].to_vec();
    driven.replica = Replica::new(identity(), [RestoredLog { record, segments }]);
    for lost in 0..LOSSES_PER_SHARD_MAX as u64 {
        lose(&mut driven, 2 * lost, 2 * lost + 1);
    }
    assert_eq!(driven.replica.failed(), None);
    lose(&mut driven, 1 << 19, (1 << 19) + 1);
    assert!(driven.replica.failed().is_some_and(|why| why.contains("unreadable")));
    assert!(matches!(refusal(&driven.put(1, 1 << 20)), Refusal::DiskFailed { .. }));
}

/// P8: what a replay calls both held and lost is not promised.
#[test]
fn a_loss_wins_over_the_inventory_of_a_replay() {
    let mut held = crate::ranges::SeqRanges::new();
    held.insert(ChunkSeq(0), ChunkSeq(4));
    let mut lost = crate::ranges::SeqRanges::new();
    lost.insert(ChunkSeq(2), ChunkSeq(6));
    let record = LogRecord { log: LOG, fence: Epoch(2), ..LogRecord::default() };
    let restored = RestoredSegment { segment: segment(1), watermark: ChunkSeq(1), held, lost };
    let mut driven = Driven::restored([RestoredLog { record, segments: [restored].to_vec() }].to_vec());
    let runs = [run(0, 2, Answer::Have), run(2, 6, Answer::Unknown), run(6, 7, Answer::Never)].to_vec();
    assert_eq!(driven.freeze(2, 1, 0, 7), Reply::Frozen { runs });
}
