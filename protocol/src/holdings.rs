//! What a shard holds, whoever it belongs to: the pages of [`crate::message::Reply::Holdings`].
#![allow(missing_docs, reason = "rkyv derives archived twins of the documented types below, undocumented")]

use crate::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use crate::limits::HOLDING_BYTES;
use alloc::vec::Vec;
use rkyv::{Archive, Deserialize, Serialize};

/// Size of an archived [`SegmentHolding`] or [`LogHolding`] at most, as the bound of an answer counts them.
const _: () =
    assert!(size_of::<ArchivedSegmentHolding>() <= HOLDING_BYTES && size_of::<ArchivedLogHolding>() <= HOLDING_BYTES);

/// Where a page of holdings begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub struct HoldingsCursor {
    /// The log.
    pub log: LogId,
    /// The first of its segments.
    pub segment: SegmentId,
}

/// One page of what a shard holds.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct HoldingsPage {
    /// Every name this shard goes by, the one in force first: what it holds, it holds under all of them.
    pub identities: Vec<DiskId>,
    /// Its logs, in order.
    pub logs: Vec<LogHolding>,
    /// Where the next page begins, if there is one.
    pub next: Option<HoldingsCursor>,
}

/// What a shard holds of one log, as far as one page goes.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct LogHolding {
    /// The log.
    pub log: LogId,
    /// The fence in force.
    pub fence: Epoch,
    /// The floor known here.
    pub floor: ChunkSeq,
    /// Whether its deletion is known here: nothing of it is held then.
    pub deleted: bool,
    /// The highest record number a client told this shard of.
    pub word: RecordNumber,
    /// Its segments, in order.
    pub segments: Vec<SegmentHolding>,
}

/// What a shard holds of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SegmentHolding {
    /// The segment.
    pub segment: SegmentId,
    /// The smallest and the largest seq held, if any is.
    pub held: Option<(ChunkSeq, ChunkSeq)>,
    /// How many chunks are held.
    pub chunks: u64,
    /// How many seqs were held and cannot be read any more.
    pub lost: u64,
    /// For how long nothing of it was stored here, in seconds; at most since this process started.
    pub idle_s: u64,
}
