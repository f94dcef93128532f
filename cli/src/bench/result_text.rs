//! A whole result as people read it in a terminal.

use crate::table::table;
use crate::units;
use quarry_bench::figures::{RoundFigures, StagesCost, TargetFigures, words};
use quarry_bench::result::{Baseline, BenchResult, CaseResult, CaseTarget, LadderResult, PartResult, Stage, Stages};
use std::fmt::Write;

/// The environment, then case by case what was measured, beside the limit, and the verdict.
pub(super) fn text(result: &BenchResult) -> String {
    let (begun, took) = (units::utc(result.begun_unix_seconds), units::latency(result.seconds * 1e6));
    let mut text = format!("{}: begun {begun}, took {took}\n\n", result.name);
    for (name, value) in words::environment(&result.environment) {
        let _ = writeln!(text, "  {name}: {value}");
    }
    text.push('\n');
    for target in &result.targets {
        let _ = writeln!(text, "  {}: {}", target.label(), words::target(target));
    }
    for case in &result.cases {
        let _ = write!(text, "\n{}: {}\n\n{}", case.name, words::load(case), of_case(result, case));
    }
    if result.targets.iter().any(|target| target.emulated) {
        text.push_str("\nWhat is emulated says nothing about the stores themselves.\n");
    }
    text
}

/// A line of a case's tables: a target, or the same appends of a phase with nothing wrong.
struct Line {
    label: String,
    chunk: String,
    figures: TargetFigures,
    verdict: String,
}

fn lines(result: &BenchResult, case: &CaseResult) -> Vec<Line> {
    let mut lines = Vec::new();
    for target in &case.targets {
        let (facts, chunk) = (&result.targets[target.target], units::bytes(target.chunk_bytes));
        let measured = TargetFigures::of(result, case, target).map(|figures| {
            let verdict = words::verdict(&target.verdict);
            Line { label: facts.label(), chunk: chunk.clone(), figures, verdict }
        });
        let healthy = TargetFigures::of_healthy(result, case, target).map(|figures| {
            let label = format!("{}, nothing wrong", facts.label());
            Line { label, chunk, figures, verdict: "as above".to_owned() }
        });
        lines.extend(measured.into_iter().chain(healthy));
    }
    lines
}

fn of_case(result: &BenchResult, case: &CaseResult) -> String {
    let lines = lines(result, case);
    let header = ["TARGET", "CHUNK", "P50", "P99", "P99.9", "SERVICE P50", "P99", "P99.9", "PAYLOAD"];
    let mut text = table(header, lines.iter().map(latencies)) + "\n\n";
    let header = [
        "TARGET",
        "OPERATIONS/S",
        "P50 TO LIMIT",
        "P99",
        "BANDWIDTH TO DEVICE",
        "CHUNKS OF A NODE TO WRITES",
        "BANDWIDTH TO PIPE",
        "CPU S/GIB",
        "TO PIPE",
        "VERDICT",
    ];
    text.push_str(&(table(header, lines.iter().map(beside)) + "\n"));
    if let Some(baseline) = &case.baseline {
        let _ = writeln!(text, "\n{}\n{}", limits(baseline), words::limit(case));
    }
    for line in &lines {
        if let Some(cpu) = &line.figures.rounds.cpu {
            let _ = writeln!(text, "\n{}, processor time of an operation: {}", line.label, words::cpu(cpu));
        }
    }
    for target in &case.targets {
        let name = result.targets[target.target].label();
        if let Some(stages) = &target.stages {
            let _ = writeln!(
                text,
                "\n{name}, where the time goes (of middling appends, of the slowest hundredth): {}",
                shares(stages)
            );
        }
        if let Some(cost) = StagesCost::of(target) {
            let _ = writeln!(text, "{name}, {}", words::stages_cost(&cost));
        }
        if let Some(ladder) = &target.ladder {
            let _ = writeln!(text, "\n{}\n\n{name}: {}", steps(result, case, target, ladder), highest(ladder));
        }
        for figure in target.phase.iter().flat_map(|phase| &phase.figures) {
            let _ = writeln!(text, "\n{name}: {} {}", figure.name, words::phase_figure(figure));
        }
    }
    text
}

/// Over all rounds: percentiles of all samples, and the median of the rounds' payload.
fn latencies(line: &Line) -> [String; 9] {
    let figures = &line.figures;
    let (due, service) = (figures.from_due, figures.from_service);
    let all = [due.p50_us, due.p99_us, due.p999_us, service.p50_us, service.p99_us, service.p999_us];
    let [p50, p99, p999, service_p50, service_p99, service_p999] = all.map(units::latency);
    let payload = words::payload_and_failures(figures);
    let (label, chunk) = (line.label.clone(), line.chunk.clone());
    [label, chunk, p50, p99, p999, service_p50, service_p99, service_p999, payload]
}

/// Medians of the rounds with their spread.
fn beside(line: &Line) -> [String; 10] {
    let figures = &line.figures;
    let [p50, p99, bandwidth, chunks_per_node, pipe_bandwidth, cpu] = words::beside_limit(figures);
    [
        line.label.clone(),
        format!("{:.0}", figures.rounds.operations_per_second.median),
        p50,
        p99,
        bandwidth,
        chunks_per_node,
        pipe_bandwidth,
        cpu,
        words::ratio_or_dash(figures.ratios.as_ref(), |ratios| ratios.pipe_cpu),
        line.verdict.clone(),
    ]
}

