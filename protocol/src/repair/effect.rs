//! What a repair wants done.

use super::report::{RepairFailure, RepairReport};
use crate::chunk::ChunkHeader;
use crate::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use crate::message::Request;
use crate::record::{LogRecord, ReplicaRef, Version};
use crate::recovery::RequestNo;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// Something to do. Whoever drives the repair bounds each request with a time limit of its own and reports its outcome,
/// failures included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairEffect {
    /// Read the register.
    ReadRecord {
        /// Comes back with [`super::RepairEvent::RecordRead`].
        request: RequestNo,
        /// The log's name.
        name: String,
    },
    /// Change the register, if the record is still at `expected`.
    Swap {
        /// Comes back with [`super::RepairEvent::Swapped`].
        request: RequestNo,
        /// The version compared.
        expected: Version,
        /// The new record.
        record: Box<LogRecord>,
    },
    /// Find new holders, live ones, in zones that no kept holder lies in.
    Place {
        /// Comes back with [`super::RepairEvent::Placed`].
        request: RequestNo,
        /// The log.
        log: LogId,
        /// How many are wanted.
        replicas: usize,
        /// The holders that stay.
        keep: Vec<ReplicaRef>,
        /// Disks that will not do.
        avoid: Vec<DiskId>,
    },
    /// Ask a replica: a pin or an inventory.
    Call {
        /// Comes back with [`super::RepairEvent::Replied`].
        request: RequestNo,
        /// Whom.
        to: ReplicaRef,
        /// What.
        what: Request,
    },
    /// Read one chunk from one replica.
    Fetch {
        /// Comes back with [`super::RepairEvent::Fetched`].
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
    /// Have a replica store a copy.
    Copy {
        /// Comes back with [`super::RepairEvent::Copied`].
        request: RequestNo,
        /// Whom.
        to: ReplicaRef,
        /// The chunk's header, as its writer made it.
        header: ChunkHeader,
        /// Its bytes.
        payload: Bytes,
    },
    /// The repair is over: the last effect.
    Finished(Box<Result<RepairReport, RepairFailure>>),
}
