//! A report as people read it.

use crate::table::table;
use crate::units;
use quarry_bench::measured::MeasuredSummary;
use quarry_bench::ratios::{CpuPerGib, Round, Spread};
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
        table(["", "P50", "P99", "PAYLOAD", "CPU PER GIB"], parts(report)),
        ratios(report),
    )
}

/// `depth 16` or `open loop at 500/s`.
pub(crate) fn load(report: &AppendReport) -> String {
    load_text(report.setup.depth, report.setup.appends_per_second)
}

fn load_text(depth: Option<usize>, appends_per_second: Option<f64>) -> String {
    match (depth, appends_per_second) {
        (_, Some(rate)) => format!("open loop at {rate}/s"),
        (depth, None) => format!("depth {}", depth.unwrap_or(0)),
    }
}

/// A row for each part: the raw device, the loopback, the appends.
pub(crate) fn parts(report: &AppendReport) -> Vec<[String; 5]> {
    let row = |name: &str, part: fn(&Round) -> Option<&MeasuredSummary>, cpu: fn(&Round) -> Option<CpuPerGib>| {
        let median = |figure: fn(&MeasuredSummary) -> f64| {
            Spread::of(report.rounds.iter().filter_map(part).map(figure).collect()).median
        };
        let (p50, p99) = (median(|part| part.latency.p50_us), median(|part| part.latency.p99_us));
        let rate = median(|part| part.mib_per_second);
        let cpu: Option<Vec<_>> = report.rounds.iter().map(|round| cpu(round).and_then(|cpu| cpu.both())).collect();
        let cpu = cpu.map_or_else(String::new, |cpu| format!("{:.2} s", Spread::of(cpu).median));
        [name.to_owned(), units::latency(p50), units::latency(p99), format!("{rate:.0} MiB/s"), cpu]
    };
    let mut rows = vec![
        row("raw device", |round| Some(&round.device), |_| None),
        row("loopback", |round| Some(&round.loopback), |_| None),
    ];
    if report.rounds.iter().all(|round| round.pipe.is_some()) {
        rows.push(row("bare pipe", |round| round.pipe.as_ref(), |round| round.pipe_cpu));
    }
    rows.push(row("append", |round| Some(&round.append), |round| round.append_cpu));
    rows
}

/// The ratios with their spreads.
pub(crate) fn ratios(report: &AppendReport) -> String {
    let spread = &report.ratios.spread;
    let mut all = vec![ratio("p50", spread.p50), ratio("p99", spread.p99), ratio("bandwidth", spread.bandwidth)];
    all.extend(spread.pipe_bandwidth.map(|spread| ratio("bandwidth of the bare pipe", spread)));
    all.extend(spread.pipe_cpu.map(|spread| ratio("processor time of the bare pipe", spread)));
    format!("ratios: {}", all.join(", "))
}

fn ratio(name: &str, spread: Spread) -> String {
    format!("{name} {:.2} ({:.2} to {:.2})", spread.median, spread.min, spread.max)
}
