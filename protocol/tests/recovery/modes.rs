//! Logs that exist, do not, or were deleted; takeovers that end in a deletion.

use crate::script::{MINE, Script, Shelves, config, id, open_from_10, replica, version, write};
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, OwnerId};
use quarry_protocol::record::{LogRecord, Window};
use quarry_protocol::recovery::{OpenMode, Purpose, RecoveryError, SwapOutcome};

const NEW: LogId = LogId([77; 16]);

fn deleted() -> LogRecord {
    LogRecord { deleted: true, ..open_from_10(3, 2) }
}

#[test]
fn a_missing_log_is_created_with_its_first_segment() {
    for (found, mode) in [
        (None, OpenMode::CreateIfMissing { log: NEW }),
        (None, OpenMode::MustNotExist { log: NEW }),
        (Some((version(5), deleted())), OpenMode::CreateIfMissing { log: NEW }),
        (Some((version(5), deleted())), OpenMode::MustNotExist { log: NEW }),
    ] {
        let expected = found.as_ref().map(|(version, _)| version.clone());
        let mut script = Script::new(config(write(3, 2), mode));
        script.read_brings(found);
        let claim = script.swap();
        assert_eq!((claim.expected, claim.record.log, claim.record.epoch), (expected, NEW, Epoch(1)));
        script.swapped(claim.request, SwapOutcome::Done(version(6)));
        assert!(script.find_swap().is_none() && script.calls().is_empty(), "nothing to fence, no place yet");
        script.place();
        let swap = script.swap();
        script.swapped(swap.request, SwapOutcome::Done(version(7)));
        let report = script.report();
        assert!(report.created && report.settled.is_empty());
        let segment = report.segment.as_ref().expect("opened to write");
        assert_eq!((segment.id, segment.base, report.next_seq), (id(1, 0), ChunkSeq(0), ChunkSeq(0)));
    }
}

/// P1, pitfall 16: a creation that took place unheard, and was deleted before anybody looked, has used its id up; also if
/// the name was used again since.
#[test]
fn a_creation_that_was_deleted_unheard_does_not_use_its_id_again() {
    let modes = [OpenMode::CreateIfMissing { log: NEW }, OpenMode::MustNotExist { log: NEW }];
    for (mode, log) in modes.into_iter().flat_map(|mode| [(mode, NEW), (mode, LogId([78; 16]))]) {
        let mut script = Script::new(config(write(3, 2), mode));
        script.read_brings(None);
        let claim = script.swap();
        script.swapped(claim.request, SwapOutcome::Ambiguous("timed out".to_owned()));
        script.until_retry();
        let owner = OwnerId([9; 16]);
        script.record_is(2, LogRecord { log, epoch: Epoch(2), owner, deleted: true, ..claim.record.clone() });
        assert!(script.find_swap().is_none(), "a log id is used twice");
        let RecoveryError::Superseded { by, .. } = script.error() else { panic!("{:?}", script.error()) };
        assert_eq!(*by, Epoch(2));
        assert!(script.error().may_retry(), "the next open has a fresh id");
    }
}

/// As long as the tombstone that was compared is there, the creation did not take place.
#[test]
fn a_creation_over_a_tombstone_is_asked_for_again() {
    let mut script = Script::new(config(write(3, 2), OpenMode::MustNotExist { log: NEW }));
    script.record_is(5, deleted());
    let claim = script.swap();
    script.swapped(claim.request, SwapOutcome::Ambiguous("timed out".to_owned()));
    script.until_retry();
    script.record_is(5, deleted());
    let again = script.swap();
    assert_eq!((again.expected, again.record), (claim.expected, claim.record));
    // It certainly did not take place: the id is as good as before.
    let mut script = Script::new(config(write(3, 2), OpenMode::MustNotExist { log: NEW }));
    script.record_is(5, deleted());
    let claim = script.swap();
    script.swapped(claim.request, SwapOutcome::Conflict);
    script.record_is(6, deleted());
    assert_eq!(script.swap().expected, Some(version(6)));
}

