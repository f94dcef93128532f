//! Logs that move between tiers while they are written and read.

use futures::{StreamExt, TryStreamExt};
use quarry_client::{ChunkStore, LogWriter, MoveError, OpenOptions, ReadOptions, ReadRange};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LOG: &str = "log";

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

fn made(dir: &Path, name: &str) -> String {
    let path = dir.join(name);
    std::fs::create_dir(&path).expect("is made");
    path.display().to_string()
}

async fn append(writer: &LogWriter, from: u64, count: u64) {
    for seq in from..from + count {
        let append = writer.append(format!("chunk {seq}").into()).await.expect("fits");
        assert_eq!(append.await.expect("is committed").seq.0, seq);
    }
}

async fn held(store: &dyn ChunkStore) -> Vec<String> {
    let stream = store.read(LOG, ReadRange::all(), ReadOptions::default()).await.expect("reads");
    let chunks: Vec<_> = stream.try_collect().await.expect("reads on");
    chunks.iter().map(|chunk| String::from_utf8(chunk.payload.to_vec()).expect("text")).collect()
}

fn written(count: u64) -> Vec<String> {
    (0..count).map(|seq| format!("chunk {seq}")).collect()
}

/// There and back, from one directory to three; numbering goes on, and every client reads all of it, whatever tier is its own.
#[tokio::test]
async fn a_log_moves_and_comes_back() {
    let dir = directory();
    let [home, a, b, c] = ["home", "a", "b", "c"].map(|name| made(dir.path(), name));
    let home_url = format!("file://{home}");
    let there = format!("file://{a},{b},{c}");
    let store = quarry_client::connect(&home_url).await.expect("connects");
    let writer = store.open(LOG, OpenOptions::default()).await.expect("opens").writer;
    append(&writer, 0, 20).await;

    let moved = writer.move_to(&there).await.expect("moves");
    assert_eq!((moved.at.0, moved.replicas.len()), (20, 3));
    assert!(moved.replicas.iter().all(|replica| !replica.address.contains(&home)), "{moved:?}");
    append(&writer, 20, 20).await;
    assert_eq!(held(store.as_ref()).await, written(40));

    let back = writer.move_to(&home_url).await.expect("moves back");
    assert_eq!((back.at.0, back.replicas.len()), (40, 1));
    append(&writer, 40, 20).await;
    writer.close().await.expect("closes");
    assert_eq!(held(store.as_ref()).await, written(60));

    // A client of the other tier, with the same register, reads on and takes over; its new segment lies on its own tier.
    let other = quarry_client::connect(&format!("{there}?register=dir:{home}/register")).await.expect("connects");
    assert_eq!(held(other.as_ref()).await, written(60));
    let opened = other.open(LOG, OpenOptions::default()).await.expect("takes over");
    assert_eq!((opened.report.next_seq.0, opened.report.replicas.len()), (60, 3));
    append(&opened.writer, 60, 5).await;
    assert_eq!(held(store.as_ref()).await, written(65));
    let trimmed = store.trim(LOG, quarry_protocol::ids::ChunkSeq(30)).await.expect("trims both tiers");
    assert_eq!(trimmed.0, 30);
}

/// A reader follows across the seams while appends and moves go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_and_readers_go_on_during_moves() {
    let dir = directory();
    let tiers = ["home", "away"].map(|name| format!("file://{}", made(dir.path(), name)));
    let store = quarry_client::connect(&tiers[0]).await.expect("connects");
    let writer = Arc::new(store.open(LOG, OpenOptions::default()).await.expect("opens").writer);
    let done = Arc::new(AtomicBool::new(false));
    let appending = {
        let (writer, done) = (Arc::clone(&writer), Arc::clone(&done));
        tokio::spawn(async move {
            let mut next = 0;
            while !done.load(Ordering::Relaxed) {
                append(&writer, next, 1).await;
                next += 1;
            }
            next
        })
    };
    let mut following = store.read(LOG, ReadRange::all(), ReadOptions::following()).await.expect("follows");
    let mut next = 0;
    for turn in 0..6 {
        writer.move_to(&tiers[(turn + 1) % 2]).await.expect("moves");
        for _ in 0..20 {
            let chunk = following.next().await.expect("goes on").expect("reads");
            assert_eq!((chunk.seq.0, &chunk.payload[..]), (next, format!("chunk {next}").as_bytes()));
            next += 1;
        }
    }
    done.store(true, Ordering::Relaxed);
    let count = appending.await.expect("appends");
    assert_eq!(held(store.as_ref()).await, written(count));
    let segments = store.inspect(LOG).await.expect("inspects").segments;
    assert!(segments.len() >= 7, "{} segments", segments.len());
}

/// What cannot be moved to is named, and appends go on where they went.
#[tokio::test]
async fn a_move_that_cannot_be_changes_nothing() {
    let dir = directory();
    let home = format!("file://{}", made(dir.path(), "home"));
    let store = quarry_client::connect(&home).await.expect("connects");
    let writer = store.open(LOG, OpenOptions::default()).await.expect("opens").writer;
    append(&writer, 0, 3).await;
    let missing = format!("file://{}/missing", dir.path().display());
    for (url, word) in [
        (missing.as_str(), "mkdir -p"),
        ("memory://x", "process's memory"),
        ("ftp://x", "not a kind of store"),
        ("quarry://127.0.0.1:1/c", "no node answered"),
        (&format!("{home}?register=dir:/r"), "leave register= out"),
    ] {
        match writer.move_to(url).await {
            Err(MoveError::Tier(why)) => assert!(why.to_string().contains(word), "{url}: {why}"),
            other => panic!("{url}: {other:?}"),
        }
    }
    append(&writer, 3, 3).await;
    assert_eq!(held(store.as_ref()).await, written(6));
    assert_eq!(writer.segment().index, 0);
}
