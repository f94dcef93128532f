//! Trims and deletions: what goes, and what stays for ever.

use super::*;
use quarry_protocol::ids::RecordNumber;

fn sealed(at: u64) -> SegmentEnd {
    SegmentEnd::Sealed { at: ChunkSeq(at), digest: Digest::default() }
}

impl Driven {
    fn trim(&mut self, floor: u64, end: SegmentEnd) {
        self.tell(BucketEvent::Known(known(floor, end)));
        let floor = ChunkSeq(floor);
        assert_eq!(self.ask(Request::Trim { log: LOG, word: RecordNumber(5), floor }), Reply::Trimmed { floor });
        assert!(self.bucket.is_idle());
    }
}

#[test]
fn a_trim_deletes_what_lies_below_the_floor() {
    let mut driven = Driven::new();
    driven.hold(0..40);
    driven.trim(17, SegmentEnd::Open);
    assert_eq!(driven.chunks(), (17..40).collect::<Vec<_>>());
    driven.trim(30, SegmentEnd::Open);
    assert_eq!(driven.chunks(), (30..40).collect::<Vec<_>>());
    let deletes = driven.asked.iter().filter(|what| matches!(what, Operation::Delete { .. })).count();
    assert_eq!(deletes, 30, "nothing is deleted twice");
}

/// A machine that begins anew finds where earlier ones stopped.
#[test]
fn a_sweep_goes_on_where_another_stopped() {
    for stopped in [0, 1, 7, 16, 17] {
        let mut driven = Driven::new();
        driven.hold(stopped..40);
        driven.trim(17, SegmentEnd::Open);
        assert_eq!(driven.chunks(), (17..40).collect::<Vec<_>>());
        let deletes = driven.asked.iter().filter(|what| matches!(what, Operation::Delete { .. })).count();
        assert_eq!(deletes as u64, 17 - stopped, "it stopped at {stopped}");
    }
}

/// Pitfalls 11 and 17: a writer that slept through everything meets the markers still.
#[test]
fn markers_at_a_sealed_end_stay_however_far_the_floor_rises() {
    let mut driven = Driven::new();
    driven.hold(0..10);
    driven.fenced(5);
    driven.freeze(5, 10, 12);
    driven.trim(100, sealed(10));
    assert_eq!((driven.chunks(), driven.marks()), (vec![], vec![10, 11, 13]));

    // One that does not know yet that the segment was sealed, and hears of a floor far beyond its end.
    let mut driven = Driven::new();
    driven.hold(0..10);
    driven.fenced(5);
    driven.freeze(5, 10, 12);
    driven.ask(Request::Trim { log: LOG, word: RecordNumber(5), floor: ChunkSeq(100) });
    assert_eq!(driven.marks(), [10, 11, 13]);
    assert_eq!(driven.chunks().len(), 10, "no record said that they may go");
}

#[test]
fn a_trim_in_a_foreign_bucket_deletes_nothing() {
    let mut driven = Driven::new();
    driven.hold(0..10);
    driven.store.objects.remove(&ObjectKey::Identity);
    driven.now = driven.now.plus(60_000_000);
    driven.tell(BucketEvent::Known(known(5, SegmentEnd::Open)));
    let reply = driven.ask(Request::Trim { log: LOG, word: RecordNumber(5), floor: ChunkSeq(5) });
    assert!(matches!(reply, Reply::Refused(Refusal::WrongDisk { .. })));
    assert_eq!(driven.chunks().len(), 10);
}

#[test]
fn a_deletion_leaves_the_markers_and_answers_nothing_more() {
    let mut driven = Driven::new();
    driven.hold((0..20).filter(|seq| *seq != 18));
    driven.fenced(5);
    driven.freeze(5, 18, 21);
    assert_eq!(driven.marks(), [18, 20, 23]);
    assert_eq!(driven.ask(Request::Delete { log: LOG, epoch: Epoch(6) }), Reply::Deleted);
    assert_eq!((driven.chunks(), driven.marks()), (vec![], vec![18, 20, 23]));
    assert_eq!(driven.ask(Request::Delete { log: LOG, epoch: Epoch(6) }), Reply::Deleted);
    let deleted = Refusal::LogDeleted { log: LOG, at: Epoch(6) };
    assert_eq!(driven.put(chunk(3, 1)), Err(deleted.clone()));
    assert_eq!(driven.fence(7), Reply::Refused(deleted));
    assert_eq!(driven.freeze(7, 0, 2), Reply::Frozen { runs: vec![run(0, 2, Answer::Unknown)] });

    let mut driven = Driven::new();
    driven.hold(0..9);
    driven.mark(9, 3);
    driven.tell(BucketEvent::Known(known(2, sealed(9))));
    assert_eq!(driven.ask(Request::Delete { log: LOG, epoch: Epoch(6) }), Reply::Deleted);
    assert_eq!((driven.chunks(), driven.marks()), (vec![], vec![9]));
}

/// A floor says nothing of a segment whose end is not known: the marker that ended it may be all that keeps its writer from going on.
#[test]
fn a_deletion_leaves_the_markers_below_a_floor_beyond_an_end_that_is_not_known() {
    let mut driven = Driven::new();
    driven.hold(0..6);
    driven.mark(6, 5);
    driven.hold(7..10);
    driven.ask(Request::Trim { log: LOG, word: RecordNumber(5), floor: ChunkSeq(8) });
    assert_eq!(driven.ask(Request::Delete { log: LOG, epoch: Epoch(6) }), Reply::Deleted);
    assert_eq!((driven.chunks(), driven.marks()), (vec![], vec![6]));
}
