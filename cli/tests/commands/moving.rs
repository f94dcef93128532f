//! Logs that move between storage nodes and directories, by command.

use crate::process::Dev;
use crate::running::{Ran, directory, distinct_bytes, has_fields, quarry, quarry_fed, text};

fn log(store: &str, arguments: &[&str]) -> Ran {
    let mut whole = vec!["log"];
    whole.extend(arguments);
    whole.extend(["--store", store]);
    quarry(&whole)
}

fn append(store: &str, input: &[u8]) {
    quarry_fed(&["log", "append", "moved", "--chunk-size", "1KiB", "--store", store], input).ends_with(0);
}

/// Nodes, then a directory, then three, then nodes again: one sequence of chunks, whichever URL it is read by.
#[test]
fn a_log_moves_from_nodes_to_directories_and_back() {
    let dev = Dev::start(3);
    let (nodes, register) = dev.url.split_once("?register=").expect("a store of nodes");
    let dir = directory();
    let paths: Vec<_> = ["one", "a", "b", "c"].iter().map(|name| dir.path().join(name)).collect();
    paths.iter().for_each(|path| std::fs::create_dir(path).expect("is made"));
    let one = format!("file://{}", text(&paths[0]));
    let three = format!("file://{},{},{}", text(&paths[1]), text(&paths[2]), text(&paths[3]));
    let with_register = |tier: &str| format!("{tier}?register={register}");
    let bytes = distinct_bytes(40 << 10);

    append(&dev.url, &bytes[..10 << 10]);
    let moved = log(&dev.url, &["move", "moved", "--to", &one, "--json"]).ends_with(0).json();
    has_fields(&moved, &["log", "epoch", "from", "next_seq", "replicas", "sealed"]);
    assert_eq!((&moved["next_seq"], &moved["replicas"].as_array().map(Vec::len)), (&10.into(), &Some(1)), "{moved}");
    // Chunks that the answers did not prove on a quorum move along: a node may not have had them when it was asked (P7).
    assert!(moved["from"].as_u64().is_some_and(|from| from <= 10), "{moved}");
    // Whoever writes names the tier that is to have what he writes.
    append(&with_register(&one), &bytes[10 << 10..20 << 10]);
    let said = log(&with_register(&one), &["move", "moved", "--to", &three]).ends_with(0);
    assert!(said.out().contains("from seq 20 on"), "{}", said.out());
    append(&with_register(&three), &bytes[20 << 10..30 << 10]);
    log(&with_register(&three), &["move", "moved", "--to", nodes]).ends_with(0);
    append(&dev.url, &bytes[30 << 10..]);

    for store in [dev.url.clone(), with_register(&one), with_register(&three)] {
        assert!(log(&store, &["read", "moved"]).ends_with(0).stdout == bytes, "{store}");
    }
    log(&dev.url, &["trim", "moved", "--below", "15"]).ends_with(0);
    assert!(log(&with_register(&three), &["read", "moved"]).ends_with(0).stdout == bytes[15 << 10..]);
}

/// Older segments are copied along, from nodes and back to them: nothing is needed of where they lay before.
#[test]
fn older_segments_move_along_both_ways() {
    let dev = Dev::start(3);
    let (nodes, register) = dev.url.split_once("?register=").expect("a store of nodes");
    let dir = directory();
    let one = format!("file://{}", text(dir.path()));
    let in_one = format!("{one}?register={register}");
    let bytes = distinct_bytes(30 << 10);
    append(&dev.url, &bytes[..10 << 10]);
    append(&dev.url, &bytes[10 << 10..20 << 10]);
    let moved = log(&dev.url, &["move", "moved", "--to", &one, "--copy", "--json"]).ends_with(0).json();
    has_fields(&moved["copied"], &["segments", "chunks", "bytes", "left"]);
    // What the takeover did not copy itself (P7).
    assert_eq!(
        (&moved["copied"]["chunks"], &moved["copied"]["left"]),
        (&moved["from"], &serde_json::json!([])),
        "{moved}"
    );
    let lies_in = |store: &str, word: &str| {
        let record = log(store, &["inspect", "moved", "--json"]).ends_with(0).json();
        let segments = record["segments"].as_array().expect("segments").clone();
        assert!(!segments.is_empty(), "{record}");
        for segment in &segments {
            assert!(segment["replicas"].to_string().contains(word), "{segment}");
        }
    };
    lies_in(&in_one, &one);
    // Nodes free what the record does not name there any more.
    let freed = quarry(&["repair", "moved", "--grace", "0", "--store", &dev.url]).ends_with(0);
    assert!(freed.out().contains("freed"), "{}", freed.out());
    assert!(log(&in_one, &["read", "moved"]).ends_with(0).stdout == bytes[..20 << 10]);
    append(&in_one, &bytes[20 << 10..]);

    let said = log(&in_one, &["move", "moved", "--to", nodes, "--copy"]).ends_with(0);
    assert!(said.out().contains("older segments were copied there"), "{}", said.out());
    for entry in std::fs::read_dir(dir.path()).expect("is there").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            std::fs::remove_dir_all(entry).expect("is removed");
        }
    }
    assert!(log(&dev.url, &["read", "moved"]).ends_with(0).stdout == bytes);
}

#[test]
fn what_cannot_be_moved_or_moved_to_is_named() {
    let dir = directory();
    let store = format!("file://{}", text(dir.path()));
    log(&store, &["move", "absent", "--to", &store]).refuses(2, &["\"absent\" does not exist"]);
    log(&store, &["move", "absent", "--to", "memory://x"]).refuses(3, &["process's memory"]);
    log(&store, &["move", "absent", "--to", &format!("{store}?register=dir:/r")]).refuses(3, &["leave register= out"]);
    log(&store, &["move", "absent", "--to", "file:///nowhere/at/all"]).refuses(2, &["mkdir -p /nowhere/at/all"]);
}

/// What a command trims or deletes is gone from the directory when it ends, and nothing there is asked for a repair.
#[test]
fn trimmed_and_deleted_objects_are_gone() {
    let dir = directory();
    let store = format!("file://{}", text(dir.path()));
    let objects = || {
        let logs = std::fs::read_dir(dir.path()).expect("is there").map(|entry| entry.expect("an entry").path());
        let segments = logs.filter(|path| path.is_dir() && path.file_name().is_some_and(|name| name.len() == 32));
        let segments = segments
            .flat_map(|log| std::fs::read_dir(log).expect("a log").map(|entry| entry.expect("an entry").path()));
        let chunks = segments.flat_map(|segment| std::fs::read_dir(segment).expect("a segment"));
        chunks
            .map(|entry| entry.expect("an entry").metadata().expect("is there").len())
            .filter(|size| *size > 1000)
            .count()
    };
    append(&store, &distinct_bytes(20 << 10));
    assert_eq!(objects(), 20);
    log(&store, &["trim", "moved", "--below", "12"]).ends_with(0);
    assert_eq!(objects(), 8);
    let status = quarry(&["status", "--store", &store]).ends_with(0);
    assert!(status.out().starts_with("HEALTHY: 1 of 1 buckets answer"), "{}", status.out());
    quarry(&["repair", "moved", "--store", &store]).ends_with(0);
    log(&store, &["rm", "moved"]).ends_with(0);
    assert_eq!(objects(), 0);
    std::fs::remove_file(dir.path().join("identity")).expect("is removed");
    log(&store, &["ls"]).refuses(2, &["has lost its identity object", "put `identity` back"]);
    quarry(&["status", "--store", &store]).ends_with(2);
}
