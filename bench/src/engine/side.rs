//! One target in one case: its logs, and what was measured of them.

use super::log::BenchLog;
use super::stages::{SharedNotes, StageNotes};
use super::target::Target;
use super::{CasePlan, EngineError};
use crate::append::Load;
use crate::drive::{self, CpuClock};
use crate::integrity::Payloads;
use crate::measured::Until;
use crate::result::{PartResult, Stages, Verdict};
use quarry_client::{OpenOptions, Tier};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Appends in flight for each log while nothing is measured.
const UNMEASURED_DEPTH: usize = 16;
/// A part appends at most this part of what its target may hold.
const PARTS_HELD: u64 = 2;

/// What receipts say, and what the names of logs say of that.
pub(super) struct Receipts {
    pub(super) stages: bool,
    pub(super) mark: &'static str,
}

/// One target in one case.
pub(super) struct Side {
    /// Its index among the targets of the run.
    pub(super) target: usize,
    pub(super) logs: Vec<BenchLog>,
    pub(super) chunk_bytes: usize,
    pub(super) verdict: Verdict,
    holds: u64,
    stages: Option<SharedNotes>,
}

impl Side {
    /// Opens the logs of a case on a target.
    pub(super) async fn open(
        plan: &CasePlan<'_>,
        index: usize,
        target: &mut Target,
        replica_patience: Option<Duration>,
    ) -> Result<Self, EngineError> {
        let options = target.options(replica_patience);
        Self::open_with(plan, index, target, &options, Receipts { stages: plan.spec.stages, mark: "" }).await
    }

    /// The same appends on other logs, with receipts that say nothing.
    pub(super) async fn open_without_stages(
        plan: &CasePlan<'_>,
        index: usize,
        target: &mut Target,
    ) -> Result<Self, EngineError> {
        let options = target.options(None);
        Self::open_with(plan, index, target, &options, Receipts { stages: false, mark: "plain-" }).await
    }

    /// The same, with logs opened as `options` says.
    pub(super) async fn open_with(
        plan: &CasePlan<'_>,
        index: usize,
        target: &mut Target,
        options: &OpenOptions,
        receipts: Receipts,
    ) -> Result<Self, EngineError> {
        let chunk_bytes = target.chunk_bytes(plan.chunk);
        let payloads = Payloads::new(plan.seed, chunk_bytes);
        let stages = receipts.stages.then(|| Rc::new(RefCell::new(StageNotes::new())));
        let mut logs = Vec::with_capacity(plan.spec.logs);
        for number in 0..plan.spec.logs {
            let store = target.client(number % plan.spec.clients).await?;
            let name = plan.log_name(index, &format!("{}{number}", receipts.mark));
            let (options, payloads, stages) = (options.clone(), payloads.clone(), stages.clone());
            let diary = target.diary(plan, &name);
            logs.push(BenchLog::open(store, name, number, options, payloads, stages, diary).await?);
        }
        let holds = target.spec.holds.map_or(u64::MAX, |size| size.0);
        Ok(Self { target: index, logs, chunk_bytes, verdict: Verdict::default(), holds, stages })
    }

    /// One part: appends on all logs. Whatever fails is counted; a log whose writer is finished gets another one before the
    /// next part.
    pub(super) async fn measure(&self, load: Load, elapsed_max: Duration, clock: Option<CpuClock>) -> PartResult {
        self.measure_until(load, Until { operations_max: self.operations_max(), elapsed_max }, clock).await
    }

    /// Most appends of a part.
    pub(super) fn operations_max(&self) -> u64 {
        (self.holds / PARTS_HELD / self.chunk_bytes as u64).max(1)
    }

    pub(super) async fn measure_until(&self, load: Load, until: Until, clock: Option<CpuClock>) -> PartResult {
        self.logs.iter().for_each(BenchLog::restart_gap);
        drive::measure(&self.logs, load, until, self.chunk_bytes as u64, clock).await
    }

    /// Appends so many payload bytes, as fast as they go, trimming on the way: afterwards nodes overwrite files, as in steady
    /// state.
    pub(super) async fn warm_up(&mut self, bytes: u64) -> Result<(), EngineError> {
        let mut left = bytes;
        while left > 0 {
            let operations = left.min(self.holds / PARTS_HELD).div_ceil(self.chunk_bytes as u64);
            let load = Load::Closed { depth: UNMEASURED_DEPTH };
            let part = self.measure_until(load, Until::operations(operations), None).await;
            if part.failed > 0 {
                return Err(self.first_failure().unwrap_or_else(|| self.logs[0].failed("an append failed")));
            }
            left = left.saturating_sub(part.bytes);
            for log in &self.logs {
                if let Some(end) = log.end() {
                    self.verdict.trimmed += log.trim(end).await?;
                }
            }
        }
        Ok(())
    }

    /// Why an append of the last part failed, if one did.
    pub(super) fn first_failure(&self) -> Option<EngineError> {
        self.logs.iter().find_map(|log| Some(log.failed(&log.failure()?.to_string())))
    }

    /// What has to be done between parts: logs that failed are opened again, and logs that have grown are read back and trimmed.
    pub(super) async fn tidy(&mut self) -> Result<(), EngineError> {
        for log in &mut self.logs {
            if log.failure().is_some() {
                log.take_over().await?;
            }
        }
        let held: u64 = self.logs.iter().map(BenchLog::bytes).sum();
        if held >= self.holds / PARTS_HELD {
            for log in &self.logs {
                log.read_back_and_trim(&mut self.verdict).await?;
            }
        }
        Ok(())
    }

    /// Where the time of appends went since this was asked last, if it is to be known.
    pub(super) fn take_stages(&self) -> Option<Stages> {
        self.stages.as_ref().and_then(|stages| stages.replace(StageNotes::new()).finish())
    }

    /// Opens every log anew: its writer begins with every replica that answers.
    pub(super) async fn take_over(&mut self) -> Result<(), EngineError> {
        for log in &mut self.logs {
            log.take_over().await?;
        }
        Ok(())
    }

    /// The last look at every log.
    pub(super) async fn finish(mut self) -> Result<Verdict, EngineError> {
        for log in self.logs.drain(..) {
            log.finish(&mut self.verdict).await?;
        }
        Ok(self.verdict)
    }
}

/// Chunks of a store's warm-up.
pub(super) const WARM_UP_CHUNK_BYTES: u32 = Tier::LOCAL_DISK.chunk_bytes_preferred;
