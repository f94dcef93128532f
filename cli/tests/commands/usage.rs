//! Wrong command lines: exit code 3, whatever the store is doing.

use crate::running::{command, directory, finish, quarry, quarry_fed};

const MEMORY: [&str; 2] = ["--store", "memory://usage"];

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [["--help"].as_slice(), &["--version"], &["log", "append", "--help"], &["help", "status"]] {
        let ran = quarry(arguments).ends_with(0);
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{arguments:?}: {}", ran.stderr);
    }
    assert!(quarry(&["--help"]).out().contains(
        "Exit codes: 0 ok, 1 warning, 2 unhealthy or failed, 3 wrong usage, 4 acknowledged chunks lost (bench)."
    ));
}

#[test]
fn a_wrong_command_line_ends_with_3_and_names_what_is_wrong() {
    for (arguments, named) in [
        (["frobnicate"].as_slice(), "frobnicate"),
        (&["status", "--frobnicate"], "--frobnicate"),
        (&["dev", "--nodes", "9"], "1..=7"),
        (&["dev", "--capacity", "many"], "64KiB"),
        (&["format", "--data", "d"], "--cluster"),
        (&["log", "trim", "x"], "--below"),
        (&["bench", "append", "--rounds", "3"], "--rounds"),
        (&["bench", "append", "--part-seconds", "0"], "above 0"),
        (&["log", "ls"], "QUARRY_STORE"),
        (&["status"], "QUARRY_STORE"),
        (&["log", "ls", "--store", ""], "QUARRY_STORE"),
        (&["log", "ls", "--store", "ftp://x"], "quarry://"),
        (&["status", "--store", "quarry://127.0.0.1:1/c"], "register"),
        (&["log", "ls", "--store", "quarry://127.0.0.1:1/c?register=dir:/x&replicsa=3"], "replicsa"),
    ] {
        quarry(arguments).refuses(3, &[named]);
    }
    let ran = quarry(&[]).ends_with(3);
    assert!(ran.stderr.contains("Usage: quarry"), "{}", ran.stderr);
}

#[test]
fn sizes_and_names_out_of_bounds_name_the_bounds() {
    let append = |more: &[&str]| quarry_fed(&[&["log", "append"], more, &MEMORY].concat(), b"bytes");
    append(&["x", "--chunk-size", "0"]).refuses(3, &["--chunk-size 0", "1 to 4194304 bytes"]);
    append(&["x", "--chunk-size", "4194305"]).refuses(3, &["--chunk-size 4194305", "1 to 4194304 bytes"]);
    append(&["x", "--chunk-size", "1TiB"]).refuses(3, &["--chunk-size 1TiB", "1 to 4194304 bytes"]);
    append(&["x", "--chunk-size", "-1"]).ends_with(3);
    append(&["x", "--window", "0"]).refuses(3, &["window of 0 chunks", "1 to 4096"]);
    append(&[""]).refuses(3, &["1 to 255 bytes"]);
    append(&["x", "--chunk-size", "4MiB"]).ends_with(0);
    append(&["x", "--chunk-size", "1"]).ends_with(0);
}

#[test]
fn wrong_usage_is_wrong_usage_even_when_no_node_answers() {
    let dir = directory();
    let url = format!("quarry://127.0.0.1:1/c?register=dir:{}", dir.path().display());
    quarry_fed(&["log", "append", "x", "--chunk-size", "0", "--store", &url], b"bytes").refuses(3, &["--chunk-size 0"]);
    quarry(&["log", "ls", "--store", &url]).refuses(2, &["127.0.0.1:1", "check that the nodes run"]);
    quarry(&["status", "--control", "a:1", "--control", "b:1", "--store", &url]).refuses(3, &["2 times", "1 node"]);
}

/// Scripts that ask for JSON get it from every failure, also of the command line itself.
#[test]
fn failures_are_json_too() {
    for (arguments, code) in [
        (["--json", "frobnicate"].as_slice(), 3),
        (&["log", "append", "x", "--chunk-size", "0", "--store", "memory://j", "--json"], 3),
        (&["log", "tail", "never made", "--store", "memory://j", "--json"], 2),
    ] {
        let ran = quarry(arguments).ends_with(code);
        let value = ran.json();
        assert_eq!(value["exit_code"], code, "{value}");
        let why = value["error"].as_str().expect("a message");
        assert!(!why.is_empty() && ran.stderr.contains(why.lines().next().expect("a line")), "{why}: {}", ran.stderr);
    }
}

#[test]
fn the_store_may_stand_in_the_environment() {
    let with = |store: &str, arguments: &[&str]| finish(command(arguments).env("QUARRY_STORE", store), Vec::new());
    with("memory://environment", &["log", "ls"]).ends_with(0);
    with("memory://environment", &["status"]).ends_with(0);
    with("ftp://wrong", &["log", "ls"]).refuses(3, &["ftp://wrong"]);
    with("ftp://wrong", &["log", "ls", "--store", "memory://given"]).ends_with(0);
    with("", &["log", "ls"]).refuses(3, &["QUARRY_STORE"]);
}
