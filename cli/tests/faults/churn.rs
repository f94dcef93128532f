//! Space that is turned over again and again.

use crate::cluster::Cluster;
use crate::ledger::{Ledger, open};
use bytes::Bytes;
use quarry_protocol::ids::ChunkSeq;
use std::collections::VecDeque;

/// Capacity of each node, in MiB.
const CAPACITY_MIB: u64 = 128;
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks of the busy log that are kept.
const LIVE_CHUNKS: u64 = 64;

/// D7: an idle log pins files while another one turns over ten times the capacity. No put is refused, and the idle log is
/// intact, copied forward on every node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_log_survives_ten_times_the_capacity() {
    let cluster = Cluster::with_capacity(3, &format!("{CAPACITY_MIB}MiB"));
    let store = cluster.store().await;
    let mut ledger = Ledger::default();
    let idle = open(&*store, "idle").await.writer;
    let busy = open(&*store, "busy").await.writer;
    let chunks = 10 * CAPACITY_MIB * (1 << 20) / CHUNK_BYTES as u64;
    let mut in_flight = VecDeque::new();
    for number in 0..chunks {
        if number % (chunks / 50) == 0 {
            // A little of the idle log in many files.
            assert!(ledger.append(&idle, "idle", 1, 1).await);
        }
        let payload = Bytes::from(vec![number as u8; CHUNK_BYTES]);
        in_flight.push_back(busy.append(payload).await.expect("no put is refused"));
        if in_flight.len() >= 8 {
            let receipt = in_flight.pop_front().expect("eight are in flight").await.expect("no put is refused");
            if receipt.seq.0 % 16 == 0 && receipt.seq.0 > LIVE_CHUNKS {
                store.trim("busy", ChunkSeq(receipt.seq.0 - LIVE_CHUNKS)).await.expect("the log can be trimmed");
            }
        }
    }
    for pending in in_flight {
        pending.await.expect("no put is refused");
    }
    ledger.check(&*store, "idle").await;
    let mut cluster = cluster;
    for node in &mut cluster.nodes {
        tokio::task::block_in_place(|| {
            node.kill();
            node.start();
        });
    }
    let store = cluster.store().await;
    ledger.check(&*store, "idle").await;
    assert_eq!(store.tail("busy").await.expect("a tail").tail, ChunkSeq(chunks));
}
