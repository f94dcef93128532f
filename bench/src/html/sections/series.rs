//! Latency over time, round after round.

use super::{latency_tick, plain};
use crate::html::axis::{Axis, Scale};
use crate::html::chart::{Chart, Line, Rule};
use crate::html::label;
use crate::result::{BenchResult, CaseResult, CaseTarget, SeriesPoint};

/// Most points of a line: more would not be told apart.
const POINTS_MAX: usize = 600;

/// One chart for each target that has a series.
pub(in crate::html) fn series(result: &BenchResult, case: &CaseResult) -> String {
    case.targets.iter().map(|target| of_target(&format!("{}: {}", case.name, label(result, target)), target)).collect()
}

fn of_target(name: &str, target: &CaseTarget) -> String {
    let mut points = Vec::new();
    let mut rules = Vec::new();
    let mut begin = 0.0;
    for round in &target.rounds {
        points.extend(round.series.iter().map(|point| SeriesPoint { at_seconds: begin + point.at_seconds, ..*point }));
        begin += round.seconds;
        rules.push(Rule::From(begin));
    }
    // The end of the last round is that of the chart.
    rules.pop();
    // Nothing ended in an empty slice, so it has no latency.
    points.retain(|point| point.operations > 0);
    if points.is_empty() {
        return String::new();
    }
    let line = |name: &str, colour, dashed, figure: fn(&SeriesPoint) -> f64| Line {
        label: name.to_owned(),
        colour,
        dashed,
        points: worst_of_each(&points, figure),
    };
    let lines = vec![
        line("p50", 0, false, |point| point.p50_us),
        line("p99", 1, false, |point| point.p99_us),
        line("longest", 5, true, |point| point.max_us),
    ];
    let latencies = lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
    let y = Axis::over("latency from due", Scale::Log, latencies, latency_tick);
    let x = Axis::over("seconds of measured time; dotted lines part the rounds", Scale::Linear, [0.0, begin], plain);
    let title = format!("Latency over time: {name}");
    Chart { title, x, y, lines, marks: Vec::new(), rules }.html()
}

/// At most [`POINTS_MAX`] points: of neighbours that share one, the worst is kept, so that no stall disappears.
fn worst_of_each(points: &[SeriesPoint], figure: fn(&SeriesPoint) -> f64) -> Vec<(f64, f64)> {
    let group = points.len().div_ceil(POINTS_MAX).max(1);
    let worst = |points: &[SeriesPoint]| (points[0].at_seconds, points.iter().map(figure).fold(0.0, f64::max));
    points.chunks(group).map(worst).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_stall_is_seen_however_many_points_there_are() {
        let point = |number: usize| SeriesPoint {
            at_seconds: number as f64,
            operations: 1,
            p50_us: 1.0,
            p99_us: 1.0,
            max_us: if number == 7001 { 9.0 } else { 1.0 },
        };
        let points: Vec<_> = (0..10_000).map(point).collect();
        let drawn = worst_of_each(&points, |point| point.max_us);
        assert!(drawn.len() <= POINTS_MAX && drawn.len() > POINTS_MAX / 2, "{}", drawn.len());
        assert_eq!(drawn.iter().filter(|point| point.1 > 8.0).count(), 1);
    }
}
