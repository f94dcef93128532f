//! What a trim wants done.

use super::failure::TrimFailure;
use crate::ids::ChunkSeq;
use crate::message::Request;
use crate::record::{LogRecord, ReplicaRef, Version};
use crate::recovery::{MissingReplica, RequestNo};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// Something to do. Whoever drives the trim bounds each request with a time limit of its own and reports its outcome,
/// failures included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrimEffect {
    /// Read the register.
    ReadRecord {
        /// Comes back with [`super::TrimEvent::RecordRead`].
        request: RequestNo,
        /// The log's name.
        name: String,
    },
    /// Change the register, if the record is still at `expected`.
    Swap {
        /// Comes back with [`super::TrimEvent::Swapped`].
        request: RequestNo,
        /// The version compared.
        expected: Version,
        /// The new record.
        record: Box<LogRecord>,
    },
    /// Ask a replica what it holds, or tell it the floor.
    Call {
        /// Comes back with [`super::TrimEvent::Replied`].
        request: RequestNo,
        /// Whom.
        to: ReplicaRef,
        /// What.
        what: Request,
    },
    /// What became of each floor that was asked for, in the same order: the floor on record, or why it was not raised. If it
    /// was raised, the replicas are told next; nobody has to wait for that.
    Finished(Vec<Result<ChunkSeq, TrimFailure>>),
    /// Nothing is left to do. The last effect.
    Over {
        /// The replicas that do not know the floor; a later trim or open tells them.
        untold: Vec<MissingReplica>,
        /// Why segments that could leave the record are still there. A later trim or open takes them off.
        kept: Option<String>,
    },
}
