//! The floor on its way into the record: conflicts, answers that do not come, records that change meanwhile.

use crate::script::{LOG, Mood, Script, replica, taken_over, three_segments};
use quarry_protocol::ids::{ChunkSeq, LogId, RecordNumber};
use quarry_protocol::record::LogRecord;
use quarry_protocol::recovery::{RegisterFailure, SwapOutcome};
use quarry_protocol::time::Micros;
use quarry_protocol::trim::{TRIM_ATTEMPTS_MAX, Trim, TrimConfig, TrimEffect, TrimEvent, TrimFailure};

fn down() -> RegisterFailure {
    RegisterFailure::Unavailable("connection refused".to_owned())
}

fn may_have_happened(script: &Script) -> bool {
    match script.failure() {
        TrimFailure::Register { may_have_happened, .. } => may_have_happened,
        other => panic!("{other:?}"),
    }
}

/// P12: on record first, and nothing else of the record changes.
#[test]
fn the_floor_is_on_record_before_anybody_is_told() {
    let (mut script, swap) = Script::raising(&[15]);
    assert_eq!(swap.record, LogRecord { floor: ChunkSeq(15), ..three_segments().changed() });
    assert!(script.outcomes.is_none() && script.calls().is_empty());
    script.pass(1_000_000);
    assert!(script.calls().is_empty(), "told before the register answered");
    script.land(&swap);
    assert_eq!((script.outcome(), script.floor()), (Ok(ChunkSeq(15)), ChunkSeq(15)));
    script.answer();
    let told: Vec<_> = script.told.iter().map(|(to, ..)| *to).collect();
    assert_eq!(told, [0, 1, 2, 3], "every replica of every segment, once");
    assert!(script.told.iter().all(|(_, word, floor)| (*word, *floor) == (RecordNumber(31), ChunkSeq(15))));
}

/// Pitfall 15: an ambiguous change is looked for by its own content, the floor.
#[test]
fn an_ambiguous_swap_that_took_place_is_recognised() {
    let (mut script, swap) = Script::raising(&[15]);
    script.register.land(&swap);
    script.doubt(&swap);
    assert!(script.find_swap().is_none(), "tried again without a look");
    script.read_back();
    assert_eq!(script.outcome(), Ok(ChunkSeq(15)));
    assert!(script.find_swap().is_none(), "asked for twice");
    assert_eq!(script.register.landed, 1);
}

#[test]
fn an_ambiguous_swap_that_did_not_take_place_is_asked_for_again() {
    let (mut script, swap) = Script::raising(&[15]);
    script.doubt(&swap);
    script.read_back();
    let again = script.swap();
    assert_eq!((&again.expected, &again.record), (&swap.expected, &swap.record), "the very same change");
    script.land(&again);
    assert_eq!((script.outcome(), script.register.landed), (Ok(ChunkSeq(15)), 1));
}

/// The first one lands after it was looked for, the second one finds that.
#[test]
fn an_ambiguous_swap_that_lands_late_takes_place_once() {
    let (mut script, swap) = Script::raising(&[15]);
    script.doubt(&swap);
    script.read_back();
    let again = script.swap();
    let late = script.register.land(&swap);
    assert!(matches!(late, SwapOutcome::Done(_)), "late");
    // An answer that comes as late is an answer to a request that is over: only the record is believed.
    script.swapped(&swap, late);
    assert!(script.outcomes.is_none() && script.find_swap().is_none());
    script.land(&again);
    assert!(script.outcomes.is_none(), "a conflict is no outcome");
    script.read_back();
    assert_eq!((script.outcome(), script.register.landed), (Ok(ChunkSeq(15)), 1));
    script.answer();
    let drop = script.swap();
    script.land(&drop);
    assert!(script.over.is_some());
}

/// Once somebody else changed the record, the doubt is gone: the old change compares a version that never comes back.
#[test]
fn a_change_by_somebody_else_ends_the_doubt() {
    let (mut script, swap) = Script::raising(&[15]);
    script.doubt(&swap);
    script.register.change(taken_over);
    script.read_back();
    let again = script.swap();
    assert_eq!(script.register.land(&swap), SwapOutcome::Conflict);
    script.swapped(&again, SwapOutcome::Failed("away".to_owned()));
    assert!(!may_have_happened(&script));
}

