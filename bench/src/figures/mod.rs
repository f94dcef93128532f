//! The figures that every report shows, from the samples of a result: computed in one place, so that no two reports differ.

mod cpu;
mod merged;
mod ratios;
mod stages_cost;
#[cfg(test)]
mod tests;
pub mod words;

pub use cpu::CpuPerOperation;
pub use merged::{RoundPart, in_order, measured_parts};
pub use ratios::{RatioDevice, TargetRatios};
pub use stages_cost::StagesCost;

use crate::latencies::{Latencies, LatencySummary};
use crate::ratios::Spread;
use crate::result::{BenchResult, CaseResult, CaseTarget, LadderStep, PartResult, Samples};
use quarry_protocol::limits::BLOCK_BYTES;
use serde::Serialize;

const GIB: f64 = (1 << 30) as f64;

/// One case on one target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetFigures {
    /// Latencies from when operations were due, over all rounds.
    pub from_due: LatencySummary,
    /// Latencies from when operations were handed to the store, over all rounds.
    pub from_service: LatencySummary,
    /// The same two, round by round.
    pub rounds: RoundFigures,
    /// Beside the physical limit, round by round; absent without a baseline.
    pub ratios: Option<TargetRatios>,
    /// Operations that failed.
    pub failed: u64,
}

/// Figures of every round, and how far they lie apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundFigures {
    /// How many rounds.
    pub count: usize,
    /// Median latency from due.
    pub p50_us: Spread,
    /// 99th percentile from due.
    pub p99_us: Spread,
    /// 99.9th percentile from due.
    pub p999_us: Spread,
    /// Median latency from service.
    pub service_p50_us: Spread,
    /// 99th percentile from service.
    pub service_p99_us: Spread,
    /// Payload, in bytes per second.
    pub bytes_per_second: Spread,
    /// Operations per second.
    pub operations_per_second: Spread,
    /// Processor seconds for each GiB of payload: the client's and all nodes'; absent where one round cannot tell.
    pub cpu_seconds_per_gib: Option<Spread>,
    /// Processor time for each operation, process by process; absent where one round cannot tell.
    pub cpu: Option<CpuPerOperation>,
}

impl TargetFigures {
    /// Of one case on one target; `None` where nothing was measured. For a ladder, those of the highest rate that held.
    #[must_use]
    pub fn of(run: &BenchResult, case: &CaseResult, target: &CaseTarget) -> Option<Self> {
        Self::of_parts(run, case, target, &measured_parts(target))
    }

    /// Of the appends of a phase with nothing wrong; `None` where there are none.
    #[must_use]
    pub fn of_healthy(run: &BenchResult, case: &CaseResult, target: &CaseTarget) -> Option<Self> {
        Self::of_parts(run, case, target, &in_order(&target.phase.as_ref()?.healthy))
    }

    /// Of one step of a ladder.
    #[must_use]
    pub fn of_step(run: &BenchResult, case: &CaseResult, target: &CaseTarget, step: &LadderStep) -> Option<Self> {
        Self::of_parts(run, case, target, &[(step.round, &step.part)])
    }

    fn of_parts(run: &BenchResult, case: &CaseResult, target: &CaseTarget, parts: &[RoundPart<'_>]) -> Option<Self> {
        let (facts, disk, chunk_bytes) = (&run.targets[target.target], &run.environment.disk, target.chunk_bytes);
        if parts.is_empty() {
            return None;
        }
        // The limit was measured with writes of one size: a target with other chunks has none to be compared with.
        let baseline = case
            .baseline
            .as_ref()
            .filter(|baseline| baseline.write_bytes == chunk_bytes.next_multiple_of(u64::from(BLOCK_BYTES)));
        let ratios = baseline.and_then(|baseline| TargetRatios::of(facts, disk, case.logs, baseline, parts));
        let parts: Vec<_> = parts.iter().map(|(_, part)| *part).collect();
        let rounds = RoundFigures::of(&parts);
        Some(Self {
            from_due: Latencies::merged(parts.iter().map(|part| &part.from_due)).summary(),
            from_service: Latencies::merged(parts.iter().map(|part| &part.from_service)).summary(),
            rounds,
            ratios,
            failed: parts.iter().map(|part| part.failed).sum(),
        })
    }
}

impl RoundFigures {
    /// # Panics
    /// Without any round.
    #[must_use]
    pub fn of(parts: &[&PartResult]) -> Self {
        let spread = |figure: &dyn Fn(&PartResult) -> f64| Spread::of(parts.iter().map(|part| figure(part)).collect());
        let due = |quantile: f64| spread(&|part| quantile_us(&part.from_due, quantile));
        let service = |quantile: f64| spread(&|part| quantile_us(&part.from_service, quantile));
        let cpu: Option<Vec<f64>> = parts.iter().map(|part| cpu_seconds_per_gib(part)).collect();
        Self {
            count: parts.len(),
            p50_us: due(0.5),
            p99_us: due(0.99),
            p999_us: due(0.999),
            service_p50_us: service(0.5),
            service_p99_us: service(0.99),
            bytes_per_second: spread(&PartResult::bytes_per_second),
            operations_per_second: spread(&PartResult::operations_per_second),
            cpu_seconds_per_gib: cpu.map(Spread::of),
            cpu: CpuPerOperation::of(parts),
        }
    }
}

fn quantile_us(samples: &Samples, quantile: f64) -> f64 {
    samples.latencies().quantile_us(quantile)
}

/// Processor seconds for each GiB of payload that a part moved.
fn cpu_seconds_per_gib(part: &PartResult) -> Option<f64> {
    let cpu = part.cpu.as_ref().filter(|_| part.bytes > 0)?;
    Some(cpu.all_us()? / 1e6 / (part.bytes as f64 / GIB))
}

/// Processor microseconds of an operation that ended well: of the client and all nodes.
fn cpu_us_per_operation(part: &PartResult) -> Option<f64> {
    Some(part.cpu.as_ref()?.all_us()? / (part.operations > 0).then_some(part.operations as f64)?)
}
