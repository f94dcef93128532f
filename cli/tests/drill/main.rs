//! The drill in its short form: real processes, real faults, and a verdict that is not always the same.

use serde_json::Value;
use std::process::{Command, Output};

/// Faults of the short form; the long one is `make drill`.
const SEED: &str = "20";

/// Runs a drill in a directory that goes with it, beside the build: /tmp may be a tmpfs, which has no Direct IO.
fn drill(more: &[&str]) -> Output {
    let dir = tempfile::Builder::new().prefix("drill-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let arguments = ["drill", "--json", "--seed", SEED, "--dir"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_quarry"));
    command.args(arguments).arg(dir.path()).args(more).output().expect("quarry runs")
}

/// What it printed, and said.
fn report(done: &Output) -> (Value, String) {
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let printed = String::from_utf8_lossy(&done.stdout);
    let report = serde_json::from_str(printed.lines().next().unwrap_or_default());
    (report.unwrap_or_else(|why| panic!("{why}: {printed}\n{said}")), said)
}

/// DESIGN 6, with everything going on at once: nothing acknowledged is lost, whatever is done to the nodes.
#[test]
fn a_short_drill_loses_nothing() {
    let done = drill(&["--seconds", "20"]);
    let (report, said) = report(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert_eq!((&report["verdict"], &report["violations"]), (&"OK".into(), &Value::Array(vec![])), "{said}");
    let at_least =
        |value: &Value, least: u64| assert!(value.as_u64() >= Some(least), "{value}, at least {least}: {report}");
    // Nothing is shown by a drill in which nothing happened.
    let faults = report["faults"].as_object().expect("faults by kind");
    assert_eq!(faults.len(), 11, "{report}");
    faults.values().for_each(|times| at_least(times, 1));
    let counts = &report["counts"];
    for what in ["acknowledged", "chunks_read"] {
        at_least(&counts[what], 100);
    }
    for what in ["opens", "rotations", "trims", "reads", "takeovers", "repairs", "copies_whole"] {
        at_least(&counts[what], 1);
    }
    at_least(&report["bits_flipped"], 1);
}

/// A checker that cannot fail checks nothing: with one remembered checksum changed, the drill must fail and say where.
#[test]
fn a_drill_with_a_wrong_record_fails() {
    let done = drill(&["--seconds", "1", "--plant-wrong-record"]);
    let (report, said) = report(&done);
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert_eq!(report["verdict"], "FAILED");
    let violations = report["violations"].as_array().expect("violations");
    assert_eq!(violations.len(), 1, "{violations:?}");
    let why = violations[0].as_str().expect("words");
    assert!(why.contains("drilled-0") && why.contains("checksum"), "{why}");
    assert!(said.contains("DRILL FAILED, seed 20"), "{said}");
}
