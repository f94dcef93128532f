//! What a writer starts with.

use crate::chunk::ChunkHeader;
use crate::digest::Digest;
use crate::ids::{ChunkSeq, LogId, SegmentId};
use crate::quorum::{Quorum, ReplicaSet};
use crate::record::Window;
use alloc::vec::Vec;
use bytes::Bytes;

/// How long a writer tries to get its oldest chunk committed before it stops for good, in microseconds, when
/// nothing else is asked for (P9).
pub const WRITER_DEADLINE_US_DEFAULT: u64 = 30_000_000;

/// One open segment and where its writer stands in it.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    /// The log.
    pub log: LogId,
    /// The segment, which the register holds already (P5). Its epoch is the writer's.
    pub segment: SegmentId,
    /// How many replicas, and how many of them commit. Replicas are named by their index in the segment's list.
    pub quorum: Quorum,
    /// How far the writer may put beyond what is committed (P6).
    pub window: Window,
    /// The first seq to hand out. Everything below it is committed.
    pub next_seq: ChunkSeq,
    /// The segment's digest through the chunk before `next_seq`.
    pub digest: Digest,
    /// What recovery copied into this segment: committed, but perhaps not yet stored on every replica. Dense, and
    /// ending right below `next_seq`.
    pub carried: Vec<Carried>,
    /// Whether chunks of the segment before this one are not committed yet (P11). Then nothing is committed here, and no
    /// watermark is told, until [`super::Writer::release`].
    pub held: bool,
    /// How long the oldest append may wait for its quorum, in microseconds (P9).
    pub deadline_us: u64,
    /// How many committed chunks are kept for replicas that lag (P10).
    pub straggler_chunks_max: u32,
    /// How many payload bytes of committed chunks are kept for replicas that lag (P10).
    pub straggler_bytes_max: u64,
}

/// A committed chunk that some replica may still lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Its header, as it was sent.
    pub header: ChunkHeader,
    /// Its payload.
    pub payload: Bytes,
    /// Who is known to have stored it.
    pub stored: ReplicaSet,
}
