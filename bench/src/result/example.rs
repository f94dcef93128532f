//! A result made by hand: every kind of load, every field in use, figures of plausible size. Reports are tested on it, and
//! `example.json` is what it looks like in a file.

use super::{
    Baseline, BenchResult, CaseLoad, CaseResult, CaseTarget, CpuTime, LadderResult, LadderStep, PartResult,
    PhaseFigure, PhaseResult, ReplicaStage, SCHEMA, Samples, SeriesPoint, Stage, Stages, TargetFacts, TargetKind,
    Verdict,
};
use crate::environment::{DiskFacts, DoctorFinding, Environment};
use crate::latencies::Latencies;
use crate::ratios::Spread;
use std::time::Duration;

/// Thousandths of all samples at each step of the distribution: fine towards the tail.
const STEPS: [(u64, u64); 3] = [(19, 50), (4, 10), (10, 1)];

/// A thousand samples whose median and 99th percentile are these, with a tail like 1 / (1 - percentile).
pub(crate) fn samples(p50_us: f64, p99_us: f64) -> Samples {
    let mut latencies = Latencies::new();
    let per_odds = (p99_us - p50_us) / 98.0;
    let mut below = 0;
    for (steps, weight) in STEPS {
        for _ in 0..steps {
            below += weight;
            // The slowest thousandth ends at no finite odds.
            let quantile = (below as f64 / 1000.0).min(0.9995);
            let us = p50_us - per_odds + per_odds * quantile / (1.0 - quantile);
            latencies.record_many(Duration::from_secs_f64(us / 1e6), weight);
        }
    }
    Samples::from(&latencies)
}

/// A second of a thousand operations.
pub(crate) fn part(p50_us: f64, p99_us: f64, chunk_bytes: u64) -> PartResult {
    let point = |tenth: u64| SeriesPoint {
        at_seconds: tenth as f64 / 10.0,
        operations: 100,
        p50_us: p50_us + (tenth * 7 % 5) as f64 * p50_us / 50.0,
        p99_us: p99_us + (tenth * 3 % 7) as f64 * p99_us / 20.0,
        max_us: p99_us * (3 + tenth % 3) as f64,
    };
    PartResult {
        from_due: samples(p50_us, p99_us),
        from_service: samples(p50_us * 0.9, p99_us * 0.75),
        operations: 1000,
        failed: 0,
        bytes: 1000 * chunk_bytes,
        seconds: 1.0,
        series: (0..10).map(point).collect(),
        cpu: Some(CpuTime { client_us: 60_000.0, nodes_us: Some(vec![50_000.0; 3]) }),
    }
}

/// Three rounds whose figures lie 10 % below and above the middle one's.
pub(crate) fn rounds(p50_us: f64, p99_us: f64, chunk_bytes: u64) -> Vec<PartResult> {
    [1.0, 0.9, 1.1].iter().map(|factor| part(p50_us * factor, p99_us * factor, chunk_bytes)).collect()
}

fn nodes() -> TargetFacts {
    TargetFacts {
        name: "nodes".to_owned(),
        kind: TargetKind::Nodes,
        place: "3 processes of this binary".to_owned(),
        emulated: false,
        durability: "written with O_DIRECT|O_DSYNC by the ack quorum".to_owned(),
        replicas: 3,
        ack_quorum: 2,
        on_this_machine: true,
        disks: vec![disk()],
    }
}

fn express() -> TargetFacts {
    TargetFacts {
        name: "s3express".to_owned(),
        kind: TargetKind::S3Express,
        place: "a server in this process".to_owned(),
        emulated: true,
        durability: "none: in the memory of this process".to_owned(),
        disks: Vec::new(),
        ..nodes()
    }
}

const CHUNK_BYTES: u64 = 65_536;
const VERDICT: Verdict = Verdict { acknowledged: 3000, equal: 3000, different: 0, missing: 0, trimmed: 100 };

fn on(target: usize, rounds: Vec<PartResult>) -> CaseTarget {
    let (ladder, phase, stages) = (None, None, None);
    CaseTarget { target, chunk_bytes: CHUNK_BYTES, rounds, ladder, phase, stages, verdict: VERDICT }
}

fn case(name: &str, load: CaseLoad, targets: Vec<CaseTarget>) -> CaseResult {
    CaseResult { name: name.to_owned(), load, logs: 1, part_seconds: 1.0, baseline: None, targets }
}

fn baseline() -> Baseline {
    Baseline {
        write_bytes: CHUNK_BYTES,
        device_in_flight: 3,
        device: rounds(200.0, 600.0, CHUNK_BYTES),
        loopback: rounds(50.0, 150.0, CHUNK_BYTES),
        pipe: rounds(300.0, 900.0, CHUNK_BYTES),
    }
}

/// Beside rates and phases: no pipe, and a fourth round in which the device is half as fast.
fn baseline_of_rounds(count: usize) -> Baseline {
    let (device, loopback) = (part(200.0, 600.0, CHUNK_BYTES), part(50.0, 150.0, CHUNK_BYTES));
    let mut devices = vec![device; count];
    devices[3..].fill(part(400.0, 1200.0, CHUNK_BYTES));
    Baseline { device: devices, loopback: vec![loopback; count], pipe: Vec::new(), ..baseline() }
}

