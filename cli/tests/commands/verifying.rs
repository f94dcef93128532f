//! `quarry verify` on what a node left behind.

use crate::process::Dev;
use crate::running::{directory, distinct_bytes, has_fields, quarry, quarry_fed, text};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A chunk file below `data` that holds `needle`, and where.
fn find(data: &Path, needle: &[u8]) -> (PathBuf, u64) {
    let files = std::fs::read_dir(data.join("shard-00")).expect("a shard").map(|entry| entry.expect("an entry").path());
    let found = files.filter(|path| path.extension().is_some_and(|extension| extension == "chunks")).find_map(|path| {
        let bytes = std::fs::read(&path).expect("a chunk file");
        let at = bytes.windows(needle.len()).position(|window| window == needle)?;
        Some((path, at as u64))
    });
    found.expect("what was appended lies in a chunk file")
}

#[test]
fn a_stopped_node_is_verified_sound_and_with_a_flipped_bit() {
    let dev = Dev::start(1);
    let payload = distinct_bytes(10 * 8192);
    quarry_fed(&["log", "append", "v", "--chunk-size", "8KiB", "--store", &dev.url], &payload).ends_with(0);
    let data = dev.nodes[0].data.clone();
    quarry(&["verify", "--data", text(&data)]).refuses(2, &[text(&data), "already used by another process"]);
    assert_eq!(dev.serving.stop().code, Some(0));

    let sound = quarry(&["verify", "--data", text(&data), "--json"]).ends_with(0).json();
    has_fields(&sound, &["cluster", "zone", "file_bytes", "files_per_shard", "shards", "problem_count"]);
    assert_eq!(sound["problem_count"], 0, "{sound}");
    let shard = &sound["shards"][0];
    has_fields(shard, &["disk", "identity", "refused", "last_batch", "files", "logs", "lost_chunks", "problem_count"]);
    assert_eq!(shard["logs"].as_array().map(Vec::len), Some(1), "{shard}");
    let said = quarry(&["verify", "--data", text(&data)]).ends_with(0);
    assert!(said.out().starts_with("SOUND: 0 problems"), "{}", said.out());

    let (file, at) = find(&data, &payload[3 * 8192 + 5000..][..64]);
    let chunks = std::fs::File::options().read(true).write(true).open(&file).expect("a chunk file");
    let mut byte = [0];
    chunks.read_exact_at(&mut byte, at).expect("it is there");
    chunks.write_all_at(&[byte[0] ^ 0x10], at).expect("a bit flips");
    let broken = quarry(&["verify", "--data", text(&data)]).ends_with(2);
    assert!(broken.out().starts_with("BROKEN: "), "{}", broken.out());
    let number = file.file_stem().and_then(|stem| stem.to_str()).expect("a number").trim_start_matches('0').to_owned();
    for part in [format!("file {number}: the payload of log"), "seq 3 at byte".into(), "1 chunks lost".into()] {
        assert!(broken.out().contains(&part), "{part:?} is not named: {}", broken.out());
    }
    let broken = quarry(&["verify", "--data", text(&data), "--json"]).ends_with(2).json();
    assert_eq!(broken["shards"][0]["lost_chunks"], 1, "{broken}");
    // It changed nothing: it finds the same again.
    assert_eq!(quarry(&["verify", "--data", text(&data), "--json"]).ends_with(2).json(), broken);
}

#[test]
fn what_is_no_data_directory_is_refused() {
    let dir = directory();
    let absent = dir.path().join("absent");
    for path in [&absent, &dir.path().to_path_buf()] {
        quarry(&["verify", "--data", text(path)]).refuses(2, &[text(path), "not a formatted data directory"]);
    }
    quarry(&["verify"]).refuses(3, &["--data"]);
}
