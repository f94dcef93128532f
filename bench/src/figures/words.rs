//! Figures and facts of a result in words: every report says them alike.

use super::{CpuPerOperation, RatioDevice, StagesCost, TargetFigures, TargetRatios};
use crate::environment::{DiskFacts, Environment};
use crate::ratios::Spread;
use crate::result::{Baseline, CaseLoad, CaseResult, PhaseFigure, TargetFacts, Verdict};
use crate::units::{bytes, decimals, latency};

/// Said of what could not be found out.
pub const UNKNOWN: &str = "unknown";

/// `1.24 (1.08 to 1.81)`.
#[must_use]
pub fn spread(spread: Spread) -> String {
    let [median, min, max] =
        [spread.median, spread.min, spread.max].map(|value| format!("{value:.*}", decimals(value)));
    format!("{median} ({min} to {max})")
}

/// A spread, or a dash where there is none.
#[must_use]
pub fn spread_or_dash(figure: Option<Spread>) -> String {
    figure.map_or_else(|| "-".to_owned(), spread)
}

/// Payload in MiB/s; a dash where no payload is what matters.
#[must_use]
pub fn payload(bytes_per_second: f64) -> String {
    if bytes_per_second <= 0.0 {
        return "-".to_owned();
    }
    let mib = bytes_per_second / f64::from(1 << 20);
    format!("{mib:.*} MiB/s", decimals(mib))
}

/// A phase's figure over its rounds.
#[must_use]
pub fn phase_figure(figure: &PhaseFigure) -> String {
    let Spread { median, min, max } = figure.spread;
    if figure.unit == "us" {
        return format!("{} ({} to {})", latency(median), latency(min), latency(max));
    }
    format!("{} {}", spread(figure.spread), figure.unit)
}

/// What a case does: `depth 16, 4 logs`.
#[must_use]
pub fn load(case: &CaseResult) -> String {
    let load = match &case.load {
        CaseLoad::Closed { depth } => format!("closed loop, depth {depth}"),
        CaseLoad::Open { per_second } => format!("open loop, {per_second}/s"),
        CaseLoad::Ladder { p99_us_max } => format!("rising rates, p99 from due at most {}", latency(*p99_us_max)),
        CaseLoad::Phase { phase, .. } if phase.starts_with("takeover") || phase == "restart" => phase.clone(),
        CaseLoad::Phase { phase, depth } => format!("{phase}, depth {depth} meanwhile"),
    };
    if case.logs == 1 { load } else { format!("{load}, {} logs", case.logs) }
}

/// What the ratios of a case are to.
#[must_use]
pub fn limit(case: &CaseResult) -> String {
    let what = match &case.load {
        CaseLoad::Closed { .. } | CaseLoad::Open { .. } => "appends",
        CaseLoad::Ladder { .. } => "appends at the highest rate that held",
        CaseLoad::Phase { phase, .. } if phase.starts_with("takeover") => {
            "takeovers, from the call of open to the first append acknowledged,"
        }
        CaseLoad::Phase { phase, .. } if phase == "restart" => "restarts of a node until it serves",
        CaseLoad::Phase { .. } => "appends while it goes on, and with nothing wrong,",
    };
    format!(
        "limit: a percentile of {what} over the same percentile of a device write plus that of a loopback round trip, in the same round{}",
        case.baseline.as_ref().map_or_else(String::new, |baseline| format!(" ({})", raw_device(baseline)))
    )
}

/// What receipts that say where the time went cost.
#[must_use]
pub fn stages_cost(cost: &StagesCost) -> String {
    let cpu = cost.cpu.map_or_else(|| UNKNOWN.to_owned(), spread);
    format!(
        "with attribution over without, in the same rounds: p50 {}, bandwidth {}, processor time of an append {cpu}",
        spread(cost.p50),
        spread(cost.bandwidth)
    )
}

/// Processor time of an operation, process by process, labelled with what each is.
#[must_use]
pub fn cpu(cpu: &CpuPerOperation) -> String {
    let client = format!(
        "{} us in the client's process (load generator, client, its side of the network)",
        spread(cpu.client_us)
    );
    let nodes = match cpu.nodes_us.as_deref() {
        None => "nodes' processes: unknown".to_owned(),
        Some([]) => return client,
        Some(nodes) => {
            let each: Vec<_> = nodes.iter().map(|node| format!("{:.*}", decimals(node.median), node.median)).collect();
            format!(
                "{} us in the nodes' processes, one by one (network, checksums, disk; user and system)",
                each.join(", ")
            )
        }
    };
    format!("{client}; {nodes}")
}

