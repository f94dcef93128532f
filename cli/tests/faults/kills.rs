//! Nodes that die.

use crate::cluster::Cluster;
use crate::ledger::{Ledger, open, open_with};
use quarry_client::OpenOptions;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Appends that are made for certain after a kill.
const AFTER_THE_KILL: usize = 200;

/// One node at a time, ten times over, while appends go on; nothing acknowledged is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_killed_ten_times_during_appends() {
    let mut cluster = Cluster::start(3);
    let store = cluster.store().await;
    let mut ledger = Ledger::default();
    let mut acknowledged = 0;
    for round in 0..10 {
        // A fresh writer a round: its segment is on all three nodes again, also on the one that was left behind.
        let writer = open(&*store, "killed").await.writer;
        let victim = round % 3;
        // Appends go on until the node is dead, however fast they are, and for a while after: in each round some are under
        // way when it dies.
        let killed = AtomicBool::new(false);
        let appends = async {
            let mut before = 0;
            while !killed.load(Ordering::Relaxed) {
                assert!(ledger.append(&writer, "steady", 50, 16).await, "appends go on at quorum");
                before += 50;
            }
            assert!(ledger.append(&writer, "steady", AFTER_THE_KILL, 16).await, "appends go on after the kill");
            before
        };
        let kill = async {
            tokio::time::sleep(Duration::from_millis(5 + 13 * round as u64)).await;
            tokio::task::block_in_place(|| cluster.nodes[victim].kill());
            killed.store(true, Ordering::Relaxed);
        };
        let (before, ()) = tokio::join!(appends, kill);
        assert!(ledger.append(&writer, "short of one", 50, 4).await, "appends go on without node {victim}");
        tokio::task::block_in_place(|| cluster.nodes[victim].start());
        acknowledged += before + AFTER_THE_KILL + 50;
    }
    assert_eq!(ledger.len(), acknowledged);
    ledger.check(&*store, "killed").await;
    ledger.check(&*cluster.store().await, "killed").await;
}

/// All nodes at once, in the middle of appends, several times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_killed_at_once() {
    let mut cluster = Cluster::start(3);
    let mut ledger = Ledger::default();
    for round in 0..4 {
        let store = cluster.store().await;
        let options = OpenOptions { append_deadline: Duration::from_secs(1), ..OpenOptions::default() };
        let writer = open_with(&*store, "all killed", options).await.writer;
        assert!(ledger.append(&writer, "before", 100, 16).await);
        // Goes on until the writer gives up on its quorum, and takes every acknowledgement down.
        let appends = async { assert!(!ledger.append(&writer, "cut", 1_000_000, 64).await, "all nodes are dead") };
        let kill = async {
            tokio::time::sleep(Duration::from_millis(60 + 20 * round)).await;
            tokio::task::block_in_place(|| cluster.nodes.iter_mut().for_each(crate::cluster::Node::kill));
        };
        tokio::join!(appends, kill);
        tokio::task::block_in_place(|| cluster.nodes.iter_mut().for_each(crate::cluster::Node::start));
        let store = cluster.store().await;
        drop(open(&*store, "all killed").await);
        ledger.check(&*store, "all killed").await;
    }
}

/// A client that has never met the dead node makes a new log all the same: on fewer replicas, with the same ack quorum.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_log_does_not_wait_for_a_dead_node() {
    let mut cluster = Cluster::start(3);
    cluster.nodes[1].kill();
    let store = cluster.store().await;
    let mut ledger = Ledger::default();
    let opened = open(&*store, "made short of one").await;
    assert_eq!(opened.report.replicas.len(), 2, "{:?}", opened.report.replicas);
    assert!(ledger.append(&opened.writer, "two copies", 50, 4).await);
    cluster.nodes[1].start();
    let opened = open(&*cluster.store().await, "made short of one").await;
    assert_eq!(opened.report.replicas.len(), 3, "the next open finds all of them: {:?}", opened.report.replicas);
    assert!(ledger.append(&opened.writer, "three copies", 50, 4).await);
    ledger.check(&*store, "made short of one").await;
}
