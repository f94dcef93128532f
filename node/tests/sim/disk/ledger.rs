//! What is durable, in the order that counts (D4): every batch through some number is on the disk, so a replay finds it.
//!
//! An answer that leaves a node promises something durable. It is held against this, not against a machine.

use super::Disk;
use quarry_node::store::{ChunkKey, Replayed};
use quarry_protocol::batch::{BatchHeader, BatchKind, Entry};
use quarry_protocol::ids::{Epoch, LogId};
use quarry_protocol::snapshot::{LogRecord, Record};
use std::collections::{BTreeMap, BTreeSet};

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Every batch up to this number is on the disk.
    through: u64,
    /// Batches on the disk behind a gap.
    early: BTreeMap<u64, Contents>,
    chunks: BTreeSet<ChunkKey>,
    records: BTreeMap<LogId, LogRecord>,
}

/// What a batch holds.
#[derive(Debug, Default)]
struct Contents {
    chunks: Vec<ChunkKey>,
    records: Vec<LogRecord>,
}

impl Contents {
    fn of(header: &BatchHeader, bytes: &[u8]) -> Self {
        let mut contents = Self::default();
        let whole = if header.kind == BatchKind::Data {
            header.verify_data(bytes, |_, entry| match entry {
                Entry::Chunk(chunk) => {
                    contents.chunks.push(ChunkKey { log: chunk.log, segment: chunk.segment, seq: chunk.seq });
                }
                Entry::Control(record) => contents.take(record),
            })
        } else {
            header.verify_records(bytes, |record| contents.take(record))
        };
        whole.unwrap_or_else(|why| panic!("a store writes a batch that does not verify: {why}"));
        contents
    }

    fn take(&mut self, record: Record) {
        if let Record::Log(record) = record {
            self.records.push(record);
        }
    }
}

impl Ledger {
    /// A batch is on the disk, or is said to be.
    pub(super) fn written(&mut self, bytes: &[u8]) {
        let header = BatchHeader::decode(bytes).unwrap_or_else(|why| panic!("a store writes what is no batch: {why}"));
        self.early.insert(header.number, Contents::of(&header, bytes));
        while let Some(next) = self.early.remove(&(self.through + 1)) {
            self.through += 1;
            for chunk in next.chunks {
                self.merge_epoch(chunk.log, chunk.segment.epoch);
                self.chunks.insert(chunk);
            }
            next.records.into_iter().for_each(|record| self.merge(record));
        }
    }

    /// A chunk is the durable word of its epoch (P3).
    fn merge_epoch(&mut self, log: LogId, fence: Epoch) {
        self.merge(LogRecord { log, fence, ..LogRecord::default() });
    }

    fn merge(&mut self, record: LogRecord) {
        let log = record.log;
        self.records.entry(log).or_insert(LogRecord { log, ..LogRecord::default() }).merge(&record);
    }
}

impl Disk {
    /// A replay ended: what it found is durable as far as it was synced.
    pub(crate) fn begin_ledger(&mut self, replayed: &Replayed) {
        let mut ledger = Ledger { through: replayed.next_batch - 1, ..Ledger::default() };
        let safe = |file: &u32| self.files.get(file).is_some_and(|file| !file.is_volatile());
        let held = replayed.index.iter().filter(|(_, place)| safe(&place.file));
        ledger.chunks = held.map(|(key, _)| key).collect();
        if replayed.files.iter().all(|record| safe(&record.number)) {
            for restored in &replayed.logs {
                ledger.merge(restored.record);
                restored.segments.iter().for_each(|held| ledger.merge_epoch(restored.record.log, held.segment.epoch));
            }
        }
        self.ledger = ledger;
    }

    pub(crate) fn holds_durably(&self, key: &ChunkKey) -> bool {
        self.ledger.chunks.contains(key)
    }

    /// The small state of a log that a replay would find.
    pub(crate) fn durable_record(&self, log: LogId) -> LogRecord {
        self.ledger.records.get(&log).copied().unwrap_or(LogRecord { log, ..LogRecord::default() })
    }
}
