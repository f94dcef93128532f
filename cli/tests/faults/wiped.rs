//! Disks that are replaced under a living address.

use crate::cluster::Cluster;
use crate::ledger::{Ledger, open};
use quarry_client::{OpenError, OpenOptions};
use std::time::Duration;

/// P8, P14, pitfalls 20c and 33: a node that comes back empty under its old address is another identity. Here chunks are
/// on nodes 0 and 1 only, node 1 is wiped and node 0 is away: a takeover that believed node 1's "never" would end the log
/// too early. It must fail instead, and succeed with everything once node 0 is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_node_does_not_shorten_the_log() {
    let mut cluster = Cluster::start(3);
    let store = cluster.store().await;
    let mut ledger = Ledger::default();
    let writer = open(&*store, "wiped").await.writer;
    assert!(ledger.append(&writer, "on all", 20, 4).await);
    cluster.nodes[2].signal("STOP");
    assert!(ledger.append(&writer, "on two", 20, 4).await);
    drop(writer);
    // What node 2 still has in its socket must not reach its disk: it ends before it runs again.
    cluster.nodes[2].kill();
    cluster.nodes[1].kill();
    cluster.nodes[0].kill();
    cluster.nodes[2].start();

    let store = cluster.store().await;
    let options = OpenOptions { deadline: Duration::from_secs(4), ..OpenOptions::default() };
    let takeover = tokio::spawn(async move { store.open("wiped", options).await });
    // The takeover is under way, and waits for a second replica to believe. What it gets is an empty disk.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!takeover.is_finished(), "one replica of three settles nothing");
    tokio::task::block_in_place(|| {
        cluster.nodes[1].wipe();
        cluster.nodes[1].start();
    });
    match takeover.await.expect("the takeover does not panic") {
        Err(OpenError::Unavailable { why, .. } | OpenError::NoPlace { why, .. }) => {
            assert!(why.contains("zone-") || why.contains("127.0.0.1"), "the error names who is missing: {why}");
        }
        Ok(opened) => panic!("the log was opened at {} without the only copy", opened.report.next_seq),
        Err(other) => panic!("expected the missing replicas to be named, got {other}"),
    }
    let store = cluster.store().await;
    cluster.nodes[0].start();
    let opened = open(&*store, "wiped").await;
    assert!(opened.report.next_seq.0 >= 40, "the log ends at {}", opened.report.next_seq);
    assert!(ledger.append(&opened.writer, "after", 20, 4).await, "the new identity takes puts");
    ledger.check(&*store, "wiped").await;
}
