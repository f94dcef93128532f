//! One figure of two runs.

use crate::figures::{StagesCost, TargetFigures};
use crate::ratios::Spread;
use crate::result::{BenchResult, CaseResult, CaseTarget, PhaseFigure};
use serde::Serialize;

/// Fewest values whose least and most say anything about how far they lie apart.
const VALUES_WITH_SPREAD: usize = 3;

/// What the spread of a side is the spread of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Of the rounds of its only run: how far runs lie apart is not known.
    Rounds,
    /// Of the medians of its runs.
    Runs,
}

/// One figure of one case on one target, in both results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The case's name.
    pub case: String,
    /// The target, as reports call it.
    pub target: String,
    /// Payload of its chunks.
    pub chunk_bytes: u64,
    /// What is compared, such as `p99 from due`.
    pub figure: String,
    /// Its unit.
    pub unit: String,
    /// On the first side.
    pub a: Spread,
    /// On the second side.
    pub b: Spread,
    /// What that means.
    pub change: Change,
}

/// How a figure changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The second median over the first, less one; absent where the first is 0.
    pub relative: Option<f64>,
    /// Whether that is more than the values of a side differ among themselves.
    pub finding: Finding,
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The rounds of both overlap: no difference beyond the spread.
    WithinSpread,
    /// Every value of the second is better than every value of the first.
    Better,
    /// Every value of the second is worse than every value of the first.
    Worse,
    /// Every value differs in one direction, and neither is better.
    Differs,
    /// Too few values to tell.
    SpreadUnknown,
}

/// Which direction is better.
#[derive(Clone, Copy)]
enum Better {
    Lower,
    Higher,
    Neither,
}

impl Change {
    fn of(a: Spread, b: Spread, values: usize, better: Better) -> Self {
        let finding = if values < VALUES_WITH_SPREAD {
            Finding::SpreadUnknown
        } else if b.min <= a.max && a.min <= b.max {
            Finding::WithinSpread
        } else {
            match (better, b.min > a.max) {
                (Better::Neither, _) => Finding::Differs,
                (Better::Lower, true) | (Better::Higher, false) => Finding::Worse,
                (Better::Lower, false) | (Better::Higher, true) => Finding::Better,
            }
        };
        Self { relative: (a.median != 0.0).then(|| b.median / a.median - 1.0), finding }
    }
}

/// A case on a target, as one run has it.
pub(super) type Measured<'a> = (&'a BenchResult, &'a CaseResult, &'a CaseTarget);

/// One figure of one run, over its rounds.
struct Figure {
    name: String,
    unit: String,
    better: Better,
    spread: Spread,
    rounds: usize,
    /// Whether it depends on the rate of a ladder's step: latencies of different rates are no difference.
    at_rate: bool,
}

/// Every figure that all runs of both sides have.
pub(super) fn of(a: &[Measured<'_>], b: &[Measured<'_>], basis: Basis) -> Vec<Difference> {
    let [of_a, of_b] = [a, b].map(|runs| runs.iter().map(figures).collect::<Vec<_>>());
    let mut rates =
        a.iter().chain(b).map(|(_, _, target)| target.ladder.as_ref().map(|ladder| ladder.highest_per_second));
    let first = rates.next();
    let same_rate = rates.all(|rate| Some(rate) == first);
    let (run, case, target) = a[0];
    let facts = &run.targets[target.target];
    let difference = |figure: &Figure| {
        let [left, right] = [side(&of_a, figure, basis)?, side(&of_b, figure, basis)?];
        let change = Change::of(left.0, right.0, left.1.min(right.1), figure.better);
        let (name, unit) = (figure.name.clone(), figure.unit.clone());
        let (case, target, chunk_bytes) = (case.name.clone(), facts.label(), target.chunk_bytes);
        Some(Difference { case, target, chunk_bytes, figure: name, unit, a: left.0, b: right.0, change })
    };
    of_a[0].iter().filter(|figure| same_rate || !figure.at_rate).filter_map(difference).collect()
}

/// A figure over the rounds of the only run, or over all runs: one value of each, its median. And of how many values that is.
fn side(runs: &[Vec<Figure>], wanted: &Figure, basis: Basis) -> Option<(Spread, usize)> {
    let find = |run: &'_ Vec<Figure>| -> Option<usize> {
        run.iter().position(|figure| figure.name == wanted.name && figure.unit == wanted.unit)
    };
    let found: Vec<_> = runs.iter().map(|run| Some(&run[find(run)?])).collect::<Option<_>>()?;
    Some(match basis {
        Basis::Rounds => (found[0].spread, found[0].rounds),
        Basis::Runs => (Spread::of(found.iter().map(|figure| figure.spread.median).collect()), found.len()),
    })
}

fn figures((run, case, target): &Measured<'_>) -> Vec<Figure> {
    let mut all = Vec::new();
    if let Some(figures) = TargetFigures::of(run, case, target) {
        let rounds = figures.rounds.count;
        let of_rate = |(name, unit, better, spread): Named| Figure {
            name: name.to_owned(),
            unit: unit.to_owned(),
            better,
            spread,
            rounds,
            at_rate: true,
        };
        all.extend(of_rounds(&figures).into_iter().chain(of_ratios(&figures)).map(of_rate));
    }
    if let Some(cost) = StagesCost::of(target) {
        let rounds = target.rounds.len();
        let ratio = |name: &str, better, spread| Figure {
            name: name.to_owned(),
            unit: "ratio".to_owned(),
            better,
            spread,
            rounds,
            at_rate: false,
        };
        all.push(ratio("p50 with attribution over without", Better::Lower, cost.p50));
        all.push(ratio("bandwidth with attribution over without", Better::Higher, cost.bandwidth));
    }
    let plain = |name: &str, unit: &str, better, spread, rounds| {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Figure { name, unit, better, spread, rounds, at_rate: false }
    };
    for figure in target.phase.iter().flat_map(|phase| &phase.figures) {
        all.push(plain(&figure.name, &figure.unit, better_of(figure), figure.spread, figure.rounds.len()));
    }
    if let Some(rate) = target.ladder.as_ref().and_then(|ladder| ladder.highest_per_second) {
        all.push(plain("highest rate", "1/s", Better::Higher, Spread { median: rate, min: rate, max: rate }, 1));
    }
    all
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
