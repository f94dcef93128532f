//! Requests and replies. Chunks travel as [`crate::frame::FrameKind::Put`] and `Chunk` frames; everything else is a
//! `Request` or `Reply` frame whose body is one of the enums here, as checked rkyv.
#![allow(missing_docs, reason = "rkyv derives archived twins of the documented types below, undocumented")]

pub use crate::holdings::{HoldingsCursor, HoldingsPage, LogHolding, SegmentHolding};
pub use crate::refusal::Refusal;

use crate::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use crate::limits::{
    ADDRESS_BYTES_MAX, HOLDINGS_PER_ANSWER_MAX, MEMBERS_PER_REPLY_MAX, PROVENANCE_RUN_BYTES, RANGES_PER_ANSWER_MAX,
    READ_BYTES_MAX, READ_CHUNKS_MAX, RETIRED_IDENTITIES_MAX, SEGMENTS_PER_REQUEST_MAX, SHARDS_MAX, WINDOW_CHUNKS_MAX,
    ZONE_BYTES_MAX,
};
use crate::member::Member;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use rkyv::{Archive, Deserialize, Serialize};

/// What a client asks of a shard, puts apart.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Request {
    /// The first request on every connection: who is there? Answered with [`Reply::Hello`].
    Hello {
        /// The cluster the client means; a node of another cluster refuses.
        cluster: String,
    },
    /// Refuse every epoch below `epoch` for `log`, for ever; then say what is held of `segments`. Answered with
    /// [`Reply::Fenced`] once the fence, and every put accepted before it, is durable (P3).
    Fence {
        /// The log.
        log: LogId,
        /// The asker's epoch.
        epoch: Epoch,
        /// The segments to report on, at most [`SEGMENTS_PER_REQUEST_MAX`].
        segments: Vec<SegmentId>,
    },
    /// Whether seqs `from..to` of a segment are held, so that "never" stays true. Only after a fence above the
    /// segment's epoch. Answered with [`Reply::Frozen`].
    Freeze {
        /// The log.
        log: LogId,
        /// The asker's epoch.
        epoch: Epoch,
        /// The segment.
        segment: SegmentId,
        /// First seq.
        from: ChunkSeq,
        /// One past the last seq; at most [`WINDOW_CHUNKS_MAX`] + 1 seqs.
        to: ChunkSeq,
    },
    /// What is held of `segments`, without fencing anybody. Answered with [`Reply::Inspected`].
    Inspect {
        /// The log.
        log: LogId,
        /// The segments to report on, at most [`SEGMENTS_PER_REQUEST_MAX`].
        segments: Vec<SegmentId>,
    },
    /// Chunks from `from` upward, as `Chunk` frames in seq order, ended by [`Reply::ReadEnd`].
    Read {
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentId,
        /// First seq.
        from: ChunkSeq,
        /// Most chunks wanted, 1 to [`READ_CHUNKS_MAX`].
        chunks_max: u32,
        /// Most payload bytes wanted (the first chunk comes whatever its size), 1 to [`READ_BYTES_MAX`].
        bytes_max: u32,
    },
    /// Drop everything below `floor`. The register already says so (P12). Answered with [`Reply::Trimmed`].
    Trim {
        /// The log.
        log: LogId,
        /// The number of the record that the client read (P13).
        word: RecordNumber,
        /// The new floor.
        floor: ChunkSeq,
    },
    /// Drop the whole log. The register holds its tombstone. Answered with [`Reply::Deleted`].
    Delete {
        /// The log.
        log: LogId,
        /// The epoch that wrote the tombstone.
        epoch: Epoch,
    },
    /// Since when the chunks `from..to` of a segment are held, and when they were verified last. Changes nothing and needs
    /// no fence. Answered with [`Reply::Provenance`].
    Provenance {
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentId,
        /// First seq.
        from: ChunkSeq,
        /// One past the last seq.
        to: ChunkSeq,
    },
    /// Which nodes the cluster has, in order of [`Member::node`]. Answered with [`Reply::Members`], page by page.
    Members {
        /// The last node of the page before; none for the first page.
        after: Option<DiskId>,
    },
    /// From now on whoever read a record before number `word` frees nothing of `log` here (P13). A repair says this before it
    /// looks at what a new holder has. Answered with [`Reply::Pinned`] once the word is durable.
    Pin {
        /// The log.
        log: LogId,
        /// The number of the record that is going to name this replica: one above the one read.
        word: RecordNumber,
    },
    /// What is held of seqs `from..to` of a segment, as it is now: no fence is needed, so for an unsealed segment `Never` means
    /// "not now". Answered with [`Reply::Inventory`].
    Inventory {
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentId,
        /// First seq.
        from: ChunkSeq,
        /// One past the last seq.
        to: ChunkSeq,
    },
    /// Drop what is held of a segment: record number `word` of this very log does not need it here (P13). Answered with
    /// [`Reply::Freed`].
    Free {
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentId,
        /// The number of the record that was read.
        word: RecordNumber,
    },
    /// What this shard holds, whoever it belongs to. Answered with [`Reply::Holdings`].
    Holdings {
        /// Where to begin: what the page before said.
        from: HoldingsCursor,
    },
}

