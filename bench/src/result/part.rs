//! One part of one round: one kind of operation on one target, for a while.

use super::Samples;
use serde::{Deserialize, Serialize};

/// What one part measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartResult {
    /// From the moment each operation was due to its end. In a closed loop it is due when the one before it ended.
    pub from_due: Samples,
    /// From the moment each operation was handed to the store: waiting for the generator itself does not count, and so
    /// a store that holds the generator up looks better here than it is. To be read beside `from_due` only.
    pub from_service: Samples,
    /// Operations that ended well.
    pub operations: u64,
    /// Operations that failed.
    pub failed: u64,
    /// Payload bytes of those that ended well.
    pub bytes: u64,
    /// From the first operation's begin to the last one's end.
    pub seconds: f64,
    /// How it went over time; empty where nobody asked.
    pub series: Vec<SeriesPoint>,
    /// Processor time it took, where it can be told.
    pub cpu: Option<CpuTime>,
}

/// A slice of time within a part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesPoint {
    /// Where the slice begins, from the begin of the part.
    pub at_seconds: f64,
    /// Operations that ended in it.
    pub operations: u64,
    /// Their latency from when they were due, in microseconds: median.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// The longest.
    pub max_us: f64,
}

/// Processor time, user and system, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuTime {
    /// Of the process that measures: the client and the load generator.
    pub client_us: f64,
    /// Of each node's process that ran, in the order of the nodes; empty for targets without processes here. Absent where it cannot
    /// be told: of nodes that somebody else started, or of which one ended meanwhile.
    pub nodes_us: Option<Vec<f64>>,
}

impl CpuTime {
    /// Of the client and all nodes; `None` if one of them cannot be told.
    #[must_use]
    pub fn all_us(&self) -> Option<f64> {
        Some(self.client_us + self.nodes_us.as_ref()?.iter().sum::<f64>())
    }
}

impl PartResult {
    /// Payload bytes per second; 0 if nothing was measured.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.bytes as f64 / self.seconds } else { 0.0 }
    }

    /// Operations per second; 0 if nothing was measured.
    #[must_use]
    pub fn operations_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.operations as f64 / self.seconds } else { 0.0 }
    }
}
