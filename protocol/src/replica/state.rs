//! How a log comes back from a replay, and how statistics see it.

use super::RestoredLog;
use super::log::{Log, Segment};
use crate::ids::{ChunkSeq, SegmentId};
use crate::snapshot::LogRecord;
use alloc::vec::Vec;

/// One log as statistics see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    /// What the replica was told, durable or on its way.
    pub record: LogRecord,
    /// Its segments in order.
    pub segments: Vec<SegmentState>,
}

/// One segment as statistics see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentState {
    /// The segment.
    pub segment: SegmentId,
    /// The highest watermark heard.
    pub watermark: ChunkSeq,
    /// The smallest and the largest seq held.
    pub held: Option<(ChunkSeq, ChunkSeq)>,
    /// How many chunks are held.
    pub chunks: u64,
    /// How many seqs are lost.
    pub lost: u64,
    /// How many chunks are on their way to the disk.
    pub pending: u64,
}

impl Log {
    /// Merges what a replay found. Order does not matter (D5).
    pub(super) fn restore(&mut self, restored: RestoredLog) {
        self.durable.merge(&restored.record);
        for found in restored.segments {
            // A chunk is the durable word of its epoch (P3).
            self.durable.fence = self.durable.fence.max(found.segment.epoch);
            let segment = self.segments.entry(found.segment).or_default();
            segment.restore(&found);
        }
        // A deletion fences, whether or not the same record said so.
        self.durable.fence = self.durable.fence.max(self.durable.deleted);
        self.told = self.durable;
        if self.durable.deleted.0 > 0 {
            self.segments.clear();
        } else {
            self.drop_below_floor();
        }
    }

    pub(super) fn state(&self) -> LogState {
        let segments = self.segments.iter().map(|(id, segment)| segment.state(*id)).collect();
        LogState { record: self.told, segments }
    }
}

impl Segment {
    fn restore(&mut self, found: &super::RestoredSegment) {
        self.watermark = self.watermark.max(found.watermark);
        found.held.iter().for_each(|(from, to)| self.held.insert(from, to));
        found.lost.iter().for_each(|(from, to)| self.lost.insert(from, to));
        // P8: what may be unreadable is not promised.
        for (from, to) in self.lost.iter() {
            self.held.remove(from, to);
        }
    }

    fn state(&self, segment: SegmentId) -> SegmentState {
        SegmentState {
            segment,
            watermark: self.watermark,
            held: self.held.first().zip(self.held.last()),
            chunks: self.held.len(),
            lost: self.lost.len(),
            pending: self.pending.len() as u64,
        }
    }
}
