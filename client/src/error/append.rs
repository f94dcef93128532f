//! Why an append was not acknowledged.

use quarry_protocol::ids::Epoch;
use quarry_protocol::limits::{CHUNK_PAYLOAD_BYTES_MAX, CHUNK_PAYLOAD_BYTES_MIN};
use std::fmt;
use std::time::Duration;

/// What became of a chunk whose append failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is not in the log and never will be.
    NeverStored,
    /// It may be in the log. The next open of the log settles it: it is there, below that writer's first seq, or it
    /// never will be.
    Unknown,
}

impl From<quarry_protocol::writer::Fate> for Fate {
    fn from(fate: quarry_protocol::writer::Fate) -> Self {
        match fate {
            quarry_protocol::writer::Fate::NeverStored => Self::NeverStored,
            quarry_protocol::writer::Fate::Unknown => Self::Unknown,
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverStored => "this chunk is not stored and never will be",
            Self::Unknown => "whether this chunk is stored is unknown until the log is opened again",
        })
    }
}

/// Why an append was not acknowledged. Cheap to clone: a writer that stopped gives the same answer for ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The chunk is empty or too large.
    #[error(
        "log {log:?}: a chunk of {got} bytes cannot be appended, a chunk holds {CHUNK_PAYLOAD_BYTES_MIN} to \
         {CHUNK_PAYLOAD_BYTES_MAX} bytes: split or fill it"
    )]
    ChunkSize {
        /// The log.
        log: String,
        /// Its size, in bytes.
        got: usize,
    },
    /// The chunk alone is larger than the writer's window.
    #[error(
        "log {log:?}: a chunk of {got} bytes is larger than this writer's window of {window_bytes} bytes: open the log \
         with a larger window_bytes"
    )]
    LargerThanWindow {
        /// The log.
        log: String,
        /// The chunk's size, in bytes.
        got: usize,
        /// The window, in bytes.
        window_bytes: u64,
    },
    /// Only from `try_append`: the window has no room just now.
    #[error(
        "log {log:?}: the window of {window_chunks} chunks and {window_bytes} bytes has no room: await an earlier append, \
         or use append, which waits"
    )]
    NoRoom {
        /// The log.
        log: String,
        /// The window, in chunks.
        window_chunks: u32,
        /// The window, in bytes.
        window_bytes: u64,
    },
    /// Another writer took the log over. This writer is finished, for ever.
    #[error(
        "log {log:?}: this writer, epoch {epoch}, is fenced: epoch {by} holds the log; {fate}. Open the log to take it back"
    )]
    Fenced {
        /// The log.
        log: String,
        /// This writer's epoch.
        epoch: Epoch,
        /// The epoch that holds the log now.
        by: Epoch,
        /// What became of the chunk.
        fate: Fate,
    },
    /// The log was deleted. This writer is finished, for ever.
    #[error("log {log:?} was deleted at epoch {by}; {fate}. Open it again to make a new log of that name")]
    LogDeleted {
        /// The log.
        log: String,
        /// The epoch that deleted it.
        by: Epoch,
        /// What became of the chunk.
        fate: Fate,
    },
    /// The oldest chunk did not reach its quorum in time. This writer is finished, for ever (P9).
    #[error(
        "log {log:?}: no quorum within {deadline:?}, the writer has stopped: {why}; {fate}. Open the log again once {needed} of its replicas are up"
    )]
    NoQuorum {
        /// The log.
        log: String,
        /// How long it waited.
        deadline: Duration,
        /// How many replicas must store a chunk.
        needed: usize,
        /// Which replicas did not store it, and why.
        why: String,
        /// What became of the chunk.
        fate: Fate,
    },
    /// The replicas refused for a reason that will not pass. This writer is finished, for ever.
    #[error("log {log:?}: the writer has stopped: {why}; {fate}. Open the log again")]
    Stopped {
        /// The log.
        log: String,
        /// What happened.
        why: String,
        /// What became of the chunk.
        fate: Fate,
    },
}

impl AppendError {
    /// Whether the same append on the same writer can succeed later, without storing the chunk twice.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(self, Self::NoRoom { .. })
    }

    /// Whether the chunk may be in the log all the same.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        self.fate() == Fate::Unknown
    }

    /// What became of the chunk.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        match self {
            Self::Fenced { fate, .. }
            | Self::LogDeleted { fate, .. }
            | Self::NoQuorum { fate, .. }
            | Self::Stopped { fate, .. } => *fate,
            Self::ChunkSize { .. } | Self::LargerThanWindow { .. } | Self::NoRoom { .. } => Fate::NeverStored,
        }
    }

    /// Whether the writer is finished: every later append fails with the same reason.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::ChunkSize { .. } | Self::LargerThanWindow { .. } | Self::NoRoom { .. })
    }

    /// Whether another writer took the log over.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }

    /// The same reason, for a chunk of another fate.
    #[must_use]
    pub(crate) fn with_fate(&self, new: Fate) -> Self {
        let mut error = self.clone();
        match &mut error {
            Self::Fenced { fate, .. }
            | Self::LogDeleted { fate, .. }
            | Self::NoQuorum { fate, .. }
            | Self::Stopped { fate, .. } => *fate = new,
            Self::ChunkSize { .. } | Self::LargerThanWindow { .. } | Self::NoRoom { .. } => {
                assert!(new == Fate::NeverStored, "{self} cannot leave a chunk behind");
            }
        }
        error
    }
}
