//! The table of a case.

use crate::figures::{TargetFigures, words};
use crate::html::label;
use crate::html::table::table;
use crate::result::{BenchResult, CaseResult};
use crate::units::latency;

/// Every target's figures, and what a phase found.
pub(in crate::html) fn figures(result: &BenchResult, case: &CaseResult) -> String {
    let rows = case.targets.iter().filter_map(|target| {
        let figures = TargetFigures::of(&result.targets[target.target], case, target)?;
        let (due, service) = (figures.from_due, figures.from_service);
        let latencies =
            [due.p50_us, due.p99_us, due.p999_us, service.p50_us, service.p99_us, service.p999_us].map(latency);
        let [p50, p99, p999, service_p50, service_p99, service_p999] = latencies;
        Some([
            label(result, target),
            p50,
            p99,
            p999,
            service_p50,
            service_p99,
            service_p999,
            words::payload(figures.rounds.bytes_per_second.median)
                + &(if figures.failed == 0 { String::new() } else { format!(", {} FAILED", figures.failed) }),
            words::spread_or_dash(figures.ratios.map(|ratios| ratios.p50)),
            words::spread_or_dash(figures.ratios.map(|ratios| ratios.p99)),
            words::spread_or_dash(figures.ratios.and_then(|ratios| ratios.bandwidth)),
            words::spread_or_dash(figures.ratios.and_then(|ratios| ratios.chunks_per_node)),
            words::spread_or_dash(figures.ratios.and_then(|ratios| ratios.pipe_bandwidth)),
            words::spread_or_dash(figures.rounds.cpu_seconds_per_gib),
            words::verdict(&target.verdict),
        ])
    });
    let header = [
        "Target",
        "p50",
        "p99",
        "p99.9",
        "service p50",
        "p99",
        "p99.9",
        "payload",
        "p50 to limit",
        "p99",
        "bandwidth to device",
        "chunks/s of a node to device writes/s",
        "bandwidth to pipe",
        "CPU s/GiB",
        "verdict",
    ];
    let mut html = table(header, rows);
    let found = case.targets.iter().flat_map(|target| {
        let figures = target.phase.iter().flat_map(|phase| &phase.figures);
        figures.map(|figure| [label(result, target), figure.name.clone(), words::phase_figure(figure)])
    });
    let found: Vec<_> = found.collect();
    if !found.is_empty() {
        html.push_str(&table(["Target", "Found", "median (least to most)"], found));
    }
    html
}
