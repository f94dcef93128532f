//! A report as people read it.

use crate::table::table;
use crate::units;
use quarry_bench::measured::MeasuredSummary;
use quarry_bench::ratios::{Round, Spread};
use quarry_bench::report::AppendReport;

/// The whole report.
pub(crate) fn report(report: &AppendReport) -> String {
    let setup = &report.setup;
    format!(
        "{} chunks, {}, {} of {} replicas acknowledge; raw device with {} writes in flight; medians of {} rounds\n\n{}\n\n{}",
        units::bytes(u64::from(setup.chunk_bytes)),
        load(report),
        setup.ack_quorum,
        setup.replicas,
        setup.device_writes_in_flight,
        setup.rounds,
        table(["", "P50", "P99", "PAYLOAD"], parts(report)),
        ratios(report),
    )
}

/// `depth 16` or `open loop at 500/s`.
pub(crate) fn load(report: &AppendReport) -> String {
    match (report.setup.depth, report.setup.appends_per_second) {
        (_, Some(rate)) => format!("open loop at {rate}/s"),
        (depth, None) => format!("depth {}", depth.unwrap_or(0)),
    }
}

/// A row for each part: the raw device, the loopback, the appends.
pub(crate) fn parts(report: &AppendReport) -> [[String; 4]; 3] {
    let row = |name: &str, part: fn(&Round) -> &MeasuredSummary| {
        let median = |figure: fn(&MeasuredSummary) -> f64| {
            Spread::of(report.rounds.iter().map(|round| figure(part(round))).collect()).median
        };
        let (p50, p99) = (median(|part| part.latency.p50_us), median(|part| part.latency.p99_us));
        let rate = median(|part| part.mib_per_second);
        [name.to_owned(), units::latency(p50), units::latency(p99), format!("{rate:.0} MiB/s")]
    };
    [
        row("raw device", |round| &round.device),
        row("loopback", |round| &round.loopback),
        row("append", |round| &round.append),
    ]
}

/// The ratios with their spreads.
pub(crate) fn ratios(report: &AppendReport) -> String {
    let ratio =
        |name: &str, spread: Spread| format!("{name} {:.2} ({:.2} to {:.2})", spread.median, spread.min, spread.max);
    let spread = &report.ratios.spread;
    let all = [ratio("p50", spread.p50), ratio("p99", spread.p99), ratio("bandwidth", spread.bandwidth)];
    format!("ratios: {}", all.join(", "))
}
