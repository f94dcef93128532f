//! Latencies as they stand in a file.

use crate::latencies::Latencies;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A histogram: `[nanoseconds, count]` for every value that was counted, values rising. Values keep three significant digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Samples(pub Vec<(u64, u64)>);

impl Samples {
    /// As a histogram that merges and tells percentiles.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        let mut latencies = Latencies::new();
        for (nanoseconds, count) in &self.0 {
            latencies.record_many(Duration::from_nanos(*nanoseconds), *count);
        }
        latencies
    }
}

impl From<&Latencies> for Samples {
    fn from(latencies: &Latencies) -> Self {
        Self(latencies.recorded().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_comes_back_from_a_file_as_it_was() {
        let mut latencies = Latencies::new();
        for us in [1, 7, 7, 350, 99_000, 600_000_000] {
            latencies.record(Duration::from_micros(us));
        }
        let json = serde_json::to_string(&Samples::from(&latencies)).unwrap();
        let back: Samples = serde_json::from_str(&json).unwrap();
        assert_eq!(back.latencies().summary(), latencies.summary(), "{json}");
        assert_eq!(back, Samples::from(&back.latencies()), "nothing moves when it is written again");
    }
}
