//! What happens to a rotating writer.

use super::config::SegmentShape;
use crate::ids::{DiskId, SegmentId};
use crate::record::{LogRecord, ReplicaRef, Version};
use crate::recovery::{RegisterFailure, RequestNo, SwapOutcome};
use crate::writer::{AppendToken, WriterEvent};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationEvent {
    /// Append a chunk. Ask [`super::RotatingWriter::would_fit`] first.
    Append {
        /// Comes back with the outcome.
        token: AppendToken,
        /// The chunk's bytes.
        payload: Bytes,
        /// crc32c of `payload` (D3).
        payload_crc: u32,
    },
    /// News of a segment's replica: stored, refused, up or down.
    Link {
        /// The segment. News of one that is not written any more are passed over.
        segment: SegmentId,
        /// What happened.
        event: WriterEvent,
    },
    /// The answer to [`super::RotationEffect::Place`].
    Placed {
        /// Which request.
        request: RequestNo,
        /// The replicas, each in a zone of its own; or why there are not enough.
        result: Result<Vec<ReplicaRef>, String>,
    },
    /// The answer to [`super::RotationEffect::ReadRecord`].
    RecordRead {
        /// Which request.
        request: RequestNo,
        /// The record, if there is one.
        result: Result<Option<(Version, LogRecord)>, RegisterFailure>,
    },
    /// The answer to [`super::RotationEffect::Swap`].
    Swapped {
        /// Which request.
        request: RequestNo,
        /// What is known of the change.
        outcome: SwapOutcome,
    },
    /// End the open segment soon.
    Rotate,
    /// End the open segment soon; the next one, and those after it, are made like this, on replicas elsewhere
    /// ([`super::RotationEffect::Place`]). Takes the place of a move that was not begun yet.
    Move(SegmentShape),
    /// These disks are to hold nothing new; the list replaces the one before.
    Unwanted {
        /// The disks.
        disks: Vec<DiskId>,
    },
    /// Time passed ([`super::RotatingWriter::poll_timeout`]).
    Tick,
}
