//! What the demo showed.

use crate::bench::text as bench_text;
use crate::table::table;
use crate::units;
use quarry_bench::latencies::LatencySummary;
use quarry_bench::report::AppendReport;
use serde::Serialize;
use std::path::PathBuf;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct DemoReport {
    pub(super) verdict: &'static str,
    pub(super) story: StoryReport,
    pub(super) latencies: Vec<AppendReport>,
}

/// The file, and what happened to it.
#[derive(Debug, Serialize)]
pub(super) struct StoryReport {
    pub(super) input: PathBuf,
    pub(super) bytes: u64,
    pub(super) chunks: u64,
    pub(super) sha256: String,
    /// Chunks that the first writer was acknowledged before it was fenced.
    pub(super) acknowledged_by_first: u64,
    /// The second writer's first seq.
    pub(super) second_began_at: u64,
    /// What the first writer was told.
    pub(super) first_was_told: String,
    /// The whole file, with the kill, the restart and the takeover.
    pub(super) append_mib_per_second: f64,
    pub(super) read_mib_per_second: f64,
    /// Of every append of the story, at its depth.
    pub(super) latency: LatencySummary,
}

pub(super) fn text(report: &DemoReport) -> String {
    let story = &report.story;
    let rows = report.latencies.iter().flat_map(|report| {
        let load = bench_text::load(report);
        bench_text::parts(report).into_iter().map(move |[part, p50, p99, rate, _]| [load.clone(), part, p50, p99, rate])
    });
    let ratios: Vec<_> = report
        .latencies
        .iter()
        .map(|report| format!("{}: {}", bench_text::load(report), bench_text::ratios(report)))
        .collect();
    format!(
        "\n{}\n\n{}\n\nappended at {:.0} MiB/s (p50 {}, p99 {}) with a node killed, a restart and a takeover; read back at {:.0} MiB/s\n\n\
         DEMO OK: {} in {} chunks, {} acknowledged to a writer that was then fenced, none lost, SHA-256 {} the same",
        table(["LOAD", "64 KIB CHUNKS", "P50", "P99", "PAYLOAD"], rows),
        ratios.join("\n"),
        story.append_mib_per_second,
        units::latency(story.latency.p50_us),
        units::latency(story.latency.p99_us),
        story.read_mib_per_second,
        units::bytes(story.bytes),
        story.chunks,
        story.acknowledged_by_first,
        &story.sha256[..16],
    )
}
