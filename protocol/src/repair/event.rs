//! What happens to a repair.

use crate::chunk::ChunkHeader;
use crate::message::{Refusal, Reply};
use crate::record::{LogRecord, ReplicaRef, Version};
use crate::recovery::{FetchFailure, RegisterFailure, RequestNo, SwapOutcome};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepairEvent {
    /// The outcome of [`super::RepairEffect::ReadRecord`].
    RecordRead {
        /// Which request.
        request: RequestNo,
        /// The record, if there is one.
        result: Result<Option<(Version, LogRecord)>, RegisterFailure>,
    },
    /// The outcome of [`super::RepairEffect::Swap`].
    Swapped {
        /// Which request.
        request: RequestNo,
        /// The outcome.
        outcome: SwapOutcome,
    },
    /// The outcome of [`super::RepairEffect::Place`].
    Placed {
        /// Which request.
        request: RequestNo,
        /// New holders in distinct zones, as many as were asked for or fewer; or why there are none.
        result: Result<Vec<ReplicaRef>, String>,
    },
    /// The outcome of [`super::RepairEffect::Call`].
    Replied {
        /// Which request.
        request: RequestNo,
        /// What the replica said (refusals included), or why nothing is known of it.
        result: Result<Reply, Unanswered>,
    },
    /// The outcome of [`super::RepairEffect::Fetch`].
    Fetched {
        /// Which request.
        request: RequestNo,
        /// The chunk, its payload verified against its header; or why there is none.
        result: Result<(ChunkHeader, Bytes), FetchFailure>,
    },
    /// The outcome of [`super::RepairEffect::Copy`].
    Copied {
        /// Which request.
        request: RequestNo,
        /// Whether the copy is stored.
        result: Result<(), CopyFailure>,
    },
    /// Time passed ([`super::Repair::poll_timeout`]).
    Tick,
}

/// Why a replica did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It may answer another time.
    #[error("{0}")]
    Silent(String),
    /// Another disk is at its address: it will not answer there any more (P14).
    #[error("{0}")]
    Gone(String),
}

/// Why a copy was not stored, as far as anybody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyFailure {
    /// The replica refused it.
    #[error("{0}")]
    Refused(Refusal),
    /// The replica did not answer.
    #[error("{0}")]
    Unreachable(String),
}
