//! What goes into a store and what comes out of it.

use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::limits::CHUNK_HEADER_BYTES;
use quarry_protocol::replica::Slot;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEvent<'a> {
    /// A [`StoreEffect::Write`] ended: how many bytes were written, or why not. Fewer than asked is a short write,
    /// which fails the disk like an error does (D6).
    Written {
        /// The batch's number.
        number: u64,
        /// Bytes written, or the error.
        result: Result<u32, String>,
    },
    /// The one [`StoreEffect::Create`], [`StoreEffect::Fill`] or [`StoreEffect::SyncFile`] in progress for this file
    /// ended.
    Prepared {
        /// The file.
        file: u32,
        /// Why not, if it did not work. A full file system shrinks the capacity; it does not fail the disk.
        result: Result<(), String>,
    },
    /// A [`StoreEffect::Read`] ended.
    CopyRead {
        /// The read's token.
        token: u64,
        /// Exactly the bytes asked for, or the error.
        result: Result<&'a [u8], String>,
    },
    /// Time passed: [`super::Store::poll_timeout`] came due.
    Tick,
    /// A clean stop: write the last mark without waiting for quiet. Done when [`super::Store::is_settled`].
    Stop,
}

/// A piece of a write, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A chunk's header: as many as there are chunks, so they have no memory of their own.
    Head([u8; CHUNK_HEADER_BYTES]),
    /// The first `len` bytes of a received payload.
    Slot {
        /// Where it lies.
        slot: Slot,
        /// How many bytes.
        len: u32,
    },
}

impl Part {
    /// How many bytes it is.
    pub fn len(&self) -> u32 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u32,
            Self::Head(head) => head.len() as u32,
            Self::Slot { len, .. } => *len,
        }
    }

    /// Whether it is no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What has to happen in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreEffect {
    /// Write the parts, followed by zeros up to `bytes`, in one durable write (`O_DIRECT | O_DSYNC`) at `position`.
    /// Then [`StoreEvent::Written`]. Several may be in progress; they may end in any order.
    Write {
        /// The batch's number.
        number: u64,
        /// The file.
        file: u32,
        /// Byte position, a whole number of blocks.
        position: u64,
        /// What to write.
        parts: Vec<Part>,
        /// How much to write, padding included: a whole number of blocks, at least as many bytes as the parts have.
        bytes: u32,
    },
    /// Everything pushed with this order or a lower one is durable.
    Confirmed {
        /// The highest such order.
        order_through: u64,
    },
    /// The payload in this slot is not needed any more. Comes exactly once for every slot pushed.
    Release {
        /// The slot.
        slot: Slot,
    },
    /// Make a file and *allocate* all of its bytes (so that a full file system shows now), under a name that a replay
    /// does not take for a chunk file. If it exists already, start afresh. On an error leave nothing behind.
    Create {
        /// The file.
        file: u32,
        /// Its size.
        bytes: u64,
    },
    /// Write zeros, without `O_DSYNC` (D2).
    Fill {
        /// The file.
        file: u32,
        /// From here.
        position: u64,
        /// This many.
        bytes: u32,
    },
    /// Make the filled file durable and give it its name: sync it, rename it, sync the directory (pitfall 27). On an error
    /// take the name back: the number is used for another try.
    SyncFile {
        /// The file.
        file: u32,
    },
    /// Read for copying forward; then [`StoreEvent::CopyRead`]. Neither position nor length is aligned. Background
    /// work: the store paces it by its own budget.
    Read {
        /// Names the read.
        token: u64,
        /// The file.
        file: u32,
        /// From here.
        position: u64,
        /// This many.
        bytes: u32,
    },
    /// These chunks cannot be read any more: tell the replica, which records it durably (D6). They stay in the index,
    /// so that their file is kept as it is until they are trimmed (P13).
    Lost {
        /// The log.
        log: LogId,
        /// The segment.
        segment: SegmentId,
        /// First seq lost.
        from: ChunkSeq,
        /// One past the last.
        to: ChunkSeq,
        /// What is wrong with it, for the operator.
        why: String,
    },
    /// The disk failed (D6). Comes once; nothing is written or confirmed any more, reads go on.
    Failed {
        /// What happened.
        why: String,
    },
}
