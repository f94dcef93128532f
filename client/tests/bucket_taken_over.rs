//! A writer in one process, taken over by another process, in buckets.

use quarry_client::{ChunkStore, OpenOptions, QuorumStore, connect_to_quorum};
use quarry_protocol::ids::ChunkSeq;

const LOG: &str = "log";

/// The seqs that the old writer would use next are the new one's, committed and trimmed by now. That its process knows so must not
/// pass for its own chunks being committed and not needed any more.
#[tokio::test]
async fn a_trim_lets_no_writer_go_on_that_was_taken_over() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = |name: &str| dir.path().join(name);
    for name in ["bucket", "register"] {
        std::fs::create_dir(path(name)).expect("is made");
    }
    let url = format!("file://{}?register=dir:{}", path("bucket").display(), path("register").display());
    let (one, other) =
        (connect_to_quorum(&url).await.expect("connects"), connect_to_quorum(&url).await.expect("connects"));
    let old = open(&one).await;
    for _ in 0..3 {
        old.append("old".into()).await.expect("fits").await.expect("is committed");
    }
    let new = open(&other).await;
    for _ in 0..7 {
        new.append("new".into()).await.expect("fits").await.expect("is committed");
    }
    assert_eq!(one.trim(LOG, ChunkSeq(9)).await.expect("trims"), ChunkSeq(9));
    let outcome = match old.append("lost".into()).await {
        Ok(append) => append.await,
        Err(refused) => Err(refused),
    };
    let error = outcome.expect_err("what nobody will ever read is not acknowledged");
    assert!(error.is_fenced(), "{error:?}");
    assert_eq!(new.append("new".into()).await.expect("fits").await.expect("is committed").seq, ChunkSeq(10));
}

async fn open(store: &QuorumStore) -> quarry_client::LogWriter {
    let options = OpenOptions { repair: false, ..OpenOptions::default() };
    store.open(LOG, options).await.expect("opens").writer
}