/// Whether everything acknowledged was read back: begins with `good` or `BAD`.
#[must_use]
pub fn verdict(verdict: &Verdict) -> String {
    let Verdict { acknowledged, equal, different, missing, trimmed } = verdict;
    if verdict.good() {
        let before = if *trimmed > 0 { format!(", {trimmed} trimmed before") } else { String::new() };
        return format!("good: all {acknowledged} read back equal{before}");
    }
    format!("BAD: of {acknowledged} acknowledged, {equal} equal, {different} different, {missing} missing")
}

/// What one target is, name and fact.
#[must_use]
pub fn target(facts: &TargetFacts) -> String {
    let place = if facts.on_this_machine { ", all on this machine" } else { "" };
    let (ack, replicas) = (facts.ack_quorum, facts.replicas);
    let disks: Vec<_> = facts.disks.iter().map(disk).collect();
    let disks = if disks.is_empty() { "none known here".to_owned() } else { disks.join(", ") };
    format!("{}; {ack} of {replicas} acknowledge{place}; disk: {disks}; durability: {}", facts.place, facts.durability)
}

fn disk(disk: &DiskFacts) -> String {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    format!(
        "{} ({}), {} at {}",
        known(&disk.device),
        known(&disk.model),
        known(&disk.file_system),
        known(&disk.mount_point)
    )
}

/// A ratio to the device, or a dash where there is none; one to a device that the target does not write to says so.
#[must_use]
pub fn ratio_or_dash(ratios: Option<&TargetRatios>, of: fn(&TargetRatios) -> Option<Spread>) -> String {
    marked(ratios, of, spread)
}

/// The same of a single round.
fn ratio_once_or_dash(ratios: Option<&TargetRatios>, of: fn(&TargetRatios) -> Option<Spread>) -> String {
    marked(ratios, of, |Spread { median, .. }| format!("{median:.*}", decimals(median)))
}

/// Payload of a round, and what failed of it all.
#[must_use]
pub fn payload_and_failures(figures: &TargetFigures) -> String {
    let payload = payload(figures.rounds.bytes_per_second.median);
    if figures.failed == 0 { payload } else { format!("{payload}, {} FAILED", figures.failed) }
}

/// Beside the limit: p50, p99, bandwidth to the device, chunks of a node to its writes, bandwidth to the pipe; and processor
/// seconds per GiB.
#[must_use]
pub fn beside_limit(figures: &TargetFigures) -> [String; 6] {
    let ratio = |of| ratio_or_dash(figures.ratios.as_ref(), of);
    [
        ratio(|ratios| Some(ratios.p50)),
        ratio(|ratios| Some(ratios.p99)),
        ratio(|ratios| ratios.bandwidth),
        ratio(|ratios| ratios.chunks_per_node),
        ratio(|ratios| ratios.pipe_bandwidth),
        spread_or_dash(figures.rounds.cpu_seconds_per_gib),
    ]
}

/// A step of a ladder: p50, p99, payload; and beside the limit of its own round p50, p99, bandwidth to the device.
#[must_use]
pub fn step(figures: &TargetFigures) -> [String; 6] {
    let ratio = |of| ratio_once_or_dash(figures.ratios.as_ref(), of);
    [
        latency(figures.from_due.p50_us),
        latency(figures.from_due.p99_us),
        payload(figures.rounds.bytes_per_second.median),
        ratio(|ratios| Some(ratios.p50)),
        ratio(|ratios| Some(ratios.p99)),
        ratio(|ratios| ratios.bandwidth),
    ]
}

fn marked(
    ratios: Option<&TargetRatios>,
    of: fn(&TargetRatios) -> Option<Spread>,
    text: impl Fn(Spread) -> String,
) -> String {
    let Some((ratios, ratio)) = ratios.and_then(|ratios| Some((ratios, of(ratios)?))) else { return "-".to_owned() };
    format!("{}{}", text(ratio), disk_mark(ratios.device))
}

/// What stands behind a ratio to a device that the target does not write to.
#[must_use]
pub const fn disk_mark(device: RatioDevice) -> &'static str {
    match device {
        RatioDevice::Same => "",
        RatioDevice::Other => ", OTHER DISK",
        RatioDevice::NoneHere => ", no disk here",
    }
}

/// What the device of the limit did: `raw device with 3 writes in flight`. The deeper its queue, the slower each write.
#[must_use]
pub fn raw_device(baseline: &Baseline) -> String {
    let writes = if baseline.device_in_flight == 1 { "write" } else { "writes" };
    format!("raw device with {} {writes} in flight", baseline.device_in_flight)
}

