//! The table of a case.

use crate::figures::{TargetFigures, words};
use crate::html::escape::escape;
use crate::html::label;
use crate::html::table::table;
use crate::result::{BenchResult, CaseResult};
use crate::units::latency;
use std::fmt::Write;

/// Every target's figures, and what a phase found.
pub(in crate::html) fn figures(result: &BenchResult, case: &CaseResult) -> String {
    let rows = case.targets.iter().flat_map(|target| {
        let label = label(result, target);
        let healthy = TargetFigures::of_healthy(result, case, target)
            .map(|figures| row(format!("{label}, nothing wrong"), &figures, "as above".to_owned()));
        let measured = TargetFigures::of(result, case, target)
            .map(|figures| row(label, &figures, words::verdict(&target.verdict)));
        measured.into_iter().chain(healthy)
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
    if case.baseline.is_some() {
        let _ = writeln!(html, "<p class=\"faint\">{}</p>", escape(&words::limit(case)));
    }
    for target in &case.targets {
        let figures = TargetFigures::of(result, case, target);
        if let Some(cpu) = figures.and_then(|figures| figures.rounds.cpu) {
            let name = escape(&label(result, target));
            let _ = writeln!(html, "<p>{name}, processor time of an operation: {}</p>", escape(&words::cpu(&cpu)));
        }
    }
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

fn row(label: String, figures: &TargetFigures, verdict: String) -> [String; 15] {
    let (due, service) = (figures.from_due, figures.from_service);
    let latencies = [due.p50_us, due.p99_us, due.p999_us, service.p50_us, service.p99_us, service.p999_us].map(latency);
    let [p50, p99, p999, service_p50, service_p99, service_p999] = latencies;
    let [p50_to_limit, p99_to_limit, bandwidth, chunks_per_node, pipe_bandwidth, cpu] = words::beside_limit(figures);
    [
        label,
        p50,
        p99,
        p999,
        service_p50,
        service_p99,
        service_p999,
        words::payload_and_failures(figures),
        p50_to_limit,
        p99_to_limit,
        bandwidth,
        chunks_per_node,
        pipe_bandwidth,
        cpu,
        verdict,
    ]
}
