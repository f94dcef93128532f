//! Why a shard refuses a request.
#![allow(missing_docs, reason = "rkyv derives archived twins of the documented types below, undocumented")]

use crate::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use alloc::string::String;
use rkyv::{Archive, Deserialize, Serialize};

/// Why a shard refused.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// A higher epoch holds the log.
    #[error("fenced: epoch {by} holds the log")]
    Fenced {
        /// The fence.
        by: Epoch,
    },
    /// The request names another disk (P4).
    #[error("disk {named} is not here, this is {here}: the disk was replaced or re-formatted")]
    WrongDisk {
        /// The disk named in the request.
        named: DiskId,
        /// The identity in force here.
        here: DiskId,
    },
    /// The request names an identity this shard has retired: it takes no puts under it.
    #[error("disk identity {named} is retired, it serves reads only: open the log again to use {here}")]
    Retired {
        /// The identity named in the request.
        named: DiskId,
        /// The identity in force here.
        here: DiskId,
    },
    /// Live data is above 85 % of the capacity (D7).
    #[error(
        "disk full: {live_bytes} of {capacity_bytes} usable bytes are live, puts resume at 80 %: trim logs or add capacity"
    )]
    Full {
        /// Bytes that are live.
        live_bytes: u64,
        /// Bytes that could be.
        capacity_bytes: u64,
    },
    /// The log was deleted.
    #[error("log {log} was deleted at epoch {at}")]
    LogDeleted {
        /// The log.
        log: LogId,
        /// The epoch that deleted it.
        at: Epoch,
    },
    /// The shard remembers as many logs as it can.
    #[error("this shard remembers {max} logs, the most it can: add shards or nodes")]
    TooManyLogs {
        /// The bound.
        max: u32,
    },
    /// The shard's disk failed; it acknowledges nothing until it is restarted (D6). What was on its way by then may
    /// be stored or not: no answer of this replica shortens a log.
    #[error("disk failed: {why}: replace the disk, or restart the node if it was a passing fault")]
    DiskFailed {
        /// What happened.
        why: String,
    },
    /// Another chunk is stored, or on its way, under this name: the client is broken (P1).
    #[error(
        "another chunk is already stored as {segment}/{seq}: two writers used one epoch, or a writer changed a chunk"
    )]
    Different {
        /// The segment.
        segment: SegmentId,
        /// The seq.
        seq: ChunkSeq,
    },
    /// The request goes by a record that was changed since (P13).
    #[error("record number {asked} is old, this replica was told of {known}: read the record again")]
    StaleWord {
        /// The number that came with the request.
        asked: RecordNumber,
        /// The highest number known here.
        known: RecordNumber,
    },
    /// The request makes no sense.
    #[error("bad request: {why}")]
    BadRequest {
        /// What is wrong with it.
        why: String,
    },
    /// The node belongs to another cluster.
    #[error("this node belongs to cluster {here:?}, not {asked:?}: check the store URL")]
    WrongCluster {
        /// The cluster asked for.
        asked: String,
        /// The node's cluster.
        here: String,
    },
}
