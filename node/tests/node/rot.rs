//! Bit rot in a chunk file, behind the back of a running node.

use crate::client::{SEGMENT, log};
use crate::running::Running;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::message::{Answer, ProvenanceRun, Reply, Request};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long a node that scrubs every second may take to find something, on a machine however busy.
const FOUND_WITHIN: Duration = Duration::from_mins(1);

/// A payload that resembles no other, anywhere.
fn payload(seq: u64) -> Vec<u8> {
    (0..10_000_u64).flat_map(|i| crc32c::crc32c(&[seq.to_le_bytes(), i.to_le_bytes()].concat()).to_le_bytes()).collect()
}

fn chunk_files(below: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(below).expect("read") {
        let path = entry.expect("read").path();
        if path.is_dir() {
            files.extend(chunk_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "chunks") {
            files.push(path);
        }
    }
    files
}

/// Flips one bit in the middle of `wanted`, wherever it lies.
fn rot(data: &Path, wanted: &[u8]) {
    for path in chunk_files(data) {
        let bytes = std::fs::read(&path).expect("read");
        let Some(at) = bytes.windows(64).position(|window| window == &wanted[..64]) else { continue };
        let at = at + wanted.len() / 2;
        let file = std::fs::File::options().write(true).open(&path).expect("opened");
        file.write_all_at(&[bytes[at] ^ 4], at as u64).expect("written");
        return file.sync_all().expect("synced");
    }
    panic!("the payload lies in no chunk file");
}

/// D6: damage is found by the node itself, although nobody reads; the file keeps the bytes as they are.
#[test]
fn a_rotten_chunk_that_nobody_reads_is_found() {
    let mut running = Running::scrubbing(1.0);
    let mut client = running.client();
    for seq in 0..3 {
        client.store(log(1), SEGMENT, seq, &payload(seq));
    }
    rot(&running.data, &payload(1));
    let found = |running: &Running| {
        let metrics = running.metrics();
        let line = metrics.lines().find(|line| line.starts_with("quarry_scrub_damaged_chunks_total"));
        line.expect("the metric").ends_with(" 1")
    };
    let since = Instant::now();
    while !found(&running) {
        assert!(since.elapsed() < FOUND_WITHIN, "the node does not look: {}", running.metrics());
        std::thread::sleep(Duration::from_millis(50));
    }
    let segments = vec![SEGMENT];
    let inspected = client.ask(&Request::Inspect { log: log(1), segments });
    let Reply::Inspected { segments, .. } = inspected else { panic!("{inspected:?}") };
    let runs: Vec<_> = segments[0].runs.iter().map(|run| (run.from.0, run.answer)).collect();
    assert_eq!(runs, [(0, Answer::Have), (1, Answer::Unknown), (2, Answer::Have)]);
    let (log, from, to) = (log(1), ChunkSeq(0), ChunkSeq(3));
    let provenance = client.ask(&Request::Provenance { log, segment: SEGMENT, from, to });
    let Reply::Provenance { runs, .. } = provenance else { panic!("{provenance:?}") };
    let held: Vec<_> = runs.iter().map(|run| (run.from.0, run.to.0)).collect();
    assert_eq!(held, [(0, 1), (2, 3)]);
    let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let plausible = |run: &ProvenanceRun| run.stored_from_s <= run.stored_to_s && now_s - run.stored_to_s < 3600;
    assert!(runs.iter().all(plausible), "{runs:?} at {now_s}");
    assert!(running.metrics().contains("quarry_losses{shard=\"0\"} 1"));
    // What scrub said of it is remembered, and so is the loss.
    running.restart();
    let (chunks, end) = running.client().read(log, SEGMENT, 1, 1);
    assert!(chunks.is_empty() && matches!(end, Reply::ReadEnd { answer: Answer::Unknown, .. }), "{end:?}");
}

/// D3, D6, P8: what does not verify is not served, and is *unknown* from then on, also after a restart.
#[test]
fn a_rotten_chunk_is_unknown_and_not_served() {
    let mut running = Running::fresh();
    let mut client = running.client();
    for seq in 0..3 {
        client.store(log(1), SEGMENT, seq, &payload(seq));
    }
    rot(&running.data, &payload(1));
    for _ in 0..2 {
        let (chunks, end) = client.read(log(1), SEGMENT, 0, 3);
        assert_eq!(chunks.len(), 1, "the first chunk is sound, the second is not");
        assert!(matches!(end, Reply::ReadEnd { next, answer: Answer::Unknown } if next.0 == 1), "{end:?}");
        let (chunks, _) = client.read(log(1), SEGMENT, 2, 1);
        assert_eq!(chunks.len(), 1, "the third is sound");
        running.restart();
        client = running.client();
    }
}
