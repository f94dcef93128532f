//! `quarry node drain`: a node is emptied while it serves.

use crate::ledger::Ledger;
use crate::zones::Zones;
use quarry_client::{ChunkStore, OpenOptions};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LOG: &str = "drained";
/// How long a drain may take until the node is empty.
const PATIENCE: Duration = Duration::from_mins(1);

/// With gossip, the writer hears that the node is being drained, and goes elsewhere by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_emptied_while_a_writer_appends() {
    let zones = Zones::start(true).await;
    let mut ledger = Ledger::default();
    zones.fill(&mut ledger, LOG, 3, 40).await;
    let store = zones.store().await;
    let opened = store.open(LOG, OpenOptions { repair: false, ..OpenOptions::default() }).await.expect("opened");
    assert!(ledger.append(&opened.writer, "before", 10, 4).await);
    let record = zones.record(LOG).await;
    // The open segment is there, too.
    let leaves = zones.node_of(&record.segments.last().expect("a segment").replicas[0]);
    let address = zones.address(leaves);

    let empty = AtomicBool::new(false);
    let appends = async {
        while !empty.load(Ordering::Relaxed) {
            assert!(ledger.append(&opened.writer, "meanwhile", 10, 4).await, "appends go on");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let drain = async {
        let since = Instant::now();
        loop {
            let (code, report) = zones.run(&["node", "drain", &address]).await;
            if report["safe_to_remove"] == true {
                assert_eq!(code, Some(0), "{report}");
                break;
            }
            assert_eq!(code, Some(1), "{report}");
            assert_eq!(report["sealed_segments_left"], 0, "what is sealed moves at once: {report}");
            assert!(since.elapsed() < PATIENCE, "not empty yet: {report}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        empty.store(true, Ordering::Relaxed);
    };
    tokio::join!(appends, drain);

    let zone = zones.cluster.nodes()[leaves].zone().to_owned();
    let record = zones.record(LOG).await;
    let left: Vec<_> = record.segments.iter().filter(|s| s.replicas.iter().any(|at| at.zone == zone)).collect();
    assert!(left.is_empty(), "{left:?}");
    let (code, impact) = zones.run(&["check-impact", "--without", &address]).await;
    assert_eq!((code, &impact["impact"]), (Some(0), &"nothing".into()), "{impact}");
    opened.writer.close().await.expect("everything is settled");
    drop(store.open(LOG, OpenOptions { repair: false, ..OpenOptions::default() }).await.expect("opened"));
    // What a takeover sealed may lack a copy of its newest chunks.
    let (code, report) = zones.run(&["repair"]).await;
    assert_eq!(code, Some(0), "{report}");
    assert!(zones.check_copies(&ledger, LOG).await >= 12);
    let record = zones.record(LOG).await;
    assert!(record.segments.iter().all(|s| s.replicas.iter().all(|at| at.zone != zone)), "{record:?}");
}
