//! `quarry bench run`: a small suite on nodes of its own, from TOML to the files it leaves, and what is refused.

use crate::running::{directory, quarry};
use quarry_bench::figures::TargetFigures;
use quarry_bench::result::{BenchResult, CaseLoad, CaseResult, CaseTarget, PartResult, SCHEMA, TargetKind};

/// Every load and phase once, for a moment each.
const SUITE: &str = r#"
name = "small"
rounds = 1
part_seconds = 0.2

[[target]]
name = "nodes"
nodes = { count = 4, capacity = "256MiB", file_size = "16MiB", warm_up = "1MiB" }
replicas = 3

[[case]]
name = "closed"
load.closed.depth = 4
chunks = ["4KiB", "64KiB"]
logs = 2

[[case]]
name = "raw device at 5"
load.closed.depth = 4
device_in_flight = 5

[[case]]
name = "open"
load.open.per_second = 50
stages = true
stages_cost = true

[[case]]
name = "ladder"
load.ladder = { p99_us_max = 1e6, first_per_second = 40, steps_max = 2 }

[[case]]
name = "slow"
load.phase = { kind = "slow", depth = 2 }

[[case]]
name = "paused"
load.phase = { kind = "paused", depth = 2 }

[[case]]
name = "killed"
load.phase = { kind = "killed", depth = 2 }

[[case]]
name = "takeover"
load.phase = { kind = "takeover_full" }

[[case]]
name = "restart"
load.phase = { kind = "restart", older = "4MiB" }

[[case]]
name = "repair"
load.phase = { kind = "repair", depth = 2, older = "3MiB" }
"#;

/// The one target of a case, after what must be true of every one.
fn only(case: &CaseResult) -> &CaseTarget {
    let [target] = &case.targets[..] else { panic!("{case:?}") };
    assert!(target.verdict.good(), "{}: {:?}", case.name, target.verdict);
    for part in &target.rounds {
        assert_eq!(part.failed, 0, "{}", case.name);
        assert_eq!(part.from_due.latencies().count(), part.operations, "{}", case.name);
        assert!(part.operations > 0, "{}", case.name);
    }
    target
}

fn figure(case: &CaseResult, name: &str) -> f64 {
    let phase = only(case).phase.as_ref().expect("a phase");
    let found = phase.figures.iter().find(|figure| figure.name.starts_with(name));
    found.unwrap_or_else(|| panic!("{name}: {:?}", phase.figures)).spread.median
}

#[test]
fn a_suite_runs_on_nodes_of_its_own_and_leaves_its_result() {
    let dir = directory();
    let at = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(at("suite.toml"), SUITE).expect("is written");
    let ran =
        quarry(&["bench", "run", &at("suite.toml"), "--dir", &at("files"), "--out", &at("out"), "--json"]).ends_with(0);
    let text = std::fs::read_to_string(at("out/result.json")).expect("a result");
    let result: BenchResult = serde_json::from_str(&text).expect("of its shape");
    let printed: BenchResult = serde_json::from_str(ran.out()).expect("is printed, too");
    assert_eq!(printed, result);
    assert_eq!((result.schema.as_str(), result.name.as_str(), result.cases.len()), (SCHEMA, "small", 11));
    let nodes = &result.targets[0];
    assert_eq!((nodes.kind, nodes.replicas, nodes.ack_quorum, nodes.emulated), (TargetKind::Nodes, 3, 2, false));
    assert!(nodes.on_this_machine && nodes.durability.contains("O_DSYNC"), "{nodes:?}");
    assert!(nodes.disks.len() == 1 && nodes.disks[0].is_same_disk(&result.environment.disk), "{nodes:?}");
    let [small, closed, at_five, open, ladder, slow, paused, killed, takeover, restart, repair] = &result.cases[..]
    else {
        panic!("{:?}", result.cases)
    };
    assert_eq!((small.name.as_str(), only(small).chunk_bytes), ("closed, 4KiB", 4096));
    let baseline = closed.baseline.as_ref().expect("a baseline");
    assert_eq!((closed.name.as_str(), closed.logs, baseline.device_in_flight), ("closed, 64KiB", 2, 24));
    for parts in [&baseline.device, &baseline.loopback, &baseline.pipe, &only(closed).rounds] {
        assert!(parts.len() == 1 && parts[0].operations > 0 && parts[0].bytes > 0, "{parts:?}");
        assert!(parts[0].cpu.as_ref().is_some_and(|cpu| cpu.client_us > 0.0), "{parts:?}");
    }
    assert!(
        only(closed).rounds[0]
            .cpu
            .as_ref()
            .is_some_and(|cpu| cpu.nodes_us.as_ref().is_some_and(|nodes| nodes.len() == 4))
    );
    let figures = TargetFigures::of(&result, at_five, only(at_five)).expect("was measured");
    assert_eq!(at_five.baseline.as_ref().expect("a baseline").device_in_flight, 5);
    assert!(figures.ratios.and_then(|ratios| ratios.chunks_per_node).expect("one log on nodes").median > 0.0);
    assert_eq!((&open.load, only(open).rounds[0].operations), (&CaseLoad::Open { per_second: 50.0 }, 10));
    let stages = &only(open).stages.as_ref().expect("were asked for").stages;
    assert!(stages.iter().any(|stage| stage.name == "device" && stage.samples.latencies().count() == 10), "{stages:?}");
    assert!(only(closed).stages.is_none());
    let without = &only(open).stages.as_ref().expect("were asked for").without;
    assert!(without.len() == 1 && without[0].operations == 10 && without[0].failed == 0, "{without:?}");
    // Both halves and their last looks: ten twice before the rounds and in them.
    assert_eq!(only(open).verdict.acknowledged + only(open).verdict.trimmed, 42);
    assert_eq!(only(ladder).ladder.as_ref().expect("a ladder").steps.len(), 2);
    for case in [slow, paused, killed, repair] {
        assert_eq!(only(case).phase.as_ref().expect("a phase").healthy.len(), 1, "{}", case.name);
    }
    assert!(figure(killed, "longest wait for an acknowledgement after") > 0.0);
    // What a process took that was killed meanwhile is not known; of the healthy part it is.
    let nodes_us = |part: &PartResult| part.cpu.as_ref().expect("nodes of the run").nodes_us.clone();
    assert_eq!(nodes_us(&only(killed).rounds[0]), None);
    assert!(nodes_us(&only(killed).phase.as_ref().expect("a phase").healthy[0]).is_some());
    for case in [ladder, slow, paused, killed, takeover, restart, repair] {
        let figures = TargetFigures::of(&result, case, only(case)).expect("was measured");
        assert!(figures.ratios.expect("beside the limit").p50.median > 0.0, "{}", case.name);
    }
    // A window of chunks was left behind, and the next writer found them.
    assert!(figure(takeover, "chunks of unknown fate kept") > 1.0);
    assert!(figure(restart, "payload bytes") >= f64::from(4 << 20));
    // A repair of three chunks is over within a part: each round had one of its own.
    assert!(figure(repair, "copied a second") > 0.0 && (0.0..=1.0).contains(&figure(repair, "share of the appends")));
    // Nothing of the run is left but its result.
    assert_eq!(std::fs::read_dir(at("files")).expect("a directory").count(), 0);
}

