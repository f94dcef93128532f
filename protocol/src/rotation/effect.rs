//! What a rotating writer wants done.

use super::config::RotationReason;
use crate::chunk::ChunkHeader;
use crate::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use crate::record::{LogRecord, ReplicaRef, Version};
use crate::recovery::RequestNo;
use crate::writer::{AppendFailure, AppendToken, Fate, LeftBehindReason, StopReason};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// Something to do, in order. Replicas are named by their segment and their index in its replica list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationEffect {
    /// Report, from now on, what becomes of puts to these replicas ([`super::RotationEvent::Link`]), and first of all
    /// which of them are connected.
    Attach {
        /// The segment.
        segment: SegmentId,
        /// Its replicas.
        replicas: Vec<ReplicaRef>,
    },
    /// Nothing more is put into this segment, and no news of it are wanted.
    Detach {
        /// The segment.
        segment: SegmentId,
    },
    /// See [`crate::writer::WriterEffect::Put`].
    Put {
        /// The segment.
        segment: SegmentId,
        /// Which replica.
        replica: usize,
        /// The chunk.
        header: ChunkHeader,
        /// Its bytes.
        payload: Bytes,
    },
    /// See [`crate::writer::WriterEffect::Committed`]. In seq order across segments.
    Committed {
        /// Whose append.
        token: AppendToken,
        /// Its seq.
        seq: ChunkSeq,
    },
    /// See [`crate::writer::WriterEffect::Failed`]. In seq order across segments.
    Failed {
        /// Whose append.
        token: AppendToken,
        /// Its seq; `None` if it was refused before it got one.
        seq: Option<ChunkSeq>,
        /// Whether it may turn up in the log all the same.
        fate: Fate,
        /// Why.
        why: AppendFailure,
    },
    /// See [`crate::writer::WriterEffect::LeftBehind`].
    LeftBehind {
        /// The segment.
        segment: SegmentId,
        /// Which replica.
        replica: usize,
        /// Why.
        why: LeftBehindReason,
    },
    /// See [`crate::writer::WriterEffect::Rejoined`].
    Rejoined {
        /// The segment.
        segment: SegmentId,
        /// Which replica.
        replica: usize,
        /// The first seq it may lack.
        lacks_from: ChunkSeq,
        /// One past the last seq it may lack.
        lacks_to: ChunkSeq,
    },
    /// The writer stopped, for good, with all its segments. Comes once, before the failures of the appends it had.
    Stopped {
        /// In which segment.
        segment: SegmentId,
        /// Why.
        why: StopReason,
    },
    /// Find replicas for the next segment. Answered with [`super::RotationEvent::Placed`].
    Place {
        /// Comes back with the answer.
        request: RequestNo,
        /// The log.
        log: LogId,
        /// How many.
        replicas: usize,
        /// Those that stay, if they can.
        keep: Vec<ReplicaRef>,
        /// Those that must not be chosen.
        avoid: Vec<DiskId>,
        /// Whether they are looked for where the log is to move to.
        moving: bool,
    },
    /// Read the log's record. Answered with [`super::RotationEvent::RecordRead`].
    ReadRecord {
        /// Comes back with the answer.
        request: RequestNo,
        /// The log's name.
        name: String,
    },
    /// Change the log's record, comparing the version. Answered with [`super::RotationEvent::Swapped`].
    Swap {
        /// Comes back with the answer.
        request: RequestNo,
        /// The version that must be there.
        expected: Version,
        /// The record to put in its place.
        record: Box<LogRecord>,
    },
    /// The next segment is on record (P11).
    Planned {
        /// The segment that ends.
        ends: SegmentId,
        /// Where.
        at: ChunkSeq,
        /// The one that follows.
        next: SegmentId,
        /// Its replicas.
        replicas: Vec<ReplicaRef>,
        /// Why.
        why: RotationReason,
    },
    /// The segment is sealed: the rotation is over.
    Sealed {
        /// The segment.
        segment: SegmentId,
        /// Where it ended.
        at: ChunkSeq,
    },
    /// A rotation did not come about. Writes go on as before.
    Unrotated {
        /// What it was wanted for.
        reason: RotationReason,
        /// Why not.
        why: String,
    },
    /// Appends wait at a planned boundary, because the register does not say whether it is on record (P11).
    Stalled {
        /// The boundary.
        at: ChunkSeq,
        /// What the register said.
        why: String,
    },
}
