//! What one part of one round measured.

use crate::latencies::{Latencies, LatencySummary};
use serde::Serialize;
use std::time::Duration;

/// When a part ends: at whichever bound is reached first.
#[derive(Clone, Copy, Debug)]
pub struct Until {
    /// Most operations begun.
    pub operations_max: u64,
    /// No operation begins later than this.
    pub elapsed_max: Duration,
}

impl Until {
    /// A number of operations, however long they take.
    #[must_use]
    pub const fn operations(operations_max: u64) -> Self {
        Self { operations_max, elapsed_max: Duration::MAX }
    }

    /// A span of time, however many operations fit.
    #[must_use]
    pub const fn elapsed(elapsed_max: Duration) -> Self {
        Self { operations_max: u64::MAX, elapsed_max }
    }

    /// Whether operation number `begun` (from 0) may begin after `elapsed`.
    #[must_use]
    pub fn allows(&self, begun: u64, elapsed: Duration) -> bool {
        begun < self.operations_max && elapsed < self.elapsed_max
    }
}

/// Latency of every operation, and how much was moved how fast.
#[derive(Clone, Debug)]
pub struct Measured {
    /// One sample per operation.
    pub latencies: Latencies,
    /// Payload bytes moved.
    pub bytes: u64,
    /// From the first operation's begin to the last one's end.
    pub elapsed: Duration,
}

impl Measured {
    /// Bytes per second; 0 if nothing was measured.
    #[must_use]
    pub fn bytes_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.bytes as f64 / seconds } else { 0.0 }
    }

    /// The figures that a report prints.
    #[must_use]
    pub fn summary(&self) -> MeasuredSummary {
        MeasuredSummary {
            latency: self.latencies.summary(),
            bytes: self.bytes,
            seconds: self.elapsed.as_secs_f64(),
            mib_per_second: self.bytes_per_second() / f64::from(1 << 20),
        }
    }
}

/// The figures of [`Measured`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MeasuredSummary {
    /// Latency of single operations.
    pub latency: LatencySummary,
    /// Payload bytes moved.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// Payload bandwidth, in MiB/s.
    pub mib_per_second: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bound_reached_ends_a_part() {
        let until = Until { operations_max: 2, elapsed_max: Duration::from_secs(1) };
        assert!(until.allows(1, Duration::ZERO));
        assert!(!until.allows(2, Duration::ZERO));
        assert!(!until.allows(0, Duration::from_secs(1)));
        assert!(Until::operations(1).allows(0, Duration::from_secs(1 << 40)));
        assert!(Until::elapsed(Duration::from_secs(1)).allows(1 << 60, Duration::ZERO));
    }

    #[test]
    fn bandwidth_is_bytes_over_time() {
        let measured = Measured { latencies: Latencies::new(), bytes: 3 << 20, elapsed: Duration::from_secs(2) };
        assert!((measured.summary().mib_per_second - 1.5).abs() < 1e-9);
        let nothing = Measured { latencies: Latencies::new(), bytes: 0, elapsed: Duration::ZERO };
        assert!(nothing.bytes_per_second().abs() < 1e-9);
    }
}
