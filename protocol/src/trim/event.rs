//! What happens to a trim.

use crate::message::Reply;
use crate::record::{LogRecord, Version};
use crate::recovery::{RegisterFailure, RequestNo, SwapOutcome};
use alloc::string::String;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrimEvent {
    /// The outcome of [`super::TrimEffect::ReadRecord`].
    RecordRead {
        /// Which request.
        request: RequestNo,
        /// The record, if there is one.
        result: Result<Option<(Version, LogRecord)>, RegisterFailure>,
    },
    /// The outcome of [`super::TrimEffect::Swap`].
    Swapped {
        /// Which request.
        request: RequestNo,
        /// The outcome.
        outcome: SwapOutcome,
    },
    /// The outcome of [`super::TrimEffect::Call`].
    Replied {
        /// Which request.
        request: RequestNo,
        /// What the replica said (refusals included), or why nothing is known of it.
        result: Result<Reply, String>,
    },
    /// Time passed ([`super::Trim::poll_timeout`]).
    Tick,
}