/// Every rate that was tried, beside the limit of its own round.
fn steps(result: &BenchResult, case: &CaseResult, target: &CaseTarget, ladder: &LadderResult) -> String {
    let rows = ladder.steps.iter().filter_map(|step| {
        let figures = TargetFigures::of_step(result, case, target, step)?;
        let [p50, p99, payload, p50_to_limit, p99_to_limit, bandwidth] = words::step(&figures);
        Some([
            format!("{:.0}/s", step.per_second),
            if step.held { "held".to_owned() } else { "BROKE".to_owned() },
            p50,
            p99,
            payload,
            p50_to_limit,
            p99_to_limit,
            bandwidth,
        ])
    });
    let header = ["RATE", "BOUND", "P50", "P99", "PAYLOAD", "P50 TO LIMIT", "P99", "BANDWIDTH TO DEVICE"];
    table(header, rows)
}

fn shares(stages: &Stages) -> String {
    let percent = |share: f64| share * 100.0;
    let share = |stage: &Stage| {
        format!("{} {:.0} % {:.0} %", stage.name, percent(stage.share_of_p50), percent(stage.share_of_p99))
    };
    stages.stages.iter().map(share).collect::<Vec<_>>().join(", ")
}

/// What the ratios are to.
fn limits(baseline: &Baseline) -> String {
    let part = |name: &str, parts: &[PartResult]| {
        let rounds = (!parts.is_empty()).then(|| RoundFigures::of(&parts.iter().collect::<Vec<_>>()))?;
        let (p50, p99) = (units::latency(rounds.p50_us.median), units::latency(rounds.p99_us.median));
        let payload = words::payload(rounds.bytes_per_second.median);
        Some(format!("{name} p50 {p50}, p99 {p99}, {:.0}/s, {payload}", rounds.operations_per_second.median))
    };
    let parts = [
        part(&words::raw_device(baseline), &baseline.device),
        part("loopback", &baseline.loopback),
        part("bare pipe", &baseline.pipe),
    ];
    let size = units::bytes(baseline.write_bytes);
    format!("the limit, {size}: {}", parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

fn highest(ladder: &LadderResult) -> String {
    match (ladder.highest_per_second, ladder.steps.iter().find(|step| !step.held)) {
        (None, _) => "no rate held".to_owned(),
        (Some(rate), None) => format!("{rate}/s held, and no rate that was tried broke the bound"),
        (Some(rate), Some(broke)) => format!("{rate}/s held, {}/s broke the bound", broke.per_second),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A result made by hand, as it lies beside the code that reads it.
    pub(in crate::bench) fn example() -> BenchResult {
        serde_json::from_str(include_str!("../../../bench/src/result/example.json")).expect("this version's schema")
    }

    #[test]
    fn every_case_and_target_has_its_figures() {
        let text = text(&example());
        let line = |begin: &str, with: &str| {
            let found = text.lines().any(|line| line.trim_start().starts_with(begin) && line.contains(with));
            assert!(found, "{begin} ... {with} in\n{text}");
        };
        line("steady", "closed loop, depth 1");
        line("nodes", "400 us");
        line("nodes", "62.5 MiB/s");
        // 400 / (200 + 50), in every round.
        line("nodes", "1.60 (1.60 to 1.60)");
        line("nodes", "good: all 3000 read back equal");
        line("nodes: 2000/s held", "4000/s broke the bound");
        // Beside a device half as fast as in the round before: 400 / 450 and 400 / 250.
        line("2000/s", "0.89");
        line("1000/s", "1.60");
        // With a dead replica 450 / 250, without 400 / 250.
        line("nodes", "1.80 (1.62 to 1.98)");
        line("nodes, nothing wrong", "1.60 (1.44 to 1.76)");
        line("limit:", "appends while it goes on, and with nothing wrong");
        line("nodes, processor time of an operation: 60.0", "50.0, 50.0, 50.0 us in the nodes' processes");
        line("nodes, with attribution over without", "p50 1.05 (1.05 to 1.05)");
        line("nodes: longest wait for an acknowledgement", "2.10 ms (1.90 ms to 2.60 ms)");
        for (name, value) in
            [("kernel", "6.18.0"), ("disk", "ACME NVMe 1T"), ("write cache", "FUA"), ("doctor", "all 1 checks")]
        {
            line(name, value);
        }
        line("build", "0123456789abcdef");
        line("nodes:", "disk: nvme0n1 (ACME NVMe 1T), ext4 at /");
        line("nodes:", "durability: written with O_DIRECT|O_DSYNC");
    }

    #[test]
    fn emulated_is_said_wherever_the_target_is_named() {
        let text = text(&example());
        let named = text.matches("s3express").count();
        assert!(named >= 3, "{text}");
        assert_eq!(text.matches("s3express (emulated)").count(), named, "{text}");
        assert!(text.contains("says nothing about the stores themselves"), "{text}");
    }

    #[test]
    fn ratios_to_a_disk_that_is_not_used_say_so() {
        let mut result = example();
        let text_of = |result: &BenchResult| text(result);
        assert!(!text_of(&result).contains("OTHER DISK"));
        assert!(text_of(&result).contains("20.8 (20.8 to 20.8), no disk here"), "{}", text_of(&result));
        result.targets[0].disks[0].device = Some("sdb".to_owned());
        assert!(text_of(&result).contains("1.60 (1.60 to 1.60), OTHER DISK"), "{}", text_of(&result));
    }

    #[test]
    fn what_failed_or_was_lost_is_said() {
        let mut result = example();
        result.cases[0].targets[0].rounds[1].failed = 7;
        result.cases[0].targets[0].verdict.missing = 1;
        let text = text(&result);
        assert!(text.contains("7 FAILED") && text.contains("BAD: of 3000 acknowledged"), "{text}");
    }
}