#[test]
fn a_takeover_meanwhile_keeps_what_it_wrote() {
    let (mut script, swap) = Script::raising(&[15]);
    script.register.change(taken_over);
    script.land(&swap);
    assert!(script.find_swap().is_none(), "a conflict is not tried again without a look");
    script.read_back();
    let again = script.swap();
    assert_eq!(again.record, LogRecord { floor: ChunkSeq(15), ..taken_over(three_segments()).changed() });
    script.land(&again);
    assert_eq!(script.outcome(), Ok(ChunkSeq(15)));
    script.answer();
    // P13: the word is the number of the record that holds the floor; the new segment's replicas hear of it, too.
    assert_eq!(
        script.told.iter().map(|(to, word, _)| (*to, word.0)).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4].map(|to| (to, 32))
    );
}

#[test]
fn a_log_that_was_deleted_meanwhile_is_not_found() {
    let remade = |record: LogRecord| LogRecord { log: LogId([8; 16]), floor: ChunkSeq(25), ..record };
    let deleted = |record: LogRecord| LogRecord { deleted: true, ..record };
    for (name, gone) in [("made anew", &remade as &dyn Fn(LogRecord) -> LogRecord), ("deleted", &deleted)] {
        for in_doubt in [false, true] {
            let (mut script, swap) = Script::raising(&[15]);
            script.register.change(gone);
            if in_doubt {
                script.doubt(&swap);
            } else {
                script.land(&swap);
            }
            script.read_back();
            assert_eq!(script.failure(), TrimFailure::NotFound, "{name}");
            assert!(script.calls().is_empty() && script.find_swap().is_none(), "{name}: replicas are told");
            assert_eq!(script.register.landed, 0, "{name}");
        }
    }
    let (mut script, swap) = Script::raising(&[15]);
    script.register.record = None;
    script.land(&swap);
    script.read_back();
    assert_eq!(script.failure(), TrimFailure::NotFound);
}

#[test]
fn a_log_that_is_not_there_is_not_found() {
    let mut script = Script::new(LogRecord { deleted: true, ..three_segments() }, &[15]);
    script.read();
    assert_eq!(script.failure(), TrimFailure::NotFound);
    script = Script::new(three_segments(), &[15]);
    script.register.record = None;
    script.read();
    assert_eq!(script.failure(), TrimFailure::NotFound);
    let config = TrimConfig { name: "..".to_owned(), wanted: vec![ChunkSeq(1)], deadline_us: 1 };
    let mut trim = Trim::new(config, Micros(0));
    let effect = trim.poll_effect();
    assert!(
        matches!(&effect, Some(TrimEffect::Finished(outcomes)) if matches!(outcomes[..], [Err(TrimFailure::BadName { .. })]))
    );
}

#[test]
fn a_floor_that_another_trim_raised_further_is_the_outcome() {
    for in_doubt in [false, true] {
        let (mut script, swap) = Script::raising(&[15]);
        script.register.change(|record| LogRecord { floor: ChunkSeq(22), ..record });
        if in_doubt {
            script.doubt(&swap);
        } else {
            script.land(&swap);
        }
        script.read_back();
        assert_eq!((script.outcome(), script.register.landed), (Ok(ChunkSeq(22)), 0));
        script.answer();
        assert!(!script.told.is_empty() && script.told.iter().all(|(.., floor)| *floor == ChunkSeq(22)));
    }
}

/// It is told again: a replica may have been away the last time.
#[test]
fn a_floor_that_is_on_record_already_is_not_swapped_in() {
    for wanted in [0, 12, 15] {
        let mut script = Script::new(LogRecord { floor: ChunkSeq(15), ..three_segments() }, &[wanted]);
        script.read();
        script.answer();
        assert_eq!((script.outcome(), script.register.landed), (Ok(ChunkSeq(15)), 0), "{wanted}");
        assert_eq!(script.told.len(), 4, "{wanted}");
    }
}

#[test]
fn a_register_that_is_down_is_said_to_be() {
    let mut script = Script::new(three_segments(), &[15]);
    script.read_fails(down());
    assert!(!may_have_happened(&script));

    let mut script = Script::new(three_segments(), &[15]);
    script.read_fails(RegisterFailure::Unusable("it does not parse".to_owned()));
    assert_eq!(script.failure(), TrimFailure::Record { why: "it does not parse".to_owned() });

    let (mut script, swap) = Script::raising(&[15]);
    script.swapped(&swap, SwapOutcome::Failed("connection refused".to_owned()));
    assert!(!may_have_happened(&script));

    let (mut script, swap) = Script::raising(&[15]);
    script.swapped(&swap, SwapOutcome::Conflict);
    script.until_due();
    script.read_fails(down());
    assert!(!may_have_happened(&script));
}

