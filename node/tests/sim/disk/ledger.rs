//! What is durable, in the order that counts (D4): every batch through some number is on the disk, so a replay finds it.
//!
//! An answer that leaves a node promises something durable. It is held against this, not against a machine.

use super::Disk;
use quarry_node::store::{ChunkKey, Replayed};
use quarry_protocol::batch::{BatchHeader, BatchKind, Entry};
use quarry_protocol::ids::{Epoch, LogId};
use quarry_protocol::limits::CHUNK_HEADER_BYTES;
use quarry_protocol::snapshot::{LogRecord, LossRecord, Record};
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
    /// Files that the newest whole snapshot lists: none of them may be overwritten.
    listed: BTreeSet<u32>,
    /// Those of a snapshot whose parts are not all there yet.
    listing: BTreeSet<u32>,
}

/// What a batch holds.
#[derive(Debug, Default)]
struct Contents {
    chunks: Vec<ChunkKey>,
    records: Vec<LogRecord>,
    /// Of a part of a snapshot: the files it lists, and whether it is the first and the last part.
    snapshot: Option<(bool, bool)>,
    files: Vec<u32>,
}

impl Contents {
    /// `held`: chunks that are stored already. D7, P13: what is stored again is what was put.
    fn of(header: &BatchHeader, bytes: &[u8], held: &BTreeSet<ChunkKey>) -> Self {
        let mut contents = Self::default();
        if header.kind == BatchKind::Snapshot {
            contents.snapshot = Some((header.part == 0, header.part + 1 == header.parts));
        }
        let whole = if header.kind == BatchKind::Data {
            header.verify_data(bytes, |at, entry| match entry {
                Entry::Chunk(chunk) => {
                    let key = ChunkKey { log: chunk.log, segment: chunk.segment, seq: chunk.seq };
                    let payload = &bytes[at as usize + CHUNK_HEADER_BYTES..][..chunk.length as usize];
                    let good = !held.contains(&key) || chunk.verify_payload(payload).is_ok();
                    assert!(good, "D7: a copy of {key:?} is stored that does not verify");
                    contents.chunks.push(key);
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
        match record {
            Record::Log(record) => self.records.push(record),
            Record::File(file) => self.files.push(file.number),
            _ => {}
        }
    }
}

impl Ledger {
    /// A batch is on the disk, or is said to be.
    pub(super) fn written(&mut self, bytes: &[u8]) {
        let header = BatchHeader::decode(bytes).unwrap_or_else(|why| panic!("a store writes what is no batch: {why}"));
        self.early.insert(header.number, Contents::of(&header, bytes, &self.chunks));
        while let Some(next) = self.early.remove(&(self.through + 1)) {
            self.through += 1;
            for chunk in next.chunks {
                self.merge_epoch(chunk.log, chunk.segment.epoch);
                self.chunks.insert(chunk);
            }
            next.records.into_iter().for_each(|record| self.merge(record));
            if let Some((first, last)) = next.snapshot {
                if first {
                    self.listing.clear();
                }
                self.listing.extend(next.files);
                if last {
                    self.listed = std::mem::take(&mut self.listing);
                }
            }
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
        let kept = replayed.files.iter().chain(&replayed.quarantined);
        ledger.listed = kept.map(|record| record.number).collect();
        self.ledger = ledger;
    }

    /// D5: a file is written to from its beginning only once a snapshot without it is durable.
    pub(crate) fn check_reuse(&self, file: u32) {
        let listed = &self.ledger.listed;
        assert!(
            !listed.contains(&file),
            "D5: file {file} is overwritten, the newest durable snapshot lists {listed:?}"
        );
    }

    pub(crate) fn holds_durably(&self, key: &ChunkKey) -> bool {
        self.ledger.chunks.contains(key)
    }

    /// The chunks among these that are durable, and neither trimmed nor deleted.
    pub(crate) fn held_of(&self, loss: &LossRecord) -> impl Iterator<Item = ChunkKey> + '_ {
        let LossRecord { log, segment, from, to } = *loss;
        let record = self.durable_record(log);
        let from = if record.deleted > Epoch(0) { to } else { from.max(record.floor).min(to) };
        let key = move |seq| ChunkKey { log, segment, seq };
        self.ledger.chunks.range(key(from)..key(to)).copied()
    }

    /// The small state of a log that a replay would find.
    pub(crate) fn durable_record(&self, log: LogId) -> LogRecord {
        self.ledger.records.get(&log).copied().unwrap_or(LogRecord { log, ..LogRecord::default() })
    }
}
