//! A client that takes a log, appends for a while, and lets go of it, or has it taken.

use super::{Client, PAUSE, open_options};
use bytes::Bytes;
use quarry_client::{AppendError, Fate, LogWriter, OpenError, OpenOptions, Opened, PendingAppend};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Most appends in flight.
const DEPTH: usize = 16;
/// Appends between two pauses.
const BURST: u64 = 8;
/// How long a rotation that was asked for is waited for.
const ROTATE_PATIENCE: Duration = Duration::from_secs(2);

/// An append that its client was not told the outcome of.
pub(super) struct InFlight {
    attempt: u64,
    payload: Bytes,
    pending: PendingAppend,
}

pub(super) async fn run(mut client: Client) {
    while !client.stopped() {
        let Some(opened) = open(&mut client, open_options()).await else {
            client.pause(PAUSE).await;
            continue;
        };
        let until = Instant::now() + client.random.millis(1000, 9000);
        // A writer that was stopped for want of a quorum still has something to append.
        if hold(&mut client, Arc::new(opened.writer), until).await != End::Stopped {
            let away = client.random.millis(0, 6000);
            client.pause(away).await;
        }
    }
}

/// Takes the log over.
pub(super) async fn open(client: &mut Client, options: OpenOptions) -> Option<Opened> {
    let confirmed = client.checker.ledger(client.log).floor_confirmed();
    client.checker.stalls.wanted(client.log);
    let opened = client.store.open(&client.name(), options).await;
    client.checker.stalls.failed(client.log);
    match opened {
        Ok(opened) => {
            let (epoch, report) = (opened.writer.epoch().0, &opened.report);
            tracing::info!(log = client.log, epoch, took = ?report.took, silent = ?report.silent, "opened");
            client.checker.count(|counts| counts.opens += 1);
            let checked = {
                let mut ledger = client.checker.ledger(client.log);
                ledger.floor_seen(report.floor.0, confirmed).and_then(|()| ledger.opened(epoch, report.next_seq.0))
            };
            client.checker.check(client.log, "open", checked).then_some(opened)
        }
        Err(why) => {
            tracing::info!(log = client.log, "not opened: {why}");
            // A log whose chain is full is trimmed by and by.
            if !why.may_retry() && !matches!(why, OpenError::Full { .. }) {
                client.checker.violated(format!("open: {why}"));
            }
            client.checker.count(|counts| counts.opens_failed += 1);
            None
        }
    }
}

/// How a client came to the end of its writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Fenced,
    Stopped,
}

/// Appends until the time is over or the writer is.
async fn hold(client: &mut Client, writer: Arc<LogWriter>, until: Instant) -> End {
    let mut in_flight = VecDeque::new();
    while !client.stopped() && Instant::now() < until {
        for _ in 0..client.random.between(1, BURST) {
            if !append(client, &writer, &mut in_flight).await {
                return finish(client, &writer, in_flight).await;
            }
        }
        if client.random.percent(1) {
            tokio::spawn(rotate(client.clone(), Arc::clone(&writer)));
        }
        let pause = client.random.millis(0, 60);
        client.pause(pause).await;
    }
    // Closed, or kept until another takes it away: then appends are in flight when that happens.
    if client.random.percent(50) {
        let until = Instant::now() + client.random.millis(500, 3000);
        while !client.stopped() && Instant::now() < until && append(client, &writer, &mut in_flight).await {
            client.pause(PAUSE).await;
        }
    }
    finish(client, &writer, in_flight).await
}

/// Appends a chunk. False if the writer has come to its end.
pub(super) async fn append(client: &Client, writer: &LogWriter, in_flight: &mut VecDeque<InFlight>) -> bool {
    let (attempt, payload) = client.checker.ledger(client.log).attempt();
    client.checker.stalls.wanted(client.log);
    match writer.append(payload.clone()).await {
        Ok(pending) => in_flight.push_back(InFlight { attempt, payload, pending }),
        Err(why) => {
            failed(client, attempt, &why);
            return false;
        }
    }
    if in_flight.len() < DEPTH {
        return true;
    }
    let oldest = in_flight.pop_front().expect("it is full");
    settle(client, oldest).await
}

/// Takes down what became of an append. False if it failed.
async fn settle(client: &Client, InFlight { attempt, payload, pending }: InFlight) -> bool {
    match pending.await {
        Ok(receipt) => {
            client.checker.stalls.acknowledged(client.log);
            client.checker.count(|counts| {
                counts.acknowledged += 1;
                counts.acknowledged_bytes += payload.len() as u64;
            });
            let (seq, epoch) = (receipt.seq.0, receipt.epoch.0);
            let checked = client.checker.ledger(client.log).acknowledged(attempt, seq, epoch, &payload);
            client.checker.check(client.log, "append", checked)
        }
        Err(why) => {
            failed(client, attempt, &why);
            false
        }
    }
}

fn failed(client: &Client, attempt: u64, why: &AppendError) {
    client.checker.stalls.failed(client.log);
    if matches!(why, AppendError::LogDeleted { .. }) || !why.is_final() {
        client.checker.violated(format!("append: {why}"));
    }
    if why.fate() == Fate::NeverStored {
        client.checker.count(|counts| counts.never_stored += 1);
        let checked = client.checker.ledger(client.log).never_stored(attempt);
        client.checker.check(client.log, "append", checked);
    }
}

/// Takes down what became of everything in flight, and why the writer stopped if it did.
pub(super) async fn finish(client: &Client, writer: &LogWriter, in_flight: VecDeque<InFlight>) -> End {
    for one in in_flight {
        settle(client, one).await;
    }
    client.checker.count(|counts| counts.rotations += u64::from(writer.segment().index));
    // One that has stopped says so at once; one that has not is closed.
    match timeout(Duration::ZERO, writer.stopped()).await {
        Ok(why) if why.is_fenced() => {
            client.checker.count(|counts| counts.takeovers += 1);
            End::Fenced
        }
        Ok(_) => {
            client.checker.count(|counts| counts.writers_stopped += 1);
            End::Stopped
        }
        Err(_) => End::Closed,
    }
}

/// Asks for a rotation. The writer goes on meanwhile: a segment ends with a chunk that is yet to come.
async fn rotate(client: Client, writer: Arc<LogWriter>) {
    if let Ok(Ok(rotated)) = timeout(ROTATE_PATIENCE, writer.rotate()).await {
        client.checker.count(|counts| counts.rotations_asked += 1);
        if rotated.sealed >= rotated.opened {
            client.checker.violated(format!("rotate: segment {} came after {}", rotated.opened, rotated.sealed));
        }
    }
}