/// While a change is in doubt, a register that is away for a moment is asked again; the doubt stays if it stays away.
#[test]
fn a_doubt_outlives_a_register_that_is_away_for_a_moment() {
    let (mut script, swap) = Script::raising(&[15]);
    script.register.land(&swap);
    script.doubt(&swap);
    for _ in 0..3 {
        script.until_due();
        script.read_fails(down());
        assert!(script.outcomes.is_none());
    }
    script.read_back();
    assert_eq!((script.outcome(), script.register.landed), (Ok(ChunkSeq(15)), 1));

    for unusable in [false, true] {
        let (mut script, swap) = Script::raising(&[15]);
        script.doubt(&swap);
        let mut looks = 0;
        while script.outcomes.is_none() {
            script.until_due();
            looks += 1;
            script.read_fails(if unusable { RegisterFailure::Unusable("rotten".to_owned()) } else { down() });
        }
        assert!(may_have_happened(&script));
        assert_eq!(looks, if unusable { 1 } else { TRIM_ATTEMPTS_MAX }, "unusable: {unusable}");
    }
}

/// Neither conflicts nor answers that do not come go on for ever, and both wait a little in between.
#[test]
fn attempts_are_bounded() {
    for in_doubt in [false, true] {
        let (mut script, mut swap) = Script::raising(&[15]);
        let mut swaps = 1;
        loop {
            let before = script.now;
            if in_doubt {
                script.doubt(&swap);
            } else {
                script.swapped(&swap, SwapOutcome::Conflict);
            }
            script.read_back();
            assert!(script.now > before, "no pause");
            let Some(next) = script.find_swap() else { break };
            (swap, swaps) = (next, swaps + 1);
        }
        assert_eq!(swaps, TRIM_ATTEMPTS_MAX);
        assert!(script.now.since(Micros(0)) < 3_000_000, "a caller waits: {:?}", script.now);
        if in_doubt {
            assert!(may_have_happened(&script));
        } else {
            assert_eq!(script.failure(), TrimFailure::Contended { attempts: TRIM_ATTEMPTS_MAX });
        }
    }
}

/// What the last attempt did is looked at, too.
#[test]
fn a_last_attempt_that_took_place_is_recognised() {
    let (mut script, mut swap) = Script::raising(&[15]);
    for _ in 1..TRIM_ATTEMPTS_MAX {
        script.doubt(&swap);
        script.read_back();
        swap = script.swap();
    }
    script.register.land(&swap);
    script.doubt(&swap);
    script.read_back();
    assert_eq!((script.outcome(), script.register.landed), (Ok(ChunkSeq(15)), 1));
}

/// Whatever is under way when the time is up: it ends, and says whether the floor may be on record.
#[test]
fn it_ends_at_its_deadline() {
    let mut script = Script::new(three_segments(), &[15]);
    script.until_due();
    assert!(!may_have_happened(&script), "the first read");

    let mut script = Script::new(three_segments(), &[15]);
    script.moods = [Mood::Silent; 5];
    script.read();
    script.answer();
    script.until_due();
    let TrimFailure::Unavailable(why) = script.failure() else { panic!("{:?}", script.failure()) };
    assert_eq!((why.answered, why.needed), (0, 2));
    assert_eq!(why.silent.iter().map(|missing| missing.replica.clone()).collect::<Vec<_>>(), [0, 1, 2].map(replica));

    let (mut script, _) = Script::raising(&[15]);
    script.until_due();
    assert!(may_have_happened(&script), "the swap may be on its way");

    let (mut script, swap) = Script::raising(&[15]);
    script.swapped(&swap, SwapOutcome::Conflict);
    script.until_due();
    script.until_due();
    assert!(!may_have_happened(&script), "reading back after a conflict");

    let (mut script, swap) = Script::raising(&[15]);
    script.doubt(&swap);
    script.until_due();
    script.until_due();
    assert!(may_have_happened(&script), "reading back in doubt");
    // What comes after the end is nothing to anybody.
    script.swapped(&swap, SwapOutcome::Conflict);
    script.handle(TrimEvent::RecordRead { request: 9, result: Ok(script.register.now()) });
    assert_eq!(script.register.record.as_ref().map(|record| record.log), Some(LOG));
}
