//! What `format` and `start` refuse (D9), and what they mend.

use crate::client::{Client, SEGMENT, log, payload};
use crate::running::{self, CLUSTER, Running, directory, format, options, settings, try_start};
use quarry_node::{DirectoryError, FormatError, StartError};
use quarry_protocol::message::{self, Reply};
use std::path::Path;

fn refused(data: &Path) -> StartError {
    try_start(data).expect_err("it must not start")
}

/// Whether a message says all of these.
fn says(why: &dyn std::error::Error, words: &[&str]) {
    let why = why.to_string();
    for word in words {
        assert!(why.contains(word), "{why:?} does not say {word:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("created");
    for entry in std::fs::read_dir(from).expect("read") {
        let entry = entry.expect("read");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).expect("copied");
        }
    }
}

#[test]
fn an_unformatted_directory_does_not_start() {
    let directory = directory();
    for data in [directory.path().to_owned(), directory.path().join("absent")] {
        let why = refused(&data);
        assert!(matches!(why, StartError::Directory(DirectoryError::NotFormatted { .. })), "{why:?}");
        says(&why, &["quarry format"]);
    }
    assert!(!directory.path().join("lock").exists(), "a refused start leaves nothing behind");
}

#[test]
fn an_interrupted_format_does_not_start_and_is_not_taken_for_empty() {
    let directory = directory();
    let data = directory.path().join("data");
    format(&data);
    // The superblock comes last: without it everything else is nothing.
    std::fs::remove_file(data.join("superblock")).expect("removed");
    assert!(matches!(refused(&data), StartError::Directory(DirectoryError::NotFormatted { .. })));
    let why = quarry_node::format(&options(&data), |_, _| ()).expect_err("not empty");
    assert!(matches!(why, FormatError::NotEmpty { .. }), "{why:?}");
}

#[test]
fn a_formatted_directory_is_not_formatted_again() {
    let mut running = Running::fresh();
    running.client().store(log(1), SEGMENT, 0, b"precious");
    running.stop();
    let why = quarry_node::format(&options(&running.data), |_, _| ()).expect_err("formatted already");
    assert!(matches!(why, FormatError::AlreadyFormatted { .. }), "{why:?}");
    running.start();
    assert_eq!(running.client().read(log(1), SEGMENT, 0, 1).0.len(), 1);
}

#[test]
fn sizes_and_names_out_of_bounds_are_not_formatted() {
    let directory = directory();
    let good = options(&directory.path().join("data"));
    for (bad, word) in [
        (quarry_node::FormatOptions { shards: 0, ..good.clone() }, "shards"),
        (quarry_node::FormatOptions { shards: 65, ..good.clone() }, "64"),
        (quarry_node::FormatOptions { capacity_bytes: Some(4 * running::FILE_BYTES), ..good.clone() }, "capacity"),
        (quarry_node::FormatOptions { file_bytes: Some(4096), ..good.clone() }, "chunk file"),
        (quarry_node::FormatOptions { file_bytes: Some(running::FILE_BYTES + 1), ..good.clone() }, "multiple"),
        (quarry_node::FormatOptions { cluster: String::new(), ..good.clone() }, "cluster"),
        (quarry_node::FormatOptions { zone: "no spaces".into(), ..good.clone() }, "zone"),
    ] {
        says(&quarry_node::format(&bad, |_, _| ()).expect_err("out of bounds"), &[word]);
    }
    quarry_node::format(&good, |_, _| ()).expect("what was refused left nothing in the way");
}

#[test]
fn another_clusters_directory_does_not_start() {
    let directory = directory();
    let data = directory.path().join("data");
    format(&data);
    let mut settings = settings(&data);
    settings.cluster = Some("elm".into());
    let why = quarry_node::start(&settings.check().expect("good settings")).expect_err("another cluster's");
    says(&why, &["oak", "elm"]);
}

#[test]
fn another_versions_directory_does_not_start() {
    let directory = directory();
    let data = directory.path().join("data");
    format(&data);
    let path = data.join("superblock");
    let mut bytes = std::fs::read(&path).expect("read");
    (bytes[8], bytes[4096 + 8]) = (9, 9);
    std::fs::write(&path, bytes).expect("written");
    says(&refused(&data), &["format version 9"]);
}