#[test]
fn a_log_that_must_not_exist_and_one_that_must() {
    let mut script = Script::new(config(write(3, 2), OpenMode::MustNotExist { log: NEW }));
    script.record_is(1, open_from_10(3, 2));
    assert!(matches!(script.error(), RecoveryError::Exists { .. }));
    for found in [None, Some((version(1), deleted()))] {
        let mut script = Script::new(config(write(3, 2), OpenMode::MustExist));
        script.read_brings(found);
        assert!(matches!(script.error(), RecoveryError::NotFound { .. }));
        assert!(!script.error().may_have_happened() && !script.error().may_retry());
    }
}

/// P13: a deletion is a takeover. Writers are fenced on a read quorum before the tombstone stands.
#[test]
fn a_deletion_fences_first_and_ends_in_a_tombstone() {
    let mut script = Script::claimed_for(open_from_10(3, 2), Purpose::Delete);
    script.answer(&Shelves::new(), &[1]);
    assert!(script.find_swap().is_none(), "a writer could still reach an ack quorum");
    script.pass(2_000_000);
    script.answer(&Shelves::new(), &[0]);
    // A fenced bucket could still take the seqs that nobody holds: one of them has to stay free on a read quorum.
    assert!(script.find_swap().is_none(), "nothing keeps a writer out of a read quorum of buckets");
    script.pass(2_000_000);
    script.answer(&Shelves::new(), &[1]);
    let swap = script.swap();
    let expected = LogRecord { deleted: true, epoch: Epoch(4), owner: MINE, ..open_from_10(3, 2).changed().changed() };
    assert_eq!(swap.record, expected, "the chain stays: its replicas have to be told");
    script.swapped(swap.request, SwapOutcome::Ambiguous("timed out".to_owned()));
    script.until_retry();
    // Epoch and owner match, the tombstone is not there: not done (pitfall 20e).
    script.record_is(2, LogRecord { deleted: false, ..expected.clone() });
    let again = script.swap();
    script.swapped(again.request, SwapOutcome::Ambiguous("timed out".to_owned()));
    script.until_retry();
    script.record_is(3, expected.clone());
    assert_eq!((&script.report().record, &script.report().segment), (&expected, &None));
}

/// A deletion that waits for its fence sleeps until it tries again (the script asserts it after every event).
#[test]
fn a_deletion_that_misses_a_fence_sleeps() {
    let mut script = Script::claimed_for(open_from_10(3, 2), Purpose::Delete);
    script.answer(&Shelves::new(), &[1]);
    for _ in 0..3 {
        script.until_retry();
        script.answer(&Shelves::new(), &[1]);
    }
    assert!(script.find_swap().is_none(), "one replica of three is no read quorum");
}

/// Whoever's word is missed for a deletion is named.
#[test]
fn a_deletion_that_cannot_settle_its_end_says_whom_it_misses() {
    let mut script = Script::claimed_for(open_from_10(3, 2), Purpose::Delete);
    script.answer(&Shelves::new(), &[1]);
    script.pass(2_000_000);
    script.answer(&Shelves::new(), &[0]);
    assert!(script.find_swap().is_none());
    script.pass(u64::MAX / 4);
    let RecoveryError::Replicas { seq, missing, .. } = script.error() else { panic!("{:?}", script.error()) };
    assert_eq!(*seq, Some(ChunkSeq(10)));
    assert!(missing.iter().any(|missing| missing.replica == replica(2)), "{missing:?}");
}

#[test]
fn a_deletion_of_a_deleted_log_changes_nothing() {
    let mut script = Script::new(config(Purpose::Delete, OpenMode::MustExist));
    script.record_is(4, deleted());
    assert!(script.report().already_deleted);
    assert_eq!(script.report().record, deleted());
    assert!(script.find_swap().is_none());
}

#[test]
fn a_configuration_that_cannot_be_is_refused_at_once() {
    let window = Window { chunks: 0, bytes: 1 };
    let no_window = Purpose::Write { replicas: 3, ack_quorum: 2, window };
    for purpose in [write(0, 0), write(8, 4), write(3, 0), write(3, 4), no_window] {
        let script = Script::new(config(purpose, OpenMode::MustExist));
        assert!(matches!(script.error(), RecoveryError::Config { .. }), "{purpose:?}");
    }
    let mut bad_name = config(write(3, 2), OpenMode::MustExist);
    bad_name.name = "..".to_owned();
    assert!(matches!(Script::new(bad_name).error(), RecoveryError::Config { .. }));
}
