//! Latency by percentile: the shape of the tail.

use super::latency_tick;
use crate::figures::{measured_parts, words};
use crate::html::axis::{Axis, Scale};
use crate::html::chart::{Chart, Line};
use crate::html::label;
use crate::latencies::Latencies;
use crate::result::{BenchResult, CaseResult, CaseTarget, PartResult, Samples};

/// Points for each halving of the distance to 100 %.
const TICKS_PER_HALF_DISTANCE: u32 = 8;

/// Both clocks of every target, and what stands behind a phase or a baseline.
pub(in crate::html) fn percentiles(result: &BenchResult, case: &CaseResult) -> String {
    let mut lines = Vec::new();
    for (colour, target) in case.targets.iter().enumerate() {
        lines.extend(of_target(&label(result, target), colour, target));
    }
    if let Some(baseline) = &case.baseline {
        let colour = case.targets.len();
        lines.push(line(
            &words::raw_device(baseline),
            colour,
            false,
            baseline.device.iter().map(|part| &part.from_due),
        ));
        lines.push(line("loopback", colour + 1, false, baseline.loopback.iter().map(|part| &part.from_due)));
    }
    lines.retain(|line| !line.points.is_empty());
    if lines.is_empty() {
        return String::new();
    }
    let of_lines = |axis: fn(&(f64, f64)) -> f64| lines.iter().flat_map(move |line| line.points.iter().map(axis));
    let x = Axis::over("percentile", Scale::Percentile, of_lines(|point| point.0), percent);
    let y = Axis::over("latency", Scale::Log, of_lines(|point| point.1), latency_tick);
    let title = format!("Latency by percentile: {}", case.name);
    Chart { title, x, y, lines, marks: Vec::new(), rules: Vec::new() }.html()
}

fn of_target(label: &str, colour: usize, target: &CaseTarget) -> Vec<Line> {
    let parts = measured_parts(target);
    let of = |name: &str, dashed, samples: fn(&PartResult) -> &Samples| {
        line(&format!("{label}, {name}"), colour, dashed, parts.iter().map(|(_, part)| samples(part)))
    };
    vec![of("from due", false, |part| &part.from_due), of("from service", true, |part| &part.from_service)]
}

fn line<'a>(label: &str, colour: usize, dashed: bool, samples: impl Iterator<Item = &'a Samples>) -> Line {
    let merged = Latencies::merged(samples);
    let steps = merged.histogram().iter_quantiles(TICKS_PER_HALF_DISTANCE);
    let points = steps.map(|step| (step.quantile_iterated_to(), step.value_iterated_to() as f64 / 1000.0));
    Line { label: label.to_owned(), colour, dashed, points: points.collect() }
}

fn percent(quantile: f64) -> String {
    format!("{} %", super::plain(quantile * 100.0))
}
