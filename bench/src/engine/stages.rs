//! Where the time of appends went, from their receipts.

use crate::latencies::Latencies;
use crate::result::{ReplicaStage, Samples, Stage, Stages};
use quarry_client::AppendTimes;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Most appends that are kept whole, for the shares of middling and slow ones. Beyond it every second one is dropped, and from
/// then on only every second one is taken.
const KEPT_MAX: usize = 1 << 16;
/// Between which quantiles an append is a middling one.
const MIDDLING: [f64; 2] = [0.4, 0.6];
/// From which quantile on it is one of the slowest hundredth.
const SLOWEST: f64 = 0.99;
const STAGES: usize = 7;

/// Those of several logs.
pub(super) type SharedNotes = Rc<RefCell<StageNotes>>;

/// The stages of many appends.
#[derive(Debug)]
pub(super) struct StageNotes {
    names: [&'static str; STAGES],
    stages: [Latencies; STAGES],
    replicas: Vec<(String, Latencies, u64)>,
    kept: Vec<[Duration; STAGES]>,
    noted: u64,
    every: u64,
}

impl StageNotes {
    pub(super) fn new() -> Self {
        let names = AppendTimes::default().stages().map(|(name, _)| name);
        let stages = std::array::from_fn(|_| Latencies::new());
        Self { names, stages, replicas: Vec::new(), kept: Vec::new(), noted: 0, every: 1 }
    }

    /// Notes one append.
    pub(super) fn note(&mut self, times: &AppendTimes) {
        let took = times.stages().map(|(_, took)| took);
        for (stage, took) in self.stages.iter_mut().zip(took) {
            stage.record(took);
        }
        for replica in &times.replicas {
            let Some(answered) = replica.answered else { continue };
            let index = self.replicas.iter().position(|(zone, ..)| *zone == replica.zone).unwrap_or_else(|| {
                self.replicas.push((replica.zone.clone(), Latencies::new(), 0));
                self.replicas.len() - 1
            });
            let (_, latencies, decided) = &mut self.replicas[index];
            latencies.record(answered);
            *decided += u64::from(replica.decided);
        }
        if self.noted.is_multiple_of(self.every) {
            self.kept.push(took);
        }
        self.noted += 1;
        if self.kept.len() == KEPT_MAX {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.every *= 2;
        }
    }

    /// What was noted; none if no receipt said anything.
    pub(super) fn finish(mut self) -> Option<Stages> {
        if self.kept.is_empty() {
            return None;
        }
        self.kept.sort_by_key(|took| took.iter().sum::<Duration>());
        let at = |quantile: f64| quantile * self.kept.len() as f64;
        let between = |low: f64, high: f64| {
            let inside =
                self.kept.iter().enumerate().filter(|(index, _)| (low..high.max(low + 1.0)).contains(&(*index as f64)));
            shares(inside.map(|(_, took)| took))
        };
        let middling = between(at(MIDDLING[0]).floor(), at(MIDDLING[1]));
        let slowest = between(at(SLOWEST).floor(), at(1.0));
        self.replicas.sort_by(|one, other| one.0.cmp(&other.0));
        let stages = (0..STAGES).map(|stage| Stage {
            name: self.names[stage].to_owned(),
            samples: Samples::from(&self.stages[stage]),
            share_of_p50: middling[stage],
            share_of_p99: slowest[stage],
        });
        let replicas = self.replicas.iter().map(|(zone, latencies, decided)| ReplicaStage {
            zone: zone.clone(),
            samples: Samples::from(latencies),
            decided: *decided,
        });
        Some(Stages { stages: stages.collect(), replicas: replicas.collect(), without: Vec::new() })
    }
}

/// The mean share of each stage.
fn shares<'a>(appends: impl Iterator<Item = &'a [Duration; STAGES]>) -> [f64; STAGES] {
    let (mut sums, mut count) = ([0.0; STAGES], 0.0);
    for took in appends {
        let total = took.iter().sum::<Duration>().as_secs_f64();
        if total > 0.0 {
            count += 1.0;
            sums.iter_mut().zip(took).for_each(|(sum, took)| *sum += took.as_secs_f64() / total);
        }
    }
    if count > 0.0 { sums.map(|sum| sum / count) } else { sums }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_client::ReplicaTimes;

    fn times(device_us: u64, network_us: u64) -> AppendTimes {
        let us = Duration::from_micros;
        let replica = |zone: &str, decided| ReplicaTimes {
            zone: zone.to_owned(),
            answered: Some(us(device_us + network_us)),
            node: None,
            decided,
        };
        let replicas = vec![replica("b", true), replica("a", false)];
        AppendTimes { device: us(device_us), network: us(network_us), replicas, ..AppendTimes::default() }
    }

    fn of(stages: &Stages, name: &str) -> Stage {
        stages.stages.iter().find(|stage| stage.name == name).expect(name).clone()
    }

    /// What makes the slowest slow is not what the middling ones spend their time with.
    #[test]
    fn shares_of_middling_and_of_slow_appends_are_told_apart() {
        let mut notes = StageNotes::new();
        (0..990).for_each(|_| notes.note(&times(30, 70)));
        (0..10).for_each(|_| notes.note(&times(900, 100)));
        let stages = notes.finish().expect("was noted");
        let (device, network) = (of(&stages, "device"), of(&stages, "network"));
        assert!((device.share_of_p50 - 0.3).abs() < 1e-9 && (network.share_of_p50 - 0.7).abs() < 1e-9, "{device:?}");
        assert!((device.share_of_p99 - 0.9).abs() < 1e-9 && (network.share_of_p99 - 0.1).abs() < 1e-9, "{device:?}");
        assert_eq!(device.samples.latencies().count(), 1000);
        let replicas: Vec<_> = stages.replicas.iter().map(|replica| (replica.zone.as_str(), replica.decided)).collect();
        assert_eq!(replicas, [("a", 0), ("b", 1000)]);
    }

    #[test]
    fn no_more_than_the_bound_is_kept_whole_and_every_append_counts_once() {
        let mut notes = StageNotes::new();
        assert!(StageNotes::new().finish().is_none());
        let many = 3 * KEPT_MAX as u64;
        (0..many).for_each(|number| notes.note(&times(number % 7, 10)));
        assert!(notes.kept.len() < KEPT_MAX && notes.kept.len() >= KEPT_MAX / 4, "{}", notes.kept.len());
        let stages = notes.finish().expect("was noted");
        assert_eq!(of(&stages, "device").samples.latencies().count(), many);
    }
}