/// What a shard says of a seq (P8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Answer {
    /// The chunk is stored here.
    Have,
    /// It was never stored here and, after a fence, never will be.
    Never,
    /// It lies below the log's floor.
    Trimmed,
    /// This replica cannot say.
    Unknown,
}

/// The same answer for every seq in `from..to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Run {
    /// First seq.
    pub from: ChunkSeq,
    /// One past the last seq.
    pub to: ChunkSeq,
    /// What holds for all of them.
    pub answer: Answer,
}

/// What a replica holds of one segment.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct SegmentView {
    /// The segment.
    pub segment: SegmentId,
    /// The highest watermark heard for this segment (P6); 0 if none.
    pub watermark: ChunkSeq,
    /// The largest seq held or known to be lost.
    pub newest: Option<ChunkSeq>,
    /// Runs without gaps from `max(watermark, newest + 1 - WINDOW_CHUNKS_MAX)` (or wherever the oldest
    /// held seq lies above that) through `newest`. Without a fence, `Never` means "not now".
    pub runs: Vec<Run>,
}

/// Size of an archived [`ProvenanceRun`], as the bound of an answer counts it.
const _: () = assert!(size_of::<ArchivedProvenanceRun>() == PROVENANCE_RUN_BYTES);

/// Held chunks that share what is known of their storing, in Unix seconds of the node's own clock. Times are kept per
/// chunk file: no rule rests on them, and a clock that was wrong makes them wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ProvenanceRun {
    /// First seq.
    pub from: ChunkSeq,
    /// One past the last seq; every seq between is held.
    pub to: ChunkSeq,
    /// They were stored here, or copied to where they lie now, at this time or later; 0 if nobody knows.
    pub stored_from_s: u64,
    /// And not later than this.
    pub stored_to_s: u64,
    /// When they were last read again and verified, if ever. When it arrived every chunk was.
    pub verified_at_s: Option<u64>,
}

/// One shard, as a hello lists it.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct ShardAddress {
    /// The identity in force: the one that takes puts.
    pub disk: DiskId,
    /// Identities that only serve reads and *unknown* (P8).
    pub retired: Vec<DiskId>,
    /// The TCP port of this shard, on the host of the node's address.
    pub port: u16,
}

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct NodeInfo {
    /// The cluster it was formatted for.
    pub cluster: String,
    /// The zone it was formatted for.
    pub zone: String,
    /// `host:port` at which clients reach its first shard.
    pub advertise: String,
    /// Every shard, in order: a log lives on shard `shard_of(log, shards.len())`.
    pub shards: Vec<ShardAddress>,
    /// Which of `shards` this connection reached.
    pub shard: u16,
}

