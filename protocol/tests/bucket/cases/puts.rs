//! Puts: what counts as stored.

use super::*;
use quarry_protocol::ids::RecordNumber;
use quarry_protocol::limits::BUCKET_TRIES_MAX;

#[test]
fn a_put_creates_its_slot_and_the_same_put_again_is_stored() {
    let mut driven = Driven::new();
    assert_eq!(driven.put(chunk(0, 1)), Ok(()));
    assert_eq!(driven.store.chunk(slot(0)), Some(chunk(0, 1)));
    assert_eq!(driven.put(chunk(0, 1)), Ok(()));
    // The watermark is not part of a chunk's content.
    let (header, payload) = chunk(9, 1);
    driven.put((header, payload.clone())).expect("stored");
    assert_eq!(driven.put((ChunkHeader { watermark: ChunkSeq(9), ..header }, payload)), Ok(()));
}

#[test]
fn a_put_that_finds_another_chunk_is_refused_and_changes_nothing() {
    let mut driven = Driven::new();
    driven.hold([0]);
    let different = Refusal::Different { segment: SEGMENT, seq: ChunkSeq(0) };
    assert_eq!(driven.put(chunk(0, 2)), Err(different.clone()));
    // Only the bytes differ, or only what they follow.
    let (header, _) = chunk(0, 1);
    let mut other = header;
    other.digest = Digest([9; 16]);
    assert_eq!(driven.put((other, chunk(0, 1).1)), Err(different));
    assert_eq!(driven.store.chunk(slot(0)), Some(chunk(0, 1)));
}

#[test]
fn a_put_that_finds_a_marker_is_fenced_and_leaves_it() {
    let mut driven = Driven::new();
    driven.mark(3, 6);
    assert_eq!(driven.put(chunk(3, 1)), Err(Refusal::Fenced { by: Epoch(6) }));
    assert_eq!(driven.marks(), [3]);
    // The log is claimed: no other slot is tried.
    let asked = driven.asked.len();
    assert_eq!(driven.put(chunk(4, 1)), Err(Refusal::Fenced { by: Epoch(6) }));
    assert_eq!(driven.asked.len(), asked);
}

#[test]
fn a_put_that_finds_something_unreadable_is_refused_for_a_reason_that_may_pass() {
    let mut driven = Driven::new();
    driven.damage(0, b"somebody else's object");
    driven.damage(1, b"");
    // A marker of another slot, one that its own epoch made, and a chunk whose bytes rotted.
    driven.mark(2, 6);
    let moved = driven.store.objects[&ObjectKey::Slot(slot(2))].clone();
    driven.store.objects.insert(ObjectKey::Slot(slot(3)), moved);
    driven.mark(4, 1);
    let (header, _) = chunk(5, 1);
    let rotten = [header.encode().as_slice(), b"xxxxx"].concat();
    driven.store.objects.insert(ObjectKey::Slot(slot(5)), Bytes::from(rotten));
    for seq in [0, 1, 3, 4, 5] {
        let refusal = driven.put(chunk(seq, 1));
        assert!(matches!(refusal, Err(Refusal::DiskFailed { .. })), "{seq}: {refusal:?}");
    }
}

#[test]
fn an_ambiguous_put_is_stored_exactly_if_it_is_there() {
    for tricks in [[Trick::Unheard, Trick::Lost], [Trick::Lost, Trick::Unheard], [Trick::Lost, Trick::Failed]] {
        let mut driven = Driven::new();
        driven.tricks = tricks.into();
        assert_eq!(driven.put(chunk(0, 1)), Ok(()), "{tricks:?}");
        assert_eq!(driven.store.chunk(slot(0)), Some(chunk(0, 1)));
    }
    // A marker came first.
    let mut driven = Driven::new();
    driven.tricks = [Trick::Lost].into();
    driven.tell(BucketEvent::Put { from: 1, disk: DISK, header: chunk(0, 1).0, payload: chunk(0, 1).1 });
    driven.answer();
    driven.answer();
    driven.mark(0, 6);
    let fenced = Reply::Refused(Refusal::Fenced { by: Epoch(6) });
    assert_eq!(driven.settle(), [BucketEffect::Reply { to: 1, reply: fenced }]);
}

