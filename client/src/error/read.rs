//! Why a read failed or ended.

use quarry_protocol::ids::ChunkSeq;

/// Why a read failed or ended. Reading changes nothing, so it never "may have happened".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The name cannot name a log.
    #[error("{why}")]
    BadName {
        /// Which rule it breaks.
        why: String,
    },
    /// The range ends before it starts.
    #[error("log {name:?}: a read from {from} to {to} ends before it starts: swap them")]
    BadRange {
        /// The log.
        name: String,
        /// First seq.
        from: ChunkSeq,
        /// One past the last.
        to: ChunkSeq,
    },
    /// There is no such log, or it was deleted meanwhile.
    #[error("log {name:?} does not exist: check the name (list the logs)")]
    NotFound {
        /// The log.
        name: String,
    },
    /// The seq lies below the floor.
    #[error("log {name:?}: seq {seq} is trimmed, the log begins at {floor}: read from there")]
    Trimmed {
        /// The log.
        name: String,
        /// The seq wanted.
        seq: ChunkSeq,
        /// The log's floor.
        floor: ChunkSeq,
    },
    /// The seq lies above the tail, and the read does not follow.
    #[error("log {name:?}: seq {seq} lies above the tail {tail}: read up to there, or follow the log")]
    AboveTail {
        /// The log.
        name: String,
        /// The seq wanted.
        seq: ChunkSeq,
        /// The first seq not known to be committed.
        tail: ChunkSeq,
    },
    /// No replica gave the chunk, verified, in time.
    #[error("log {name:?}: seq {seq} cannot be read: {why}")]
    Unavailable {
        /// The log.
        name: String,
        /// The seq wanted.
        seq: ChunkSeq,
        /// What each replica says.
        why: String,
        /// Whether every replica answered, and none of them has it whole any more: it is lost, not out of reach.
        lost: bool,
    },
    /// The register could not be read.
    #[error("log {name:?}: the register failed: {why}")]
    Register {
        /// The log.
        name: String,
        /// What it says.
        why: String,
    },
    /// The log's record is damaged, of another version, or older than it was; it needs an operator.
    #[error("log {name:?}: {why}")]
    Record {
        /// The log.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

impl ReadError {
    /// Whether the same call can succeed later.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(self, Self::AboveTail { .. } | Self::Unavailable { .. } | Self::Register { .. })
    }

    /// Always false.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        false
    }
}
