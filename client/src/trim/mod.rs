//! Dropping a prefix of a log (P12): trims that wait together share a round, and a round is the shell of the machine
//! [`quarry_protocol::trim::Trim`].
//!
//! ```text
//!   trim 10 ─┐
//!   trim 30 ─┼─► one round: read record, tail ─► swap floor to 30 ─► tell replicas ─► drop empty segments
//!   trim 20 ─┘
//! ```

mod queue;
mod running;

pub(crate) use queue::Trims;

use crate::error::TrimError;
use crate::quorum_store::Parts;
use crate::told::tell;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::message::Request;
use quarry_protocol::recovery::RecoveryReport;
use quarry_protocol::trim::{TRIM_DEADLINE_US_DEFAULT, TrimConfig, TrimFailure};
use running::Running;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a trim waits for replicas to free what is dropped. They go on without it.
const TELL_PATIENCE: Duration = Duration::from_millis(500);

/// Raises the floor of `name` to `below`, together with whatever other trims of the log are waiting.
pub(crate) async fn trim(parts: &Arc<Parts>, name: &str, below: ChunkSeq) -> Result<ChunkSeq, TrimError> {
    parts.trims.trim(name, below, |wanted| round(parts, name, wanted)).await
}

/// One round: the outcome of each of `wanted`, in order.
async fn round(parts: &Arc<Parts>, name: &str, wanted: Vec<ChunkSeq>) -> Vec<Result<ChunkSeq, TrimError>> {
    let config = TrimConfig { name: name.to_owned(), wanted, deadline_us: TRIM_DEADLINE_US_DEFAULT };
    let mut running = Running::new(Arc::clone(parts), config);
    let outcomes = running.outcomes().await;
    if !running.is_over() {
        // Whether the replicas know yet does not change the outcome: the floor is on record.
        let _ = timeout(TELL_PATIENCE, tokio::spawn(running.finish())).await;
    }
    outcomes.into_iter().map(|outcome| outcome.map_err(|why| error(name, why))).collect()
}

/// After a takeover: whoever missed a trim hears of the floor, those included whose segments left the record (P12).
pub(crate) fn tell_after_open(parts: &Arc<Parts>, recovered: &RecoveryReport) {
    let floor = recovered.record.floor;
    if floor == ChunkSeq(0) {
        return;
    }
    let what = Request::Trim { log: recovered.record.log, word: recovered.record.number, floor };
    let (parts, before, record) = (Arc::clone(parts), recovered.before.clone(), recovered.record.clone());
    tokio::spawn(async move { tell(&parts, what, before.iter().chain([&record])).await });
}

fn error(name: &str, why: TrimFailure) -> TrimError {
    let name = name.to_owned();
    match why {
        TrimFailure::BadName { why } => TrimError::BadName { why },
        TrimFailure::NotFound => TrimError::NotFound { name },
        TrimFailure::AboveTail { below, tail } => TrimError::AboveTail { name, below, tail },
        TrimFailure::Unavailable(why) => TrimError::Unavailable { name, why: why.to_string() },
        TrimFailure::Contended { attempts } => TrimError::Contended { name, attempts },
        TrimFailure::Register { why, may_have_happened } => TrimError::Register { name, why, may_have_happened },
        TrimFailure::Record { why } => TrimError::Record { name, why },
    }
}
