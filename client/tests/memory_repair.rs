//! Repair over memory replicas: what a client does to segments that are sealed.

use quarry_client::memory::MemoryStore;
use quarry_client::quorum_store::StoreDefaults;
use quarry_client::{ChunkStore, OpenOptions, OrphanFate, ReadOptions, ReadRange, RepairOptions};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::repair::{RepairFailure, SegmentOutcome};
use std::time::Duration;

/// Five replicas, three to a segment, and a log with ten chunks in a segment that is sealed.
async fn sealed() -> (MemoryStore, quarry_client::QuorumStore) {
    let memory = MemoryStore::with_replicas(5);
    let store = memory.store_with(StoreDefaults::for_replicas(3));
    let options = || OpenOptions { repair: false, ..OpenOptions::default() };
    let writer = store.open("log", options()).await.expect("opens").writer;
    for seq in 0..10_u8 {
        writer.append(vec![seq; 100].into()).await.expect("room").await.expect("committed");
    }
    // The laggard has them, too.
    while (0..5).map(|replica| memory.chunks_held(replica)).sum::<usize>() < 30 {
        tokio::task::yield_now().await;
    }
    drop(writer);
    store.open("log", options()).await.expect("opens");
    (memory, store)
}

fn holder(memory: &MemoryStore) -> usize {
    (0..5).find(|replica| memory.chunks_held(*replica) > 0).expect("somebody has the chunks")
}

async fn all_whole(store: &quarry_client::QuorumStore) -> u64 {
    let report = store.repair("log", &RepairOptions::default(), &mut |_| {}).await.expect("repairs");
    assert!(report.segments.iter().all(|segment| segment.outcome == SegmentOutcome::Whole), "{report:#?}");
    report.chunks
}

#[tokio::test]
async fn lost_chunks_and_wiped_replicas_are_repaired() {
    let (memory, store) = sealed().await;
    assert_eq!(all_whole(&store).await, 0);
    let record = store.inspect("log").await.expect("inspects").record;
    let hurt = holder(&memory);
    assert!(memory.lose_chunk(hurt, record.log, ChunkSeq(3)));
    assert_eq!(all_whole(&store).await, 1);
    memory.wipe(hurt);
    assert_eq!(all_whole(&store).await, 10);
    let after = store.inspect("log").await.expect("inspects").record;
    assert!(after.number > record.number && after.segments[0].replicas != record.segments[0].replicas);
    // Without either of the old holders everything can still be read.
    for replica in 0..5 {
        let new = after.segments[0].replicas.iter().any(|holder| {
            let was = record.segments[0].replicas.contains(holder);
            !was && holder.address == format!("memory-{}:0", ["a", "b", "c", "d", "e"][replica])
        });
        if !new {
            memory.kill(replica);
        }
    }
    let range = ReadRange { from: Some(ChunkSeq(0)), to: Some(ChunkSeq(10)) };
    let mut chunks = store.read("log", range, ReadOptions::default()).await.expect("reads");
    for seq in 0..10_u8 {
        let chunk = futures::StreamExt::next(&mut chunks).await.expect("a chunk").expect("read");
        assert_eq!(chunk.payload, vec![seq; 100]);
    }
}

/// P13: a copy that lost its place on record is freed, and only after the grace time.
#[tokio::test]
async fn a_replaced_holders_copy_is_freed() {
    let (memory, store) = sealed().await;
    let leaves = holder(&memory);
    let zone = ["a", "b", "c", "d", "e"][leaves];
    let record = store.inspect("log").await.expect("inspects").record;
    let replica = record.segments[0].replicas.iter().find(|replica| replica.zone == zone).expect("a holder");
    let options = RepairOptions { leaving: [replica.disk].into(), ..RepairOptions::default() };
    let report = store.repair("log", &options, &mut |_| {}).await.expect("repairs");
    assert_eq!(report.segments[0].replaced.len(), 1, "{report:#?}");
    assert_eq!(memory.chunks_held(leaves), 10);
    let orphans = store.orphans(Some(Duration::from_mins(10))).await.expect("the register answers");
    assert_eq!(orphans.iter().map(|orphan| &orphan.fate).collect::<Vec<_>>(), [&OrphanFate::Waits], "{orphans:#?}");
    let orphans = store.orphans(Some(Duration::ZERO)).await.expect("the register answers");
    assert_eq!(orphans.iter().map(|orphan| &orphan.fate).collect::<Vec<_>>(), [&OrphanFate::Freed], "{orphans:#?}");
    assert_eq!(memory.chunks_held(leaves), 0);
    assert!(store.orphans(None).await.expect("the register answers").is_empty());
    assert_eq!(all_whole(&store).await, 0);
}

/// P16: what nobody has is said, and the rest is repaired.
#[tokio::test]
async fn a_chunk_that_nobody_has_is_reported() {
    let (memory, store) = sealed().await;
    let record = store.inspect("log").await.expect("inspects").record;
    for replica in 0..5 {
        memory.lose_chunk(replica, record.log, ChunkSeq(4));
    }
    assert!(memory.lose_chunk(holder(&memory), record.log, ChunkSeq(7)));
    let report = store.repair("log", &RepairOptions::default(), &mut |_| {}).await.expect("repairs");
    let SegmentOutcome::Lost { seqs, .. } = &report.segments[0].outcome else { panic!("{report:#?}") };
    assert_eq!(seqs.iter().collect::<Vec<_>>(), [(ChunkSeq(4), ChunkSeq(5))]);
    assert_eq!(report.chunks, 1);
    let missing = store.repair("none", &RepairOptions::default(), &mut |_| {}).await;
    assert!(matches!(missing, Err(RepairFailure::NotFound { .. })), "{missing:?}");
}

/// A reader that meets a lost chunk gets it from another replica, and has the lost one repaired in the background.
#[tokio::test]
async fn a_read_has_what_it_missed_repaired() {
    let (memory, store) = sealed().await;
    let record = store.inspect("log").await.expect("inspects").record;
    let held: Vec<usize> = (0..5).map(|replica| memory.chunks_held(replica)).collect();
    for replica in 0..5 {
        // Two of three lack it: whoever is asked first, somebody is met who cannot give it.
        if held[replica] > 0 && replica != held.iter().rposition(|chunks| *chunks > 0).expect("a holder") {
            assert!(memory.lose_chunk(replica, record.log, ChunkSeq(3)));
        }
    }
    let range = ReadRange { from: Some(ChunkSeq(0)), to: Some(ChunkSeq(10)) };
    // Pieces of several chunks are asked of whoever's turn it is: a few reads meet everybody.
    let whole = async {
        while (0..5).any(|replica| memory.chunks_held(replica) != held[replica]) {
            let chunks = store.read("log", range, ReadOptions::default()).await.expect("reads");
            assert_eq!(futures::StreamExt::count(chunks).await, 10);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), whole).await.expect("it is repaired in the end");
}
