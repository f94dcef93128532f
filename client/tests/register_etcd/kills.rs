//! A server killed and started again while clients change records: what was answered is there, what was not is found by
//! reading, and nothing is done twice.

use super::proxy::Proxy;
use super::server::Server;
use super::{open, place};
use quarry_client::register::conformance::{raise_epoch, sample};
use quarry_client::register::{EtcdRegister, Register, RegisterError, SwapError};
use quarry_protocol::ids::{Epoch, OwnerId};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Longest that one answer may take, whatever happens to the server.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// What one client made of its changes.
#[derive(Debug, Default)]
struct Tally {
    answered: u64,
    /// Of the ambiguous ones, those that were found made, and those that were found not made.
    found: u64,
    not_found: u64,
    failed: u64,
}

/// Changes "log" as `owner` until told to stop. One change is one step of the epoch, and carries its owner and number, so
/// that it can be looked for.
async fn run(register: EtcdRegister, owner: u8, mut stop: oneshot::Receiver<()>) -> Tally {
    let mut tally = Tally::default();
    while stop.try_recv().is_err() {
        let Some((version, mut record)) = patiently(&register).await else { continue };
        record.epoch = record.epoch.next();
        record.number = record.number.next();
        record.owner = OwnerId([owner; 16]);
        match register.compare_and_swap(Some(&version), &record).await {
            Ok(_) => tally.answered += 1,
            Err(SwapError::Conflict) => tokio::task::yield_now().await,
            Err(SwapError::Failed(why)) => {
                assert!(why.may_retry(), "{why}");
                tally.failed += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(SwapError::Ambiguous { .. }) => {
                // The server was killed: nothing of the old one is still under way once the new one answers.
                let now = loop {
                    if let Some((_, now)) = patiently(&register).await {
                        break now;
                    }
                };
                if now == record { tally.found += 1 } else { tally.not_found += 1 }
            }
        }
    }
    tally
}

async fn patiently(
    register: &EtcdRegister,
) -> Option<(quarry_protocol::record::Version, quarry_protocol::record::LogRecord)> {
    match register.read("log").await {
        Ok(found) => Some(found.expect("a record does not disappear")),
        Err(why) => {
            assert!(why.may_retry(), "{why}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

async fn epoch(register: &EtcdRegister) -> Epoch {
    loop {
        if let Some((_, record)) = patiently(register).await {
            return record.epoch;
        }
    }
}

/// One client, so that what it finds is its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_between_loses_and_repeats_nothing() {
    const KILLS: u64 = 6;
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    let register = open(&server).await;
    register.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let client = tokio::spawn(run(register.clone(), 1, stopped));
    let watcher = open(&server).await;
    for round in 1..=KILLS {
        let reached = Epoch(epoch(&watcher).await.0 + 10 * round);
        while epoch(&watcher).await < reached {
            tokio::task::yield_now().await;
        }
        // Sooner or later in a change, as it comes.
        tokio::task::block_in_place(|| server.kill());
        tokio::time::sleep(Duration::from_millis(100)).await;
        tokio::task::block_in_place(|| server.restart());
    }
    let _ = stop.send(());
    let tally = client.await.unwrap();
    assert!(tally.answered >= KILLS * 10, "{tally:?}");
    assert_eq!(epoch(&watcher).await, Epoch(1 + tally.answered + tally.found), "{tally:?}");
    println!("{tally:?}");
}

/// The answer is cut off at the very moment it comes back: the change was made, and says so nowhere but in the record.
#[tokio::test]
async fn a_change_whose_answer_is_lost_is_ambiguous_and_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let direct = open(&server).await;
    let version = direct.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    let proxy = Proxy::start(&server.endpoint).await;
    let register = EtcdRegister::open(place(&[&proxy.endpoint]), None).await.unwrap();
    proxy.lose_answers(true);
    let swapped = register.compare_and_swap(Some(&version), &sample("log", 2)).await;
    let named = |why: &str| why.contains(&proxy.endpoint);
    assert!(matches!(&swapped, Err(SwapError::Ambiguous { why }) if named(why)), "{swapped:?}");
    proxy.lose_answers(false);
    let (version, record) = register.read("log").await.unwrap().unwrap();
    assert_eq!(record, sample("log", 2), "it was made");
    // Had it been sent again, this one's revision would be gone.
    tokio::time::sleep(Duration::from_millis(300)).await;
    direct.compare_and_swap(Some(&version), &sample("log", 3)).await.unwrap();
}

/// A stopped server holds nobody for ever, and a change that it had is not called a failure.
#[tokio::test]
async fn a_server_that_stands_still_is_an_error_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let register = open(&server).await;
    let version = register.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    server.signal("-STOP");
    let started = Instant::now();
    let swapped = register.compare_and_swap(Some(&version), &sample("log", 2)).await;
    let read = register.read("log").await;
    let waited = started.elapsed();
    server.signal("-CONT");
    assert!(matches!(&swapped, Err(SwapError::Ambiguous { why }) if why.contains("no answer")), "{swapped:?}");
    assert!(matches!(&read, Err(RegisterError::Failed { why, .. }) if why.contains(&server.endpoint)), "{read:?}");
    assert!(waited < ANSWER_MAX, "{waited:?}");
    // It may be made now: both are right, and after a change on top of either it is settled.
    raise_epoch(&register, "log").await;
    let settled = register.read("log").await.unwrap().unwrap().1.epoch;
    assert!([Epoch(2), Epoch(3)].contains(&settled), "{settled:?}");
}

/// With several servers named, one that answers is enough, also if the first one dies later.
#[tokio::test]
async fn another_endpoint_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let mut proxy = Proxy::start(&server.endpoint).await;
    let places = place(&["127.0.0.1:1", &proxy.endpoint, &server.endpoint]);
    let register = EtcdRegister::open(places, None).await.unwrap();
    let version = register.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    assert!(proxy.connections() > 0, "the second one was used");
    proxy.stop();
    // Nothing was under way, so a read finds its way, and the change after it.
    assert_eq!(register.read("log").await, Ok(Some((version.clone(), sample("log", 1)))));
    register.compare_and_swap(Some(&version), &sample("log", 2)).await.unwrap();
}
