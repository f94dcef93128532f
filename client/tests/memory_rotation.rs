//! Logs that go from segment to segment, over replicas in memory.

use futures::TryStreamExt;
use quarry_client::memory::MemoryStore;
use quarry_client::quorum_store::StoreDefaults;
use quarry_client::{ChunkStore, LogWriter, OpenOptions, ReadOptions, ReadRange, RotationOptions};
use std::time::Duration;

const LOG: &str = "log";

fn options(rotation: RotationOptions) -> OpenOptions {
    OpenOptions { rotation, ..OpenOptions::default() }
}

async fn append(writer: &LogWriter, from: u64, count: u64) {
    let mut pending = Vec::new();
    for seq in from..from + count {
        pending.push(writer.append(format!("chunk {seq}").into()).await.unwrap());
    }
    for (append, seq) in pending.into_iter().zip(from..) {
        assert_eq!(append.await.unwrap().seq.0, seq);
    }
}

/// Everything from the first chunk on reads back, across every seam.
async fn reads_back(store: &dyn ChunkStore, count: u64) {
    let chunks: Vec<_> =
        store.read(LOG, ReadRange::all(), ReadOptions::default()).await.unwrap().try_collect().await.unwrap();
    let payloads: Vec<_> = chunks.iter().map(|chunk| chunk.payload.clone()).collect();
    let expected: Vec<_> = (0..count).map(|seq| format!("chunk {seq}")).collect();
    assert_eq!(payloads, expected);
}

/// Waits until `done`, for as long as a slow machine may need.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..3_000 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come about within 30 s");
}

#[tokio::test]
async fn a_log_grows_over_many_segments_and_reads_back() {
    let memory = MemoryStore::new();
    let store = memory.store();
    let rotation = RotationOptions { segment_bytes: 1000, ..RotationOptions::default() };
    let writer = store.open(LOG, options(rotation)).await.unwrap().writer;
    for from in (0..4_000).step_by(100) {
        append(&writer, from, 100).await;
    }
    let inspection = store.inspect(LOG).await.unwrap();
    assert!(inspection.segments.len() > 3, "{} segments", inspection.segments.len());
    reads_back(&store, 4_000).await;
    // A takeover goes on wherever the rotation stands.
    let writer = store.open(LOG, options(rotation)).await.unwrap().writer;
    append(&writer, 4_000, 500).await;
    reads_back(&store, 4_500).await;
}

#[tokio::test]
async fn a_rotation_on_demand_seals_what_was_written() {
    let memory = MemoryStore::new();
    let store = memory.store();
    let writer = store.open(LOG, OpenOptions::default()).await.unwrap().writer;
    append(&writer, 0, 5).await;
    // Nothing more is appended until it is through.
    let rotated = writer.rotate().await.unwrap();
    assert_eq!((rotated.sealed.index, rotated.at.0, rotated.opened.index), (0, 5, 1));
    append(&writer, 5, 5).await;
    assert_eq!(writer.segment(), rotated.opened);
    reads_back(&store, 10).await;
}

/// P10: a dead replica is replaced by one of a zone not yet used, and appends go on meanwhile.
#[tokio::test]
async fn a_dead_replica_is_replaced() {
    let memory = MemoryStore::with_replicas(4);
    let store = memory.store_with(StoreDefaults::for_replicas(3));
    let rotation = RotationOptions { replica_patience: Duration::from_millis(50), ..RotationOptions::default() };
    let writer = store.open(LOG, options(rotation)).await.unwrap().writer;
    append(&writer, 0, 10).await;
    let dead = writer.replicas()[0].clone();
    let index = (0..4).find(|index| dead.zone == ["a", "b", "c", "d"][*index]).unwrap();
    memory.kill(index);
    let mut next = 10;
    until(async || {
        append(&writer, next, 1).await;
        next += 1;
        !writer.replicas().contains(&dead)
    })
    .await;
    assert_eq!(writer.replicas().len(), 3);
    // Whoever is dead now could not be borne with, had nobody taken the first one's place.
    append(&writer, next, 10).await;
    let other = writer.replicas()[0].clone();
    memory.kill((0..4).find(|index| other.zone == ["a", "b", "c", "d"][*index]).unwrap());
    append(&writer, next + 10, 10).await;
    reads_back(&store, next + 20).await;
}

/// P10: without a spare zone writes go on at quorum, in the same segment.
#[tokio::test]
async fn without_a_spare_zone_nothing_changes() {
    let memory = MemoryStore::new();
    let store = memory.store();
    let rotation = RotationOptions { replica_patience: Duration::from_millis(20), ..RotationOptions::default() };
    let writer = store.open(LOG, options(rotation)).await.unwrap().writer;
    append(&writer, 0, 10).await;
    let (segment, replicas) = (writer.segment(), writer.replicas());
    memory.kill(1);
    for seq in 10..40 {
        append(&writer, seq, 1).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((writer.segment(), writer.replicas()), (segment, replicas));
    reads_back(&store, 40).await;
}
