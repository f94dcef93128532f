//! What a suite says, and what it must not.

use super::*;
use crate::size::Size;

const SMALL: &str = r#"
name = "small"
rounds = 2

[[target]]
name = "nodes"
nodes = { count = 4 }
replicas = 3

[[target]]
name = "express"
emulated = "s3express"

[[case]]
name = "closed"
load.closed.depth = 16
chunks = ["4KiB", 65536]

[[case]]
name = "hurt"
load.phase = { kind = "paused" }
targets = ["nodes"]
part_seconds = 0.25
"#;

/// The suite with a part of it replaced is refused, in words that hold all of `named`.
fn refused(from: &str, to: &str, named: &[&str]) {
    assert!(SMALL.contains(from), "{from}");
    let why = Suite::parse(&SMALL.replacen(from, to, 1)).expect_err(to).to_string();
    for word in named {
        assert!(why.contains(word), "{to}: {word:?} is not in: {why}");
    }
}

#[test]
fn a_suite_is_read_and_its_defaults_filled_in() {
    let suite = Suite::parse(SMALL).expect("is a suite");
    let [closed, hurt] = &suite.cases[..] else { panic!("{suite:?}") };
    assert_eq!((closed.rounds, closed.part_seconds), (Some(2), Some(1.0)));
    assert_eq!((closed.baseline, closed.pipe, hurt.pipe), (Some(true), Some(true), Some(false)));
    assert_eq!(closed.targets, ["nodes", "express"]);
    assert_eq!(closed.load, LoadSpec::Closed { depth: 16 });
    let names: Vec<_> = closed.chunks.iter().map(|chunk| closed.name_with(*chunk)).collect();
    assert_eq!(names, ["closed, 4KiB", "closed, 64KiB"]);
    assert_eq!((hurt.part_seconds, hurt.baseline, hurt.logs), (Some(0.25), Some(true), 1));
    assert_eq!(hurt.name_with(hurt.chunks[0]), "hurt");
    assert_eq!((suite.targets[0].replicas, suite.targets[0].ack), (Some(3), Some(2)));
    assert_eq!((suite.targets[1].replicas, suite.targets[1].ack), (None, None), "the store's own");
    assert_eq!(
        suite.targets.iter().map(|target| target.holds).collect::<Vec<_>>(),
        [512, 256].map(|mib| Some(Size(mib << 20)))
    );
    assert_eq!(suite.targets[0].nodes.as_ref().and_then(|nodes| nodes.warm_up), Some(Size(2 << 30)));
}

/// What a result says of its suite runs the same suite again.
#[test]
fn a_suite_with_its_defaults_is_the_same_suite() {
    let suite = Suite::parse(SMALL).expect("is a suite");
    let text = suite.to_toml();
    assert_eq!(Suite::parse(&text).expect(&text), suite, "{text}");
}

#[test]
fn the_suites_that_come_along_are_suites() {
    for (name, text) in SHIPPED {
        let suite = Suite::parse(text).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(suite.name, name);
    }
    assert!(shipped("quick").is_some() && shipped("slow").is_none());
}

#[test]
fn unknown_keys_and_values_are_refused_by_name() {
    refused("rounds = 2", "ruonds = 2", &["ruonds", "rounds"]);
    refused("replicas = 3", "replicsa = 3", &["replicsa", "replicas"]);
    refused("{ count = 4 }", "{ count = 4, spin = 3 }", &["spin_us"]);
    refused("load.closed.depth", "load.closed.dept", &["dept"]);
    refused("load.closed.depth = 16", "load.closing.depth = 16", &["closing", "closed", "ladder"]);
    refused("\"paused\"", "\"pausing\"", &["pausing", "takeover_idle"]);
    refused("\"s3express\"", "\"s4\"", &["s4", "s3express"]);
    refused("\"4KiB\"", "\"4 kilo\"", &["4 kilo", "64KiB", "preferred"]);
    refused("name = \"small\"", "", &["name"]);
}