#[test]
fn a_directory_in_use_does_not_start_twice() {
    let running = Running::fresh();
    let why = refused(&running.data);
    assert!(matches!(why, StartError::Directory(DirectoryError::InUse { .. })), "{why:?}");
    running.client().store(log(1), SEGMENT, 0, b"undisturbed");
}

/// Pitfall 33, D9: an old copy under a living identity would be amnesia.
#[test]
fn a_copied_directory_does_not_start() {
    let mut running = Running::fresh();
    running.client().store(log(1), SEGMENT, 0, b"one");
    running.stop();
    let copied = running.data.with_file_name("copy");
    copy(&running.data, &copied);
    says(&refused(&copied), &["copy"]);
    // Nor does it when it takes the original's place and name.
    std::fs::rename(&running.data, running.data.with_file_name("original")).expect("renamed");
    std::fs::rename(&copied, &running.data).expect("renamed");
    says(&refused(&running.data), &["copy"]);
    std::fs::rename(&running.data, &copied).expect("renamed");
    std::fs::rename(running.data.with_file_name("original"), &running.data).expect("renamed");
    running.start();
}

#[test]
fn a_damaged_copy_of_the_superblock_is_mended_in_place() {
    let mut running = Running::fresh();
    running.client().store(log(1), SEGMENT, 0, b"one");
    let path = running.data.join("superblock");
    let good = std::fs::read(&path).expect("read");
    for at in [100, 4096 + 100] {
        running.stop();
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).expect("written");
        running.start();
        assert_eq!(std::fs::read(&path).expect("read"), good, "mended");
        assert_eq!(running.client().read(log(1), SEGMENT, 0, 1).0.len(), 1);
    }
    running.stop();
    let mut bytes = good.clone();
    bytes[100] ^= 1;
    bytes[4096 + 100] ^= 1;
    std::fs::write(&path, &bytes).expect("written");
    says(&refused(&running.data), &["both copies"]);
}

/// P8, pitfall 33: a shard that lost a file cannot say what it held. It goes on under a new identity; under the old one it
/// answers *unknown*, never *never*.
#[test]
fn a_shard_that_lost_a_file_retires_its_identity() {
    let mut running = Running::fresh();
    let mut client = running.client();
    let old = client.disk;
    for seq in 0..4 {
        client.store(log(1), SEGMENT, seq, &payload(seq, 100_000));
    }
    running.stop();
    let shard = running.data.join("shard-00");
    let mut removed = 0;
    for file in 1..3 {
        removed += u32::from(std::fs::remove_file(shard.join(format!("{file:08}.chunks"))).is_ok());
    }
    assert!(removed > 0);
    running.start();
    let mut client = running.client();
    assert_ne!(client.disk, old, "a new identity is in force");
    client.disk = old;
    let (chunks, end) = client.read(log(1), SEGMENT, 0, 10);
    assert!(chunks.is_empty());
    assert!(matches!(end, Reply::ReadEnd { answer: message::Answer::Unknown, .. }), "{end:?}");
    let refusal = client.refused(log(1), SEGMENT, 4, b"under the old identity");
    assert!(matches!(refusal, message::Refusal::Retired { .. }), "{refusal:?}");
    // It stays so.
    running.restart();
    let mut client = Client::connect(running.address(), CLUSTER);
    assert_ne!(client.disk, old);
    client.store(log(3), SEGMENT, 0, b"under the new identity");
}

#[test]
fn a_port_in_use_is_named() {
    let running = Running::fresh();
    let directory = directory();
    let data = directory.path().join("data");
    format(&data);
    let mut settings = settings(&data);
    settings.control = Some(running.node().addresses().control.to_string());
    let why = quarry_node::start(&settings.check().expect("good settings")).expect_err("the port is in use");
    let port = running.node().addresses().control.port().to_string();
    says(&why, &["control plane", &port]);
}
