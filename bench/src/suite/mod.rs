//! What `quarry bench run` is asked to do: a suite of cases on targets, as TOML.
//!
//! ```toml
//! name = "example"
//! rounds = 3
//! part_seconds = 0.5
//!
//! [[target]]
//! name = "nodes"
//! nodes = { count = 3, capacity = "1GiB" }   # or: emulated = "s3express"; or: url = "quarry://..."
//!
//! [[case]]
//! name = "depth 16"
//! load.closed.depth = 16                     # or load.open, load.ladder, load.phase
//! chunks = ["4KiB", "64KiB"]
//! ```
//! A key that is not known is refused: a misspelt one must not be silently without effect.

mod case;
mod check;
mod load;
mod shipped;
mod target;
#[cfg(test)]
mod tests;

pub use case::{CaseSpec, ChunkSize};
pub use check::SuiteError;
pub(crate) use check::{DEVICE_IN_FLIGHT, DEVICE_IN_FLIGHT_BYTES_MAX};
pub use load::{LadderSpec, LoadSpec, PhaseKind, PhaseSpec};
pub use shipped::{SHIPPED, shipped};
pub use target::{EmulatedKind, NodesSpec, TargetSpec};

use serde::{Deserialize, Serialize};

/// A suite, checked: [`Suite::parse`] and [`Suite::checked`] are the ways to get one that an engine takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// What it is called.
    pub name: String,
    /// What emulated latencies and payloads follow from.
    #[serde(default = "one")]
    pub seed: u64,
    /// Rounds that count, unless a case says otherwise; one more before them does not.
    #[serde(default = "rounds")]
    pub rounds: usize,
    /// How long each part of a round begins operations, unless a case says otherwise.
    #[serde(default = "part_seconds")]
    pub part_seconds: f64,
    /// The stores.
    #[serde(rename = "target")]
    pub targets: Vec<TargetSpec>,
    /// What is done to them.
    #[serde(rename = "case")]
    pub cases: Vec<CaseSpec>,
}

impl Suite {
    /// A suite from its TOML, checked, every default filled in.
    pub fn parse(text: &str) -> Result<Self, SuiteError> {
        let suite: Self = toml::from_str(text).map_err(|why| SuiteError::Toml(why.to_string()))?;
        suite.checked()
    }

    /// As TOML, with every default.
    ///
    /// # Panics
    /// Never: a suite has no value that TOML lacks.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a suite can be written as TOML")
    }
}

const fn one() -> u64 {
    1
}

const fn rounds() -> usize {
    7
}

const fn part_seconds() -> f64 {
    1.0
}
