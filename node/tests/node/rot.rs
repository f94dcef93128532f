//! Bit rot in a chunk file, behind the back of a running node.

use crate::client::{SEGMENT, log};
use crate::running::Running;
use quarry_protocol::message::{Answer, Reply};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

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