impl Request {
    /// What it is called where people read of it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Fence { .. } => "fence",
            Self::Freeze { .. } => "freeze",
            Self::Inspect { .. } => "inspect",
            Self::Read { .. } => "read",
            Self::Trim { .. } => "trim",
            Self::Delete { .. } => "delete",
            Self::Provenance { .. } => "provenance",
            Self::Members { .. } => "members",
            Self::Pin { .. } => "pin",
            Self::Inventory { .. } => "inventory",
            Self::Free { .. } => "free",
            Self::Holdings { .. } => "holdings",
        }
    }

    /// The log it is about, if it is about one.
    #[must_use]
    pub const fn log(&self) -> Option<LogId> {
        match self {
            Self::Fence { log, .. }
            | Self::Freeze { log, .. }
            | Self::Inspect { log, .. }
            | Self::Read { log, .. }
            | Self::Trim { log, .. }
            | Self::Delete { log, .. }
            | Self::Provenance { log, .. }
            | Self::Pin { log, .. }
            | Self::Inventory { log, .. }
            | Self::Free { log, .. } => Some(*log),
            Self::Hello { .. } | Self::Members { .. } | Self::Holdings { .. } => None,
        }
    }
}

/// What a shard answers, chunks and plain "stored" apart.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Reply {
    /// To a hello.
    Hello(NodeInfo),
    /// To a fence.
    Fenced {
        /// The fence now in force: the asker's epoch.
        fence: Epoch,
        /// The floor this replica knows.
        floor: ChunkSeq,
        /// One view per segment asked for, in order.
        segments: Vec<SegmentView>,
    },
    /// To a freeze: runs without gaps over the seqs asked for.
    Frozen {
        /// The runs.
        runs: Vec<Run>,
    },
    /// To an inspect.
    Inspected {
        /// The fence in force.
        fence: Epoch,
        /// The floor this replica knows.
        floor: ChunkSeq,
        /// One view per segment asked for, in order.
        segments: Vec<SegmentView>,
    },
    /// After the last chunk of a read.
    ReadEnd {
        /// The first seq that was not sent.
        next: ChunkSeq,
        /// What this replica says of `next`; `Have` if only a bound of the request ended the read.
        answer: Answer,
    },
    /// The floor is durable here.
    Trimmed {
        /// The floor in force.
        floor: ChunkSeq,
    },
    /// The deletion is durable here.
    Deleted,
    /// The request was refused; nothing was stored because of it (a disk that failed excepted).
    Refused(Refusal),
    /// To a provenance.
    Provenance {
        /// Runs of held chunks, in order. What lies between them is not held here.
        runs: Vec<ProvenanceRun>,
        /// The first seq that was not looked at: ask again from here if it is below what was asked for.
        next: ChunkSeq,
    },
    /// Nodes of the cluster. A node that gossips with nobody knows only itself.
    Members {
        /// At most [`MEMBERS_PER_REPLY_MAX`], in order of [`Member::node`].
        members: Vec<Member>,
        /// Changes whenever the answering node's list does; says nothing about other nodes' lists.
        version: u64,
        /// Whether there are further ones.
        more: bool,
    },
    /// The word is durable here.
    Pinned {
        /// The word.
        word: RecordNumber,
    },
    /// To an inventory.
    Inventory {
        /// Runs without gaps, from the first seq asked for.
        runs: Vec<Run>,
        /// The first seq they say nothing of: ask again from here if it is below what was asked for.
        next: ChunkSeq,
    },
    /// The segment is not held here any more, and the word is durable. What may be unreadable stays *unknown* (D6).
    Freed,
    /// To holdings.
    Holdings(Box<HoldingsPage>),
}

/// Why a body is not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The bytes do not verify as the message's layout.
    #[error("message body of {bytes} bytes does not decode")]
    Malformed {
        /// Size of the body.
        bytes: usize,
    },
    /// A field exceeds its bound.
    #[error("{what} is {got}, the most is {max}")]
    Bound {
        /// The field.
        what: &'static str,
        /// Its value.
        got: u64,
        /// The bound.
        max: u64,
    },
}

fn bound(what: &'static str, got: u64, max: u64) -> Result<(), MessageError> {
    if got <= max { Ok(()) } else { Err(MessageError::Bound { what, got, max }) }
}

