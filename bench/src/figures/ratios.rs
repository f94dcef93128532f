//! A target beside what the device and the loopback make possible, round by round.

use super::{RoundPart, cpu_seconds_per_gib, quantile_us};
use crate::environment::DiskFacts;
use crate::ratios::Spread;
use crate::result::{Baseline, PartResult, TargetFacts, TargetKind};
use serde::Serialize;

/// Whether a ratio is to the device that a target writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioDevice {
    /// It is.
    Same,
    /// It writes to another disk of this machine: the ratio compares two disks.
    Other,
    /// It writes to no disk that is known here: elsewhere, or memory.
    NoneHere,
}

impl RatioDevice {
    fn of(facts: &TargetFacts, disk: &DiskFacts) -> Self {
        if facts.disks.is_empty() {
            return Self::NoneHere;
        }
        if facts.disks.iter().all(|own| own.is_same_disk(disk)) { Self::Same } else { Self::Other }
    }
}

/// Ratios of each round, and how far the rounds lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TargetRatios {
    /// Whether the device of the baseline is where the target writes.
    pub device: RatioDevice,
    /// `p50 / (device p50 + loopback p50)`.
    pub p50: Spread,
    /// `p99 / (device p99 + loopback p99)`.
    pub p99: Spread,
    /// `replicas x payload bandwidth / device bandwidth`: only where all replicas write to that device.
    pub bandwidth: Option<Spread>,
    /// `chunks a second of a node / writes a second of the device`: only where nodes on that device are written by one log, so that
    /// each of those that hold it stores every chunk. Above 1 where a node makes one write of several chunks.
    pub chunks_per_node: Option<Spread>,
    /// Payload bandwidth beside the bare pipe's, where one was measured.
    pub pipe_bandwidth: Option<Spread>,
    /// Processor time for each GiB beside the bare pipe's, where both can be told.
    pub pipe_cpu: Option<Spread>,
}

impl TargetRatios {
    /// Of `parts` beside what the baseline measured in the same rounds; `None` if one of them has nothing beside it.
    #[must_use]
    pub fn of(
        facts: &TargetFacts,
        disk: &DiskFacts,
        logs: usize,
        baseline: &Baseline,
        parts: &[RoundPart<'_>],
    ) -> Option<Self> {
        let latency = |quantile: f64| {
            let limit = |round: usize| {
                let [device, loopback] = [baseline.device.get(round)?, baseline.loopback.get(round)?];
                Some(quantile_us(&device.from_due, quantile) + quantile_us(&loopback.from_due, quantile))
            };
            let ratios = parts.iter().map(|(round, part)| ratio(quantile_us(&part.from_due, quantile), limit(*round)?));
            spread(ratios)
        };
        let over = |limit: &[PartResult], factor: f64, figure: fn(&PartResult) -> Option<f64>| {
            spread(parts.iter().map(|(round, part)| ratio(factor * figure(part)?, figure(limit.get(*round)?)?)))
        };
        // What appends nothing, such as a restart, has no bandwidth.
        let bandwidth = |part: &PartResult| (part.bytes > 0).then(|| part.bytes_per_second());
        let per_second = |part: &PartResult| (part.bytes > 0).then(|| part.operations_per_second());
        let on_device = facts.on_this_machine && matches!(facts.kind, TargetKind::Nodes | TargetKind::Directories);
        Some(Self {
            device: RatioDevice::of(facts, disk),
            p50: latency(0.5)?,
            p99: latency(0.99)?,
            bandwidth: on_device.then(|| over(&baseline.device, facts.replicas as f64, bandwidth)).flatten(),
            chunks_per_node: (on_device && facts.kind == TargetKind::Nodes && logs == 1)
                .then(|| over(&baseline.device, 1.0, per_second))
                .flatten(),
            pipe_bandwidth: on_device.then(|| over(&baseline.pipe, 1.0, bandwidth)).flatten(),
            pipe_cpu: on_device.then(|| over(&baseline.pipe, 1.0, cpu_seconds_per_gib)).flatten(),
        })
    }
}

fn ratio(ours: f64, limit: f64) -> Option<f64> {
    (limit > 0.0).then(|| ours / limit)
}

/// Of all rounds or of none: a spread over the rounds that happen to have a figure would say less than it seems to.
fn spread(ratios: impl Iterator<Item = Option<f64>>) -> Option<Spread> {
    let ratios: Vec<f64> = ratios.collect::<Option<_>>()?;
    (!ratios.is_empty()).then(|| Spread::of(ratios))
}
