//! A node is killed and started again: how long until it serves, with so much to replay?

use super::{Figure, PhaseRound, holder};
use crate::append::Load;
use crate::drive::Recorder;
use crate::engine::EngineError;
use crate::engine::side::Side;
use crate::engine::target::Target;
use crate::measured::Until;
use std::time::Instant;

/// Appends before each kill, so that a file is open and has no index yet.
const FRESH_APPENDS: u64 = 64;
/// In flight.
const FRESH_DEPTH: usize = 8;

pub(super) async fn round(target: &mut Target, side: &mut Side) -> Result<PhaseRound, EngineError> {
    side.take_over().await?;
    let load = Load::Closed { depth: FRESH_DEPTH };
    let fresh = side.measure_until(load, Until::operations(FRESH_APPENDS), None).await;
    if let (true, Some(why)) = (fresh.failed > 0, side.first_failure()) {
        return Err(why);
    }
    let (victim, live_bytes) = (holder(target, side)?, side.logs[0].bytes());
    let cluster = target.cluster()?;
    cluster.kill(victim).await?;
    let begun_at = Instant::now();
    let mut recorder = Recorder::new(begun_at, Until::operations(1));
    cluster.restart(victim).await?;
    recorder.ended(begun_at, begun_at, Instant::now());
    let part = recorder.finish(0, None);
    let seconds = part.seconds;
    let figures = vec![
        Figure { name: "from the start of the process to serving", unit: "us", value: seconds * 1e6 },
        Figure { name: "payload bytes of the log that is replayed", unit: "bytes", value: live_bytes as f64 },
    ];
    Ok(PhaseRound { part, healthy: None, figures, note: None })
}
