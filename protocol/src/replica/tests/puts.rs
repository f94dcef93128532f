//! What is taken, what is refused, and when "stored" is said.

use super::*;
use crate::limits::{CHUNK_PAYLOAD_BYTES_MAX, LOGS_PER_SHARD_MAX};
use crate::replica::ToStore;

/// P4: nothing is acknowledged before it is durable.
#[test]
fn a_put_is_acknowledged_only_once_it_is_durable() {
    let mut driven = Driven::new();
    let effects = driven.put(1, 0);
    let expected = ToStore::Chunk { header: header(1, 0), slot: Slot(1) };
    assert_eq!(effects, [ReplicaEffect::Store { order: 1, what: expected }]);
    assert_eq!(stored_to(&driven.stored(1)), [1]);
}

/// D4: batches are confirmed in order, and so are puts.
#[test]
fn puts_are_acknowledged_in_order_as_far_as_the_disk_has_come() {
    let mut driven = Driven::new();
    for seq in 0..4 {
        driven.put(1, seq);
    }
    assert_eq!(stored_to(&driven.stored(2)), [1, 2]);
    assert!(driven.stored(2).is_empty());
    assert_eq!(stored_to(&driven.stored(4)), [3, 4]);
}

/// Pitfall 10: a duplicate is not acknowledged before the first copy is durable.
#[test]
fn a_duplicate_waits_for_the_first_copy() {
    let mut driven = Driven::new();
    driven.put(1, 0);
    let effects = driven.put(1, 0);
    assert_eq!(effects, [ReplicaEffect::Release { slot: Slot(2) }], "no answer yet, and no second copy");
    assert_eq!(stored_to(&driven.stored(1)), [1, 2]);
    assert_eq!(stored_to(&driven.put(1, 0)), [3], "held now");
}

/// Pitfall 9: a fenced writer's retransmission is not a duplicate to be acknowledged, held or pending.
#[test]
fn the_fence_comes_before_the_duplicate_check() {
    let mut driven = Driven::new();
    driven.hold(1, 0..1);
    driven.put(1, 1);
    driven.fence(2, &[]);
    for seq in 0..3 {
        let effects = driven.put(1, seq);
        assert_eq!(refusal(&effects), Refusal::Fenced { by: Epoch(2) }, "seq {seq}");
        assert!(has_release(&effects), "seq {seq}");
    }
    let effects = driven.store_all();
    assert_eq!(stored_to(&effects), [2], "the first copy was accepted before the fence");
}

/// P3: a put below the floor is not counted as stored for a fenced writer.
#[test]
fn the_fence_comes_before_the_floor() {
    let mut driven = Driven::new();
    driven.hold(1, 0..4);
    driven.trim(1, 3);
    driven.fence(2, &[]);
    driven.store_all();
    assert_eq!(refusal(&driven.put(1, 0)), Refusal::Fenced { by: Epoch(2) });
}

/// P3: a put tells the replica of its epoch like a fence does.
#[test]
fn a_put_of_a_higher_epoch_fences_lower_ones_at_once() {
    let mut driven = Driven::new();
    driven.put(1, 0);
    driven.put(3, 1);
    assert_eq!(refusal(&driven.put(1, 1)), Refusal::Fenced { by: Epoch(3) });
    assert_eq!(refusal(&driven.fence(2, &[])), Refusal::Fenced { by: Epoch(3) });
    assert!(!has_store(&driven.fence(3, &[])), "the chunk's own header carries the epoch");
}

/// A refused put does not raise the fence: nobody was told anything by it.
#[test]
fn a_refused_put_changes_nothing() {
    let mut driven = Driven::new();
    driven.hold(1, 0..1);
    driven.handle(ReplicaEvent::Fullness { full: Some((86, 100)) });
    driven.put(5, 1);
    driven.handle(ReplicaEvent::Fullness { full: None });
    assert!(has_store(&driven.put(1, 1)));
}

/// P1: a writer gives a seq one content.
#[test]
fn another_chunk_under_a_name_on_its_way_is_refused() {
    let mut driven = Driven::new();
    driven.put(1, 0);
    let different = Refusal::Different { segment: segment(1), seq: ChunkSeq(0) };
    let changes: [fn(&mut ChunkHeader); 3] =
        [|h| h.length += 1, |h| h.payload_crc ^= 1, |h| h.digest = Digest([9; 16])];
    for change in changes {
        let mut other = header(1, 0);
        change(&mut other);
        let effects = driven.put_header(DISK, other);
        assert_eq!(refusal(&effects), different);
        assert!(has_release(&effects));
    }
}

/// P6: the watermark rides on the put; it is not part of the chunk's content.
#[test]
fn a_retransmission_with_a_newer_watermark_is_the_same_chunk() {
    let mut driven = Driven::new();
    driven.put(1, 5);
    let again = ChunkHeader { watermark: ChunkSeq(4), ..header(1, 5) };
    assert_eq!(driven.put_header(DISK, again), [ReplicaEffect::Release { slot: Slot(2) }]);
    driven.store_all();
    let Reply::Fenced { segments, .. } = only_reply(&{
        let mut effects = driven.fence(2, &[1]);
        effects.extend(driven.store_all());
        effects
    }) else {
        panic!("not fenced")
    };
    assert_eq!(segments[0].watermark, ChunkSeq(4));
}

