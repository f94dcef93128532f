//! Dropping a prefix of a log: the floor goes on record first, then the replicas are told (P12).
//!
//! ```text
//!   trim 10 ─┐
//!   trim 30 ─┼─► one round: read record, tail ─► swap floor to 30 ─► tell replicas ─► drop empty segments
//!   trim 20 ─┘
//! ```

mod queue;
mod record;

pub(crate) use queue::Trims;

use crate::error::TrimError;
use crate::lookup::{NoRecord, lookup};
use crate::open::REGISTER_TIMEOUT;
use crate::quorum_store::Parts;
use crate::register::SwapError;
use crate::tail::committed;
use crate::told::tell;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::record::{LogRecord, Version};
use quarry_protocol::recovery::RecoveryReport;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How often a floor is tried to be put on record while others change the record.
const ATTEMPTS: u32 = 16;
/// How long a trim waits for replicas to free what is dropped. They go on without it.
const TELL_PATIENCE: Duration = Duration::from_millis(500);

/// Raises the floor of `name` to `below`, together with whatever other trims of the log are waiting.
pub(crate) async fn trim(parts: &Arc<Parts>, name: &str, below: ChunkSeq) -> Result<ChunkSeq, TrimError> {
    parts.trims.trim(name, below, |wanted| round(parts, name, wanted)).await
}

/// One round: the outcome of each of `wanted`, in order.
async fn round(parts: &Arc<Parts>, name: &str, wanted: Vec<ChunkSeq>) -> Vec<Result<ChunkSeq, TrimError>> {
    let refuse_all = |error: TrimError| wanted.iter().map(|_| Err(error.clone())).collect();
    let (version, record) = match lookup(parts, name).await {
        Ok(found) => found,
        Err(none) => return refuse_all(no_record(none, name)),
    };
    let tail = match committed(parts, &record).await {
        Ok(tail) => tail,
        Err(why) => return refuse_all(TrimError::Unavailable { name: name.to_owned(), why }),
    };
    let target = wanted.iter().copied().filter(|below| *below <= tail).max();
    let raised = match target {
        Some(target) => raise(parts, name, (version, record), target).await,
        None => Ok(record.floor),
    };
    let outcome = |below: &ChunkSeq| {
        if *below > tail {
            return Err(TrimError::AboveTail { name: name.to_owned(), below: *below, tail });
        }
        raised.clone()
    };
    wanted.iter().map(outcome).collect()
}

/// Puts the floor on record, then tells the replicas.
async fn raise(
    parts: &Arc<Parts>,
    name: &str,
    found: (Version, LogRecord),
    target: ChunkSeq,
) -> Result<ChunkSeq, TrimError> {
    let log = found.1.log;
    let (version, record) = raise_on_record(parts, name, found, target).await?;
    if record.log != log {
        // The log was deleted and made anew meanwhile; what was to be trimmed is gone.
        return Err(TrimError::NotFound { name: name.to_owned() });
    }
    let floor = record.floor;
    let telling = tokio::spawn(tell_and_drop(Arc::clone(parts), version, record));
    // Whether the replicas know yet does not change the outcome: the floor is on record.
    let _ = timeout(TELL_PATIENCE, telling).await;
    Ok(floor)
}

async fn raise_on_record(
    parts: &Parts,
    name: &str,
    (mut version, mut record): (Version, LogRecord),
    target: ChunkSeq,
) -> Result<(Version, LogRecord), TrimError> {
    let log = record.log;
    let mut in_doubt = None;
    for _ in 0..ATTEMPTS {
        if record.floor >= target || record.log != log {
            return Ok((version, record));
        }
        let raised = record::with_floor(&record, target);
        match swap(parts, &version, &raised).await {
            Ok(version) => return Ok((version, raised)),
            Err(SwapError::Conflict) => {}
            // Pitfall 15: never tried again blindly. The record is read again and looked at for this floor.
            Err(SwapError::Ambiguous { why }) => in_doubt = Some(why),
            Err(SwapError::Failed(why)) => return Err(register(name, why.to_string(), in_doubt.is_some())),
        }
        (version, record) =
            lookup(parts, name).await.map_err(|none| no_record_after(none, name, in_doubt.is_some()))?;
    }
    match in_doubt {
        Some(why) => Err(register(name, why, true)),
        None => Err(TrimError::Contended { name: name.to_owned(), attempts: ATTEMPTS }),
    }
}

async fn swap(parts: &Parts, expected: &Version, record: &LogRecord) -> Result<Version, SwapError> {
    timeout(REGISTER_TIMEOUT, parts.register.compare_and_swap(Some(expected), record))
        .await
        .unwrap_or_else(|_| Err(SwapError::Ambiguous { why: format!("no answer within {REGISTER_TIMEOUT:?}") }))
}

/// Tells every replica of the record its floor; then segments that lie wholly below it, and are needed to reach nobody any
/// more, leave the record. That nobody has to wait for, and a conflict leaves it to the next trim or open.
async fn tell_and_drop(parts: Arc<Parts>, version: Version, record: LogRecord) {
    let request = Request::Trim { log: record.log, word: record.epoch, floor: record.floor };
    let told = tell(&parts, std::iter::once(&record), &request, |reply| matches!(reply, Reply::Trimmed { .. })).await;
    let mut knows = BTreeSet::new();
    for (replica, said) in told {
        match said {
            Ok(()) => _ = knows.insert(replica.disk),
            Err(why) => {
                tracing::info!(log = %record.name, floor = %record.floor, "{} was not told of the trim: {why}", replica.address);
            }
        }
    }
    if let Some(shorter) = record::without_dropped_segments(&record, &knows)
        && let Err(why) = swap(&parts, &version, &shorter).await
    {
        tracing::debug!(log = %record.name, "segments below the floor stay on record for now: {why}");
    }
}

/// After a takeover: whoever missed a trim hears of the floor, those included whose segments left the record (P12).
pub(crate) fn tell_after_open(parts: &Arc<Parts>, recovered: &RecoveryReport) {
    let floor = recovered.record.floor;
    if floor == ChunkSeq(0) {
        return;
    }
    let request = Request::Trim { log: recovered.record.log, word: recovered.epoch, floor };
    let before = recovered.before.clone().filter(|before| before.log == recovered.record.log);
    let (parts, record) = (Arc::clone(parts), recovered.record.clone());
    tokio::spawn(async move {
        tell(&parts, before.iter().chain([&record]), &request, |reply| matches!(reply, Reply::Trimmed { .. })).await;
    });
}

fn no_record(none: NoRecord, name: &str) -> TrimError {
    no_record_after(none, name, false)
}

fn no_record_after(none: NoRecord, name: &str, may_have_happened: bool) -> TrimError {
    match none {
        NoRecord::BadName(why) => TrimError::BadName { why },
        NoRecord::NotFound => TrimError::NotFound { name: name.to_owned() },
        NoRecord::Register(why) => register(name, why, may_have_happened),
        NoRecord::Record(why) => TrimError::Record { name: name.to_owned(), why },
    }
}

fn register(name: &str, why: String, may_have_happened: bool) -> TrimError {
    TrimError::Register { name: name.to_owned(), why, may_have_happened }
}
