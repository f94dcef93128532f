//! What a recovery found and did.

use crate::digest::Digest;
use crate::ids::{ChunkSeq, Epoch, SegmentId};
use crate::record::{LogRecord, Segment, Version};
use crate::writer::Carried;
use alloc::string::String;
use alloc::vec::Vec;

/// The outcome of a recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The record as it now stands: with the new open segment, or a tombstone.
    pub record: LogRecord,
    /// Its version.
    pub version: Version,
    /// The record as it stood when it was claimed: whose replicas have to be told of a deletion or of trimmed segments.
    pub before: Option<LogRecord>,
    /// The epoch claimed.
    pub epoch: Epoch,
    /// Whether the log did not exist before.
    pub created: bool,
    /// Whether the log had been deleted before (only with [`super::Purpose::Delete`]).
    pub already_deleted: bool,
    /// The new segment; `None` after a deletion.
    pub segment: Option<Segment>,
    /// The first seq the new writer hands out; the tail of the log.
    pub next_seq: ChunkSeq,
    /// The new segment's digest through the chunk before `next_seq`.
    pub digest: Digest,
    /// The chunks copied into the new segment, for its writer to bring to the replicas that lack them.
    pub carried: Vec<Carried>,
    /// What was found of each segment that was not sealed.
    pub settled: Vec<SegmentSettled>,
    /// Replicas that were asked and did not answer, with the last thing known to be wrong.
    pub silent: Vec<MissingReplica>,
    /// How long each step took.
    pub timings: Timings,
}

/// How one unsealed segment was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSettled {
    /// The segment.
    pub segment: SegmentId,
    /// Its first seq.
    pub base: ChunkSeq,
    /// How many of its replicas were fenced, of how many.
    pub fenced: (usize, usize),
    /// Where the walk began.
    pub start: ChunkSeq,
    /// One past the last seq kept.
    pub end: ChunkSeq,
    /// Where it was sealed; the kept chunks from there on were copied. Equal to `base`: it left the chain.
    pub sealed_at: ChunkSeq,
}

/// A replica that is missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingReplica {
    /// The replica.
    pub replica: crate::record::ReplicaRef,
    /// What is wrong with it.
    pub why: String,
}

/// How long each step took, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Reading the record and claiming the epoch.
    pub claim_us: u64,
    /// Fencing and freezing, until the end of the log was known.
    pub settle_us: u64,
    /// Copying.
    pub copy_us: u64,
    /// The swap that seals and registers.
    pub register_us: u64,
}
