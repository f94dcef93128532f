//! Latencies of one kind of operation, and the one way they are summed up: every sample goes into one histogram;
//! percentiles are never averaged.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// Longest latency told apart from longer ones, in nanoseconds: ten minutes.
const LATENCY_NS_MAX: u64 = 600 * 1_000_000_000;

/// A histogram of latencies, 1 ns to ten minutes, three significant digits.
#[derive(Clone, Debug)]
pub struct Latencies {
    histogram: Histogram<u64>,
}

impl Latencies {
    /// No sample yet.
    ///
    /// # Panics
    /// Never: the bounds are constants that the histogram accepts.
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("constant histogram bounds are valid");
        Self { histogram }
    }

    /// Adds one sample. One beyond the bounds is counted at the bound.
    pub fn record(&mut self, latency: Duration) {
        self.record_many(latency, 1);
    }

    /// Adds `count` samples of one latency.
    pub fn record_many(&mut self, latency: Duration, count: u64) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record_n(nanoseconds.max(1), count);
    }

    /// Every latency that has samples, rising, in nanoseconds, and how many it has.
    pub fn recorded(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
    }

    /// Forgets every sample.
    pub fn clear(&mut self) {
        self.histogram.reset();
    }

    /// All of it, for what walks along the percentiles.
    pub(crate) const fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// Adds every sample of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("both histograms have the same bounds");
    }

    /// How many samples there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The latency that `quantile` (0 to 1) of the samples do not exceed, in microseconds; 0 without samples.
    #[must_use]
    pub fn quantile_us(&self, quantile: f64) -> f64 {
        if self.histogram.is_empty() { 0.0 } else { self.histogram.value_at_quantile(quantile) as f64 / 1000.0 }
    }

    /// The figures that a report prints.
    #[must_use]
    pub fn summary(&self) -> LatencySummary {
        let us = |ns: u64| ns as f64 / 1000.0;
        LatencySummary {
            count: self.count(),
            min_us: if self.histogram.is_empty() { 0.0 } else { us(self.histogram.min()) },
            p50_us: self.quantile_us(0.50),
            p90_us: self.quantile_us(0.90),
            p99_us: self.quantile_us(0.99),
            p999_us: self.quantile_us(0.999),
            max_us: us(self.histogram.max()),
        }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

/// The figures of [`Latencies`], in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencySummary {
    /// Samples.
    pub count: u64,
    /// The shortest.
    pub min_us: f64,
    /// Median.
    pub p50_us: f64,
    /// 90 % do not exceed it.
    pub p90_us: f64,
    /// 99 % do not exceed it.
    pub p99_us: f64,
    /// 99.9 % do not exceed it.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_come_from_the_samples() {
        let mut latencies = Latencies::new();
        for us in 1..=1000 {
            latencies.record(Duration::from_micros(us));
        }
        let summary = latencies.summary();
        assert_eq!(summary.count, 1000);
        for (got, wanted) in [(summary.p50_us, 500.0), (summary.p99_us, 990.0), (summary.max_us, 1000.0)] {
            assert!((got - wanted).abs() <= wanted * 0.002, "got {got}, wanted {wanted}");
        }
    }

    /// Percentiles of merged histograms are those of all samples, not an average of percentiles.
    #[test]
    fn merging_keeps_every_sample() {
        let (mut fast, mut slow) = (Latencies::new(), Latencies::new());
        (0..99).for_each(|_| fast.record(Duration::from_micros(10)));
        slow.record(Duration::from_millis(10));
        fast.merge(&slow);
        let summary = fast.summary();
        assert_eq!(summary.count, 100);
        assert!(summary.p50_us < 11.0, "{summary:?}");
        assert!(summary.max_us > 9_900.0, "{summary:?}");
    }

    #[test]
    fn no_samples_and_endless_samples_are_not_panics() {
        assert_eq!(Latencies::new().summary().count, 0);
        let mut latencies = Latencies::new();
        latencies.record(Duration::MAX);
        assert_eq!(latencies.count(), 1);
    }
}
