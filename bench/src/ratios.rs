//! Ratios of quorum appends to what the device and the network make possible, round by round.

use crate::measured::MeasuredSummary;
use crate::result::CpuTime;
use serde::{Deserialize, Serialize};

/// What one round measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Round {
    /// (a) The raw device.
    pub device: MeasuredSummary,
    /// (b) The loopback round trip.
    pub loopback: MeasuredSummary,
    /// (c) Quorum appends.
    pub append: MeasuredSummary,
    /// (d) The bare pipe, if it was asked for and can write chunks of this size.
    pub pipe: Option<MeasuredSummary>,
    /// Processor time of the appends: this process and, if they were started by it, all nodes.
    pub append_cpu: Option<CpuPerGib>,
    /// Processor time of the bare pipe, likewise.
    pub pipe_cpu: Option<CpuPerGib>,
}

/// Processor time for each GiB of payload, in seconds: user and system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct CpuPerGib {
    /// Of the process that sends.
    pub sender: f64,
    /// Of all processes that store, together; absent if they are not this run's own, or one of them ended meanwhile.
    pub receivers: Option<f64>,
}

impl CpuPerGib {
    /// Of what so many payload bytes took.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "whoever measured it is done with it")]
    pub fn of(time: CpuTime, bytes: u64) -> Self {
        let gib = bytes as f64 / f64::from(1 << 30);
        let receivers = time.nodes_us.filter(|nodes| !nodes.is_empty());
        let receivers = receivers.map(|nodes| nodes.iter().sum::<f64>() / 1e6 / gib);
        Self { sender: time.client_us / 1e6 / gib, receivers }
    }

    /// Of both sides, if both are known.
    #[must_use]
    pub fn both(&self) -> Option<f64> {
        Some(self.sender + self.receivers?)
    }
}

/// A figure of every round: the median, and how far the rounds lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The middle one; between the two middle ones for an even number of rounds.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of the figures of every round.
    ///
    /// # Panics
    /// Without any figure.
    #[must_use]
    pub fn of(mut figures: Vec<f64>) -> Self {
        assert!(!figures.is_empty(), "a median needs at least one round");
        figures.sort_by(f64::total_cmp);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Self { median: f64::midpoint(low, high), min: figures[0], max: figures[figures.len() - 1] }
    }
}

/// The medians of the rounds' ratios.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratios {
    /// `append p50 / (device p50 + loopback p50)`.
    pub p50: f64,
    /// `append p99 / (device p99 + loopback p99)`.
    pub p99: f64,
    /// `replicas x append payload bandwidth / device bandwidth`.
    pub bandwidth: f64,
    /// `append payload bandwidth / bare pipe payload bandwidth`, where that was measured.
    pub pipe_bandwidth: Option<f64>,
    /// `processor time per GiB of appends / of the bare pipe`, where both were measured.
    pub pipe_cpu: Option<f64>,
    /// How far the rounds lie apart.
    pub spread: RatioSpreads,
}

/// How far the rounds of each ratio lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatioSpreads {
    /// Of [`Ratios::p50`].
    pub p50: Spread,
    /// Of [`Ratios::p99`].
    pub p99: Spread,
    /// Of [`Ratios::bandwidth`].
    pub bandwidth: Spread,
    /// Of [`Ratios::pipe_bandwidth`].
    pub pipe_bandwidth: Option<Spread>,
    /// Of [`Ratios::pipe_cpu`].
    pub pipe_cpu: Option<Spread>,
}

