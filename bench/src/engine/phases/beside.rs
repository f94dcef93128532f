//! Phases that go on beside appends: each round has a part in which they do, and one in which they do not.

use super::{Figure, PhaseRound, closed, holder, older};
use crate::engine::log::BenchLog;
use crate::engine::side::Side;
use crate::engine::target::Target;
use crate::engine::{CasePlan, EngineError, SETTLE};
use crate::integrity::Payloads;
use crate::result::PartResult;
use crate::suite::{PhaseKind, PhaseSpec};
use futures::StreamExt;
use quarry_client::{ChunkStore, QuorumStore, ReadOptions, ReadRange, RepairOptions};
use quarry_protocol::repair::RepairProgress;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long a slow node stands still and runs, together.
const SLOW_CYCLE: Duration = Duration::from_millis(10);
/// Time between two trims.
const TRIM_EVERY: Duration = Duration::from_millis(20);
/// How long a node that stood still is left to work off what waited for it.
const RECOVER: Duration = Duration::from_millis(300);
/// Bytes of the chunks of a log that is repaired.
const REPAIRED_CHUNK_BYTES: usize = 1 << 20;

/// What goes on.
pub(super) struct Beside {
    /// The log that is read or repaired meanwhile, and the client that does it.
    older: Option<(BenchLog, QuorumStore)>,
    /// Bytes read or copied, or chunks trimmed.
    done: Arc<AtomicU64>,
}

impl Beside {
    pub(super) async fn prepare(
        plan: &CasePlan<'_>,
        spec: &PhaseSpec,
        target: &mut Target,
        side: &mut Side,
    ) -> Result<Self, EngineError> {
        let chunk_bytes = match spec.kind {
            PhaseKind::CatchUp => side.chunk_bytes,
            PhaseKind::Repair => REPAIRED_CHUNK_BYTES,
            _ => return Ok(Self { older: None, done: Arc::default() }),
        };
        let (store, reader) = (target.client(0).await?, target.client(1).await?);
        let name = plan.log_name(side.target, "older");
        let payloads = Payloads::new(plan.seed, chunk_bytes);
        let mut log = BenchLog::open(store, name, side.logs.len(), target.options(None), payloads, None).await?;
        older::fill(&log, spec.older.0).await?;
        if spec.kind == PhaseKind::Repair {
            lose_a_copy(target, &mut log).await?;
        }
        log.drop_writer();
        Ok(Self { older: Some((log, reader)), done: Arc::default() })
    }

    pub(super) async fn finish(self, side: &mut Side) -> Result<(), EngineError> {
        match self.older {
            Some((log, _)) => log.finish(&mut side.verdict).await,
            None => Ok(()),
        }
    }

    /// One round; who goes first changes from round to round.
    pub(super) async fn round(
        &mut self,
        plan: &CasePlan<'_>,
        spec: &PhaseSpec,
        target: &mut Target,
        side: &mut Side,
        number: usize,
    ) -> Result<PhaseRound, EngineError> {
        let mut healthy = None;
        if number.is_multiple_of(2) {
            healthy = Some(self.healthy(plan, spec, target, side).await?);
        }
        side.take_over().await?;
        sleep(SETTLE).await;
        self.done.store(0, Ordering::Relaxed);
        let begun_at = Instant::now();
        let part = self.disturbed(plan, spec, target, side).await?;
        let seconds = begun_at.elapsed().as_secs_f64();
        if spec.kind.hurts_nodes() {
            sleep(RECOVER).await;
        }
        side.tidy().await?;
        let healthy =
            if let Some(healthy) = healthy { healthy } else { self.healthy(plan, spec, target, side).await? };
        let mut figures = ratios(&part, &healthy);
        figures.extend(self.done(spec.kind, seconds, target)?);
        Ok(PhaseRound { part, healthy: Some(healthy), figures })
    }

    async fn healthy(
        &self,
        plan: &CasePlan<'_>,
        spec: &PhaseSpec,
        target: &Target,
        side: &mut Side,
    ) -> Result<PartResult, EngineError> {
        side.take_over().await?;
        sleep(SETTLE).await;
        let part = side.measure(closed(spec), plan.part, target.cpu_clock()).await;
        side.tidy().await?;
        Ok(part)
    }

    async fn disturbed(
        &self,
        plan: &CasePlan<'_>,
        spec: &PhaseSpec,
        target: &mut Target,
        side: &mut Side,
    ) -> Result<PartResult, EngineError> {
        let clock = target.cpu_clock();
        if spec.kind == PhaseKind::Trim {
            let over = Cell::new(false);
            let part = async {
                let part = side.measure(closed(spec), plan.part, clock).await;
                over.set(true);
                part
            };
            // Not broken off: a trim that was not waited for could not be told from a loss.
            let (part, trimmed) = futures::future::join(part, self.trim(&side.logs[0], &over)).await;
            side.verdict.trimmed += trimmed?;
            return Ok(part);
        }
        let victim =
            if spec.kind.hurts_nodes() && spec.kind != PhaseKind::Repair { Some(holder(target, side)?) } else { None };
        let part = side.measure(closed(spec), plan.part, clock);
        let measured = tokio::select! {
            part = part => Ok(part),
            failed = self.go_on(spec, target, victim) => failed.map(|never| match never {}),
        };
        if let Some(victim) = victim {
            target.cluster()?.resume(victim)?;
        }
        measured
    }

