//! `quarry log`: the life of a log, from its first append to its removal.

use crate::process::Dev;
use crate::running::{Ran, command, distinct_bytes, finish, has_fields, quarry, quarry_fed};
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

fn log(dev: &Dev, arguments: &[&str]) -> Ran {
    quarry(&[&["log"], arguments, &["--store", &dev.url]].concat())
}

fn append(dev: &Dev, arguments: &[&str], input: &[u8]) -> Ran {
    quarry_fed(&[&["log", "append"], arguments, &["--store", &dev.url]].concat(), input)
}

#[test]
fn what_goes_in_comes_out() {
    let dev = Dev::start(3);
    let bytes = distinct_bytes(1_000_003);
    let appended = append(&dev, &["a", "--chunk-size", "64KiB", "--json"], &bytes).ends_with(0).json();
    has_fields(
        &appended,
        &["log", "epoch", "created", "recovered", "from", "to", "bytes", "seconds", "mib_per_second"],
    );
    assert_eq!((&appended["from"], &appended["to"], &appended["bytes"]), (&0.into(), &16.into(), &1_000_003.into()));
    assert_eq!(appended["created"], true);
    assert!(log(&dev, &["read", "a"]).ends_with(0).stdout == bytes, "other bytes came out than went in");

    let part = |from: &str, to: &str| log(&dev, &["read", "a", "--from", from, "--to", to]).ends_with(0).stdout;
    assert!(part("3", "5") == bytes[3 * 65536..5 * 65536]);
    assert!(part("15", "16") == bytes[15 * 65536..]);
    assert!(part("4", "4").is_empty());
    let lines = log(&dev, &["read", "a", "--from", "14", "--json"]).ends_with(0).json_lines();
    assert_eq!(lines.len(), 2);
    for (line, seq) in lines.iter().zip(14..) {
        has_fields(line, &["seq", "segment", "bytes", "sha256"]);
        assert_eq!(line["seq"], seq);
    }

    let more = append(&dev, &["a", "--must-exist", "--chunk-size", "1000"], &bytes[..2500]).ends_with(0);
    assert!(more.out().starts_with("seqs 16 to 18"), "{}", more.out());
    assert_eq!(log(&dev, &["tail", "a"]).ends_with(0).out(), "19\n");
    assert!(log(&dev, &["read", "a"]).ends_with(0).stdout == [&bytes[..], &bytes[..2500]].concat());
    let nothing = append(&dev, &["a"], b"").ends_with(0);
    assert!(nothing.out().contains("stays at seq 19"), "{}", nothing.out());

    // Every size that a chunk can have at its limits.
    append(&dev, &["large", "--chunk-size", "4MiB"], &distinct_bytes((4 << 20) + 1)).ends_with(0);
    assert!(log(&dev, &["read", "large"]).ends_with(0).stdout == distinct_bytes((4 << 20) + 1));
    append(&dev, &["small", "--chunk-size", "1"], b"small").ends_with(0);
    assert_eq!(log(&dev, &["read", "small"]).ends_with(0).stdout, b"small");
}

