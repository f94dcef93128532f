//! Disks that fill.

use crate::cluster::Cluster;
use crate::ledger::Ledger;
use bytes::Bytes;
use quarry_client::OpenOptions;
use quarry_protocol::ids::ChunkSeq;
use std::time::Duration;

/// D7, pitfall 29: full at 85 % by capacity; reads, takeovers and trims go on; service resumes by itself after a trim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_cluster_says_so_and_resumes_by_itself() {
    let cluster = Cluster::with_capacity(3, "96MiB");
    let store = cluster.store().await;
    let options = OpenOptions { append_deadline: Duration::from_secs(2), ..OpenOptions::default() };
    let writer = store.open("filled", options.clone()).await.expect("open").writer;
    let mut acknowledged = 0_u64;
    let why = loop {
        assert!(acknowledged < 96, "96 chunks of 1 MiB were taken by nodes of 96 MiB");
        let pending = writer.append(Bytes::from(vec![acknowledged as u8; 1 << 20])).await;
        let outcome = match pending {
            Ok(pending) => pending.await.map(|_| ()),
            Err(why) => Err(why),
        };
        match outcome {
            Ok(()) => acknowledged += 1,
            Err(why) => break why.to_string(),
        }
    };
    assert!(why.contains("full"), "the error says that the disks are full: {why}");
    assert!(acknowledged >= 16, "only {acknowledged} MiB of 96 MiB were taken");

    assert_eq!(store.tail("filled").await.expect("a tail").tail, ChunkSeq(acknowledged), "reads go on");
    store.trim("filled", ChunkSeq(acknowledged)).await.expect("trims go on");
    let mut ledger = Ledger::default();
    for attempt in 0.. {
        let writer = store.open("resumed", options.clone()).await.expect("takeovers go on").writer;
        if ledger.append(&writer, "after the trim", 10, 2).await {
            break;
        }
        assert!(attempt < 50, "service did not resume after a trim of everything");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
