//! Offered rates, and where the bound broke.

use super::{latency_tick, plain};
use crate::figures::{TargetFigures, words};
use crate::html::axis::{Axis, Scale};
use crate::html::chart::{Chart, Line, Mark, Rule};
use crate::html::escape::escape;
use crate::html::label;
use crate::html::table::table;
use crate::result::{BenchResult, CaseLoad, CaseResult, CaseTarget};
use crate::units;
use std::fmt::Write;

/// p99 and p50 by offered rate, with the bound.
pub(in crate::html) fn ladder(result: &BenchResult, case: &CaseResult) -> String {
    let CaseLoad::Ladder { p99_us_max } = case.load else { return String::new() };
    let (mut lines, mut marks, mut sentences) = (Vec::new(), Vec::new(), String::new());
    for (colour, target) in case.targets.iter().enumerate() {
        let Some(ladder) = &target.ladder else { continue };
        let name = label(result, target);
        let points = |quantile: f64| {
            let steps = ladder.steps.iter();
            steps
                .map(|step| (step.per_second, step.part.from_due.latencies().quantile_us(quantile)))
                .collect::<Vec<_>>()
        };
        let p99 = points(0.99);
        let line = |figure: &str, dashed, points| Line { label: format!("{name}, {figure}"), colour, dashed, points };
        lines.push(line("p99 from due", false, p99.clone()));
        lines.push(line("p50 from due", true, points(0.5)));
        marks.extend(ladder.steps.iter().zip(&p99).map(|(step, (x, y))| {
            let best = Some(step.per_second) == ladder.highest_per_second;
            let text = if best { format!("{}/s", plain(step.per_second)) } else { String::new() };
            Mark { x: *x, y: *y, colour, hollow: !step.held, text, below: true }
        }));
        let sentence = match (ladder.highest_per_second, ladder.steps.iter().rfind(|step| step.held)) {
            (Some(rate), Some(step)) => {
                format!("{rate} appends per second, {} of payload", words::payload(step.part.bytes_per_second()))
            }
            _ => "no rate held".to_owned(),
        };
        let (name, sentence) = (escape(&name), escape(&sentence));
        let _ = writeln!(sentences, "<p>Highest rate within the bound, {name}: {sentence}.</p>");
    }
    let of_lines =
        |axis: fn(&(f64, f64)) -> f64| lines.iter().flat_map(move |line: &Line| line.points.iter().map(axis));
    let x = Axis::over("offered appends per second", Scale::Linear, of_lines(|point| point.0).chain([0.0]), plain);
    let y = Axis::over("latency from due", Scale::Log, of_lines(|point| point.1).chain([p99_us_max]), latency_tick);
    let rules = vec![Rule::At(p99_us_max, format!("bound: {}", units::latency(p99_us_max)))];
    let title = format!("Rate ladder: {} (hollow: the bound was broken, or not all was done)", case.name);
    let steps = case.targets.iter().flat_map(|target| of_steps(result, case, target));
    let header = ["Target", "rate", "bound", "p50", "p99", "payload", "p50 to limit", "p99", "bandwidth to device"];
    format!("{sentences}{}{}", Chart { title, x, y, lines, marks, rules }.html(), table(header, steps))
}

/// Every rate that was tried, beside the limit of its own round.
fn of_steps(result: &BenchResult, case: &CaseResult, target: &CaseTarget) -> Vec<[String; 9]> {
    let rows = target.ladder.iter().flat_map(|ladder| &ladder.steps).filter_map(|step| {
        let figures = TargetFigures::of_step(result, case, target, step)?;
        let [p50, p99, payload, p50_to_limit, p99_to_limit, bandwidth] = words::step(&figures);
        Some([
            label(result, target),
            format!("{}/s", plain(step.per_second)),
            if step.held { "held" } else { "broke" }.to_owned(),
            p50,
            p99,
            payload,
            p50_to_limit,
            p99_to_limit,
            bandwidth,
        ])
    });
    rows.collect()
}
