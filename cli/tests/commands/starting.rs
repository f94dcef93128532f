//! `quarry start`: what it prints, what it refuses, how it stops.

use crate::process::Serving;
use crate::running::{command, directory, finish, has_fields, quarry, strings, text};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// A formatted directory in `dir`.
fn formatted(dir: &Path) -> PathBuf {
    let data = dir.join("data");
    let sizes = ["--capacity", "80MiB", "--file-size", "16MiB"];
    quarry(&[&["format", "--cluster", "c", "--zone", "z", "--data", text(&data)], &sizes[..]].concat()).ends_with(0);
    data
}

const ANYWHERE: [&str; 2] = ["--listen", "127.0.0.1:0"];

#[test]
fn a_node_says_where_it_serves_and_stops_cleanly() {
    let dir = directory();
    let data = formatted(dir.path());
    let start = [&["start", "--data", text(&data)], &ANYWHERE[..]].concat();
    let node = Serving::start(&[&start[..], &["--json"]].concat());
    let ready = node.ready();
    has_fields(&ready, &["pid", "advertise", "shards", "control"]);
    assert_eq!(ready["pid"].as_u64(), Some(u64::from(node.id())));
    assert_eq!(strings(&ready["shards"]), [ready["advertise"].as_str().expect("an address")]);

    let in_use = [text(&data), "already used by another process", "stop that one first"];
    quarry(&start).refuses(2, &in_use);
    quarry(&["verify", "--data", text(&data)]).refuses(2, &in_use);

    let ended = node.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("stopping"), "{}", ended.stderr);
    let again = Serving::start(&start);
    assert!(again.first_line.starts_with("serving at 127.0.0.1:"), "{}", again.first_line);
    again.kill();
    quarry(&["verify", "--data", text(&data)]).ends_with(0);
}

#[test]
fn a_directory_that_is_not_this_nodes_is_refused() {
    let dir = directory();
    let data = formatted(dir.path());
    let start = |data: &Path, more: &[&str]| quarry(&[&["start", "--data", text(data)], &ANYWHERE[..], more].concat());
    let absent = dir.path().join("absent");
    start(&absent, &[]).refuses(2, &[text(&absent), "not a formatted data directory", "quarry format --data"]);
    start(dir.path(), &[]).refuses(2, &[text(dir.path()), "not a formatted data directory"]);
    start(&data, &["--cluster", "other"]).refuses(2, &[text(&data), "\"c\"", "\"other\"", "name the right"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let control = taken.local_addr().expect("it listens").to_string();
    start(&data, &["--control", &control]).refuses(2, &[&control, "the control plane", "in use"]);
}

#[test]
fn settings_that_are_not_there_are_wrong_usage() {
    let dir = directory();
    let file = dir.path().join("node.toml");
    let start = |more: &[&str]| quarry(&[&["start"], more].concat());
    start(&[]).refuses(3, &["--data", "QUARRY_DATA"]);
    start(&["--data", "d"]).refuses(3, &["--listen", "QUARRY_LISTEN"]);
    start(&["--data", "d", "--listen", "nowhere"]).refuses(3, &["listen", "host:port"]);
    start(&["--data", "d", "--listen", "0.0.0.0:7000"]).refuses(3, &["advertise"]);
    start(&["--data", "d", "--listen", "127.0.0.1:65500"]).refuses(3, &["lower"]);
    start(&["--config", text(&file)]).refuses(3, &[text(&file)]);
    std::fs::write(&file, "data = \"d\"\nlissten = \"127.0.0.1:0\"\n").expect("a file");
    start(&["--config", text(&file)]).refuses(3, &[text(&file), "lissten", "`listen`", "line 2"]);
    std::fs::write(&file, "data = 7\n").expect("a file");
    start(&["--config", text(&file)]).refuses(3, &[text(&file), "data = 7"]);

    let mut misspelt = command(&["start", "--data", "d", "--listen", "127.0.0.1:0"]);
    finish(misspelt.env("QUARRY_LISSTEN", "x"), Vec::new()).refuses(3, &["QUARRY_LISSTEN", "QUARRY_LISTEN,"]);
}

/// Flags win over the environment, which wins over the file.
#[test]
fn settings_come_from_the_file_and_the_environment_too() {
    let dir = directory();
    let data = formatted(dir.path());
    let file = dir.path().join("node.toml");
    std::fs::write(&file, format!("data = {:?}\nlisten = \"127.0.0.1:0\"\ncluster = \"other\"\n", text(&data)))
        .expect("a file");
    quarry(&["start", "--config", text(&file)]).refuses(2, &["\"other\""]);
    let mut third = command(&["start", "--config", text(&file)]);
    finish(third.env("QUARRY_CLUSTER", "third"), Vec::new()).refuses(2, &["\"third\""]);
    let node = Serving::start(&["start", "--config", text(&file), "--cluster", "c", "--json"]);
    assert_eq!(node.stop().code, Some(0));
}

/// A node says on standard error what an operator must know.
#[test]
fn a_node_says_what_it_mended() {
    let dir = directory();
    let data = formatted(dir.path());
    let superblock = data.join("superblock");
    let mut bytes = std::fs::read(&superblock).expect("a superblock");
    bytes[100] ^= 1;
    std::fs::write(&superblock, &bytes).expect("written in place");
    let verified = quarry(&["verify", "--data", text(&data)]).ends_with(1);
    assert!(verified.out().contains("copy 0 of the superblock is damaged"), "{}", verified.out());
    let ended = Serving::start(&[&["start", "--data", text(&data)], &ANYWHERE[..]].concat()).stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("a damaged copy of the superblock was mended"), "{}", ended.stderr);
    quarry(&["verify", "--data", text(&data)]).ends_with(0);
}
