//! What a run of `quarry bench` leaves behind: the shape of `result.json`.
//!
//! Everything a report prints is computed from this and from nothing else, so a report can be made again, and two results
//! can be compared, without the machine that measured. Latencies are whole histograms, never percentiles: percentiles of
//! several rounds come from the merged samples.
//!
//! `README.md` beside this file describes every field; a test holds the two together.

mod case;
#[cfg(test)]
pub(crate) mod example;
mod file;
mod histogram;
mod part;
mod stages;
mod target;
mod verdict;

pub use case::{Baseline, CaseLoad, CaseResult, CaseTarget, LadderResult, LadderStep, PhaseFigure, PhaseResult};
pub use file::{RESULT_BYTES_MAX, ResultFileError, write_in_one_step};
pub use histogram::Samples;
pub use part::{CpuTime, PartResult, SeriesPoint};
pub use stages::{ReplicaStage, Stage, Stages};
pub use target::{TargetFacts, TargetKind};
pub use verdict::Verdict;

use crate::environment::Environment;
use serde::{Deserialize, Serialize};

/// The only value of [`BenchResult::schema`] that this version reads and writes. A change that an older reader would
/// misunderstand gets another.
pub const SCHEMA: &str = "quarry-bench-result/2";

/// One run: all of its cases, on all of its targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchResult {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The suite's name.
    pub name: String,
    /// When it began, in seconds since 1970 (UTC).
    pub begun_unix_seconds: u64,
    /// How long all of it took.
    pub seconds: f64,
    /// The whole command line, without credentials.
    pub command: Vec<String>,
    /// The suite as it was run, in TOML, with every default filled in.
    pub suite: String,
    /// The machine, the file system and the build.
    pub environment: Environment,
    /// What was measured, side by side.
    pub targets: Vec<TargetFacts>,
    /// What was done to each of them.
    pub cases: Vec<CaseResult>,
}
