//! When everything is healed: each log is opened, appended to, read from its floor to its tail, and repaired until every copy is
//! whole, by a client that was not there before.

use super::checker::{Checker, log_name};
use super::{clients, copies};
use futures::TryStreamExt;
use quarry_client::{ChunkStore, Opened, QuorumStore, ReadOptions, ReadRange};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a log may take until it can be used again. Nothing is wrong any more, so it is a matter of retries.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long one waits between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// Chunks appended at last.
const LAST_CHUNKS: usize = 5;

/// Looks at every log; what is not as it must be is a violation.
pub(super) async fn look(url: &str, checker: &Arc<Checker>, plant_wrong_record: bool) {
    let store = match clients::store(url).await {
        Ok(store) => store,
        Err(why) => return checker.violated(why),
    };
    if plant_wrong_record {
        checker.ledger(0).flip_a_checksum();
    }
    for log in 0..checker.logs() {
        if !checker.ledger(log).exists() {
            continue;
        }
        if let Err(why) = look_at(&store, checker, log).await {
            checker.violated(format!("log {:?}, at last: {why}", log_name(log)));
        }
    }
}

async fn look_at(store: &QuorumStore, checker: &Checker, log: usize) -> Result<(), String> {
    append(store, checker, log).await?;
    // The writer has said what is committed, and is gone: the tail is exact now.
    let opened = open(store, checker, log).await?;
    let confirmed = checker.ledger(log).floor_confirmed();
    let tail = store.tail(&log_name(log)).await.map_err(|why| why.to_string())?;
    checker.ledger(log).floor_seen(tail.floor.0, confirmed)?;
    if tail.tail < opened.report.next_seq {
        return Err(format!("it was opened at seq {}, and its tail is {}", opened.report.next_seq, tail.tail));
    }
    let range = ReadRange::between(tail.floor, tail.tail);
    let options = ReadOptions { follow: false, deadline: PATIENCE };
    let mut chunks = store.read(&log_name(log), range, options).await.map_err(|why| why.to_string())?;
    let mut next = tail.floor.0;
    while let Some(chunk) = chunks.try_next().await.map_err(|why| why.to_string())? {
        if chunk.seq.0 != next {
            return Err(format!("seq {} was read where {next} was next", chunk.seq));
        }
        checker.ledger(log).read(next, &chunk.payload)?;
        checker.count(|counts| counts.chunks_read += 1);
        next += 1;
    }
    checker.ledger(log).whole(&(tail.floor.0..next))?;
    let copies = copies::look(store, checker, log).await?;
    checker.count(|counts| counts.copies_whole += copies);
    Ok(())
}

/// Opens the log and appends a few chunks, again and again until it works.
async fn append(store: &dyn ChunkStore, checker: &Checker, log: usize) -> Result<(), String> {
    let since = Instant::now();
    loop {
        let writer = open(store, checker, log).await?.writer;
        let mut failed = None;
        for _ in 0..LAST_CHUNKS {
            let (attempt, payload) = checker.ledger(log).attempt();
            let outcome = match writer.append(payload.clone()).await {
                Ok(pending) => pending.await,
                Err(why) => Err(why),
            };
            match outcome {
                Ok(receipt) => {
                    checker.ledger(log).acknowledged(attempt, receipt.seq.0, receipt.epoch.0, &payload)?;
                    checker.count(|counts| counts.acknowledged += 1);
                }
                Err(why) => {
                    if !why.may_have_happened() {
                        checker.ledger(log).never_stored(attempt)?;
                    }
                    failed = Some(why);
                    break;
                }
            }
        }
        match failed {
            None => return Ok(()),
            Some(why) if since.elapsed() > PATIENCE => return Err(format!("{PATIENCE:?} after all was healed: {why}")),
            Some(_) => sleep(PAUSE).await,
        }
    }
}

async fn open(store: &dyn ChunkStore, checker: &Checker, log: usize) -> Result<Opened, String> {
    let since = Instant::now();
    let confirmed = checker.ledger(log).floor_confirmed();
    loop {
        match store.open(&log_name(log), clients::open_options()).await {
            Ok(opened) => {
                let (epoch, report) = (opened.writer.epoch().0, &opened.report);
                let mut ledger = checker.ledger(log);
                ledger.floor_seen(report.floor.0, confirmed)?;
                ledger.opened(epoch, report.next_seq.0)?;
                drop(ledger);
                return Ok(opened);
            }
            Err(why) if why.may_retry() && since.elapsed() < PATIENCE => sleep(PAUSE).await,
            Err(why) => return Err(format!("{:?} after all was healed: {why}", since.elapsed())),
        }
    }
}
