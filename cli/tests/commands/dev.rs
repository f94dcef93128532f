//! `quarry dev`: it starts, says what it started, and takes everything with it.

use crate::process::{Dev, wait_for_end};
use crate::running::{command, directory, finish, has_fields, is_running, quarry, quarry_fed};
use std::time::Duration;

/// What its users evaluate in a shell.
#[test]
fn it_prints_a_line_for_the_shell_and_stops_its_nodes() {
    let dir = directory();
    let mut serving = Dev::serve(dir.path(), 2, &[]);
    let url = serving.first_line.strip_prefix("export QUARRY_STORE='").and_then(|line| line.strip_suffix('\''));
    let url = url.unwrap_or_else(|| panic!("the first line is for the shell: {}", serving.first_line)).to_owned();
    let ids = [serving.next_line(), serving.next_line()].map(|line| {
        assert!(line.starts_with("# node "), "{line}");
        line.split_whitespace().nth(4).and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no pid: {line}"))
    });
    assert!(ids.iter().all(|id| is_running(*id)), "{ids:?}");
    finish(command(&["status"]).env("QUARRY_STORE", &url), Vec::new()).ends_with(0);

    // Ctrl-C, if the terminal sent it to this process alone.
    let ended = serving.stop_with("INT");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ids.iter().all(|id| !is_running(*id)), "orphans: {ids:?}");
}

#[test]
fn sigterm_stops_all_nodes_and_the_next_run_has_their_data() {
    let Dev { serving, url, nodes, dir } = Dev::start(3);
    let ready = serving.ready();
    for node in ready["nodes"].as_array().expect("nodes") {
        has_fields(node, &["node", "pid", "zone", "address", "control", "data", "log"]);
    }
    quarry_fed(&["log", "append", "kept", "--store", &url], b"what is kept").ends_with(0);
    let ended = serving.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(nodes.iter().all(|node| !is_running(node.id)), "orphans");
    quarry(&["log", "ls", "--store", &url]).refuses(2, &["no node answered"]);

    let again = Dev::serve(dir.path(), 3, &["--json"]);
    assert_eq!(again.ready()["store"], url.as_str(), "the same addresses");
    let read = quarry(&["log", "read", "kept", "--store", &url]).ends_with(0);
    assert_eq!(read.stdout, b"what is kept");
    assert_eq!(again.stop().code, Some(0));
}

#[test]
fn nodes_die_with_a_dev_that_is_killed() {
    let Dev { serving, nodes, dir: _dir, .. } = Dev::start(2);
    serving.kill();
    nodes.iter().for_each(|node| wait_for_end(node.id));
}

#[test]
fn a_node_that_dies_is_named_and_makes_the_end_a_warning() {
    let dev = Dev::start(2);
    dev.kill(1);
    // It hears of the death before the signal, or stops a node that is gone already.
    std::thread::sleep(Duration::from_millis(200));
    let ended = dev.serving.stop();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for part in ["node 2 ended with signal: 9", "node-2.log", "start it again with: quarry start --data"] {
        assert!(ended.stderr.contains(part), "{part:?} is not said: {}", ended.stderr);
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = directory();
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let below = file.join("dev");
    quarry(&["dev", "--dir", below.to_str().expect("text")]).refuses(2, &["file/dev", "--dir"]);
}

/// Only the first line is read, as by `quarry dev | head -1`: the nodes serve on.
#[test]
fn it_outlives_the_reader_of_its_output() {
    let dir = directory();
    let mut serving = Dev::serve(dir.path(), 1, &[]);
    serving.stop_reading();
    let url = serving.first_line.trim_start_matches("export QUARRY_STORE='").trim_end_matches('\'').to_owned();
    quarry(&["status", "--store", &url]).ends_with(0);
    assert_eq!(serving.stop().code, Some(0));
}
