//! What happens when replicas die, pause, lose chunks or come back as somebody else.

use bytes::Bytes;
use futures::TryStreamExt;
use quarry_client::memory::MemoryStore;
use quarry_client::quorum_store::QuorumStore;
use quarry_client::{
    AppendError, ChunkStore, CreateMode, Fate, LogWriter, OpenError, OpenOptions, Opened, ReadOptions, ReadRange,
};
use quarry_protocol::ids::ChunkSeq;
use std::time::Duration;

const LOG: &str = "log";

fn impatient() -> OpenOptions {
    OpenOptions {
        deadline: Duration::from_millis(300),
        append_deadline: Duration::from_millis(300),
        ..OpenOptions::default()
    }
}

async fn open(store: &QuorumStore) -> Opened {
    store.open(LOG, OpenOptions::default()).await.unwrap()
}

async fn append(writer: &LogWriter, text: &str) -> Result<ChunkSeq, AppendError> {
    Ok(writer.append(Bytes::copy_from_slice(text.as_bytes())).await?.await?.seq)
}

async fn append_numbers(writer: &LogWriter, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert_eq!(append(writer, &number.to_string()).await.unwrap(), ChunkSeq(number));
    }
}

/// What a reader sees, as text.
async fn contents(store: &QuorumStore) -> Vec<String> {
    let stream = store.read(LOG, ReadRange::all(), ReadOptions::default()).await.unwrap();
    let chunks: Vec<_> = stream.try_collect().await.unwrap();
    chunks.iter().map(|chunk| String::from_utf8(chunk.payload.to_vec()).unwrap()).collect()
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn appends_go_on_at_quorum_and_a_restarted_replica_catches_up() {
    let memory = MemoryStore::new();
    let store = memory.store();
    let writer = open(&store).await.writer;
    append_numbers(&writer, 0..10).await;
    memory.kill(2);
    append_numbers(&writer, 10..20).await;
    assert_eq!(memory.chunks_held(2), 10);
    memory.restart(2);
    append_numbers(&writer, 20..21).await;
    // What it missed was kept for it.
    for _ in 0..1000 {
        if memory.chunks_held(2) == 21 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(memory.chunks_held(2), 21);
    assert_eq!(contents(&store).await, numbers(0..21));
}

/// P9: without a quorum a writer stops for good rather than guess, and what it had sent is of unknown fate.
#[tokio::test]
async fn without_a_quorum_the_writer_stops_and_says_so() {
    let memory = MemoryStore::new();
    let store = memory.store();
    let writer = store.open(LOG, impatient()).await.unwrap().writer;
    append_numbers(&writer, 0..3).await;
    memory.kill(1);
    memory.kill(2);
    let error = append(&writer, "lost?").await.unwrap_err();
    let AppendError::NoQuorum { needed: 2, why, fate: Fate::Unknown, .. } = &error else { panic!("{error:?}") };
    assert!(why.contains("memory-b") && why.contains("memory-c"), "names who is missing: {why}");
    assert!(error.is_final() && error.may_have_happened() && !error.may_retry());
    let later = append(&writer, "never").await.unwrap_err();
    assert!(matches!(later, AppendError::NoQuorum { fate: Fate::NeverStored, .. }), "{later:?}");
    memory.restart(1);
    memory.restart(2);
    assert!(append(&writer, "never").await.is_err(), "it does not come back with its replicas");
    // The next open settles the one in doubt: it was on one replica, which answers, so it is kept.
    let reopened = open(&store).await;
    assert_eq!(reopened.report.next_seq, ChunkSeq(4));
    assert_eq!(contents(&store).await[3], "lost?");
}

/// P8: replicas that do not answer never shorten a log; the open fails and names them.
#[tokio::test]
async fn an_open_without_a_read_quorum_fails_and_names_the_missing() {
    let memory = MemoryStore::new();
    let store = memory.store();
    append_numbers(&open(&store).await.writer, 0..5).await;
    memory.kill(0);
    memory.kill(2);
    let error = store.open(LOG, impatient()).await.unwrap_err();
    let OpenError::Unavailable { why, .. } = &error else { panic!("{error:?}") };
    assert!(why.contains("memory-a") && why.contains("memory-c"), "{why}");
    assert!(error.may_retry() && error.may_have_happened());
    memory.restart(0);
    let reopened = open(&store).await;
    assert_eq!(reopened.report.next_seq, ChunkSeq(5));
    append_numbers(&reopened.writer, 5..7).await;
    assert_eq!(contents(&store).await, numbers(0..7));
}

/// Pitfalls 20c and 33, P14: a wiped replica under its old address neither takes the writer's puts nor answers "never"
/// in a takeover.
#[tokio::test]
async fn a_wiped_replica_does_not_shorten_the_log() {
    let memory = MemoryStore::new();
    let store = memory.store();
    let writer = open(&store).await.writer;
    memory.kill(2);
    append_numbers(&writer, 0..5).await;
    memory.restart(2);
    memory.kill(2);
    // The chunks are on replicas 0 and 1. Replica 0 loses its disk, and only replica 2 is left beside it.
    memory.wipe(0);
    memory.kill(1);
    memory.restart(2);
    let error = store.open(LOG, impatient()).await.unwrap_err();
    assert!(matches!(error, OpenError::Unavailable { .. }), "{error:?}");
    memory.restart(1);
    let reopened = open(&store).await;
    assert_eq!(reopened.report.next_seq, ChunkSeq(5));
    append_numbers(&reopened.writer, 5..8).await;
    assert_eq!(contents(&store).await, numbers(0..8));
}

/// Pitfall 3: a chunk that cannot be read is unknown, not absent.
#[tokio::test]
async fn a_lost_chunk_is_read_elsewhere_and_does_not_cut_the_log() {
    let memory = MemoryStore::new();
    let store = memory.store();
    let opened = open(&store).await;
    append_numbers(&opened.writer, 0..10).await;
    for (replica, seq) in [(0, 9), (0, 4), (1, 5)] {
        assert!(memory.lose_chunk(replica, opened.report.log, ChunkSeq(seq)));
    }
    assert_eq!(contents(&store).await, numbers(0..10));
    memory.kill(2);
    // Seq 9 is left on replica 1 alone, and replica 0 says "unknown": it is there.
    let reopened = open(&store).await;
    assert_eq!(reopened.report.next_seq, ChunkSeq(10));
    assert_eq!(contents(&store).await, numbers(0..10));
    // Without replica 1 nobody can tell.
    drop(reopened);
    memory.kill(1);
    assert!(store.open(LOG, impatient()).await.is_err());
}

/// A writer that is cut off from the quorum while another takes over never gets an acknowledgement again, not even when
/// what it had sent arrives at last.
#[tokio::test]
async fn puts_that_arrive_after_a_takeover_are_not_acknowledged() {
    let memory = MemoryStore::new();
    let (ours, theirs) = (memory.store(), memory.store());
    let old = open(&ours).await.writer;
    append_numbers(&old, 0..2).await;
    memory.pause(0);
    memory.pause(1);
    let mut pending = Vec::new();
    for _ in 0..5 {
        pending.push(old.append("late".into()).await.unwrap());
    }
    // They wait at replicas 0 and 1. The takeover gets there first on replica 1.
    let taking = tokio::spawn(async move { theirs.open(LOG, OpenOptions::default()).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    memory.resume(1);
    let new = taking.await.unwrap().unwrap();
    memory.resume(0);
    let tail = new.report.next_seq;
    for append in pending {
        let seq = append.seq();
        match append.await {
            Ok(_) => assert!(seq < tail, "seq {seq} was acknowledged, the log was settled to end at {tail}"),
            Err(error) => assert!(error.is_fenced(), "{error}"),
        }
    }
    assert!(append(&old, "later").await.unwrap_err().is_fenced());
    append(&new.writer, "mine").await.unwrap();
    let mut expected = numbers(0..2);
    expected.extend((2..tail.0).map(|_| "late".to_owned()));
    expected.push("mine".to_owned());
    assert_eq!(contents(&memory.store()).await, expected);
}

/// P12: a replica that is away during a trim frees its data when a later open reaches it.
#[tokio::test]
async fn a_replica_that_missed_a_trim_hears_of_it_later() {
    let memory = MemoryStore::new();
    let store = memory.store();
    append_numbers(&open(&store).await.writer, 0..10).await;
    memory.kill(1);
    assert_eq!(store.trim(LOG, ChunkSeq(10)).await.unwrap(), ChunkSeq(10));
    assert_eq!(memory.chunks_held(0), 0);
    assert_eq!(memory.chunks_held(1), 10);
    memory.restart(1);
    drop(open(&store).await);
    for _ in 0..1000 {
        if memory.chunks_held(1) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("replica 1 still holds {} trimmed chunks", memory.chunks_held(1));
}

#[tokio::test]
async fn a_deletion_names_whom_it_did_not_reach_and_can_be_finished() {
    let memory = MemoryStore::new();
    let store = memory.store();
    append_numbers(&open(&store).await.writer, 0..10).await;
    memory.kill(1);
    let deleted = store.delete(LOG).await.unwrap();
    assert!(deleted.unreached.len() == 1 && deleted.unreached[0].contains("memory-b"), "{deleted:?}");
    assert_eq!((memory.chunks_held(0), memory.chunks_held(1)), (0, 10));
    memory.restart(1);
    assert!(store.delete(LOG).await.unwrap().unreached.is_empty());
    assert_eq!(memory.chunks_held(1), 0);
}

/// P10: a replica that does nothing costs bounded memory, and takes part again when it goes on.
#[tokio::test]
async fn a_paused_replica_is_left_behind_and_rejoins() {
    let memory = MemoryStore::new();
    let store = memory.store();
    let writer = open(&store).await.writer;
    memory.pause(1);
    let mut pending = Vec::new();
    for _ in 0..10_000 {
        pending.push(writer.append("x".into()).await.unwrap());
    }
    writer.flush().await.unwrap();
    assert!(memory.puts_waiting(1) < 6000, "{} puts wait at a replica that does nothing", memory.puts_waiting(1));
    memory.resume(1);
    for append in pending {
        append.await.unwrap();
    }
    let held = memory.chunks_held(1);
    for _ in 0..1000 {
        append(&writer, "y").await.unwrap();
        if memory.chunks_held(1) > held {
            return;
        }
    }
    panic!("replica 1 takes no more part after it went on: it holds {held} chunks");
}

/// A new log is made as long as an ack quorum finds a place, with less redundancy; with fewer nodes it is not made.
#[tokio::test]
async fn a_new_log_needs_enough_live_zones() {
    let memory = MemoryStore::new();
    memory.kill(0);
    let short = memory.store().open("short", impatient()).await.unwrap();
    assert_eq!((short.report.replicas.len(), short.report.replicas_wanted), (2, 3), "{:?}", short.report.replicas);
    append_numbers(&short.writer, 0..1).await;
    memory.kill(1);
    // What the report means: one more node away, and appends stop.
    assert!(matches!(append(&short.writer, "1").await, Err(AppendError::NoQuorum { needed: 2, .. })));
    let error = memory.store().open(LOG, impatient()).await.unwrap_err();
    assert!(matches!(error, OpenError::NoPlace { .. }) && error.may_retry(), "{error:?}");
    assert!(error.to_string().contains("memory-a"), "{error}");
    memory.restart(0);
    memory.restart(1);
    let opened = memory.store().open(LOG, OpenOptions::with_create(CreateMode::IfMissing)).await.unwrap();
    append_numbers(&opened.writer, 0..1).await;
    // Until the next open, which finds what there is.
    let again = memory.store().open("short", OpenOptions::default()).await.unwrap();
    assert_eq!((again.report.replicas.len(), again.report.replicas_wanted), (3, 3), "{:?}", again.report.replicas);
}
