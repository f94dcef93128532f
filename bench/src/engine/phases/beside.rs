//! Phases that go on beside appends: each round has a part in which they do, and one in which they do not.

use super::repairing::Repairing;
use super::{Figure, PhaseRound, closed, holder, older};
use crate::engine::log::BenchLog;
use crate::engine::side::Side;
use crate::engine::target::Target;
use crate::engine::{CasePlan, EngineError, SETTLE};
use crate::integrity::Payloads;
use crate::result::PartResult;
use crate::suite::{PhaseKind, PhaseSpec};
use futures::StreamExt;
use quarry_client::{ChunkStore, QuorumStore, ReadOptions, ReadRange};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long a slow node stands still and runs, together.
const SLOW_CYCLE: Duration = Duration::from_millis(10);
/// Time between two trims.
const TRIM_EVERY: Duration = Duration::from_millis(20);
/// How long a node that stood still is left to work off what waited for it.
const RECOVER: Duration = Duration::from_millis(300);
/// How often a copy is lost in a round until a repair has something to copy: one that was broken off may have copied all of it.
const LOSSES_MAX: usize = 3;

/// What goes on.
pub(super) struct Beside {
    /// The log that is read meanwhile, and the client that does it.
    older: Option<(BenchLog, QuorumStore)>,
    repairing: Option<Repairing>,
    /// Bytes read, or chunks trimmed.
    done: AtomicU64,
}

impl Beside {
    pub(super) async fn prepare(
        plan: &CasePlan<'_>,
        spec: &PhaseSpec,
        target: &mut Target,
        side: &mut Side,
    ) -> Result<Self, EngineError> {
        let mut beside = Self { older: None, repairing: None, done: AtomicU64::new(0) };
        if spec.kind == PhaseKind::Repair {
            beside.repairing = Some(Repairing::prepare(plan, spec, target, side).await?);
        }
        if spec.kind == PhaseKind::CatchUp {
            let (store, reader) = (target.client(0).await?, target.client(1).await?);
            let name = plan.log_name(side.target, "older");
            let payloads = Payloads::new(plan.seed, side.chunk_bytes);
            let (options, diary) = (target.options(None), target.diary(plan, &name));
            let mut log = BenchLog::open(store, name, side.logs.len(), options, payloads, None, diary).await?;
            older::fill(&log, spec.older.0).await?;
            log.drop_writer();
            beside.older = Some((log, reader));
        }
        Ok(beside)
    }

    pub(super) async fn finish(self, side: &mut Side) -> Result<(), EngineError> {
        if let Some(repairing) = self.repairing {
            repairing.finish(side).await?;
        }
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
        let (part, measured_at) = self.hurt(plan, spec, target, side).await?;
        let over_at = Instant::now();
        if spec.kind.hurts_nodes() {
            sleep(RECOVER).await;
        }
        side.tidy().await?;
        let healthy =
            if let Some(healthy) = healthy { healthy } else { self.healthy(plan, spec, target, side).await? };
        let mut figures = ratios(&part, &healthy);
        figures.extend(self.done(spec.kind, (over_at - measured_at).as_secs_f64()));
        let mut note = None;
        if let Some(repairing) = &self.repairing {
            figures.extend(repairing.figures(measured_at, over_at));
            note = repairing.note();
        }
        Ok(PhaseRound { part, healthy: Some(healthy), figures, note })
    }

    /// The part in which it goes on, and when that began.
    async fn hurt(
        &mut self,
        plan: &CasePlan<'_>,
        spec: &PhaseSpec,
        target: &mut Target,
        side: &mut Side,
    ) -> Result<(PartResult, Instant), EngineError> {
        for _ in 0..LOSSES_MAX {
            if let Some(repairing) = &mut self.repairing {
                repairing.begin_round(target, side).await?;
            }
            side.take_over().await?;
            sleep(SETTLE).await;
            self.done.store(0, Ordering::Relaxed);
            if let Some(measured) = self.disturbed(plan, spec, target, side).await? {
                return Ok(measured);
            }
        }
        Err(target.failed(format!("a copy was lost {LOSSES_MAX} times, and each time there was nothing to repair")))
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

    /// `None` if there turned out to be nothing to repair.
    async fn disturbed(
        &self,
        plan: &CasePlan<'_>,
        spec: &PhaseSpec,
        target: &mut Target,
        side: &mut Side,
    ) -> Result<Option<(PartResult, Instant)>, EngineError> {
        let clock = target.cpu_clock();
        if let Some(repairing) = &self.repairing {
            let mut going = pin!(repairing.go_on());
            let begun = tokio::select! {
                begun = repairing.begun() => begun,
                failed = &mut going => match failed? {},
            };
            if !begun {
                return Ok(None);
            }
            // Begun before the first append, so that every part has some of it, however long the repair takes.
            let (clock, measured_at) = (target.cpu_clock(), Instant::now());
            return tokio::select! {
                part = side.measure(closed(spec), plan.part, clock) => Ok(Some((part, measured_at))),
                failed = &mut going => match failed? {},
            };
        }
        let measured_at = Instant::now();
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
            return Ok(Some((part, measured_at)));
        }
        let victim = if spec.kind.hurts_nodes() { Some(holder(target, side)?) } else { None };
        let part = side.measure(closed(spec), plan.part, clock);
        let measured = tokio::select! {
            part = part => Ok(part),
            failed = self.go_on(spec, target, victim) => failed.map(|never| match never {}),
        };
        if let Some(victim) = victim {
            target.cluster()?.resume(victim)?;
        }
        Ok(Some((measured?, measured_at)))
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
                log.diary.lost(&log.name, 1, 0);
                return Err(log.failed(&format!("seq {} came back with other bytes than were appended", chunk.seq.0)));
            }
            // A store that always has the next chunk must not keep the appends from their turn.
            tokio::task::consume_budget().await;
            self.done.fetch_add(chunk.payload.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// What was done meanwhile.
    fn done(&self, kind: PhaseKind, seconds: f64) -> Option<Figure> {
        let done = self.done.load(Ordering::Relaxed) as f64;
        match kind {
            PhaseKind::CatchUp => {
                Some(Figure { name: "read meanwhile", unit: "MiB/s", value: done / f64::from(1 << 20) / seconds })
            }
            PhaseKind::Trim => Some(Figure { name: "trimmed meanwhile", unit: "chunks", value: done }),
            _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::diary::Diary;
    use quarry_client::OpenOptions;
    use quarry_client::memory::MemoryStore;

    /// The read breaks the case off, and the case must not end as if nodes had been away.
    #[tokio::test]
    async fn other_bytes_in_older_data_are_a_loss() {
        let (store, diary, payloads) = (MemoryStore::new().store(), Diary::default(), Payloads::new(1, 100));
        let (name, options) = ("a".to_owned(), OpenOptions::default());
        let log = BenchLog::open(store.clone(), name, 0, options, payloads, None, diary.clone()).await.expect("opens");
        let beside = Beside { older: None, repairing: None, done: AtomicU64::new(0) };
        let writer = log.writer().expect("is there");
        writer.append(log.next_payload()).await.expect("has room").await.expect("is committed");
        beside.read(&log, &store).await.expect("is as it should be");
        writer.append(Payloads::new(2, 100).of(0, 1)).await.expect("has room").await.expect("is committed");
        let why = beside.read(&log, &store).await.expect_err("is something else");
        assert!(matches!(diary.judge(why), EngineError::Lost { .. }));
    }
}