/// The environment, name and value, in the order in which it is read.
#[must_use]
pub fn environment(environment: &Environment) -> Vec<(&'static str, String)> {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    let number = |value: Option<String>| value.unwrap_or_else(|| UNKNOWN.to_owned());
    let disk = &environment.disk;
    let fua = match disk.fua {
        Some(true) => "FUA",
        Some(false) => "no FUA",
        None => "FUA unknown",
    };
    let [logical, physical] = [disk.logical_block_bytes, disk.physical_block_bytes].map(|size| number(size.map(bytes)));
    let processors = number(environment.processors.map(|count| count.to_string()));
    let not_ok = environment.doctor.iter().filter(|finding| finding.severity != "ok");
    let not_ok: Vec<_> =
        not_ok.map(|finding| format!("{} {} ({})", finding.code, finding.severity, finding.current)).collect();
    let doctor = match (environment.doctor.len(), not_ok.is_empty()) {
        (0, _) => "not asked".to_owned(),
        (checks, true) => format!("all {checks} checks ok"),
        (checks, false) => format!("{} of {checks} checks not ok: {}", not_ok.len(), not_ok.join(", ")),
    };
    let build = if environment.optimised { "optimised" } else { "NOT OPTIMISED: figures mean nothing" };
    vec![
        ("kernel", known(&environment.kernel)),
        (
            "processor",
            format!(
                "{}, {processors} usable, governor {}",
                known(&environment.processor),
                known(&environment.governor)
            ),
        ),
        ("virtual machine", known(&environment.virtualisation)),
        ("memory", number(environment.memory_bytes.map(bytes))),
        ("disk", format!("{}, model {}, blocks of {logical}/{physical}", known(&disk.device), known(&disk.model))),
        ("write cache", format!("{}, {fua}", known(&disk.write_cache))),
        (
            "file system",
            format!("{} at {} ({})", known(&disk.file_system), known(&disk.mount_point), known(&disk.mount_options)),
        ),
        ("scheduler", known(&disk.scheduler)),
        ("doctor", doctor),
        ("build", format!("{} {}, {build}", environment.version, environment.git_revision)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::example;

    fn value(environment: &Environment, name: &str) -> String {
        super::environment(environment).into_iter().find(|(found, _)| *found == name).expect(name).1
    }

    #[test]
    fn a_shortcoming_of_the_machine_is_said() {
        let mut environment = example::environment();
        assert_eq!(value(&environment, "doctor"), "all 1 checks ok");
        assert_eq!(value(&environment, "write cache"), "write back, FUA");
        environment.doctor[0].severity = "warning".to_owned();
        assert_eq!(value(&environment, "doctor"), "1 of 1 checks not ok: write-cache warning (write back)");
        environment.doctor.clear();
        assert_eq!(value(&environment, "doctor"), "not asked");
        environment.optimised = false;
        assert!(value(&environment, "build").contains("NOT OPTIMISED"));
        (environment.disk.fua, environment.disk.model) = (None, None);
        assert_eq!(value(&environment, "write cache"), "write back, FUA unknown");
        assert!(value(&environment, "disk").contains("model unknown"));
    }

    /// Nothing acknowledged proves nothing.
    #[test]
    fn only_a_run_that_read_all_of_something_back_is_good() {
        let good = Verdict { acknowledged: 2, equal: 2, ..Verdict::default() };
        assert!(verdict(&good).starts_with("good"));
        for bad in
            [Verdict { equal: 1, missing: 1, ..good }, Verdict { equal: 1, different: 1, ..good }, Verdict::default()]
        {
            assert!(verdict(&bad).starts_with("BAD"), "{bad:?}");
        }
    }

    #[test]
    fn loads_and_figures_are_told_with_their_units() {
        let result = example::result();
        let loads: Vec<_> = result.cases.iter().map(load).collect();
        assert_eq!(loads[0], "closed loop, depth 1");
        assert_eq!(loads[1], "open loop, 1000/s");
        assert_eq!(loads[2], "rising rates, p99 from due at most 2.00 ms");
        assert_eq!(loads[3], "killed, depth 16 meanwhile");
        let phase = result.cases[3].targets[0].phase.as_ref().unwrap();
        assert_eq!(phase_figure(&phase.figures[0]), "2.10 ms (1.90 ms to 2.60 ms)");
        assert_eq!(spread(Spread { median: 1.5, min: 0.5, max: 12.0 }), "1.50 (0.50 to 12.0)");
    }
}
