//! What a rotating writer starts from, and when it rotates.

use crate::ids::{ChunkSeq, DiskId, OwnerId};
use crate::record::{LogRecord, ReplicaRef, Segment, Version, Window};
use crate::writer::Carried;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Bytes of payload after which a segment is ended, unless another bound is asked for.
pub const SEGMENT_BYTES_SOFT_DEFAULT: u64 = 4 << 30;
/// How old a segment gets, unless another bound is asked for, in microseconds: a day.
pub const SEGMENT_AGE_US_DEFAULT: u64 = 24 * 3600 * 1_000_000;
/// How long a replica may take no puts, or lack a chunk that it was sent, before it counts as failed, unless another bound is
/// asked for, in microseconds. The failure detection time.
pub const REPLICA_PATIENCE_US_DEFAULT: u64 = 2_000_000;

/// When a segment is ended. Bounds of size and age are soft: appends never wait for a rotation in steady state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// Payload bytes of a segment.
    pub segment_bytes: u64,
    /// Age of a segment that holds something, in microseconds.
    pub segment_age_us: u64,
    /// How long a replica may take no puts, or lack a chunk that it was sent, before the next segment is planned without it, in
    /// microseconds (P10).
    pub replica_patience_us: u64,
}

impl Default for RotationPolicy {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES_SOFT_DEFAULT,
            segment_age_us: SEGMENT_AGE_US_DEFAULT,
            replica_patience_us: REPLICA_PATIENCE_US_DEFAULT,
        }
    }
}

/// What segments are made like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentShape {
    /// How many replicas a segment is to have. The one that recovery opened may have fewer.
    pub replicas: usize,
    /// How many of them commit a chunk.
    pub ack_quorum: usize,
    /// The writer's window.
    pub window: Window,
}

/// The segment that a recovery has opened, and what the log's writer may do.
#[derive(Clone, Debug)]
pub struct RotationConfig {
    /// The log's name: the key of its record.
    pub name: String,
    /// The owner on record: this writer's open.
    pub owner: OwnerId,
    /// The record as the recovery left it.
    pub record: LogRecord,
    /// Its version.
    pub version: Version,
    /// The first seq to hand out.
    pub next_seq: ChunkSeq,
    /// The open segment's digest through the chunk before `next_seq`.
    pub digest: crate::digest::Digest,
    /// What recovery copied into the open segment ([`crate::writer::WriterConfig::carried`]).
    pub carried: Vec<Carried>,
    /// What further segments are made like.
    pub shape: SegmentShape,
    /// How long the oldest append may wait for its quorum, in microseconds (P9).
    pub deadline_us: u64,
    /// How many committed chunks are kept for replicas that lag (P10).
    pub straggler_chunks_max: u32,
    /// How many payload bytes of committed chunks are kept for replicas that lag (P10).
    pub straggler_bytes_max: u64,
    /// When segments are ended.
    pub policy: RotationPolicy,
}

impl RotationConfig {
    /// The segment that recovery opened.
    ///
    /// # Panics
    /// If the record does not end in an open segment.
    #[must_use]
    pub fn open_segment(&self) -> &Segment {
        let last = self.record.segments.last();
        last.filter(|segment| segment.end_seq().is_none())
            .expect("a recovery that ends in writing has opened a segment")
    }
}

/// Why a segment is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationReason {
    /// It has grown to its size.
    Size,
    /// It has come of age.
    Age,
    /// A replica failed or lags (P10).
    Replica {
        /// Which one.
        replica: ReplicaRef,
        /// The last thing known to be wrong with it.
        why: String,
    },
    /// It has fewer replicas than it should, and there is room for another.
    Incomplete,
    /// A replica should not hold new chunks any more: its node is being drained.
    Unwanted {
        /// Which one.
        disk: DiskId,
    },
    /// Somebody asked for it.
    Asked,
    /// What is appended next is to lie elsewhere.
    Moved {
        /// What the next segment, and those after it, are made like.
        shape: SegmentShape,
    },
}

impl fmt::Display for RotationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size => f.write_str("it has grown to its size"),
            Self::Age => f.write_str("it has come of age"),
            Self::Replica { replica, why } => write!(f, "{} ({}): {why}", replica.zone, replica.address),
            Self::Incomplete => f.write_str("it has fewer replicas than it should"),
            Self::Unwanted { disk } => write!(f, "disk {disk} is to hold nothing new"),
            Self::Asked => f.write_str("somebody asked for it"),
            Self::Moved { .. } => f.write_str("the log moves to another tier"),
        }
    }
}
