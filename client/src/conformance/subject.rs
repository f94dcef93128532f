//! What a case works on: the store, and a log name of its own.

use crate::chunk_store::{ChunkStore, CreateMode, OpenOptions, Opened, ReadChunk, ReadOptions, ReadRange};
use crate::error::{AppendError, ReadError};
use crate::log_writer::{LogWriter, Receipt};
use crate::random::random_id;
use bytes::Bytes;
use futures::StreamExt;
use quarry_protocol::ids::{ChunkSeq, OwnerId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The store under test, and a log name that nobody else uses.
#[derive(Clone)]
pub struct Subject {
    /// The store.
    pub store: Arc<dyn ChunkStore>,
    /// The log; it does not exist yet.
    pub log: String,
}

/// What every log must hold, by seq.
pub(super) type Expected = BTreeMap<ChunkSeq, Bytes>;

impl Subject {
    /// A subject whose log is named after `case`.
    #[must_use]
    pub fn new(store: Arc<dyn ChunkStore>, case: &str) -> Self {
        Self { store, log: format!("{case}-{}", OwnerId(random_id())) }
    }

    /// Opens the log, made if it is missing.
    pub async fn open(&self) -> Opened {
        self.open_with(OpenOptions::default()).await
    }

    /// Opens the log.
    pub async fn open_with(&self, options: OpenOptions) -> Opened {
        self.store.open(&self.log, options).await.unwrap_or_else(|error| panic!("{}: open: {error}", self.log))
    }

    /// Opens the log, which must be there.
    pub async fn take_over(&self) -> Opened {
        self.open_with(OpenOptions::with_create(CreateMode::Never)).await
    }

    /// Reads `range` to its end.
    pub async fn read(&self, range: ReadRange) -> Result<Vec<ReadChunk>, ReadError> {
        let mut stream = self.store.read(&self.log, range, ReadOptions::default()).await?;
        let mut chunks = Vec::new();
        while let Some(chunk) = stream.next().await {
            chunks.push(chunk?);
        }
        Ok(chunks)
    }

    /// Reads everything and checks that it is `expected`, dense from `from`.
    pub(super) async fn assert_holds(&self, from: u64, expected: &[Bytes]) {
        // A reader without the writer's word may trail the last acknowledgement: the tail is settled first.
        self.await_tail(from + expected.len() as u64).await;
        let chunks = self.read(ReadRange::all()).await.unwrap_or_else(|error| panic!("{}: read: {error}", self.log));
        let seqs: Vec<_> = chunks.iter().map(|chunk| chunk.seq.0).collect();
        let dense: Vec<_> = (from..from + expected.len() as u64).collect();
        assert_eq!(seqs, dense, "{}: seqs read", self.log);
        for (chunk, expected) in chunks.iter().zip(expected) {
            assert!(chunk.payload == *expected, "{}: seq {} holds other bytes than were appended", self.log, chunk.seq);
        }
    }

    /// Waits until readers know that everything below `tail` is committed.
    pub(super) async fn await_tail(&self, tail: u64) {
        let mut last = None;
        for _ in 0..1000 {
            let found = self.store.tail(&self.log).await.unwrap_or_else(|error| panic!("{}: tail: {error}", self.log));
            assert!(found.tail.0 <= tail, "{}: tail {} exceeds what was appended, {tail}", self.log, found.tail);
            if found.tail.0 == tail {
                return;
            }
            last = Some(found.tail);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{}: readers never learnt that the tail is {tail}, they know {last:?}", self.log);
    }
}

/// A chunk that tells who wrote it and as which of its appends.
pub(super) fn chunk(writer: &str, number: u64) -> Bytes {
    let mut bytes = format!("{writer}/{number}/").into_bytes();
    bytes.resize(bytes.len() + (number % 97) as usize, number as u8);
    Bytes::from(bytes)
}

/// Appends and waits until it is committed.
pub(super) async fn append(writer: &LogWriter, payload: Bytes) -> Result<Receipt, AppendError> {
    writer.append(payload).await?.await
}

/// Appends chunks `numbers` of `name`, pipelined, and returns them once all are committed.
pub(super) async fn append_all(writer: &LogWriter, name: &str, numbers: std::ops::Range<u64>) -> Vec<Bytes> {
    let chunks: Vec<_> = numbers.map(|number| chunk(name, number)).collect();
    let mut pending = Vec::new();
    for chunk in &chunks {
        pending.push(writer.append(chunk.clone()).await.unwrap_or_else(|error| panic!("append: {error}")));
    }
    for append in pending {
        let seq = append.seq();
        let receipt = append.await.unwrap_or_else(|error| panic!("append of seq {seq}: {error}"));
        assert_eq!(receipt.seq, seq, "the receipt's seq is the one handed out");
        assert_eq!(receipt.epoch, writer.epoch(), "the receipt's epoch is the writer's");
    }
    chunks
}
