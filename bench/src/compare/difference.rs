//! One figure of two runs.

use super::figure::{Better, Figure, figures};
use crate::ratios::Spread;
use crate::result::{BenchResult, CaseResult, CaseTarget};
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
    /// On the first side; absent if no run of it has the figure.
    pub a: Option<Spread>,
    /// On the second side.
    pub b: Option<Spread>,
    /// How many runs of each side have it.
    pub runs: [usize; 2],
    /// What that means.
    pub change: Change,
}

/// How a figure changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The second median over the first, less one; absent where the first is 0 or one of them is not there.
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
    /// A run does not have it, such as the highest rate that held where none did.
    NotInAll,
}

impl Finding {
    /// Whether there was enough to tell.
    #[must_use]
    pub const fn is_judged(self) -> bool {
        !matches!(self, Self::SpreadUnknown | Self::NotInAll)
    }
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

/// Every figure that a run has, in the order of the first that has it; and whether some were left out because they are of different
/// rates.
pub(super) fn of(a: &[Measured<'_>], b: &[Measured<'_>], basis: Basis) -> (Vec<Difference>, bool) {
    let [of_a, of_b] = [a, b].map(|runs| runs.iter().map(figures).collect::<Vec<_>>());
    let mut rates =
        a.iter().chain(b).map(|(_, _, target)| target.ladder.as_ref().map(|ladder| ladder.highest_per_second));
    let first = rates.next();
    let same_rate = rates.all(|rate| Some(rate) == first);
    let mut wanted: Vec<&Figure> = Vec::new();
    for figure in of_a.iter().chain(&of_b).flatten() {
        if (same_rate || !figure.at_rate) && !wanted.iter().any(|known| known.is_same(figure)) {
            wanted.push(figure);
        }
    }
    let (run, case, target) = a[0];
    let facts = &run.targets[target.target];
    let difference = |figure: &Figure| {
        let [left, right] = [Side::of(&of_a, figure, basis), Side::of(&of_b, figure, basis)];
        let change = match (left.spread, right.spread) {
            (Some(a), Some(b)) if left.runs == of_a.len() && right.runs == of_b.len() => {
                Change::of(a, b, left.values.min(right.values), figure.better)
            }
            _ => Change { relative: None, finding: Finding::NotInAll },
        };
        Difference {
            case: case.name.clone(),
            target: facts.label(),
            chunk_bytes: target.chunk_bytes,
            figure: figure.name.clone(),
            unit: figure.unit.clone(),
            a: left.spread,
            b: right.spread,
            runs: [left.runs, right.runs],
            change,
        }
    };
    (wanted.into_iter().map(difference).collect(), !same_rate)
}

/// A figure on one side.
struct Side {
    /// Over the rounds of the only run, or over all runs that have it: one value of each.
    spread: Option<Spread>,
    /// Of how many values that is.
    values: usize,
    /// How many runs have it.
    runs: usize,
}

impl Side {
    fn of(runs: &[Vec<Figure>], wanted: &Figure, basis: Basis) -> Self {
        let of_run = |run: &'_ Vec<Figure>| -> Option<usize> { run.iter().position(|figure| figure.is_same(wanted)) };
        let found: Vec<_> = runs.iter().filter_map(|run| Some(&run[of_run(run)?])).collect();
        let (spread, values) = match (basis, found.first()) {
            (_, None) => (None, 0),
            (Basis::Rounds, Some(only)) => (Some(only.spread), only.rounds),
            (Basis::Runs, Some(_)) => {
                (Some(Spread::of(found.iter().map(|figure| figure.of_run).collect())), found.len())
            }
        };
        Self { spread, values, runs: found.len() }
    }
}
