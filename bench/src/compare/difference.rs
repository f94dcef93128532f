//! One figure of two runs.

use crate::figures::TargetFigures;
use crate::ratios::Spread;
use crate::result::{CaseResult, CaseTarget, PhaseFigure, TargetFacts};
use serde::Serialize;

/// Fewest rounds whose least and most say anything about how far runs lie apart.
const ROUNDS_WITH_SPREAD: usize = 3;

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
    /// Over the rounds of the first.
    pub a: Spread,
    /// Over the rounds of the second.
    pub b: Spread,
    /// What that means.
    pub change: Change,
}

/// How a figure changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The second median over the first, less one; absent where the first is 0.
    pub relative: Option<f64>,
    /// Whether that is more than the rounds differ among themselves.
    pub finding: Finding,
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The rounds of both overlap: no difference beyond the spread.
    WithinSpread,
    /// Every round of the second is better than every round of the first.
    Better,
    /// Every round of the second is worse than every round of the first.
    Worse,
    /// Every round differs in one direction, and neither is better.
    Differs,
    /// Too few rounds to tell.
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
    fn of(a: Spread, b: Spread, rounds: usize, better: Better) -> Self {
        let finding = if rounds < ROUNDS_WITH_SPREAD {
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

type Measured<'a> = (&'a TargetFacts, &'a CaseResult, &'a CaseTarget);

/// One figure in both: name, unit, direction, values.
type Pair = (String, String, Better, Spread, Spread);

/// Every figure that both have.
pub(super) fn of(a: Measured<'_>, b: Measured<'_>) -> Vec<Difference> {
    let mut pairs = Vec::new();
    let mut rounds = 0;
    let [rate_a, rate_b] = [a.2, b.2].map(|target| target.ladder.as_ref().and_then(|ladder| ladder.highest_per_second));
    let same_rate = rate_a == rate_b;
    let figures = [a, b].map(|(facts, case, target)| TargetFigures::of(facts, case, target));
    if let [Some(a), Some(b)] = &figures {
        rounds = a.rounds.count.min(b.rounds.count);
        // Two ladders stand at the highest rates that held; the latencies of different rates are no difference.
        if same_rate {
            pairs.extend(of_rounds(a, b));
            pairs.extend(of_ratios(a, b));
        }
    }
    let difference = |pair: Pair, rounds: usize| {
        let (figure, unit, better, left, right) = pair;
        let (case, target) = (a.1.name.clone(), a.0.label());
        let change = Change::of(left, right, rounds, better);
        Difference { case, target, chunk_bytes: a.2.chunk_bytes, figure, unit, a: left, b: right, change }
    };
    let mut differences: Vec<_> = pairs.into_iter().map(|pair| difference(pair, rounds)).collect();
    if let (Some(left), Some(right)) = (&a.2.phase, &b.2.phase) {
        for left in &left.figures {
            let same = right.figures.iter().find(|right| right.name == left.name && right.unit == left.unit);
            differences.extend(same.map(|same| {
                let pair = (left.name.clone(), left.unit.clone(), better_of(left), left.spread, same.spread);
                difference(pair, left.rounds.len().min(same.rounds.len()))
            }));
        }
    }
    if let [Some(left), Some(right)] = [a.2, b.2].map(|target| target.ladder.as_ref()?.highest_per_second) {
        let [left, right] = [left, right].map(|rate| Spread { median: rate, min: rate, max: rate });
        differences.push(difference(("highest rate".to_owned(), "1/s".to_owned(), Better::Higher, left, right), 1));
    }
    differences
}

fn of_rounds(a: &TargetFigures, b: &TargetFigures) -> Vec<Pair> {
    let (a, b) = (&a.rounds, &b.rounds);
    let us = |name: &str, a: Spread, b: Spread| (name.to_owned(), "us".to_owned(), Better::Lower, a, b);
    let mib = |spread: Spread| scaled(spread, 1.0 / f64::from(1 << 20));
    let mut pairs = vec![
        us("p50 from due", a.p50_us, b.p50_us),
        us("p99 from due", a.p99_us, b.p99_us),
        us("p99.9 from due", a.p999_us, b.p999_us),
        us("p50 from service", a.service_p50_us, b.service_p50_us),
        us("p99 from service", a.service_p99_us, b.service_p99_us),
        ("payload".to_owned(), "MiB/s".to_owned(), Better::Higher, mib(a.bytes_per_second), mib(b.bytes_per_second)),
    ];
    if let (Some(a), Some(b)) = (a.cpu_seconds_per_gib, b.cpu_seconds_per_gib) {
        pairs.push(("processor time".to_owned(), "s/GiB".to_owned(), Better::Lower, a, b));
    }
    pairs
}

fn of_ratios(a: &TargetFigures, b: &TargetFigures) -> Vec<Pair> {
    let (Some(a), Some(b)) = (&a.ratios, &b.ratios) else { return Vec::new() };
    let both = [
        ("ratio of p50", Better::Lower, Some(a.p50), Some(b.p50)),
        ("ratio of p99", Better::Lower, Some(a.p99), Some(b.p99)),
        ("ratio of bandwidth", Better::Higher, a.bandwidth, b.bandwidth),
        ("chunks of a node to writes of the device", Better::Higher, a.chunks_per_node, b.chunks_per_node),
        ("bandwidth beside a bare pipe", Better::Higher, a.pipe_bandwidth, b.pipe_bandwidth),
        ("processor time beside a bare pipe", Better::Lower, a.pipe_cpu, b.pipe_cpu),
    ];
    let pair = |(name, better, a, b): (&str, Better, Option<Spread>, Option<Spread>)| {
        Some((name.to_owned(), "ratio".to_owned(), better, a?, b?))
    };
    both.into_iter().filter_map(pair).collect()
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
