//! Why appends fail and writers stop.

use crate::chunk::ChunkError;
use crate::ids::{ChunkSeq, Epoch};
use crate::message::Refusal;
use alloc::string::String;
use alloc::vec::Vec;

/// What became of a failed append (P9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It was handed to no connection: it is not stored and never will be.
    NeverStored,
    /// It was handed to a connection: the next recovery decides whether the log keeps it.
    Unknown,
}

/// Why an append failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendFailure {
    /// The payload is empty or larger than any chunk.
    #[error(transparent)]
    Length(ChunkError),
    /// The payload is larger than the whole window of this segment.
    #[error(
        "chunk of {bytes} bytes does not fit in the window of {window_bytes} bytes: split it, or open with a larger window"
    )]
    LargerThanWindow {
        /// Payload bytes.
        bytes: u64,
        /// The window.
        window_bytes: u64,
    },
    /// The caller did not wait for room.
    #[error("the window is full, {chunks} chunks and {bytes} bytes are not committed yet: wait for room")]
    WindowFull {
        /// Chunks in flight.
        chunks: u32,
        /// Payload bytes in flight.
        bytes: u64,
    },
    /// The register does not say whether a planned boundary is on record (P11).
    #[error("appends wait at {at}: {why}: they go on by themselves once it answers")]
    AtBoundary {
        /// The boundary.
        at: ChunkSeq,
        /// What the register said.
        why: String,
    },
    /// The writer stopped.
    #[error(transparent)]
    Stopped(StopReason),
}

/// Why a writer stopped, for good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// Somebody else took the log over.
    #[error(
        "fenced: epoch {by} took the log over from epoch {mine}: open the log again only if this writer should have it back"
    )]
    Fenced {
        /// The writer's epoch.
        mine: Epoch,
        /// The epoch that holds the log now.
        by: Epoch,
    },
    /// The log was deleted.
    #[error("the log was deleted at epoch {at}")]
    Deleted {
        /// The epoch that deleted it.
        at: Epoch,
    },
    /// The oldest chunk did not reach its quorum within the deadline (P9).
    #[error("chunk {seq} was stored on {stored} of the {needed} replicas it needs within {waited_us} us; {}: bring replicas back, then open the log again", Troubles(.troubles))]
    NoQuorum {
        /// The chunk.
        seq: ChunkSeq,
        /// How many replicas stored it.
        stored: usize,
        /// How many have to.
        needed: usize,
        /// How long it waited, in microseconds.
        waited_us: u64,
        /// Every replica that did not store it.
        troubles: Vec<Trouble>,
    },
    /// A replica holds another chunk under this name: two writers used one epoch.
    #[error("{refusal}")]
    Broken {
        /// What the replica said.
        refusal: Refusal,
    },
}

/// What is wrong with one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its index in the segment's replica list.
    pub replica: usize,
    /// The last thing known to be wrong.
    pub why: String,
}

struct Troubles<'a>(&'a [Trouble]);

impl core::fmt::Display for Troubles<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (i, trouble) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}replica {}: {}", trouble.replica, trouble.why)?;
        }
        Ok(())
    }
}

/// Why a replica was left behind: more committed chunks would have to be kept for it than the bound allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{chunks} committed chunks of {bytes} bytes waited for it, the bound is {chunks_max} chunks and {bytes_max} bytes; {trouble}"
)]
pub struct LeftBehindReason {
    /// Chunks kept.
    pub chunks: u64,
    /// Payload bytes kept.
    pub bytes: u64,
    /// The bound in chunks.
    pub chunks_max: u32,
    /// The bound in bytes.
    pub bytes_max: u64,
    /// The last thing known to be wrong with it.
    pub trouble: String,
}