#[test]
fn values_out_of_bounds_are_refused_with_their_bounds() {
    refused("rounds = 2", "rounds = 0", &["rounds = 0", "1 to 1000"]);
    refused("rounds = 2", "part_seconds = 0", &["part_seconds = 0", "0.02"]);
    refused("depth = 16", "depth = 0", &["closed", "depth = 0", "4096"]);
    refused("load.closed.depth = 16", "load.open.per_second = -1", &["per_second = -1"]);
    refused("load.closed.depth = 16", "load.open.per_second = nan", &["per_second = NaN"]);
    refused("\"4KiB\"", "0", &["1 to 4194304"]);
    refused("\"4KiB\"", "\"5MiB\"", &["1 to 4194304"]);
    refused("chunks = [\"4KiB\", 65536]", "chunks = []", &["number of chunks = 0"]);
    refused("depth = 16", "depth = 2000", &["131072000 bytes in flight", "67108864"]);
    refused("depth = 16", "depth = 16\nlogs = 2\nclients = 3", &["clients = 3", "2 logs"]);
    refused("{ count = 4 }", "{ count = 8 }", &["nodes.count = 8", "1 to 7"]);
    let large = "{ capacity = \"1GiB\" }\nholds = \"257MiB\"";
    refused("{ count = 4 }", large, &["holds", "quarter", "1GiB"]);
    refused("{ count = 4 }", "{ capacity = \"128MiB\" }", &["holds = 33554432", "67108864"]);
}

#[test]
fn what_does_not_go_together_is_refused() {
    refused("emulated = \"s3express\"", "", &["express", "exactly one of"]);
    refused(
        "load.closed.depth = 16",
        "load.closed.depth = 16\ndevice_in_flight = 257",
        &["device_in_flight = 257", "1 to 256"],
    );
    refused(
        "load.closed.depth = 16",
        "load.closed.depth = 16\ndevice_in_flight = 4\nbaseline = false",
        &["device_in_flight", "baseline"],
    );
    let large = SMALL.replacen("65536", "\"4MiB\"", 1).replacen("depth = 16", "depth = 16\ndevice_in_flight = 17", 1);
    let why = Suite::parse(&large).expect_err("too much at once").to_string();
    assert!(why.contains("71303168 bytes in flight") && why.contains("67108864"), "{why}");
    refused("nodes = { count = 4 }", "nodes = { count = 2 }", &["replicas = 3", "there are 2"]);
    refused("replicas = 3", "replicas = 3\nack = 4", &["nodes", "4"]);
    refused("replicas = 3", "replicas = 3\nack = 3", &["hurt", "acknowledges with all 3"]);
    refused("emulated = \"s3express\"", "emulated = \"s3express\"\nack = 2", &["ack", "replicas"]);
    refused("targets = [\"nodes\"]", "targets = [\"notes\"]", &["hurt", "notes"]);
    refused("targets = [\"nodes\"]", "", &["paused", "express", "none that it may hurt"]);
    refused("name = \"hurt\"", "name = \"closed, 4KiB\"", &["closed, 4KiB", "another of this name"]);
    refused("name = \"express\"", "name = \"nodes\"", &["another of this name"]);
    refused("\"paused\" }", "\"paused\" }\nlogs = 2", &["hurt", "logs = 2"]);
    refused("\"paused\" }", "\"repair\", older = \"2GiB\" }", &["older = 2GiB", "half"]);
    refused("load.closed.depth = 16", "load.open.per_second = 9\npipe = true", &["closed", "pipe = true"]);
    refused("\"paused\" }", "\"paused\" }\nstages = true", &["hurt", "stages = true"]);
    refused(
        "load.closed.depth = 16",
        "load.closed.depth = 16\nstages_cost = true",
        &["closed", "stages_cost", "stages = true"],
    );
    let three = SMALL.replacen("count = 4", "count = 3", 1).replacen("\"paused\"", "\"repair\"", 1);
    let why = Suite::parse(&three).expect_err("no spare node").to_string();
    assert!(why.contains("start one more"), "{why}");
}