#[test]
fn a_suite_that_is_not_one_is_refused_before_anything_is_started() {
    let dir = directory();
    let at = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(at("bad.toml"), SUITE.replace("part_seconds", "part_secnods")).expect("is written");
    let run = |more: &[&str]| quarry(&[&["bench", "run", "--dir", &at("files")], more].concat());
    run(&[&at("bad.toml")]).refuses(3, &["bad.toml", "part_secnods", "part_seconds"]);
    run(&[&at("none.toml")]).refuses(3, &["none.toml", "quick, full, tiers"]);
    run(&["quick", "--depth", "4"]).refuses(3, &["leave the options for one case away"]);
    run(&["--depth", "5000"]).refuses(3, &["depth = 5000", "4096"]);
    run(&["--depth", "4", "--rate", "5"]).refuses(3, &["--rate"]);
    run(&["--phase", "pausing"]).refuses(3, &["pausing", "takeover_idle"]);
    run(&["--emulated", "s4"]).refuses(3, &["s4", "s3express"]);
    run(&["--chunk", "much"]).refuses(3, &["much", "64KiB"]);
    run(&["--phase", "killed", "--target", "memory://x"]).refuses(3, &["memory://x", "none that it may hurt"]);
    assert!(!dir.path().join("files").exists());
}

#[test]
fn the_options_for_one_case_make_a_suite() {
    let printed = |arguments: &[&str]| {
        let ran = quarry(&[&["bench", "run", "--print-suite"], arguments].concat()).ends_with(0);
        quarry_bench::suite::Suite::parse(ran.out()).expect("is a suite")
    };
    assert_eq!(printed(&[]).name, "quick");
    assert_eq!(printed(&["tiers", "--rounds", "3"]).cases[0].rounds, Some(3));
    let suite = printed(&["--depth", "16", "--logs", "4", "--clients", "2", "--chunk", "4KiB", "--chunk", "preferred"]);
    let case = &suite.cases[0];
    assert_eq!((case.logs, case.clients, case.chunks.len(), case.baseline), (4, 2, 2, Some(true)));
    assert_eq!(case.load, quarry_bench::suite::LoadSpec::Closed { depth: 16 });
    let suite = printed(&["--target", "memory://a", "--emulated", "s3", "--nodes", "5", "--replicas", "1"]);
    let names: Vec<_> = suite.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["nodes", "memory://a", "s3"]);
    assert_eq!(suite.targets[0].nodes.as_ref().map(|nodes| nodes.count), Some(5));
    let suite = printed(&["--phase", "repair", "--older", "64MiB"]);
    assert_eq!(suite.targets[0].nodes.as_ref().map(|nodes| nodes.count), Some(4), "one to repair to");
}
