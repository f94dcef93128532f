//! A log that moves between storage nodes and three directories, under load, while nodes are killed and directories go away.

use crate::cluster::Cluster;
use crate::ledger::{Ledger, open};
use quarry_client::{LogWriter, MoveError, RotateError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LOG: &str = "moved";
/// Moves, there and back in turn.
const MOVES: usize = 6;

/// What a disk that is not mounted looks like: the path is there or not, and what was on it is elsewhere.
fn take_away(path: &Path) {
    std::fs::rename(path, path.with_extension("away")).expect("is taken away");
}

/// Whatever was put under the path meanwhile is not what was on the disk. Puts go on while it is removed.
fn bring_back(path: &Path) {
    for _ in 0..10_000 {
        let _ = std::fs::remove_dir_all(path);
        if std::fs::rename(path.with_extension("away"), path).is_ok() {
            return;
        }
    }
    panic!("{} is not brought back", path.display());
}

/// Tries again while the tier is short of members: a node that has just started may not answer yet.
async fn move_to(writer: &LogWriter, url: &str) {
    let mut said = String::new();
    for _ in 0..100 {
        match writer.move_to(url).await {
            Ok(_) => return,
            Err(MoveError::Tier(why)) if why.may_retry() => said = why.to_string(),
            Err(MoveError::Rotate(why @ RotateError::NotPlanned { .. })) => said = why.to_string(),
            Err(why) => panic!("{url}: {why}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{url}: {said}");
}

/// One member of either tier at a time, on the side that the log lies on and on the one it goes to; nothing acknowledged is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moves_go_on_while_members_of_both_tiers_die() {
    let mut cluster = Cluster::start(3);
    let url = cluster.url();
    let (nodes, _) = url.split_once('?').expect("a store of nodes");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let paths: Vec<_> = ["a", "b", "c"].iter().map(|name| dir.path().join(name)).collect();
    paths.iter().for_each(|path| std::fs::create_dir(path).expect("is made"));
    let directories = format!("file://{},{},{}", paths[0].display(), paths[1].display(), paths[2].display());
    let store = cluster.store().await;
    let mut ledger = Ledger::default();
    let writer = open(&*store, LOG).await.writer;
    let done = AtomicBool::new(false);
    let appends = async {
        while !done.load(Ordering::Relaxed) {
            let all = ledger.append(&writer, "moving", 20, 8).await;
            assert!(all, "appends go on at quorum: {}", writer.stopped().await);
            // At full speed the nodes' small disks would be full before the moves are over.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let faults = async {
        // Both tiers know each other's members before any of them dies.
        move_to(&writer, &directories).await;
        move_to(&writer, nodes).await;
        for number in 0..MOVES {
            let victim = number % 3;
            tokio::task::block_in_place(|| {
                cluster.nodes[victim].kill();
                take_away(&paths[(victim + 1) % 3]);
            });
            move_to(&writer, if number % 2 == 0 { &directories } else { nodes }).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            tokio::task::block_in_place(|| {
                cluster.nodes[victim].start();
                bring_back(&paths[(victim + 1) % 3]);
            });
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(appends, faults);
    assert!(ledger.len() > MOVES * 20, "{} appends", ledger.len());
    ledger.check(&*store, LOG).await;
    // A takeover, by a client that knows of the directories from the record only.
    let other = cluster.store().await;
    let reopened = open(&*other, LOG).await.writer;
    assert!(!ledger.append(&writer, "the old writer", 1, 1).await, "the old writer is fenced");
    assert!(ledger.append(&reopened, "the new one", 20, 8).await);
    ledger.check(&*other, LOG).await;
}
