//! What happens to a recovery.

use crate::chunk::ChunkHeader;
use crate::ids::{ChunkSeq, SegmentId};
use crate::message::{Answer, Refusal, Reply};
use crate::record::{LogRecord, ReplicaRef, Version};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// Names a request of a recovery; its outcome carries it back. Never used twice, so an outcome that comes late or twice
/// does no harm.
pub type RequestNo = u64;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryEvent {
    /// The outcome of [`super::RecoveryEffect::ReadRecord`].
    RecordRead {
        /// Which request.
        request: RequestNo,
        /// The record, if there is one.
        result: Result<Option<(Version, LogRecord)>, RegisterFailure>,
    },
    /// The outcome of [`super::RecoveryEffect::Swap`].
    Swapped {
        /// Which request.
        request: RequestNo,
        /// The outcome.
        outcome: SwapOutcome,
    },
    /// The outcome of [`super::RecoveryEffect::Place`].
    Placed {
        /// Which request.
        request: RequestNo,
        /// As many replicas as asked for, in distinct zones; or why not.
        result: Result<Vec<ReplicaRef>, String>,
    },
    /// The outcome of [`super::RecoveryEffect::Call`].
    Replied {
        /// Which request.
        request: RequestNo,
        /// What the replica said (refusals included), or why nothing is known of it.
        result: Result<Reply, String>,
    },
    /// The outcome of [`super::RecoveryEffect::Fetch`].
    Fetched {
        /// Which request.
        request: RequestNo,
        /// The chunk, its header decoded; or why there is none.
        result: Result<(ChunkHeader, Bytes), FetchFailure>,
    },
    /// A replica of the new segment has stored a copy ([`super::RecoveryEffect::Copy`]). May be late, or come twice.
    CopyStored {
        /// Index in the placement.
        replica: usize,
        /// The segment.
        segment: SegmentId,
        /// Which chunk.
        seq: ChunkSeq,
    },
    /// A replica of the new segment refused a copy.
    CopyRefused {
        /// Index in the placement.
        replica: usize,
        /// The segment.
        segment: SegmentId,
        /// Which chunk.
        seq: ChunkSeq,
        /// Why.
        refusal: Refusal,
    },
    /// A connection to a replica of the new segment stands: the first one, too. Nothing is put to a replica before.
    Up {
        /// Index in the placement.
        replica: usize,
        /// The segment of the [`super::RecoveryEffect::Attach`] that asked to be told.
        segment: SegmentId,
    },
    /// The connection to a replica of the new segment is gone, or cannot be made.
    Down {
        /// Index in the placement.
        replica: usize,
        /// The segment of the [`super::RecoveryEffect::Attach`] that asked to be told.
        segment: SegmentId,
        /// Why.
        why: String,
    },
    /// Time passed ([`super::Recovery::poll_timeout`]).
    Tick,
}

/// Why the register did not give a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterFailure {
    /// It did not answer: ask again.
    Unavailable(String),
    /// It answered with something that is not a usable record: asking again does not help.
    Unusable(String),
}

/// What became of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwapOutcome {
    /// It took place; this is the version it made.
    Done(Version),
    /// The record was not at the version expected. Nothing changed.
    Conflict,
    /// Nobody knows whether it took place, or will.
    Ambiguous(String),
    /// It certainly did not take place and will not.
    Failed(String),
}

/// Why a fetch brought no chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The replica answered: it has none (`Never`, `Trimmed`), or cannot say (`Unknown`, a checksum that fails included).
    Answer(Answer),
    /// No answer: ask again, or ask another replica.
    Unreachable(String),
}
