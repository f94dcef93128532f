//! P7.3: a recovery that cannot know where the log ends fails, and names the missing replicas and why.

use crate::script::{
    Call, DEADLINE_US, Script, Shelf, Shelves, config, disk, id, open_from_10, shelves, version, write,
};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::message::{Answer, Refusal, Reply};
use quarry_protocol::recovery::{Doing, OpenMode, RecoveryEffect, RecoveryError, RecoveryEvent, SwapOutcome};

/// Answers calls by `answer` until the recovery ends.
fn run(script: &mut Script, mut answer: impl FnMut(&Call) -> Result<Reply, String>) {
    for _ in 0..2_000 {
        if script.outcome.is_some() {
            return;
        }
        let calls = script.calls();
        if calls.is_empty() {
            script.until_retry();
        }
        for call in calls {
            let result = answer(&call);
            script.handle(RecoveryEvent::Replied { request: call.request, result });
        }
    }
    panic!("no end: {:#?}", script.recovery);
}

#[test]
fn too_few_fences_name_every_missing_replica() {
    let mut script = Script::claimed(open_from_10(3, 2));
    let mut attempts = 0;
    run(&mut script, |call| match call.to {
        0 => Ok(Script::truth(call, &Shelves::new())),
        1 => {
            attempts += 1;
            Err("connection refused".to_owned())
        }
        _ => Ok(Reply::Refused(Refusal::WrongDisk { named: disk(2), here: disk(9) })),
    });
    assert!((10..=30).contains(&attempts), "tried again with longer and longer waits, {attempts} times");
    let RecoveryError::Replicas { doing: Doing::Settling, segment, seq: None, missing, waited_us, .. } = script.error()
    else {
        panic!("{:?}", script.error())
    };
    assert_eq!((*segment, *waited_us), (Some(id(3, 0)), DEADLINE_US));
    assert_eq!(missing.iter().map(|missing| missing.replica.disk).collect::<Vec<_>>(), [disk(1), disk(2)]);
    let message = script.error().to_string();
    for part in ["orders", "node1:7000", "connection refused", "node2:7000", "re-formatted", "open the log again"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert!(script.error().may_retry());
}

/// P8: all three answer, and still nobody knows: two that lost it and one that never had it.
#[test]
fn an_undecided_seq_is_named_and_the_log_is_not_cut() {
    let lost = || Shelf::with(10, [10]).and(11, Answer::Unknown);
    let shelves = shelves(id(3, 0), [(0, lost()), (1, lost()), (2, Shelf::with(10, [10]))]);
    let mut script = Script::claimed(open_from_10(3, 2));
    run(&mut script, |call| Ok(Script::truth(call, &shelves)));
    let RecoveryError::Replicas { seq: Some(ChunkSeq(11)), missing, .. } = script.error() else {
        panic!("{:?}", script.error())
    };
    assert_eq!(missing.iter().map(|missing| missing.replica.disk).collect::<Vec<_>>(), [disk(0), disk(1)]);
}

/// What was unknown may become known: a node that comes back from a repair answers better.
#[test]
fn an_unknown_is_asked_again() {
    let mut script = Script::claimed(open_from_10(3, 2));
    let unknown = |replica| (replica, Shelf::default().and(10, Answer::Unknown));
    script.answer(&shelves(id(3, 0), [unknown(0), unknown(1)]), &[0, 1]);
    assert!(script.find_swap().is_none());
    script.until_retry();
    script.pass(1_000_000);
    script.answer(&Shelves::new(), &[0, 1]);
    assert!(script.find_swap().is_some());
}

/// A freeze that is refused, fails, or is answered beside the point is asked again.
#[test]
fn a_freeze_that_fails_is_asked_again() {
    let mut failures = vec![
        Err("timed out".to_owned()),
        Ok(Reply::Refused(Refusal::BadRequest { why: "fence first".to_owned() })),
        Ok(Reply::Frozen { runs: Vec::new() }),
        Ok(Reply::Deleted),
    ];
    let mut script = Script::claimed_for(open_from_10(1, 1), write(1, 1));
    let fence = script.calls();
    script.reply(&fence[0], Script::truth(&fence[0], &Shelves::new()));
    while let Some(failure) = failures.pop() {
        let calls = script.calls();
        assert_eq!(calls.len(), 1, "before {failure:?}");
        script.handle(RecoveryEvent::Replied { request: calls[0].request, result: failure });
        assert!(script.find_swap().is_none());
        script.until_retry();
    }
    script.answer(&Shelves::new(), &[0]);
    assert!(script.find_swap().is_some());
}

#[test]
fn a_cluster_without_room_for_a_segment_is_named() {
    let mut script = Script::new(config(write(3, 2), OpenMode::MustExist));
    script.record_is(1, open_from_10(3, 2));
    let swap = script.swap();
    script.swapped(swap.request, SwapOutcome::Done(version(2)));
    script.answer(&Shelves::new(), &[0, 1]);
    for _ in 0..200 {
        if script.outcome.is_some() {
            break;
        }
        if let Some(at) = script.effects.iter().position(|e| matches!(e, RecoveryEffect::Place { .. })) {
            let Some(RecoveryEffect::Place { request, replicas, known, .. }) = script.effects.remove(at) else {
                unreachable!()
            };
            assert_eq!((replicas, known.len()), (3, 3), "it is told whom the log knows");
            let result = Err("3 replicas need 3 zones, 2 answer".to_owned());
            script.handle(RecoveryEvent::Placed { request, result });
        }
        script.until_retry();
    }
    let message = script.error().to_string();
    assert!(matches!(script.error(), RecoveryError::Placement { .. }) && message.contains("2 answer"), "{message}");
}

/// After the end nothing is done any more, whatever comes.
#[test]
fn a_recovery_that_ended_stays_ended() {
    let mut script = Script::claimed(open_from_10(3, 2));
    let calls = script.calls();
    script.pass(DEADLINE_US);
    assert!(script.outcome.take().is_some());
    for call in calls {
        script.reply(&call, Script::truth(&call, &Shelves::new()));
    }
    script.pass(1);
    assert!(script.outcome.is_none() && script.effects.is_empty());
    assert_eq!(script.recovery.poll_timeout(), None);
}
