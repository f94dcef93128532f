//! P7.1 and P7.5: changes of the register, and what to do when it does not say what it did.

use crate::script::{MINE, OTHER, Script, Shelf, Shelves, config, id, open_from_10, shelves, version, write, written};
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId};
use quarry_protocol::record::{LogRecord, SegmentEnd};
use quarry_protocol::recovery::{Doing, OpenMode, RecoveryError, RecoveryEvent, RegisterFailure, SwapOutcome};

fn claiming() -> Script {
    let mut script = Script::new(config(write(3, 2), OpenMode::MustExist));
    script.record_is(1, open_from_10(3, 2));
    script
}

fn ambiguous() -> SwapOutcome {
    SwapOutcome::Ambiguous("timed out".to_owned())
}

/// An empty segment settled, its swap asked for.
fn registering() -> (Script, LogRecord) {
    let mut script = Script::claimed(open_from_10(3, 2));
    script.answer(&Shelves::new(), &[0, 1]);
    let swap = script.swap();
    let record = swap.record.clone();
    script.swapped(swap.request, ambiguous());
    (script, record)
}

/// Pitfall 15: an ambiguous claim is looked for by its own content, the fresh owner; never tried again blindly.
#[test]
fn an_ambiguous_claim_that_took_place_is_recognised() {
    let mut script = claiming();
    let swap = script.swap();
    script.swapped(swap.request, ambiguous());
    assert!(script.find_swap().is_none(), "not before it was read");
    script.until_retry();
    script.record_is(2, swap.record);
    assert!(script.find_swap().is_none());
    assert_eq!(script.calls().len(), 3, "it goes on to fence at epoch 4");
}

#[test]
fn an_ambiguous_claim_that_did_not_take_place_is_made_again() {
    let mut script = claiming();
    let swap = script.swap();
    script.swapped(swap.request, ambiguous());
    script.until_retry();
    script.record_is(1, open_from_10(3, 2));
    let again = script.swap();
    assert_eq!((again.expected, again.record), (swap.expected, swap.record));
    // The first one lands after all, and the second one finds it there.
    script.swapped(again.request, SwapOutcome::Conflict);
    let mut mine = open_from_10(3, 2);
    (mine.epoch, mine.owner) = (Epoch(4), MINE);
    script.record_is(2, mine);
    assert_eq!(script.calls().len(), 3);
}

/// P7.1: lost against another claim, the next one is above it.
#[test]
fn a_claim_that_lost_is_made_above_the_winner() {
    let mut script = claiming();
    let swap = script.swap();
    script.swapped(swap.request, SwapOutcome::Conflict);
    let mut theirs = open_from_10(3, 2);
    theirs.epoch = Epoch(4);
    theirs.number = theirs.number.next();
    script.record_is(2, theirs);
    let again = script.swap();
    assert_eq!((again.expected, again.record.epoch), (Some(version(2)), Epoch(5)));
}

/// Pitfall 20e: epoch and owner stood there before the planned change. Only the change's own segment says that it took place.
#[test]
fn an_ambiguous_registration_is_not_taken_for_done_because_epoch_and_owner_match() {
    let (mut script, planned) = registering();
    script.until_retry();
    let mut unchanged = open_from_10(3, 2);
    (unchanged.epoch, unchanged.owner) = (Epoch(4), MINE);
    script.record_is(2, unchanged);
    assert!(script.outcome.is_none(), "the segment is not in the register");
    let again = script.swap();
    assert_eq!((again.expected, &again.record), (Some(version(2)), &planned), "the very same change");
    script.swapped(again.request, SwapOutcome::Done(version(3)));
    assert_eq!(script.report().record, planned);
}

#[test]
fn an_ambiguous_registration_that_took_place_is_recognised() {
    let (mut script, planned) = registering();
    script.until_retry();
    script.record_is(3, planned.clone());
    let report = script.report();
    assert_eq!((&report.record, &report.version), (&planned, &version(3)));
}

/// The same again, and a trim came on top of it.
#[test]
fn an_ambiguous_registration_is_recognised_beneath_a_later_trim() {
    let (mut script, mut planned) = registering();
    script.until_retry();
    planned.floor = ChunkSeq(10);
    script.record_is(9, planned.clone());
    assert_eq!(script.report().record, planned);
}

/// P7.5: the floor moved. Read again, walk again; the change compares the record as it now is.
#[test]
fn a_registration_that_meets_a_moved_floor_walks_again() {
    let mut script = Script::claimed(open_from_10(3, 2));
    script.answer(&shelves(id(3, 0), [(0, Shelf::with(12, 10..12)), (1, Shelf::with(12, 10..12))]), &[0, 1]);
    script.give_chunks(&written(id(3, 0), 10, 2));
    let swap = script.swap();
    assert!(swap.record.segments[0].is_sealed(), "10 and 11 stay in the chain");
    script.swapped(swap.request, SwapOutcome::Conflict);
    let mut moved = open_from_10(3, 2);
    (moved.epoch, moved.owner, moved.floor) = (Epoch(4), MINE, ChunkSeq(12));
    script.record_is(5, moved);
    let again = script.swap();
    assert_eq!((again.expected, again.record.floor), (Some(version(5)), ChunkSeq(12)));
    assert_eq!(again.record.segments.len(), 1, "the old segment lies wholly below the floor");
    assert_eq!(again.record.segments[0].base, ChunkSeq(12));
}

