//! Writers that race, and one that sleeps through a takeover.

use crate::cluster::{Cluster, QUARRY, signal};
use crate::ledger::{Ledger, open};
use quarry_client::{AppendError, OpenOptions};
use quarry_protocol::ids::ChunkSeq;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A hundred takeovers in a row, each with appends in flight on the writer before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_takeovers_in_a_row() {
    let cluster = Cluster::start(3);
    let store = cluster.store().await;
    let mut ledger = Ledger::default();
    let mut before = open(&*store, "passed on").await.writer;
    for takeover in 0..100 {
        let in_flight = before.append(ledger.payload("in flight", 2000)).await.expect("the writer holds the log");
        let (opened, outcome) = tokio::join!(open(&*store, "passed on"), in_flight);
        if let Ok(receipt) = outcome {
            assert!(receipt.seq < opened.report.next_seq, "takeover {takeover} cut off an acknowledged chunk");
        }
        let late = before
            .append(ledger.payload("late", 10))
            .await
            .expect("the old writer does not know yet, or says so below");
        match late.await {
            Err(AppendError::Fenced { .. }) => {}
            other => panic!("takeover {takeover}: the old writer must be told that it is fenced, got {other:?}"),
        }
        before = opened.writer;
        assert!(ledger.append(&before, "held", 3, 3).await);
    }
    ledger.check(&*store, "passed on").await;
}

/// Two clients that take the log from each other as fast as they can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_race_for_a_log() {
    let cluster = Cluster::start(3);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let racers: Vec<_> = ["left", "right"].map(|name| (name, ledger.clone(), cluster.url())).into_iter().collect();
    let racers = racers.into_iter().map(|(name, ledger, url)| {
        tokio::spawn(async move {
            let store = quarry_client::connect(&url).await.expect("the URL is good");
            let mut acknowledged = 0;
            for _ in 0..40 {
                let Ok(opened) = store.open("raced", OpenOptions::default()).await else { continue };
                for _ in 0..20 {
                    let payload = ledger.lock().await.payload(name, 1000);
                    let Ok(pending) = opened.writer.append(payload.clone()).await else { break };
                    let Ok(receipt) = pending.await else { break };
                    ledger.lock().await.acknowledge(receipt.seq.0, payload);
                    acknowledged += 1;
                }
            }
            acknowledged
        })
    });
    let acknowledged: Vec<usize> = futures::future::try_join_all(racers).await.expect("no racer panics");
    assert!(acknowledged.iter().sum::<usize>() > 0, "somebody gets something done: {acknowledged:?}");
    let store = cluster.store().await;
    drop(open(&*store, "raced").await);
    ledger.lock().await.check(&*store, "raced").await;
}

/// P3: a writer process that is stopped, loses the log meanwhile and wakes gets no further acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_writer_wakes_after_a_takeover() {
    let cluster = Cluster::start(3);
    let store = cluster.store().await;
    let mut child = Command::new(QUARRY)
        .args(["log", "append", "slept", "--chunk-size", "4KiB", "--store", &cluster.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("quarry runs");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(&vec![7; 4096 * 8]).expect("the writer reads");
    while !store.tail("slept").await.is_ok_and(|tail| tail.tail >= ChunkSeq(8)) {
        assert!(child.try_wait().expect("a child can be waited for").is_none(), "the writer ended early");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    signal(child.id(), "STOP");
    let opened = open(&*store, "slept").await;
    let receipt = opened.writer.append("mine now".into()).await.expect("room").await.expect("committed");
    assert_eq!(receipt.seq, opened.report.next_seq);
    signal(child.id(), "CONT");
    let _ = input.write_all(&vec![8; 4096 * 64]);
    drop(input);

    let done = child.wait_with_output().expect("the writer ends");
    let why = String::from_utf8(done.stderr).expect("utf-8");
    assert_eq!(done.status.code(), Some(2), "a fenced writer is a failure: {why}");
    assert!(why.contains("fenced"), "it says that it is fenced: {why}");
    let committed = format!("seqs 0 to {}, the last excluded", opened.report.next_seq);
    assert!(why.contains(&committed), "it was told of exactly what the takeover kept, {committed}: {why}");
}
