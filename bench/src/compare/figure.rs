//! The figures of one run that are compared.

use super::difference::Measured;
use crate::figures::{StagesCost, TargetFigures, measured_parts};
use crate::ratios::Spread;
use crate::result::{CaseTarget, PhaseFigure};

/// Which direction is better.
#[derive(Clone, Copy)]
pub(super) enum Better {
    Lower,
    Higher,
    Neither,
}

/// One figure of one run, over its rounds.
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) better: Better,
    pub(super) spread: Spread,
    /// What stands for the run among several.
    pub(super) of_run: f64,
    pub(super) rounds: usize,
    /// Whether it depends on the rate of a ladder's step: latencies of different rates are no difference.
    pub(super) at_rate: bool,
}

impl Figure {
    fn new(name: &str, unit: &str, better: Better, spread: Spread, rounds: usize) -> Self {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Self { name, unit, better, spread, of_run: spread.median, rounds, at_rate: false }
    }

    fn at_rate(self) -> Self {
        Self { at_rate: true, ..self }
    }

    /// Whether the other one is the same figure of another run.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.unit == other.unit
    }
}

/// All of them.
pub(super) fn figures((run, case, target): &Measured<'_>) -> Vec<Figure> {
    let mut all = Vec::new();
    if let Some(figures) = TargetFigures::of(run, case, target) {
        let rounds = figures.rounds.count;
        let of_rate = |(name, unit, better, spread): Named| Figure::new(name, unit, better, spread, rounds).at_rate();
        all.extend(of_rounds(&figures).into_iter().chain(of_ratios(&figures)).map(of_rate));
        all.push(failed(target).at_rate());
    }
    if let Some(cost) = StagesCost::of(target) {
        let ratio = |name, better, spread| Figure::new(name, "ratio", better, spread, target.rounds.len());
        all.push(ratio("p50 with attribution over without", Better::Lower, cost.p50));
        all.push(ratio("bandwidth with attribution over without", Better::Higher, cost.bandwidth));
    }
    for figure in target.phase.iter().flat_map(|phase| &phase.figures) {
        all.push(Figure::new(&figure.name, &figure.unit, better_of(figure), figure.spread, figure.rounds.len()));
    }
    if let Some(rate) = target.ladder.as_ref().and_then(|ladder| ladder.highest_per_second) {
        let spread = Spread { median: rate, min: rate, max: rate };
        all.push(Figure::new("highest rate that held", "1/s", Better::Higher, spread, 1));
    }
    all
}

/// Operations that failed. What stands for a run is their mean: a median would not know of one bad round.
fn failed(target: &CaseTarget) -> Figure {
    let failed: Vec<_> = measured_parts(target).iter().map(|(_, part)| part.failed as f64).collect();
    let (count, sum) = (failed.len(), failed.iter().sum::<f64>());
    let figure = Figure::new("failed", "operations of a round", Better::Lower, Spread::of(failed), count);
    Figure { of_run: sum / count as f64, ..figure }
}

/// Name, unit, direction and value of a figure.
type Named = (&'static str, &'static str, Better, Spread);

fn of_rounds(figures: &TargetFigures) -> Vec<Named> {
    let rounds = &figures.rounds;
    let us = |name, spread| (name, "us", Better::Lower, spread);
    let payload = scaled(rounds.bytes_per_second, 1.0 / f64::from(1 << 20));
    let mut named = vec![
        us("p50 from due", rounds.p50_us),
        us("p99 from due", rounds.p99_us),
        us("p99.9 from due", rounds.p999_us),
        us("p50 from service", rounds.service_p50_us),
        us("p99 from service", rounds.service_p99_us),
        ("payload", "MiB/s", Better::Higher, payload),
    ];
    named.extend(rounds.cpu_seconds_per_gib.map(|spread| ("processor time", "s/GiB", Better::Lower, spread)));
    named
}

fn of_ratios(figures: &TargetFigures) -> Vec<Named> {
    let Some(ratios) = &figures.ratios else { return Vec::new() };
    let all = [
        ("ratio of p50", Better::Lower, Some(ratios.p50)),
        ("ratio of p99", Better::Lower, Some(ratios.p99)),
        ("ratio of bandwidth", Better::Higher, ratios.bandwidth),
        ("chunks of a node to writes of the device", Better::Higher, ratios.chunks_per_node),
        ("bandwidth beside a bare pipe", Better::Higher, ratios.pipe_bandwidth),
        ("processor time beside a bare pipe", Better::Lower, ratios.pipe_cpu),
    ];
    all.into_iter().filter_map(|(name, better, spread)| Some((name, "ratio", better, spread?))).collect()
}

fn better_of(figure: &PhaseFigure) -> Better {
    match figure.unit.as_str() {
        "us" => Better::Lower,
        "MiB/s" => Better::Higher,
        _ => Better::Neither,
    }
}

fn scaled(spread: Spread, factor: f64) -> Spread {
    Spread { median: spread.median * factor, min: spread.min * factor, max: spread.max * factor }
}
