//! A lost copy of older data is made anew, beside appends in every round: also where one repair takes less than a round, or several.

use super::{Figure, older};
use crate::engine::log::BenchLog;
use crate::engine::side::Side;
use crate::engine::target::Target;
use crate::engine::{CasePlan, EngineError};
use crate::integrity::Payloads;
use crate::suite::PhaseSpec;
use quarry_client::{ChunkStore, QuorumStore, RepairOptions};
use quarry_protocol::repair::{RepairProgress, RepairReport};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Bytes of the chunks of a log that is repaired.
const CHUNK_BYTES: usize = 1 << 20;
/// Repairs that may fail in a round.
const FAILURES_MAX: usize = 10;
/// How long after a repair that failed the next one begins.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// How often is looked whether a repair has begun to copy.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Older data of which a copy is lost again and again.
pub(super) struct Repairing {
    older: BenchLog,
    store: QuorumStore,
    /// Whether a copy is lost and not yet whole again.
    lost: Cell<bool>,
    round: Round,
}

/// What happened in a round.
#[derive(Default)]
struct Round {
    /// By repairs that ended.
    bytes: Cell<u64>,
    /// By the one that goes on.
    going: Arc<AtomicU64>,
    begun_at: Cell<Option<Instant>>,
    whole_at: Cell<Option<Instant>>,
    failures: RefCell<Vec<String>>,
}

impl Repairing {
    pub(super) async fn prepare(
        plan: &CasePlan<'_>,
        spec: &PhaseSpec,
        target: &mut Target,
        side: &Side,
    ) -> Result<Self, EngineError> {
        let (first, store) = (target.client(0).await?, target.client(1).await?);
        let (name, payloads) = (plan.log_name(side.target, "older"), Payloads::new(plan.seed, CHUNK_BYTES));
        let (options, diary) = (target.options(None), target.diary(plan, &name));
        let mut log = BenchLog::open(first, name, side.logs.len(), options, payloads, None, diary).await?;
        older::fill(&log, spec.older.0).await?;
        // Whoever comes next seals what was there.
        log.take_over().await?;
        log.drop_writer();
        Ok(Self { older: log, store, lost: Cell::new(false), round: Round::default() })
    }

    /// Before a round: if everything is whole, the disk of one of the older data's holders is replaced.
    pub(super) async fn begin_round(&mut self, target: &mut Target, side: &mut Side) -> Result<(), EngineError> {
        self.round = Round::default();
        if !self.lost.get() {
            // The log under test may lie on that disk, too, and on the one before: nothing of it may be left there.
            for log in &side.logs {
                log.read_back_and_trim(&mut side.verdict).await?;
            }
            self.lose_a_copy(target).await?;
            self.lost.set(true);
        }
        Ok(())
    }

    async fn lose_a_copy(&self, target: &mut Target) -> Result<(), EngineError> {
        let log = &self.older;
        let inspected = self.store.inspect(&log.name).await.map_err(|why| log.failed(&why.to_string()))?;
        let holder = inspected.record.segments.first().and_then(|segment| segment.replicas.last());
        let address = holder.map(|holder| holder.address.clone()).ok_or_else(|| log.failed("it has no replicas"))?;
        let cluster = target.cluster()?;
        let lost = cluster.nodes().iter().position(|node| node.address() == address);
        let lost = lost.ok_or_else(|| log.failed(&format!("no node of its target is at {address}")))?;
        cluster.kill(lost).await?;
        cluster.wipe(lost).await?;
        cluster.restart(lost).await?;
        Ok(())
    }

    /// Repairs at the default budget until everything is whole, and then does nothing for ever. Dropping it stops the repair where it
    /// stands, and the next round goes on from there.
    pub(super) async fn go_on(&self) -> Result<Infallible, EngineError> {
        let round = &self.round;
        round.begun_at.set(Some(Instant::now()));
        loop {
            let going = Arc::clone(&round.going);
            let mut note = move |progress: RepairProgress| going.store(progress.bytes, Ordering::Relaxed);
            let outcome = self.store.repair(&self.older.name, &RepairOptions::default(), &mut note).await;
            round.bytes.set(round.bytes.get() + round.going.swap(0, Ordering::Relaxed));
            let why = match outcome {
                Ok(report) if whole(&report) => {
                    round.whole_at.set(Some(Instant::now()));
                    self.lost.set(false);
                    return pending().await;
                }
                Ok(report) => {
                    let all = report.lost().chain(report.short());
                    all.map(|segment| format!("{:?}", segment.outcome)).collect::<Vec<_>>().join(", ")
                }
                Err(why) => why.to_string(),
            };
            round.failures.borrow_mut().push(why);
            if round.failures.borrow().len() == FAILURES_MAX {
                return Err(self.older.failed(&format!("its repair failed {FAILURES_MAX} times: {}", self.said())));
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    /// Waits until something was copied, or everything is whole; whether something was.
    pub(super) async fn begun(&self) -> bool {
        while self.copied() == 0 && self.round.whole_at.get().is_none() {
            sleep(LOOK_EVERY).await;
        }
        self.copied() > 0
    }

    fn copied(&self) -> u64 {
        self.round.bytes.get() + self.round.going.load(Ordering::Relaxed)
    }

    /// What repairs that failed said, each once.
    fn said(&self) -> String {
        let mut said = self.round.failures.borrow().clone();
        said.dedup();
        said.join("; ")
    }

    /// What whoever reads the figures should know: that repairs failed.
    pub(super) fn note(&self) -> Option<String> {
        let count = self.round.failures.borrow().len();
        (count > 0)
            .then(|| format!("{count} repairs of {:?} failed and were tried again: {}", self.older.name, self.said()))
    }

    /// What was done in the round, of which appends were measured from `measured_at` until `over_at`.
    pub(super) fn figures(&self, measured_at: Instant, over_at: Instant) -> Vec<Figure> {
        let Some(begun_at) = self.round.begun_at.get() else { return Vec::new() };
        let end_at = self.round.whole_at.get().map_or(over_at, |whole_at| whole_at.min(over_at));
        let mib = self.copied() as f64 / f64::from(1 << 20);
        let share = (end_at - measured_at.min(end_at)).as_secs_f64() / (over_at - measured_at).as_secs_f64();
        vec![
            Figure {
                name: "copied a second while repairing",
                unit: "MiB/s",
                value: mib / (end_at - begun_at).as_secs_f64(),
            },
            Figure { name: "share of the appends' time in which it was repaired", unit: "ratio", value: share },
        ]
    }

    pub(super) async fn finish(self, side: &mut Side) -> Result<(), EngineError> {
        self.older.finish(&mut side.verdict).await
    }
}

fn whole(report: &RepairReport) -> bool {
    report.lost().next().is_none() && report.short().next().is_none()
}