#[test]
fn a_put_is_given_up_after_its_last_try() {
    let mut driven = Driven::new();
    driven.tricks = vec![Trick::Lost; BUCKET_TRIES_MAX as usize].into();
    assert!(matches!(driven.put(chunk(0, 1)), Err(Refusal::DiskFailed { .. })));
    assert_eq!(driven.put(chunk(0, 1)), Ok(()));
}

#[test]
fn a_late_create_of_a_put_that_was_tried_again_changes_nothing() {
    let mut driven = Driven::new();
    driven.tricks = [Trick::Late].into();
    assert_eq!(driven.put(chunk(0, 1)), Ok(()));
    for what in std::mem::take(&mut driven.late) {
        assert_eq!(driven.store.perform(&what), Outcome::Exists);
    }
    assert_eq!(driven.store.chunk(slot(0)), Some(chunk(0, 1)));
}

/// P4, P14, pitfall 20c.
#[test]
fn a_bucket_without_its_name_takes_no_puts() {
    let elsewhere = DiskId([9; 16]);
    for (store, here) in [(Store::default(), DiskId::ZERO), (Store::new(elsewhere), elsewhere)] {
        let mut driven = Driven::new();
        driven.store = store;
        assert_eq!(driven.put(chunk(0, 1)), Err(Refusal::WrongDisk { named: DISK, here }));
        assert!(driven.chunks().is_empty());
        // It is put right: the next put looks again.
        driven.store = Store::new(DISK);
        assert_eq!(driven.put(chunk(0, 1)), Ok(()));
        // And it is looked at again after a while.
        driven.store = Store::default();
        driven.now = driven.now.plus(60_000_000);
        assert!(matches!(driven.put(chunk(1, 1)), Err(Refusal::WrongDisk { .. })));
    }
    let mut driven = Driven::new();
    let (header, payload) = chunk(0, 1);
    driven.tell(BucketEvent::Put { from: 1, disk: elsewhere, header, payload });
    let wrong = Reply::Refused(Refusal::WrongDisk { named: elsewhere, here: DISK });
    assert_eq!(driven.settle(), [BucketEffect::Reply { to: 1, reply: wrong }]);
}

#[test]
fn a_put_below_the_floor_counts_as_stored() {
    let mut driven = Driven::new();
    driven.tell(BucketEvent::Known(known(5, SegmentEnd::Open)));
    assert_eq!(driven.put(chunk(4, 1)), Ok(()));
    assert!(driven.chunks().is_empty());
    driven.hold([5]);
    assert_eq!(driven.chunks(), [5]);
}

/// P2, P4: beyond the end at which a takeover sealed the segment, what lies below the floor is another writer's. The one that was
/// taken over is not acknowledged because its machine, which others of its process use, heard how far the log was trimmed.
#[test]
fn a_put_below_a_floor_that_lies_beyond_its_segment_is_judged_by_its_slot() {
    let trim = |floor| Request::Trim { log: LOG, word: RecordNumber(5), floor: ChunkSeq(floor) };
    let sealed = SegmentEnd::Sealed { at: ChunkSeq(6), digest: Digest([1; 16]) };
    let records = [
        Some(known(9, sealed)),
        // It left the record.
        Some(KnownLog { floor: ChunkSeq(9), segments: Vec::new() }),
        // Only the floor is heard of.
        None,
    ];
    for record in records {
        let mut driven = Driven::new();
        driven.hold(0..6);
        driven.mark(6, 5);
        if let Some(record) = record.clone() {
            driven.tell(BucketEvent::Known(record));
        }
        driven.ask(trim(9));
        assert_eq!(driven.put(chunk(6, 1)), Err(Refusal::Fenced { by: Epoch(5) }), "{record:?}");
        assert_eq!(driven.marks(), [6], "{record:?}");
    }
}

#[test]
fn puts_that_make_no_sense_are_refused() {
    let mut driven = Driven::new();
    let (header, payload) = chunk(3, 1);
    let other_log = ChunkHeader { log: LogId([8; 16]), ..header };
    let ahead = ChunkHeader { watermark: ChunkSeq(4), ..header };
    let nobody = ChunkHeader { segment: SegmentId::default(), ..header };
    let short = ChunkHeader { length: 4, ..header };
    for header in [other_log, ahead, nobody, short] {
        let refusal = driven.put((header, payload.clone()));
        assert!(matches!(refusal, Err(Refusal::BadRequest { .. })), "{header:?}: {refusal:?}");
    }
    assert_eq!(driven.asked, [], "nothing was asked of the bucket");
}