#[test]
fn a_log_is_listed_trimmed_inspected_and_removed() {
    let dev = Dev::start(3);
    for name in ["b", "a", "a/long name"] {
        append(&dev, &[name, "--chunk-size", "100"], &distinct_bytes(1000)).ends_with(0);
    }
    assert_eq!(log(&dev, &["ls"]).ends_with(0).out(), "a\na/long name\nb\n");
    assert_eq!(log(&dev, &["ls", "a/", "--json"]).ends_with(0).json(), serde_json::json!({ "logs": ["a/long name"] }));
    assert_eq!(log(&dev, &["ls", "z"]).ends_with(0).out(), "");

    let inspected = log(&dev, &["inspect", "a", "--json"]).ends_with(0).json();
    has_fields(&inspected, &["log", "id", "epoch", "owner", "floor", "tail", "segments", "orphans"]);
    let segment = &inspected["segments"][0];
    has_fields(segment, &["segment", "epoch", "base", "end", "ack_quorum", "window", "replicas", "matrix"]);
    for replica in segment["replicas"].as_array().expect("replicas") {
        has_fields(replica, &["zone", "address", "disk", "fence", "floor", "watermark", "newest", "error"]);
    }
    let (from, says) = (&segment["matrix"][0]["from"], &segment["matrix"][0]["replicas"][0]);
    // Below what the replica was told to be committed, it is not asked about single seqs.
    assert!(*from == 0 && (says == "have" || says == "committed"), "from {from}, {says}");

    let trimmed = log(&dev, &["trim", "a", "--below", "4", "--json"]).ends_with(0).json();
    assert_eq!((&trimmed["log"], &trimmed["floor"]), (&"a".into(), &4.into()));
    log(&dev, &["read", "a", "--from", "3"]).refuses(2, &["log \"a\"", "seq 3 is trimmed", "begins at 4", "read from"]);
    assert!(log(&dev, &["read", "a"]).ends_with(0).stdout == distinct_bytes(1000)[400..]);
    let lower = log(&dev, &["trim", "a", "--below", "2"]).ends_with(0);
    assert_eq!(lower.out(), "\"a\" now begins at seq 4\n", "a floor never sinks");
    log(&dev, &["trim", "a", "--below", "11"]).refuses(2, &["log \"a\"", "below 11", "tail 10"]);
    let tail = log(&dev, &["tail", "a", "--json"]).ends_with(0).json();
    has_fields(&tail, &["log", "id", "floor", "tail"]);
    assert_eq!((&tail["floor"], &tail["tail"]), (&4.into(), &10.into()));
    log(&dev, &["read", "a", "--from", "11"]).refuses(2, &["log \"a\"", "seq 11", "tail 10", "follow"]);
    let said = log(&dev, &["inspect", "a"]).ends_with(0);
    for part in ["floor 4  tail 10", "2 of 3", "trimmed", "have", "zone-1", "zone-2", "zone-3"] {
        assert!(said.out().contains(part), "{part:?} is not said: {}", said.out());
    }

    let removed = log(&dev, &["rm", "a", "--json"]).ends_with(0).json();
    assert_eq!(removed, serde_json::json!({ "log": "a", "unreached": [] }));
    assert_eq!(log(&dev, &["ls"]).ends_with(0).out(), "a/long name\nb\n");
    let again = append(&dev, &["a", "--json"], b"anew").ends_with(0).json();
    assert_eq!((&again["from"], &again["created"]), (&0.into(), &true.into()), "a new log of the old name");
    assert_eq!(log(&dev, &["read", "a"]).ends_with(0).stdout, b"anew");
}

#[test]
fn what_is_not_there_or_cannot_be_meant_is_named() {
    let dev = Dev::start(1);
    let unknown = ["log \"unknown\" does not exist", "check the name"];
    for arguments in [["read", "unknown"], ["tail", "unknown"], ["inspect", "unknown"], ["rm", "unknown"]] {
        log(&dev, &arguments).refuses(2, &unknown);
    }
    log(&dev, &["trim", "unknown", "--below", "0"]).refuses(2, &unknown);
    append(&dev, &["unknown", "--must-exist"], b"x").refuses(2, &["log \"unknown\"", "leave --must-exist out"]);
    append(&dev, &["gone"], b"x").ends_with(0);
    log(&dev, &["read", "gone", "--from", "5", "--to", "2"]).refuses(3, &["from 5 to 2", "swap them"]);
    log(&dev, &["rm", "gone"]).ends_with(0);
    log(&dev, &["read", "gone"]).refuses(2, &["log \"gone\" does not exist"]);
    append(&dev, &["gone", "--must-exist"], b"x").refuses(2, &["log \"gone\" does not exist"]);
    assert_eq!(log(&dev, &["ls"]).ends_with(0).out(), "", "what was refused made no log");
}

