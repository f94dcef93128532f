//! What a replica remembers of one log.

use super::in_order::InOrder;
use crate::chunk::ChunkHeader;
use crate::digest::Digest;
use crate::ids::{ChunkSeq, LogId, SegmentId};
use crate::message::Answer;
use crate::ranges::SeqRanges;
use crate::snapshot::LogRecord;
use crate::time::Micros;
use alloc::collections::BTreeMap;

/// One log. Never removed: a fence is never forgotten (P3, pitfalls 11, 17).
#[derive(Clone, Debug)]
pub(super) struct Log {
    /// What this replica was told, durable or on its way. Decides what is refused.
    pub(super) told: LogRecord,
    /// What is durable. Decides what is answered.
    pub(super) durable: LogRecord,
    /// The order with which `told.floor` and `told.word` became, or become, durable; 0 if that was before this start.
    pub(super) floor_order: u64,
    /// Its segments, as far as anything of them is held, lost or on its way.
    pub(super) segments: BTreeMap<SegmentId, Segment>,
}

/// One segment of a log.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    /// The highest watermark heard (P6).
    pub(super) watermark: ChunkSeq,
    /// What is durable here.
    pub(super) held: SeqRanges,
    /// What may have been acknowledged and cannot be read. Disjoint from `held`.
    pub(super) lost: SeqRanges,
    /// What is on its way to the disk.
    pub(super) pending: InOrder<ChunkSeq, Pending>,
    /// When something of it became durable here last; 0 if that was before this start.
    pub(super) stored_at: Micros,
}

/// A chunk on its way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    /// The order of its store effect.
    pub(super) order: u64,
    /// Whether a repair sent it: no fence stops it.
    pub(super) copy: bool,
    length: u32,
    payload_crc: u32,
    digest: Digest,
}

/// What to say of a seq that is not here: *never* (P8), unless this replica may have lost it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absent(pub(super) Answer);

impl Pending {
    pub(super) fn new(order: u64, header: &ChunkHeader, copy: bool) -> Self {
        Self { order, copy, length: header.length, payload_crc: header.payload_crc, digest: header.digest }
    }

    /// Whether `header` names the same bytes. The watermark may differ: it is not part of the chunk's content.
    pub(super) fn is_same(&self, header: &ChunkHeader) -> bool {
        *self == Self::new(self.order, header, self.copy)
    }
}

impl Log {
    pub(super) fn new(log: LogId) -> Self {
        let record = LogRecord { log, ..LogRecord::default() };
        Self { told: record, durable: record, floor_order: 0, segments: BTreeMap::new() }
    }

    /// The log's small state alone.
    pub(super) fn without_segments(&self) -> Self {
        Self { segments: BTreeMap::new(), ..*self }
    }

    /// Whether somebody has deleted the log, durably or not yet.
    pub(super) fn is_deleted(&self) -> bool {
        self.told.deleted.0 > 0
    }

    /// What this replica says of a seq, and how far the same answer goes at most (one past its last seq).
    pub(super) fn answer_at(&self, segment: SegmentId, seq: ChunkSeq, absent: Absent) -> (Answer, ChunkSeq) {
        if self.is_deleted() {
            return (Answer::Unknown, ChunkSeq(u64::MAX));
        }
        if seq < self.durable.floor {
            return (Answer::Trimmed, self.durable.floor);
        }
        let Some(segment) = self.segments.get(&segment) else { return (absent.0, ChunkSeq(u64::MAX)) };
        if let Some(end) = segment.held.run_at(seq) {
            return (Answer::Have, end);
        }
        if let Some(end) = segment.lost.run_at(seq) {
            return (Answer::Unknown, end);
        }
        let next = segment.held.first_from(seq).into_iter().chain(segment.lost.first_from(seq)).min();
        (absent.0, next.unwrap_or(ChunkSeq(u64::MAX)))
    }

    /// Forgets what lies below the durable floor, and every segment of which nothing is left. A dropped segment's
    /// watermark is not missed: it is at most the floor, and the floor is part of every answer.
    pub(super) fn drop_below_floor(&mut self) {
        let floor = self.durable.floor;
        for segment in self.segments.values_mut() {
            segment.held.remove(ChunkSeq(0), floor);
            segment.lost.remove(ChunkSeq(0), floor);
        }
        self.segments.retain(|_, s| !s.is_empty() || s.watermark > floor);
    }
}

impl Segment {
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.lost.is_empty() && self.pending.is_empty()
    }

    /// The largest seq held or lost.
    pub(super) fn newest(&self) -> Option<ChunkSeq> {
        self.held.last().max(self.lost.last())
    }

    /// The smallest seq held or lost.
    pub(super) fn oldest(&self) -> Option<ChunkSeq> {
        self.held.first().into_iter().chain(self.lost.first()).min()
    }
}