    /// Goes on until it is dropped.
    async fn go_on(
        &self,
        spec: &PhaseSpec,
        target: &mut Target,
        victim: Option<usize>,
    ) -> Result<Infallible, EngineError> {
        match (spec.kind, victim, &self.older) {
            (PhaseKind::Paused, Some(victim), _) => {
                target.cluster()?.pause(victim)?;
                pending().await
            }
            (PhaseKind::Slow, Some(victim), _) => {
                let stopped = SLOW_CYCLE * spec.stopped_percent / 100;
                loop {
                    target.cluster()?.pause(victim)?;
                    sleep(stopped).await;
                    target.cluster()?.resume(victim)?;
                    sleep(SLOW_CYCLE.saturating_sub(stopped)).await;
                }
            }
            (PhaseKind::CatchUp, _, Some((log, reader))) => loop {
                self.read(log, reader).await?;
            },
            (PhaseKind::Repair, _, Some((log, store))) => {
                repair(store, log.name.clone(), Arc::clone(&self.done)).await;
                pending().await
            }
            _ => pending().await,
        }
    }

    /// Trims the log to its end again and again; how many chunks that were.
    async fn trim(&self, log: &BenchLog, over: &Cell<bool>) -> Result<u64, EngineError> {
        let mut trimmed = 0;
        while !over.get() {
            sleep(TRIM_EVERY).await;
            if let Some(end) = log.end() {
                trimmed += log.trim(end).await?;
            }
        }
        self.done.store(trimmed, Ordering::Relaxed);
        Ok(trimmed)
    }

    /// Reads older data once from its first chunk to its last.
    async fn read(&self, log: &BenchLog, reader: &QuorumStore) -> Result<(), EngineError> {
        let failed = |why: quarry_client::ReadError| log.failed(&why.to_string());
        let mut chunks = reader.read(&log.name, ReadRange::all(), ReadOptions::default()).await.map_err(failed)?;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(failed)?;
            if chunk.payload != log.payloads.of(log.number, chunk.seq.0) {
                return Err(log.failed(&format!("seq {} came back with other bytes than were appended", chunk.seq.0)));
            }
            // A store that always has the next chunk must not keep the appends from their turn.
            tokio::task::consume_budget().await;
            self.done.fetch_add(chunk.payload.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What was done meanwhile.
    fn done(&self, kind: PhaseKind, seconds: f64, target: &Target) -> Result<Option<Figure>, EngineError> {
        let done = self.done.load(Ordering::Relaxed);
        let mib = done as f64 / f64::from(1 << 20);
        let bandwidth = |name| Some(Figure { name, unit: "MiB/s", value: mib / seconds });
        match kind {
            PhaseKind::CatchUp => Ok(bandwidth("read meanwhile")),
            PhaseKind::Repair if done == 0 => Err(target.failed(
                "nothing was left to repair in a round: give the phase a larger `older`, or fewer or shorter rounds",
            )),
            PhaseKind::Repair => Ok(bandwidth("copied meanwhile")),
            PhaseKind::Trim => Ok(Some(Figure { name: "trimmed meanwhile", unit: "chunks", value: done as f64 })),
            _ => Ok(None),
        }
    }
}

fn ratios(part: &PartResult, healthy: &PartResult) -> Vec<Figure> {
    let (part, healthy) = (part.from_due.latencies(), healthy.from_due.latencies());
    let ratio = |name, quantile: f64| {
        let (above, below) = (part.quantile_us(quantile), healthy.quantile_us(quantile));
        (below > 0.0).then(|| Figure { name, unit: "ratio", value: above / below })
    };
    [ratio("p50 over healthy p50", 0.5), ratio("p99 over healthy p99", 0.99)].into_iter().flatten().collect()
}

/// Seals the log, and replaces the disk of one of its holders.
async fn lose_a_copy(target: &mut Target, log: &mut BenchLog) -> Result<(), EngineError> {
    let holder = log.writer()?.replicas().pop().ok_or_else(|| log.failed("it has no replicas"))?;
    // Whoever comes next seals what was there.
    log.take_over().await?;
    let cluster = target.cluster()?;
    let lost = cluster.nodes().iter().position(|node| node.address() == holder.address);
    let lost = lost.ok_or_else(|| log.failed(&format!("no node of its target is at {}", holder.address)))?;
    cluster.kill(lost).await?;
    cluster.wipe(lost).await?;
    cluster.restart(lost).await?;
    Ok(())
}

/// Repairs at the default budget. What fails is tried again in the next part; that nothing was copied is told then.
async fn repair(store: &QuorumStore, name: String, done: Arc<AtomicU64>) {
    let mut note = move |progress: RepairProgress| done.store(progress.bytes, Ordering::Relaxed);
    let _ = store.repair(&name, &RepairOptions::default(), &mut note).await;
}
