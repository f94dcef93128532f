//! Bugs planted in a store: the verdict must find each.

use super::*;
use crate::result::Verdict;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use quarry_client::memory::MemoryStore;
use quarry_client::*;
use quarry_protocol::ids::ChunkSeq;

const CHUNK_BYTES: usize = 1000;
const LOG: usize = 4;

/// A store that reads wrongly: what it does with each chunk is up to `spoil`.
struct Spoiled<F> {
    store: QuorumStore,
    spoil: F,
    /// Where reads fail, and whether it is known there that the chunk is lost.
    broken: Option<(u64, bool)>,
}

#[async_trait]
impl<F: Fn(ReadChunk) -> Option<ReadChunk> + Clone + Send + Sync + 'static> ChunkStore for Spoiled<F> {
    async fn open(&self, name: &str, options: OpenOptions) -> Result<Opened, OpenError> {
        self.store.open(name, options).await
    }
    async fn read(&self, name: &str, range: ReadRange, options: ReadOptions) -> Result<ChunkStream, ReadError> {
        let (chunks, spoil) = (self.store.read(name, range, options).await?, self.spoil.clone());
        let (broken, name) = (self.broken, name.to_owned());
        let read = move |chunk: ReadChunk| match broken {
            Some((at, lost)) if chunk.seq.0 >= at => {
                Err(ReadError::Unavailable { name: name.clone(), seq: ChunkSeq(at), why: "broken".to_owned(), lost })
            }
            _ => Ok(spoil(chunk)),
        };
        Ok(chunks.try_filter_map(move |chunk| futures::future::ready(read(chunk))).boxed())
    }
    async fn tail(&self, name: &str) -> Result<Tail, TailError> {
        self.store.tail(name).await
    }
    async fn trim(&self, name: &str, below: ChunkSeq) -> Result<ChunkSeq, TrimError> {
        self.store.trim(name, below).await
    }
    async fn delete(&self, name: &str) -> Result<Deleted, DeleteError> {
        self.store.delete(name).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ListError> {
        self.store.list(prefix).await
    }
    async fn inspect(&self, name: &str) -> Result<Inspection, InspectError> {
        self.store.inspect(name).await
    }
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}

/// A log of ten chunks, all acknowledged.
async fn ten(payloads: &Payloads) -> (QuorumStore, Ledger) {
    let store = MemoryStore::new().store();
    let writer = store.open("a", OpenOptions::default()).await.expect("opens").writer;
    let mut ledger = Ledger::default();
    for seq in 0..10 {
        let receipt = writer.append(payloads.of(LOG, seq)).await.expect("has room").await.expect("is committed");
        ledger.acknowledged(receipt.seq.0);
    }
    (store, ledger)
}

/// The verdict on ten chunks as `spoil` lets them be read.
async fn judged(spoil: impl Fn(ReadChunk) -> Option<ReadChunk> + Clone + Send + Sync + 'static) -> Verdict {
    let payloads = Payloads::new(9, CHUNK_BYTES);
    let (store, ledger) = ten(&payloads).await;
    let read =
        read_back(&Spoiled { store, spoil, broken: None }, "a", LOG, &ledger, &payloads).await.expect("can be read");
    let mut verdict = Verdict::default();
    read.count_in(&mut verdict);
    assert_eq!((verdict.acknowledged, verdict.good()), (10, read.good()));
    verdict
}

#[tokio::test]
async fn what_is_there_is_equal() {
    let verdict = judged(Some).await;
    assert!(verdict.good() && verdict.equal == 10, "{verdict:?}");
}

#[tokio::test]
async fn a_changed_byte_is_found() {
    let verdict = judged(|mut chunk| {
        if chunk.seq.0 == 7 {
            let mut payload = chunk.payload.to_vec();
            *payload.last_mut().expect("not empty") ^= 1;
            chunk.payload = payload.into();
        }
        Some(chunk)
    });
    let verdict = verdict.await;
    assert_eq!((verdict.equal, verdict.different, verdict.missing, verdict.good()), (9, 1, 0, false), "{verdict:?}");
}

#[tokio::test]
async fn a_chunk_in_anothers_place_is_found() {
    let neighbour = Payloads::new(9, CHUNK_BYTES).of(LOG, 6);
    let other_log = Payloads::new(9, CHUNK_BYTES).of(LOG + 1, 2);
    let verdict = judged(move |mut chunk| {
        match chunk.seq.0 {
            7 => chunk.payload = neighbour.clone(),
            2 => chunk.payload = other_log.clone(),
            3 => chunk.payload = Bytes::new(),
            _ => {}
        }
        Some(chunk)
    });
    let verdict = verdict.await;
    assert_eq!((verdict.equal, verdict.different, verdict.missing), (7, 3, 0), "{verdict:?}");
}

