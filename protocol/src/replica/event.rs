//! What goes into a replica and what comes out of it.

use super::durable::Durable;
use crate::chunk::ChunkHeader;
use crate::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use crate::message::{Answer, Reply, Request};
use crate::ranges::SeqRanges;
use crate::snapshot::{LogRecord, Record};
use alloc::string::String;
use alloc::vec::Vec;

/// Who asked: opaque, chosen by the driver, handed back with the answer.
pub type Ticket = u64;

/// A received payload in the driver's memory. Whoever holds it releases it, exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// The names this replica goes by (P4, P8, P14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The identity in force: the one that takes puts.
    pub current: DiskId,
    /// Identities under which it serves what it holds, answers *unknown* for the rest, and takes no puts.
    pub retired: Vec<DiskId>,
}

/// What a replay found of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoredSegment {
    /// The segment.
    pub segment: SegmentId,
    /// The highest watermark in the headers of its chunks.
    pub watermark: ChunkSeq,
    /// Seqs whose chunks are durable and believed.
    pub held: SeqRanges,
    /// Seqs that may have been acknowledged and cannot be read any more. Wins over `held`.
    pub lost: SeqRanges,
}

/// What a replay found of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredLog {
    /// Its small state, merged by maximum. Epochs of its segments are merged into the fence by [`super::Replica::new`].
    pub record: LogRecord,
    /// Its segments, in any order.
    pub segments: Vec<RestoredSegment>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaEvent {
    /// A chunk arrived; its payload was verified against its header and lies in `slot`.
    Put {
        /// Who asked.
        from: Ticket,
        /// The disk the put names.
        disk: DiskId,
        /// The chunk.
        header: ChunkHeader,
        /// Its payload.
        slot: Slot,
        /// Whether a repair made it, of a segment that is sealed: the fence does not stand in its way.
        copy: bool,
    },
    /// Any request but a hello, which the driver answers.
    Request {
        /// Who asked.
        from: Ticket,
        /// The disk the request names.
        disk: DiskId,
        /// What is asked.
        request: Request,
    },
    /// Every [`ReplicaEffect::Store`] with this order or a lower one is durable.
    Stored {
        /// The highest such order.
        through: u64,
    },
    /// These seqs were stored and cannot be read any more: from now on they are *unknown*, durably so (D6).
    Lost {
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentId,
        /// First seq lost.
        from: ChunkSeq,
        /// One past the last seq lost.
        to: ChunkSeq,
    },
    /// Puts are refused while `full` is some; controls, reads and trims go on (D7).
    Fullness {
        /// Live bytes and the capacity they are measured against.
        full: Option<(u64, u64)>,
    },
    /// A write failed: nothing is acknowledged any more, what is held is still served (D6).
    DiskFailed {
        /// What happened.
        why: String,
    },
}

/// What has to become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToStore {
    /// A chunk; whoever stores it releases the slot.
    Chunk {
        /// Its header.
        header: ChunkHeader,
        /// Its payload.
        slot: Slot,
    },
    /// A control entry.
    Control(Record),
}

/// What has to happen in the world, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum ReplicaEffect {
    /// Make this durable, in order, then say [`ReplicaEvent::Stored`].
    Store {
        /// Dense, from 1.
        order: u64,
        /// What to store.
        what: ToStore,
    },
    /// The slot is not needed: its chunk was refused, or counts as stored already.
    Release {
        /// The slot.
        slot: Slot,
    },
    /// The put is stored here.
    PutStored {
        /// Who asked.
        to: Ticket,
        /// Why that may be said.
        proof: Durable,
    },
    /// The answer to a request, or the refusal of a put.
    Reply {
        /// Who asked.
        to: Ticket,
        /// The answer.
        reply: Reply,
    },
    /// Send the chunks `from..to_seq`, all of them held, until `bytes_max` payload bytes are reached (the first one is
    /// sent whatever its size); then [`Reply::ReadEnd`] with `answer_at_end`, or with [`Answer::Have`] if the bytes
    /// ended it, or with [`Answer::Unknown`] at a chunk that cannot be read.
    Read {
        /// Who asked.
        to: Ticket,
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentId,
        /// First seq.
        from: ChunkSeq,
        /// One past the last seq; above `from`.
        to_seq: ChunkSeq,
        /// Most payload bytes.
        bytes_max: u32,
        /// What this replica says of `to_seq`.
        answer_at_end: Answer,
    },
    /// The floor (or the deletion, if `below` is none) is durable: what lies below is not needed any more (P12).
    Free {
        /// The log.
        log: LogId,
        /// The floor; none for the whole log.
        below: Option<ChunkSeq>,
    },
    /// These seqs of a segment are not needed here (P13), whether they can be read or not. Nothing else of it is on its way to
    /// the disk among them.
    FreeSegment {
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentId,
        /// What was held, or lost.
        seqs: SeqRanges,
    },
}
