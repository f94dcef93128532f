//! Bytes that change on a disk.

use crate::cluster::Cluster;
use crate::ledger::{Ledger, open};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Every payload byte of one node's chunk files is damaged; the other two replicas serve everything, and the reader
/// never sees a damaged byte (D3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotten_replica_costs_nothing() {
    let mut cluster = Cluster::start(3);
    let store = cluster.store().await;
    let mut ledger = Ledger::default();
    let writer = open(&*store, "rotten").await.writer;
    assert!(ledger.append(&writer, "rot", 200, 8).await);
    drop(writer);
    cluster.nodes[0].kill();
    let damaged: usize = chunk_files(cluster.nodes[0].data()).iter().map(|file| damage(file, b"rot:")).sum();
    assert!(damaged >= 200, "{damaged} payloads were damaged");
    cluster.nodes[0].start();
    let store = cluster.store().await;
    ledger.check(&*store, "rotten").await;
    let opened = open(&*store, "rotten").await;
    assert_eq!(opened.report.next_seq.0, 200, "a takeover keeps everything");
    ledger.check(&*store, "rotten").await;
}

/// Every chunk file below a data directory.
pub(crate) fn chunk_files(data: &std::path::Path) -> Vec<PathBuf> {
    let shards = std::fs::read_dir(data).expect("a data directory").map(|entry| entry.expect("an entry").path());
    let files =
        shards.filter(|path| path.is_dir()).flat_map(|shard| std::fs::read_dir(shard).expect("a shard directory"));
    files
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "chunks"))
        .collect()
}

/// Flips a bit in every place that looks like the beginning of a payload.
pub(crate) fn damage(path: &std::path::Path, payload: &[u8]) -> usize {
    let bytes = std::fs::read(path).expect("a chunk file");
    let file = OpenOptions::new().write(true).open(path).expect("a chunk file");
    let places: Vec<_> =
        bytes.windows(payload.len()).enumerate().filter(|(_, b)| *b == payload).map(|(at, _)| at).collect();
    for at in &places {
        file.write_all_at(&[bytes[*at] ^ 0x10], *at as u64).expect("the file can be damaged");
    }
    file.sync_all().expect("damage lasts");
    places.len()
}