/// Pitfall 16, P1: when the plan changes, what was copied for the old one stays behind under a name that is not used again.
#[test]
fn a_changed_plan_copies_under_a_new_name() {
    let shelves = shelves(id(3, 0), [(0, Shelf::with(10, 10..14)), (1, Shelf::with(10, 10..11))]);
    let chunks = written(id(3, 0), 10, 4);
    let mut script = Script::claimed(open_from_10(3, 2));
    script.answer(&shelves, &[0, 1]);
    script.give_chunks(&chunks);
    let first = script.attached().expect("11 to 13 are copied");
    script.up(first, &[0, 1]);
    let copies = script.copies();
    for (replica, header, _) in &copies {
        script.store(*replica, header);
    }
    let swap = script.swap();
    script.swapped(swap.request, SwapOutcome::Conflict);
    let mut moved = open_from_10(3, 2);
    (moved.epoch, moved.owner, moved.floor) = (Epoch(4), MINE, ChunkSeq(12));
    script.record_is(5, moved);
    script.give_chunks(&chunks);
    let second = script.attached().expect("12 and 13 are copied");
    assert_eq!((first, second), (id(4, 0), id(4, 1)));
    // Late news of the first one means nothing to the second.
    for (replica, header, _) in &copies {
        script.store(*replica, header);
    }
    assert!(script.find_swap().is_none());
    script.up(second, &[0, 1]);
    for (replica, header, _) in script.copies() {
        assert_eq!(header.segment, second);
        script.store(replica, &header);
    }
    let again = script.swap();
    let last = again.record.segments.last().expect("a chain");
    assert_eq!((last.id, last.base, last.end), (second, ChunkSeq(12), SegmentEnd::Open));
}

/// Pitfall 20: another recovery took over between the claim and the registration.
#[test]
fn a_recovery_that_lost_the_race_says_who_won() {
    for outcome in [SwapOutcome::Conflict, ambiguous()] {
        let mut script = Script::claimed(open_from_10(3, 2));
        script.answer(&Shelves::new(), &[0, 1]);
        let swap = script.swap();
        script.swapped(swap.request, outcome);
        if !script.is_reading() {
            script.until_retry();
        }
        let mut theirs = open_from_10(3, 2);
        (theirs.epoch, theirs.owner) = (Epoch(7), OTHER);
        script.record_is(8, theirs);
        let RecoveryError::Superseded { mine: Epoch(4), by: Epoch(7), owner: OTHER, .. } = script.error() else {
            panic!("{:?}", script.error())
        };
        assert!(script.error().may_retry() && script.error().may_have_happened());
    }
}

/// A register that is away is waited for; then the error says what was going on and whether it may still take effect.
#[test]
fn a_register_that_is_away_is_named() {
    let mut script = Script::new(config(write(3, 2), OpenMode::MustExist));
    let fail_reads = |script: &mut Script| {
        for _ in 0..300 {
            let request = match script.effects.pop_front() {
                Some(quarry_protocol::recovery::RecoveryEffect::ReadRecord { request, .. }) => request,
                _ if script.outcome.is_some() => return,
                _ => {
                    script.until_retry();
                    continue;
                }
            };
            let result = Err(RegisterFailure::Unavailable("no leader".to_owned()));
            script.handle(RecoveryEvent::RecordRead { request, result });
        }
    };
    fail_reads(&mut script);
    let RecoveryError::Register { doing: Doing::Reading, may_have_happened: false, why, .. } = script.error() else {
        panic!("{:?}", script.error())
    };
    assert_eq!(why, "no leader");
    let (mut script, _) = registering();
    script.effects.clear();
    fail_reads(&mut script);
    let RecoveryError::Register { doing: Doing::Registering, may_have_happened: true, .. } = script.error() else {
        panic!("{:?}", script.error())
    };
}

/// P13: a record that cannot be used is not a missing one.
#[test]
fn a_record_that_cannot_be_used_is_not_taken_for_none() {
    let mut script = Script::new(config(write(3, 2), OpenMode::CreateIfMissing { log: LogId([3; 16]) }));
    let Some(quarry_protocol::recovery::RecoveryEffect::ReadRecord { request, .. }) = script.effects.pop_front() else {
        panic!("no read")
    };
    let result = Err(RegisterFailure::Unusable("does not parse".to_owned()));
    script.handle(RecoveryEvent::RecordRead { request, result });
    assert!(matches!(script.error(), RecoveryError::RecordUnusable { .. }));
    let mut script = Script::claimed(open_from_10(3, 2));
    script.answer(&Shelves::new(), &[0, 1]);
    let swap = script.swap();
    script.swapped(swap.request, SwapOutcome::Conflict);
    script.read_brings(None);
    assert!(matches!(script.error(), RecoveryError::RecordUnusable { .. }), "it was there before");
}
