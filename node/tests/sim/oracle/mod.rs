//! The oracle: everything that anybody was ever told, and what must be true because of it.
//!
//! It sees what no party of the system sees: every put, every answer as it leaves its node, every acknowledgement, every
//! change of the register. It never looks into a machine; what it demands is in `clients` (what clients were told),
//! `replicas` (what replicas said) and `replays` (what a node still knows after a crash).

mod clients;
mod repairs;
mod replays;
mod replicas;

use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::ranges::SeqRanges;
use std::collections::{BTreeMap, BTreeSet};

/// A chunk by its name.
pub(crate) type Name = (SegmentId, ChunkSeq);

/// What was put under a name, and which disks said that they hold it.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) header: ChunkHeader,
    pub(super) payload: Bytes,
    stored: Vec<DiskId>,
}

impl Named {
    pub(super) fn is_stored_on(&self, disk: DiskId) -> bool {
        self.stored.contains(&disk)
    }

    /// A segment's copies are gone from these disks.
    pub(super) fn forget(&mut self, disks: &[DiskId]) {
        self.stored.retain(|disk| !disks.contains(disk));
    }

    pub(super) fn disks(&self) -> &[DiskId] {
        &self.stored
    }

    pub(super) fn holders(&self) -> usize {
        self.stored.len()
    }
}

/// One log, by its random id: a log that is made again under its old name is another one.
#[derive(Debug, Default)]
pub(super) struct LogBook {
    pub(super) names: BTreeMap<Name, Named>,
    /// The highest watermark that was put to each segment.
    pub(super) watermarks: BTreeMap<SegmentId, ChunkSeq>,
    /// The segments that the register ever held, each with its boundary, if one was planned.
    pub(super) registered: BTreeMap<SegmentId, Option<ChunkSeq>>,
    /// What was acknowledged, or given to a reader: the one history.
    pub(super) history: BTreeMap<ChunkSeq, Bytes>,
    /// Where takeovers ended so far, at most.
    pub(super) tail: ChunkSeq,
    pub(super) deleted: bool,
    /// The floor in the register.
    pub(super) floor: ChunkSeq,
    /// Segments whose copies were asked to be freed, with the disks: they may be gone, and may come back.
    pub(super) freeing: BTreeSet<(SegmentId, DiskId)>,
    /// The next seq to be acknowledged in each segment.
    pub(super) next_ack: BTreeMap<SegmentId, ChunkSeq>,
}

/// What one disk said of one log.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) fence: Epoch,
    pub(super) floor: ChunkSeq,
    pub(super) deleted: bool,
    /// Seqs that it said it never had, and never will.
    pub(super) never: BTreeMap<SegmentId, SeqRanges>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(super) logs: BTreeMap<LogId, LogBook>,
    pub(super) disks: BTreeMap<DiskId, BTreeMap<LogId, Said>>,
    /// Chunks acknowledged, chunks read, takeovers, for the receipt.
    pub(crate) counts: Counts,
}

/// What was achieved.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) acknowledged: u64,
    pub(crate) read: u64,
    pub(crate) takeovers: u64,
    pub(crate) rotations: u64,
    pub(crate) repairs: u64,
    pub(crate) copies: u64,
    pub(crate) freed: u64,
    pub(crate) stalls: u64,
    pub(crate) failed_opens: u64,
    pub(crate) trims: u64,
    pub(crate) deletions: u64,
    pub(crate) replays: u64,
    pub(crate) retired: u64,
    pub(crate) starts_refused: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.read += other.read;
        self.takeovers += other.takeovers;
        self.rotations += other.rotations;
        self.repairs += other.repairs;
        self.copies += other.copies;
        self.freed += other.freed;
        self.stalls += other.stalls;
        self.failed_opens += other.failed_opens;
        self.trims += other.trims;
        self.deletions += other.deletions;
        self.replays += other.replays;
        self.retired += other.retired;
        self.starts_refused += other.starts_refused;
    }
}

impl Oracle {
    pub(super) fn log(&mut self, log: LogId) -> &mut LogBook {
        self.logs.entry(log).or_default()
    }

    pub(super) fn said(&mut self, disk: DiskId, log: LogId) -> &mut Said {
        self.disks.entry(disk).or_default().entry(log).or_default()
    }

    /// The last seq that was acknowledged or read.
    pub(crate) fn last(&self, log: LogId) -> Option<ChunkSeq> {
        self.logs.get(&log)?.history.last_key_value().map(|(seq, _)| *seq)
    }

    /// Whether a seq lies below the floor, or in a log that was deleted.
    pub(crate) fn is_trimmed(&self, log: LogId, seq: ChunkSeq) -> bool {
        self.logs.get(&log).is_some_and(|book| book.deleted || seq < book.floor)
    }

    pub(crate) fn known_logs(&self) -> Vec<LogId> {
        self.logs.keys().copied().collect()
    }

    /// The history of a log from `floor` on, if anything of it was acknowledged.
    pub(crate) fn history(&self, log: LogId) -> Option<&BTreeMap<ChunkSeq, Bytes>> {
        self.logs.get(&log).map(|book| &book.history)
    }
}
