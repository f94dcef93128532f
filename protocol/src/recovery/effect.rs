//! What a recovery wants done.

use super::error::RecoveryError;
use super::event::RequestNo;
use super::report::RecoveryReport;
use crate::chunk::ChunkHeader;
use crate::ids::{ChunkSeq, LogId, SegmentId};
use crate::message::Request;
use crate::record::{LogRecord, ReplicaRef, Version};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// Something to do. Whoever drives the recovery bounds each request with a time limit of its own and reports its outcome,
/// failures included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryEffect {
    /// Read the register.
    ReadRecord {
        /// Comes back with [`super::RecoveryEvent::RecordRead`].
        request: RequestNo,
        /// The log's name.
        name: String,
    },
    /// Change the register, if the record is still at `expected` (`None`: if there is none).
    Swap {
        /// Comes back with [`super::RecoveryEvent::Swapped`].
        request: RequestNo,
        /// The version compared.
        expected: Option<Version>,
        /// The new record.
        record: Box<LogRecord>,
    },
    /// Find replicas for a new segment, in distinct zones, live ones first.
    Place {
        /// Comes back with [`super::RecoveryEvent::Placed`].
        request: RequestNo,
        /// The log.
        log: LogId,
        /// How many are wanted.
        replicas: usize,
        /// How many will do while nodes are away.
        replicas_min: usize,
        /// The replicas of the log's newest segment: they may fill up zones in which no other answers.
        known: Vec<ReplicaRef>,
    },
    /// Ask a replica: a fence or a freeze.
    Call {
        /// Comes back with [`super::RecoveryEvent::Replied`].
        request: RequestNo,
        /// Whom.
        to: ReplicaRef,
        /// What.
        what: Request,
    },
    /// Read one chunk from one replica.
    Fetch {
        /// Comes back with [`super::RecoveryEvent::Fetched`].
        request: RequestNo,
        /// From whom.
        from: ReplicaRef,
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentId,
        /// The chunk.
        seq: ChunkSeq,
    },
    /// Chunks will be copied into a new segment: report, from now on, what becomes of its replicas' connections and of the
    /// copies ([`super::RecoveryEvent::Up`], `Down`, `CopyStored`, `CopyRefused`). Replaces an earlier one. Comes only if
    /// there is something to copy.
    Attach {
        /// The log.
        log: LogId,
        /// The new segment.
        segment: SegmentId,
        /// The placement: an index into it names a replica.
        replicas: Vec<ReplicaRef>,
    },
    /// Put a copy to a replica of the new, not yet registered segment (P7.4). If the connection breaks it is put again
    /// on the next.
    Copy {
        /// Index in the placement.
        replica: usize,
        /// The replica.
        to: ReplicaRef,
        /// The copy's header: the new segment, the old seq.
        header: ChunkHeader,
        /// Its bytes.
        payload: Bytes,
    },
    /// The recovery is over: the last effect.
    Finished(Box<Result<RecoveryReport, RecoveryError>>),
}