impl Ratios {
    /// Of `rounds`, in which each chunk went to `replicas` replicas on this one device.
    ///
    /// # Panics
    /// Without any round.
    #[must_use]
    pub fn of(rounds: &[Round], replicas: usize) -> Self {
        let latency = |quantile: fn(&MeasuredSummary) -> f64| {
            let ratio = |round: &Round| quantile(&round.append) / (quantile(&round.device) + quantile(&round.loopback));
            Spread::of(rounds.iter().map(ratio).collect())
        };
        let p50 = latency(|part| part.latency.p50_us);
        let p99 = latency(|part| part.latency.p99_us);
        let bandwidth = |round: &Round| replicas as f64 * round.append.mib_per_second / round.device.mib_per_second;
        let bandwidth = Spread::of(rounds.iter().map(bandwidth).collect());
        let of_pipe = |ratio: fn(&Round) -> Option<f64>| {
            let ratios: Option<Vec<_>> = rounds.iter().map(ratio).collect();
            ratios.map(Spread::of)
        };
        let pipe_bandwidth = of_pipe(|round| Some(round.append.mib_per_second / round.pipe?.mib_per_second));
        let pipe_cpu = of_pipe(|round| {
            let (append, pipe) = (round.append_cpu?, round.pipe_cpu?);
            // Nodes that somebody else started are not counted, so there is nothing to compare.
            Some(append.both()? / pipe.both()?)
        });
        let spread = RatioSpreads { p50, p99, bandwidth, pipe_bandwidth, pipe_cpu };
        Self {
            p50: p50.median,
            p99: p99.median,
            bandwidth: bandwidth.median,
            pipe_bandwidth: pipe_bandwidth.map(|spread| spread.median),
            pipe_cpu: pipe_cpu.map(|spread| spread.median),
            spread,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latencies::LatencySummary;

    fn part(p50_us: f64, p99_us: f64, mib_per_second: f64) -> MeasuredSummary {
        let latency = LatencySummary { count: 1, min_us: 0.0, p50_us, p90_us: 0.0, p99_us, p999_us: 0.0, max_us: 0.0 };
        MeasuredSummary { latency, bytes: 0, seconds: 1.0, mib_per_second }
    }

    fn close(got: f64, wanted: f64) -> bool {
        (got - wanted).abs() < 1e-9
    }

    #[test]
    fn ratios_follow_their_definitions() {
        let round = Round {
            device: part(200.0, 500.0, 900.0),
            loopback: part(50.0, 100.0, 1.0),
            append: part(500.0, 900.0, 150.0),
            pipe: Some(part(1.0, 1.0, 200.0)),
            append_cpu: Some(CpuPerGib { sender: 1.0, receivers: Some(3.5) }),
            pipe_cpu: Some(CpuPerGib { sender: 0.5, receivers: Some(2.5) }),
        };
        let ratios = Ratios::of(std::slice::from_ref(&round), 3);
        assert!(close(ratios.p50, 2.0) && close(ratios.p99, 1.5) && close(ratios.bandwidth, 0.5), "{ratios:?}");
        assert!(ratios.pipe_bandwidth.is_some_and(|ratio| close(ratio, 0.75)), "{ratios:?}");
        assert!(ratios.pipe_cpu.is_some_and(|ratio| close(ratio, 1.5)), "{ratios:?}");
        let elsewhere = Round { append_cpu: Some(CpuPerGib { sender: 1.0, receivers: None }), pipe: None, ..round };
        let ratios = Ratios::of(&[elsewhere], 3);
        assert!(ratios.pipe_cpu.is_none() && ratios.pipe_bandwidth.is_none(), "{ratios:?}");
    }

    /// A ratio is the median of the rounds' ratios, not the ratio of medians, nor a mean.
    #[test]
    fn the_median_of_the_rounds_counts() {
        let round = |device, append| Round {
            device: part(device, device, 1.0),
            loopback: part(0.0, 0.0, 1.0),
            append: part(append, append, 1.0),
            pipe: None,
            append_cpu: None,
            pipe_cpu: None,
        };
        let ratios = Ratios::of(&[round(1.0, 9.0), round(10.0, 20.0), round(2.0, 2.0)], 3);
        assert!(close(ratios.p50, 2.0), "{ratios:?}");
        assert!(close(ratios.spread.p50.min, 1.0) && close(ratios.spread.p50.max, 9.0), "{ratios:?}");
    }

    #[test]
    fn an_even_number_of_rounds_has_its_median_in_between() {
        assert_eq!(Spread::of(vec![4.0, 1.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
    }
}