impl Request {
    /// The body of a `Request` frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        rkyv::to_bytes::<rkyv::rancor::Failure>(self).expect("a message of bounded size serializes").into_vec()
    }

    /// Reads and checks a body: layout first, then every bound.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let request: Self = rkyv::from_bytes::<Self, rkyv::rancor::Failure>(body)
            .map_err(|_| MessageError::Malformed { bytes: body.len() })?;
        match &request {
            Self::Hello { cluster } => bound("cluster name length", cluster.len() as u64, ZONE_BYTES_MAX as u64)?,
            Self::Fence { segments, .. } | Self::Inspect { segments, .. } => {
                bound("number of segments", segments.len() as u64, SEGMENTS_PER_REQUEST_MAX as u64)?;
            }
            Self::Freeze { from, to, .. } => {
                bound("first seq of the freeze", from.0, to.0)?;
                bound("seqs to freeze", to.0 - from.0, u64::from(WINDOW_CHUNKS_MAX) + 1)?;
            }
            Self::Read { chunks_max, bytes_max, .. } => {
                bound("chunks to read", u64::from(*chunks_max), u64::from(READ_CHUNKS_MAX))?;
                bound("bytes to read", u64::from(*bytes_max), u64::from(READ_BYTES_MAX))?;
            }
            Self::Provenance { from, to, .. } => bound("first seq of the provenance", from.0, to.0)?,
            Self::Inventory { from, to, .. } => bound("first seq of the inventory", from.0, to.0)?,
            Self::Trim { .. }
            | Self::Delete { .. }
            | Self::Members { .. }
            | Self::Pin { .. }
            | Self::Free { .. }
            | Self::Holdings { .. } => {}
        }
        Ok(request)
    }
}

impl Reply {
    /// The body of a `Reply` frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        rkyv::to_bytes::<rkyv::rancor::Failure>(self).expect("a message of bounded size serializes").into_vec()
    }

    /// Reads and checks a body: layout first, then every bound.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let reply: Self = rkyv::from_bytes::<Self, rkyv::rancor::Failure>(body)
            .map_err(|_| MessageError::Malformed { bytes: body.len() })?;
        match &reply {
            Self::Hello(info) => {
                bound("number of shards", info.shards.len() as u64, SHARDS_MAX as u64)?;
                bound("shard index", u64::from(info.shard), (info.shards.len() as u64).saturating_sub(1))?;
                bound("address length", info.advertise.len() as u64, ADDRESS_BYTES_MAX as u64)?;
            }
            Self::Fenced { segments, .. } | Self::Inspected { segments, .. } => {
                bound("number of segments", segments.len() as u64, SEGMENTS_PER_REQUEST_MAX as u64)?;
                for view in segments {
                    bound("number of runs", view.runs.len() as u64, RANGES_PER_ANSWER_MAX as u64)?;
                }
            }
            Self::Frozen { runs } | Self::Inventory { runs, .. } => {
                bound("number of runs", runs.len() as u64, RANGES_PER_ANSWER_MAX as u64)?;
            }
            Self::Holdings(page) => {
                let entries = page.logs.iter().map(|log| log.segments.len() as u64 + 1).sum();
                bound("number of holdings", entries, HOLDINGS_PER_ANSWER_MAX as u64)?;
                bound("number of identities", page.identities.len() as u64, RETIRED_IDENTITIES_MAX as u64 + 1)?;
            }
            Self::Provenance { runs, .. } => bound("number of runs", runs.len() as u64, RANGES_PER_ANSWER_MAX as u64)?,
            Self::Members { members, .. } => {
                bound("number of members", members.len() as u64, MEMBERS_PER_REPLY_MAX as u64)?;
                for (what, got, max) in members.iter().filter_map(Member::excess) {
                    bound(what, got, max)?;
                }
            }
            Self::ReadEnd { .. }
            | Self::Trimmed { .. }
            | Self::Deleted
            | Self::Refused(_)
            | Self::Pinned { .. }
            | Self::Freed => {}
        }
        Ok(reply)
    }
}

/// Which of `shards` shards a log lives on. Part of the format: never changes.
///
/// # Panics
/// If `shards` is 0.
#[must_use]
pub fn shard_of(log: LogId, shards: usize) -> usize {
    assert!(shards > 0, "a node has at least one shard");
    crc32c::crc32c(&log.0) as usize % shards
}
