//! What a repair says of itself, while it goes on and at its end.

use crate::ids::{ChunkSeq, SegmentId};
use crate::ranges::SeqRanges;
use crate::record::ReplicaRef;
use alloc::string::String;
use alloc::vec::Vec;

/// How far a repair is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepairProgress {
    /// Sealed segments that were looked at and need nothing more.
    pub segments_done: u64,
    /// Sealed segments to look at.
    pub segments: u64,
    /// Chunks copied.
    pub chunks: u64,
    /// Bytes copied, headers included.
    pub bytes: u64,
    /// Bytes to copy in all, as far as they are known: further segments may lack some, too.
    pub bytes_total: u64,
    /// Bytes a second that the budget allows now.
    pub bytes_per_s: u64,
}

impl RepairProgress {
    /// How long it will take to copy what is known to be missing, in seconds.
    #[must_use]
    pub const fn left_s(&self) -> u64 {
        let rate = if self.bytes_per_s == 0 { 1 } else { self.bytes_per_s };
        self.bytes_total.saturating_sub(self.bytes).div_ceil(rate)
    }
}

/// Why a holder has not all of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The holder.
    pub replica: ReplicaRef,
    /// What it lacks or cannot read; everything if it does not answer.
    pub seqs: SeqRanges,
    /// Why.
    pub why: String,
}

/// What became of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentOutcome {
    /// Every holder on record has all of it, and said so just now.
    Whole,
    /// Everything of it is there, but not on as many holders as the record names.
    Short {
        /// The holders that lack something.
        lacking: Vec<Lacking>,
        /// Why it stayed so.
        why: String,
    },
    /// Nobody who can be asked has these chunks. Nothing was deleted because of that: a holder that comes back may have them.
    Lost {
        /// The chunks.
        seqs: SeqRanges,
        /// Why each holder does not have them.
        lacking: Vec<Lacking>,
    },
}

/// A segment in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// The segment.
    pub segment: SegmentId,
    /// Its first seq that is kept.
    pub from: ChunkSeq,
    /// One past its last seq.
    pub to: ChunkSeq,
    /// Holders that were put in the place of others.
    pub replaced: Vec<(ReplicaRef, ReplicaRef)>,
    /// What became of it.
    pub outcome: SegmentOutcome,
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Every segment looked at, oldest first.
    pub segments: Vec<SegmentReport>,
    /// Chunks copied.
    pub chunks: u64,
    /// Bytes copied, headers included.
    pub bytes: u64,
}

impl RepairReport {
    /// Segments of which something is lost.
    pub fn lost(&self) -> impl Iterator<Item = &SegmentReport> {
        self.segments.iter().filter(|segment| matches!(segment.outcome, SegmentOutcome::Lost { .. }))
    }

    /// Segments that have fewer copies than the record says, with nothing lost.
    pub fn short(&self) -> impl Iterator<Item = &SegmentReport> {
        self.segments.iter().filter(|segment| matches!(segment.outcome, SegmentOutcome::Short { .. }))
    }
}

/// Why nothing could be repaired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepairFailure {
    /// There is no such log.
    #[error("log {name:?} does not exist")]
    NotFound {
        /// Its name.
        name: String,
    },
    /// The register does not answer.
    #[error("the register did not answer for log {name:?}: {why}: try again when it does")]
    Register {
        /// The log's name.
        name: String,
        /// What it said.
        why: String,
    },
    /// The register's answer is no record.
    #[error("{why}")]
    Record {
        /// What is wrong with it.
        why: String,
    },
}
