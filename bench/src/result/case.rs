//! One case of a suite.

use super::{PartResult, Stages, Verdict};
use crate::ratios::Spread;
use serde::{Deserialize, Serialize};

/// One case, on every target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseResult {
    /// Its name; unique in a run.
    pub name: String,
    /// Who decides when an operation begins, and what is wrong meanwhile.
    pub load: CaseLoad,
    /// Logs written at once on each target.
    pub logs: usize,
    /// How long each part begins operations, in seconds.
    pub part_seconds: f64,
    /// The physical limit, measured in the same rounds; absent where a case has none to compare with.
    pub baseline: Option<Baseline>,
    /// One for each target that the case ran on.
    pub targets: Vec<CaseTarget>,
}

/// What a case does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CaseLoad {
    /// A fixed number in flight, for each log.
    Closed {
        /// How many.
        depth: usize,
    },
    /// A fixed rate over all logs together.
    Open {
        /// Operations per second.
        per_second: f64,
    },
    /// Rising rates, for the highest at which p99 from due time stays within a bound.
    Ladder {
        /// The bound, in microseconds.
        p99_us_max: f64,
    },
    /// Something happens while appends go on, or an operation other than append is measured.
    Phase {
        /// Which, such as `takeover`.
        phase: String,
        /// Appends in flight meanwhile (closed loop).
        depth: usize,
    },
}

/// The physical limit, round by round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Bytes of each operation.
    pub write_bytes: u64,
    /// Writes to the raw device in flight: as many as all replicas together would have.
    pub device_in_flight: usize,
    /// The raw device: `O_DIRECT|O_DSYNC` over a pre-written file, by `io_uring`.
    pub device: Vec<PartResult>,
    /// A message of the same size over TCP on 127.0.0.1 and a short answer, one at a time.
    pub loopback: Vec<PartResult>,
    /// Processes that only receive, checksum and write durably; empty where they were not asked for.
    pub pipe: Vec<PartResult>,
}

/// One case on one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseTarget {
    /// Index into [`super::BenchResult::targets`].
    pub target: usize,
    /// Payload of a chunk, in bytes.
    pub chunk_bytes: u64,
    /// Every round that counts. For a ladder: empty.
    pub rounds: Vec<PartResult>,
    /// For a ladder.
    pub ladder: Option<LadderResult>,
    /// For a phase.
    pub phase: Option<PhaseResult>,
    /// Where the time went, where it was asked for.
    pub stages: Option<Stages>,
    /// Whether what was acknowledged is there.
    pub verdict: Verdict,
}

/// A ladder's steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderResult {
    /// Every step, in the order of its rate.
    pub steps: Vec<LadderStep>,
    /// The highest rate at which the bound held and every slower one held it too; absent if none did.
    pub highest_per_second: Option<f64>,
}

/// One rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderStep {
    /// Operations due per second.
    pub per_second: f64,
    /// Which round that was, from 0: the baseline has a part for each.
    pub round: usize,
    /// What was measured.
    pub part: PartResult,
    /// Whether p99 from due time stayed within the bound, and all that was offered was done.
    pub held: bool,
}

/// What a phase found besides latencies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseResult {
    /// Its figures, such as the time to the first append of a new writer.
    pub figures: Vec<PhaseFigure>,
    /// The same appends with nothing wrong, in the same rounds; empty where there is no such thing.
    pub healthy: Vec<PartResult>,
}

/// One figure of a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseFigure {
    /// What it is.
    pub name: String,
    /// Its unit: `us`, `bytes`, `MiB/s`, `chunks` or `ratio`.
    pub unit: String,
    /// Over the rounds.
    pub spread: Spread,
    /// Every round's.
    pub rounds: Vec<f64>,
}
