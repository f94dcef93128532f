//! `quarry format`.

use crate::running::{Ran, directory, has_fields, quarry, text};
use std::path::Path;

const SMALL: [&str; 4] = ["--capacity", "80MiB", "--file-size", "16MiB"];

fn format(data: &Path, more: &[&str]) -> Ran {
    let base = ["format", "--cluster", "c", "--zone", "z", "--data", text(data)];
    quarry(&[&base, more].concat())
}

#[test]
fn a_directory_is_formatted_once() {
    let dir = directory();
    let data = dir.path().join("made/on/the/way");
    let ran = format(&data, &[&SMALL[..], &["--shards", "1", "--json"]].concat()).ends_with(0);
    let value = ran.json();
    has_fields(
        &value,
        &["data", "cluster", "zone", "node", "disks", "file_bytes", "files_per_shard", "capacity_bytes"],
    );
    assert_eq!((value["file_bytes"].as_u64(), value["files_per_shard"].as_u64()), (Some(16 << 20), Some(5)));
    format(&data, &SMALL).refuses(2, &[text(&data), "already formatted", "name another directory"]);
    // Nothing of it was touched.
    quarry(&["verify", "--data", text(&data)]).ends_with(0);
    let said = format(&dir.path().join("other"), &SMALL).ends_with(0);
    assert!(said.out().contains("start it with: quarry start --data"), "{}", said.out());
}

#[test]
fn what_is_not_empty_is_left_alone() {
    let dir = directory();
    std::fs::write(dir.path().join("thesis.txt"), "ten years").expect("a file");
    format(dir.path(), &SMALL).refuses(2, &[text(dir.path()), "thesis.txt", "name an empty directory"]);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 1);
}

#[test]
fn names_and_sizes_out_of_bounds_are_wrong_usage() {
    let dir = directory();
    let data = dir.path().join("data");
    let with = |cluster: &str, zone: &str, more: &[&str]| {
        quarry(&[&["format", "--cluster", cluster, "--zone", zone, "--data", text(&data)], more].concat())
    };
    with("a b", "z", &SMALL).refuses(3, &["cluster", "\"a b\"", "1 to 63 letters"]);
    with("c", "", &SMALL).refuses(3, &["zone", "1 to 63 letters"]);
    with("c", "z", &["--capacity", "16MiB", "--file-size", "16MiB"]).refuses(3, &["16777216", "at least 83886080"]);
    with("c", "z", &["--capacity", "1GiB", "--file-size", "1MiB"]).refuses(3, &["1048576", "16777216"]);
    with("c", "z", &["--shards", "65"]).refuses(3, &["1..=64"]);
    assert!(!data.join("superblock").exists());
    format(&data, &SMALL).ends_with(0);
}