/// A receipt names every holder, and warns of what is short of one.
#[test]
fn a_receipt_says_who_holds_what_since_when() {
    let dev = Dev::start(3);
    append(&dev, &["kept", "--chunk-size", "100"], &distinct_bytes(1000)).ends_with(0);
    // What is on a quorum is acknowledged: a takeover seals it, and a repair brings it to the last replica too.
    let whole = (0..20).find_map(|_| {
        append(&dev, &["kept"], b"").ends_with(0);
        quarry(&["repair", "kept", "--keep-orphans", "--store", &dev.url]).ends_with(0);
        let receipt = log(&dev, &["inspect", "kept", "--receipt", "--json"]);
        (receipt.code == Some(0)).then(|| receipt.json())
    });
    let receipt = whole.expect("it becomes whole");
    has_fields(&receipt, &["log", "id", "tail", "segments"]);
    let segment = &receipt["segments"][0];
    has_fields(segment, &["segment", "from", "to", "replicas", "holders", "copies"]);
    assert_eq!((&receipt["tail"], &segment["copies"][0]["copies"]), (&10.into(), &3.into()), "{receipt}");
    let holders = segment["holders"].as_array().expect("holders");
    assert_eq!(holders.len(), 3);
    for holder in holders {
        has_fields(holder, &["zone", "address", "disk", "runs", "missing", "error"]);
        let run = &holder["runs"][0];
        has_fields(run, &["from", "to", "stored_from_s", "stored_to_s", "verified_at_s"]);
        let (from, to) = (run["stored_from_s"].as_u64(), run["stored_to_s"].as_u64());
        assert!(from.is_some() && from <= to, "{run}");
        assert_eq!((&run["from"], &holder["missing"]), (&0.into(), &serde_json::json!([])), "{holder}");
    }
    let said = log(&dev, &["inspect", "kept", "--receipt"]).ends_with(0);
    for part in ["RANGE", "zone-1", "zone-2", "zone-3", "Z to 2", "copies, at least: 0..", ": 3 of 3"] {
        assert!(said.out().contains(part), "{part:?} is not said: {}", said.out());
    }
    dev.kill(1);
    let said = log(&dev, &["inspect", "kept", "--receipt"]).ends_with(1);
    for part in ["no answer: ", ": 2 of 3"] {
        assert!(said.out().contains(part), "{part:?} is not said: {}", said.out());
    }
    log(&dev, &["inspect", "nobody's", "--receipt"]).refuses(2, &["log \"nobody's\" does not exist"]);
}

/// A node that is down makes what it holds unreached, not lost, and says so with the exit code.
#[test]
fn commands_short_of_a_node_warn() {
    let dev = Dev::start(3);
    append(&dev, &["short"], b"bytes").ends_with(0);
    dev.kill(2);
    assert_eq!(log(&dev, &["read", "short"]).ends_with(0).stdout, b"bytes");
    let inspected = log(&dev, &["inspect", "short"]).ends_with(1);
    assert!(inspected.out().contains("silent") && inspected.out().contains("no answer"), "{}", inspected.out());
    let removed = log(&dev, &["rm", "short"]).ends_with(1);
    assert!(
        removed.stderr.contains("zone-3") && removed.stderr.contains("run `quarry log rm` again"),
        "{}",
        removed.stderr
    );
    dev.kill(1);
    log(&dev, &["tail", "short"]).refuses(2, &["log \"short\""]);
    append(&dev, &["other"], b"bytes").refuses(2, &["log \"other\"", "zone"]);
}

#[test]
fn a_follower_sees_chunks_as_they_come() {
    let dev = Dev::start(1);
    append(&dev, &["f"], b"first ").ends_with(0);
    let mut follower = command(&["log", "read", "f", "--follow", "--to", "2", "--store", &dev.url]);
    let follower = std::thread::spawn(move || finish(&mut follower, Vec::new()));
    let mut writer = command(&["log", "append", "f", "--store", &dev.url]).stdin(Stdio::piped()).spawn().expect("runs");
    std::thread::sleep(Duration::from_millis(200));
    assert!(!follower.is_finished(), "it waits at the tail");
    let mut stdin = writer.stdin.take().expect("stdin is piped");
    stdin.write_all(b"second").expect("the writer reads");
    drop(stdin);
    assert!(writer.wait().expect("it ends").success());
    assert_eq!(follower.join().expect("it does not panic").ends_with(0).stdout, b"first second");
}