fn stages() -> Stages {
    let stage = |name: &str, us: f64, share_of_p50, share_of_p99| Stage {
        name: name.to_owned(),
        samples: samples(us, us * 4.0),
        share_of_p50,
        share_of_p99,
    };
    let replica =
        |zone: &str, us, decided| ReplicaStage { zone: zone.to_owned(), samples: samples(us, us * 3.0), decided };
    Stages {
        stages: vec![
            stage("client", 40.0, 0.10, 0.05),
            stage("network", 80.0, 0.20, 0.10),
            stage("node queue", 60.0, 0.15, 0.25),
            stage("device", 200.0, 0.50, 0.55),
            stage("quorum", 20.0, 0.05, 0.05),
        ],
        without: rounds(380.0, 1150.0, CHUNK_BYTES),
        replicas: vec![replica("a", 320.0, 1400), replica("b", 330.0, 1300), replica("c", 400.0, 300)],
    }
}

fn ladder() -> CaseTarget {
    let step = |per_second: f64, round, p99_us: f64, held| LadderStep {
        per_second,
        round,
        part: part(400.0, p99_us, CHUNK_BYTES),
        held,
    };
    let steps = vec![
        step(500.0, 0, 900.0, true),
        step(1000.0, 1, 1400.0, true),
        step(2000.0, 3, 1900.0, true),
        step(4000.0, 2, 9000.0, false),
    ];
    CaseTarget { ladder: Some(LadderResult { steps, highest_per_second: Some(2000.0) }), ..on(0, Vec::new()) }
}

fn phase() -> CaseTarget {
    let figures = vec![PhaseFigure {
        name: "longest wait for an acknowledgement".to_owned(),
        unit: "us".to_owned(),
        spread: Spread::of(vec![2100.0, 1900.0, 2600.0]),
        rounds: vec![2100.0, 1900.0, 2600.0],
    }];
    let phase = Some(PhaseResult { figures, healthy: rounds(400.0, 1200.0, CHUNK_BYTES) });
    CaseTarget { phase, ..on(0, rounds(450.0, 2400.0, CHUNK_BYTES)) }
}

fn disk() -> DiskFacts {
    let text = |text: &str| Some(text.to_owned());
    DiskFacts {
        file_system: text("ext4"),
        mount_point: text("/"),
        mount_options: text("rw,relatime"),
        device: text("nvme0n1"),
        model: text("ACME NVMe 1T"),
        logical_block_bytes: Some(512),
        physical_block_bytes: Some(4096),
        write_cache: text("write back"),
        fua: Some(true),
        scheduler: text("none"),
        rotational: Some(false),
    }
}

/// The environment of the example.
pub(crate) fn environment() -> Environment {
    let text = |text: &str| Some(text.to_owned());
    Environment {
        kernel: text("6.18.0"),
        processor: text("Example 9000"),
        processors: Some(2),
        governor: text("performance"),
        virtualisation: text("none"),
        memory_bytes: Some(8 << 30),
        disk: disk(),
        version: "0.1.0".to_owned(),
        git_revision: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        optimised: true,
        doctor: vec![DoctorFinding {
            code: "write-cache".to_owned(),
            severity: "ok".to_owned(),
            current: "write back".to_owned(),
        }],
    }
}

/// The whole of it.
pub(crate) fn result() -> BenchResult {
    let measured = CaseTarget { stages: Some(stages()), ..on(0, rounds(400.0, 1200.0, CHUNK_BYTES)) };
    let steady = CaseResult {
        baseline: Some(baseline()),
        ..case("steady", CaseLoad::Closed { depth: 1 }, vec![measured, on(1, rounds(5200.0, 9000.0, CHUNK_BYTES))])
    };
    let open = case("offered", CaseLoad::Open { per_second: 1000.0 }, vec![on(0, rounds(420.0, 1500.0, CHUNK_BYTES))]);
    let killed = CaseLoad::Phase { phase: "killed".to_owned(), depth: 16 };
    BenchResult {
        schema: SCHEMA.to_owned(),
        name: "example".to_owned(),
        begun_unix_seconds: 1_760_000_000,
        seconds: 123.5,
        command: ["quarry", "bench", "run", "--suite", "example.toml"].map(str::to_owned).to_vec(),
        suite: "name = \"example\"\nrounds = 3\n".to_owned(),
        environment: environment(),
        targets: vec![nodes(), express()],
        cases: vec![
            steady,
            open,
            CaseResult {
                baseline: Some(baseline_of_rounds(4)),
                ..case("ladder", CaseLoad::Ladder { p99_us_max: 2000.0 }, vec![ladder()])
            },
            CaseResult { baseline: Some(baseline_of_rounds(3)), ..case("a replica killed", killed, vec![phase()]) },
        ],
    }
}
