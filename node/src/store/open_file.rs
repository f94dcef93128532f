//! The one file that takes batches.
//!
//! ```text
//!  opening snapshot │ data ... │ index │ closing snapshot │ (gap) │ footer
//!  0                           ▲ at    └──────── closing_bytes ───────────┘
//! ```
//! While `scheduled` is not empty its batches are written and nothing else is.

use super::chunk_log::ChunkLog;
use super::room::{RECORDS_PER_PART, closing_bytes, parts, records_bytes};
use quarry_protocol::batch::BatchKind;
use quarry_protocol::limits::BLOCK_BYTES;
use quarry_protocol::snapshot::{FooterRecord, Record};
use std::collections::VecDeque;

/// A batch of records that has to be written before anything else.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub(super) kind: BatchKind,
    pub(super) part: u32,
    pub(super) parts: u32,
    /// The records; those of an index are made when their turn comes.
    pub(super) records: Vec<Record>,
    /// With the last part of a snapshot: freed files that it does not list any more.
    pub(super) omits: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) number: u32,
    pub(super) incarnation: u64,
    /// Where the next batch goes.
    pub(super) at: u64,
    pub(super) bytes: u64,
    pub(super) chunks: ChunkLog,
    pub(super) scheduled: VecDeque<Scheduled>,
    /// Whether the scheduled batches are the last ones.
    pub(super) closing: bool,
}

impl OpenFile {
    /// A file whose first batches are `snapshot`.
    pub(super) fn new(number: u32, incarnation: u64, bytes: u64) -> Self {
        Self {
            number,
            incarnation,
            at: 0,
            bytes,
            chunks: ChunkLog::default(),
            scheduled: VecDeque::new(),
            closing: false,
        }
    }

    /// Whether a batch of `bytes` with `chunks` chunks leaves room to close the file, if a snapshot then has
    /// `records` records.
    pub(super) fn fits(&self, bytes: u32, chunks: usize, records: usize) -> bool {
        self.at + u64::from(bytes) + closing_bytes(self.chunks.len() + chunks, records) <= self.bytes
    }

    /// Schedules a snapshot. `omits` names the freed files that are not in it.
    pub(super) fn schedule_snapshot(&mut self, records: &[Record], omits: &[u32]) {
        assert!(!records.is_empty(), "a snapshot names at least the disk's identity");
        let count = parts(records.len()) as u32;
        for (part, records) in records.chunks(RECORDS_PER_PART).enumerate() {
            let part = part as u32;
            let records = records.to_vec();
            let omits = if part + 1 == count { omits.to_vec() } else { Vec::new() };
            self.scheduled.push_back(Scheduled { kind: BatchKind::Snapshot, part, parts: count, records, omits });
        }
    }

    /// Schedules the index, the closing snapshot and the footer.
    pub(super) fn schedule_closing(&mut self, snapshot: &[Record], omits: &[u32]) {
        assert!(!self.closing && self.scheduled.is_empty(), "file {} is closed twice", self.number);
        let index_parts = parts(self.chunks.len()) as u32;
        let snapshot_position = self.at + records_bytes(self.chunks.len());
        let footer = FooterRecord {
            index_position: self.at as u32,
            index_parts,
            snapshot_position: snapshot_position as u32,
            snapshot_parts: parts(snapshot.len()) as u32,
        };
        let end = snapshot_position + records_bytes(snapshot.len()) + u64::from(BLOCK_BYTES);
        assert!(end <= self.bytes, "closing file {} takes {end} of {} bytes", self.number, self.bytes);
        for part in 0..index_parts {
            let (kind, records, omits) = (BatchKind::Index, Vec::new(), Vec::new());
            self.scheduled.push_back(Scheduled { kind, part, parts: index_parts, records, omits });
        }
        self.schedule_snapshot(snapshot, omits);
        let records = vec![Record::Footer(footer)];
        self.scheduled.push_back(Scheduled { kind: BatchKind::Footer, part: 0, parts: 1, records, omits: Vec::new() });
        self.closing = true;
    }

    /// The next scheduled batch and where it goes.
    pub(super) fn next_scheduled(&mut self) -> Option<(u64, Scheduled)> {
        let mut next = self.scheduled.pop_front()?;
        if next.kind == BatchKind::Footer {
            return Some((self.bytes - u64::from(BLOCK_BYTES), next));
        }
        if next.kind == BatchKind::Index {
            next.records = self.chunks.take_part(next.part as usize);
        }
        let position = self.at;
        self.at += records_bytes(next.records.len());
        Some((position, next))
    }
}