/// Pitfall 20d: a watermark belongs to one segment.
#[test]
fn a_watermark_is_kept_per_segment() {
    let mut driven = Driven::new();
    driven.put_header(DISK, ChunkHeader { watermark: ChunkSeq(9), ..header(1, 9) });
    driven.put(2, 10);
    driven.store_all();
    let request = Request::Inspect { log: LOG, segments: [segment(1), segment(2)].to_vec() };
    let Reply::Inspected { segments, .. } = only_reply(&driven.ask(request)) else { panic!("not inspected") };
    assert_eq!((segments[0].watermark, segments[1].watermark), (ChunkSeq(9), ChunkSeq(0)));
}

/// P14, pitfall 20c: every put names the disk it is meant for.
#[test]
fn another_disk_refuses() {
    let mut driven = Driven::new();
    let effects = driven.put_header(STRANGER, header(1, 0));
    assert_eq!(refusal(&effects), Refusal::WrongDisk { named: STRANGER, here: DISK });
    assert!(has_release(&effects));
    let requests = [
        Request::Fence { log: LOG, epoch: Epoch(1), segments: Vec::new() },
        Request::Inspect { log: LOG, segments: Vec::new() },
        Request::Trim { log: LOG, word: RecordNumber(1), floor: ChunkSeq(1) },
        Request::Delete { log: LOG, epoch: Epoch(1) },
    ];
    for request in requests {
        assert_eq!(refusal(&driven.ask_as(STRANGER, request)), Refusal::WrongDisk { named: STRANGER, here: DISK });
    }
}

/// P8: a retired identity takes no puts, not even for chunks it holds.
#[test]
fn a_retired_identity_takes_no_puts() {
    let mut driven = Driven::new();
    driven.hold(1, 0..1);
    let effects = driven.put_header(RETIRED, header(1, 0));
    assert_eq!(refusal(&effects), Refusal::Retired { named: RETIRED, here: DISK });
    assert!(has_release(&effects));
}

/// Pitfall 29, D7: only new chunks are refused on a full disk; it resumes by itself.
#[test]
fn a_full_disk_refuses_new_chunks_and_nothing_else() {
    let mut driven = Driven::new();
    driven.hold(1, 0..2);
    driven.handle(ReplicaEvent::Fullness { full: Some((86, 100)) });
    let effects = driven.put(1, 2);
    assert_eq!(refusal(&effects), Refusal::Full { live_bytes: 86, capacity_bytes: 100 });
    assert!(has_release(&effects));
    assert_eq!(stored_to(&driven.put(1, 1)).len(), 1, "held already");
    assert!(has_store(&driven.trim(1, 1)), "trims go on");
    assert!(has_store(&driven.fence(2, &[])), "fences go on");
    driven.handle(ReplicaEvent::Fullness { full: None });
    assert!(has_store(&driven.put(2, 2)));
}

/// D6: a failed disk acknowledges nothing, and says so to those who wait.
#[test]
fn a_failed_disk_acknowledges_nothing_any_more() {
    let mut driven = Driven::new();
    driven.hold(1, 0..1);
    driven.put(1, 1);
    driven.put(1, 1);
    driven.fence(1, &[]);
    driven.trim(1, 1);
    driven.delete(2);
    let failed = Reply::Refused(Refusal::DiskFailed { why: "write error".into() });
    let effects = driven.fail();
    assert_eq!(replies(&effects), alloc::vec![failed.clone(); 5], "two puts, a fence, a trim, a deletion");
    assert!(driven.store_all().is_empty(), "a disk that failed is not believed later");
    for effects in [driven.put(3, 0), driven.put(3, 9), driven.fence(3, &[]), driven.trim(3, 1), driven.delete(3)] {
        assert_eq!(only_reply(&effects), failed);
    }
}

/// D8: a shard remembers a bounded number of logs; known ones go on.
#[test]
fn a_log_too_many_is_refused() {
    let log = |number: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        LogId(id)
    };
    let mut driven = Driven::new();
    for number in 0..LOGS_PER_SHARD_MAX {
        let request = Request::Fence { log: log(number), epoch: Epoch(1), segments: Vec::new() };
        driven.tickets += 1;
        driven.replica.handle(Micros(0), ReplicaEvent::Request { from: driven.tickets, disk: DISK, request });
        while driven.replica.poll_effect().is_some() {}
    }
    let full = Refusal::TooManyLogs { max: LOGS_PER_SHARD_MAX as u32 };
    let effects = driven.put(1, 0);
    assert_eq!(refusal(&effects), full);
    assert!(has_release(&effects));
    for effects in [driven.fence(1, &[]), driven.trim(1, 1), driven.delete(1)] {
        assert_eq!(refusal(&effects), full);
    }
    assert!(has_store(&driven.put_header(DISK, ChunkHeader { log: log(0), ..header(1, 0) })));
}

/// Hostile headers that verify all the same.
#[test]
fn senseless_puts_are_refused() {
    let mut driven = Driven::new();
    let senseless = [
        header(0, 0),
        header(1, u64::MAX),
        ChunkHeader { length: 0, ..header(1, 0) },
        ChunkHeader { length: CHUNK_PAYLOAD_BYTES_MAX + 1, ..header(1, 0) },
        ChunkHeader { watermark: ChunkSeq(1), ..header(1, 0) },
    ];
    for header in senseless {
        let effects = driven.put_header(DISK, header);
        assert!(matches!(refusal(&effects), Refusal::BadRequest { .. }), "{header:?}");
        assert!(has_release(&effects));
    }
    assert_eq!(driven.replica.logs(), 0, "nothing is remembered of them");
}
