//! A node is killed while a log on it is written: how long is nothing acknowledged, and when is the node replaced?

use super::{Figure, PhaseRound, closed, holder, us};
use crate::engine::log::BenchLog;
use crate::engine::side::Side;
use crate::engine::target::Target;
use crate::engine::{CasePlan, EngineError, SETTLE};
use crate::suite::PhaseSpec;
use std::cell::Cell;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// When in its part the node is killed: after the first so-manieth of it.
const KILLED_AFTER: u32 = 4;
/// How often is looked whether the node was replaced.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What was seen of one kill.
#[derive(Default)]
struct Seen {
    /// The longest time without an acknowledgement before it.
    healthy: Cell<Duration>,
    /// From the kill until a segment without the dead node took appends.
    replaced: Cell<Option<Duration>>,
}

pub(super) async fn round(
    plan: &CasePlan<'_>,
    spec: &PhaseSpec,
    target: &mut Target,
    side: &mut Side,
) -> Result<PhaseRound, EngineError> {
    side.take_over().await?;
    sleep(SETTLE).await;
    let healthy = side.measure(closed(spec), plan.part, target.cpu_clock()).await;
    side.tidy().await?;
    side.take_over().await?;
    sleep(SETTLE).await;
    let victim = holder(target, side)?;
    let (seen, over) = (Seen::default(), Cell::new(false));
    // One of the nodes ends: the clock tells the client's time, and that the nodes' is not known.
    let clock = target.cpu_clock();
    let part = async {
        let part = side.measure(closed(spec), plan.part, clock).await;
        over.set(true);
        part
    };
    let killing = kill(plan, target, victim, &side.logs[0], &seen, &over);
    let (part, killed) = futures::future::join(part, killing).await;
    killed?;
    let stall = side.logs[0].longest_gap_until_now();
    target.cluster()?.restart(victim).await?;
    let mut figures = vec![
        Figure { name: "longest wait for an acknowledgement before", unit: "us", value: us(seen.healthy.get()) },
        Figure { name: "longest wait for an acknowledgement after", unit: "us", value: us(stall) },
    ];
    if let Some(replaced) = seen.replaced.get() {
        figures.push(Figure { name: "from the kill to a segment without the node", unit: "us", value: us(replaced) });
    }
    Ok(PhaseRound { part, healthy: Some(healthy), figures, note: None })
}

async fn kill(
    plan: &CasePlan<'_>,
    target: &mut Target,
    victim: usize,
    log: &BenchLog,
    seen: &Seen,
    over: &Cell<bool>,
) -> Result<(), EngineError> {
    sleep(plan.part / KILLED_AFTER).await;
    seen.healthy.set(log.longest_gap());
    log.restart_gap();
    let dead = target.cluster()?.nodes()[victim].address().to_owned();
    let killed_at = Instant::now();
    target.cluster()?.kill(victim).await?;
    while !over.get() {
        if seen.replaced.get().is_none() && log.writer()?.replicas().iter().all(|replica| replica.address != dead) {
            seen.replaced.set(Some(killed_at.elapsed()));
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}