#[tokio::test]
async fn missing_chunks_are_found_wherever_they_are() {
    for missing in [vec![0], vec![4, 5], vec![9], (0..10).collect()] {
        let (leave_out, count) = (missing.clone(), missing.len() as u64);
        let verdict = judged(move |chunk| (!leave_out.contains(&chunk.seq.0)).then_some(chunk)).await;
        let found = (verdict.equal, verdict.different, verdict.missing);
        assert_eq!(found, (10 - count, 0, count), "without {missing:?}: {verdict:?}");
        assert!(!verdict.good());
    }
}

/// A log that ends too early, begins too late, or is gone has lost chunks; that is no error.
#[tokio::test]
async fn a_log_that_lost_an_end_has_lost_chunks() {
    let payloads = Payloads::new(9, CHUNK_BYTES);
    let (store, mut ledger) = ten(&payloads).await;
    (10..13).for_each(|seq| ledger.acknowledged(seq));
    let read = read_back(&store, "a", LOG, &ledger, &payloads).await.expect("can be read");
    assert_eq!((read.equal, read.missing), (10, 3), "{read:?}");
    store.trim("a", ChunkSeq(4)).await.expect("trims");
    let read = read_back(&store, "a", LOG, &ledger, &payloads).await.expect("can be read");
    assert_eq!((read.equal, read.missing), (6, 7), "{read:?}");
    store.delete("a").await.expect("deletes");
    let read = read_back(&store, "a", LOG, &ledger, &payloads).await.expect("can be read");
    assert_eq!((read.equal, read.missing), (0, 13), "{read:?}");
}

/// What cannot be read at the moment is no loss; what no replica has any more is one, and so is what was missing before it.
#[tokio::test]
async fn an_error_says_what_was_lost() {
    let payloads = Payloads::new(9, CHUNK_BYTES);
    for (lost, missing) in [(false, 1), (true, 2)] {
        let (store, ledger) = ten(&payloads).await;
        let store =
            Spoiled { store, spoil: |chunk: ReadChunk| (chunk.seq.0 != 2).then_some(chunk), broken: Some((6, lost)) };
        let error = read_back(&store, "a", LOG, &ledger, &payloads).await.expect_err("cannot be read");
        assert_eq!(error.found, ReadBack { equal: 5, different: 0, missing }, "{error}");
    }
}

/// What is trimmed on purpose is forgiven only if it was equal.
#[test]
fn a_bad_chunk_is_not_trimmed_away() {
    let mut verdict = Verdict::default();
    ReadBack { equal: 5, different: 0, missing: 0 }.count_trimmed_in(&mut verdict);
    assert_eq!((verdict.trimmed, verdict.acknowledged), (5, 0));
    ReadBack { equal: 5, different: 1, missing: 2 }.count_trimmed_in(&mut verdict);
    ReadBack { equal: 3, different: 0, missing: 0 }.count_in(&mut verdict);
    assert_eq!((verdict.trimmed, verdict.acknowledged, verdict.equal), (10, 6, 3));
    assert!(!verdict.good(), "{verdict:?}");
}

#[test]
fn payloads_differ_from_seq_to_seq_and_log_to_log() {
    let payloads = Payloads::new(1, 64);
    let mut seen = std::collections::HashSet::new();
    for log in 0..3 {
        assert!((0..2000).all(|seq| seen.insert(payloads.of(log, seq))), "log {log}");
    }
    assert_eq!(payloads.of(2, u64::MAX).len(), 64);
    assert_eq!(payloads.of(1, 5), Payloads::new(1, 64).of(1, 5));
    assert_ne!(payloads.of(1, 5), Payloads::new(2, 64).of(1, 5));
}

#[test]
fn a_ledger_is_a_few_ranges() {
    let mut ledger = Ledger::default();
    [3, 4, 5, 8, 9].iter().for_each(|seq| ledger.acknowledged(*seq));
    assert_eq!((ledger.ranges(), ledger.count(), ledger.end()), (&[3..6, 8..10][..], 5, Some(10)));
    assert_eq!(ledger.trim(5), 2);
    assert_eq!(ledger.ranges(), [5..6, 8..10]);
    assert_eq!((ledger.trim(7), ledger.trim(7), ledger.trim(20)), (1, 0, 2));
    assert_eq!((ledger.ranges(), ledger.end()), (&[][..], None));
}
