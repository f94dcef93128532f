//! Why a log was not trimmed.

use quarry_protocol::ids::ChunkSeq;

/// Why a log was not trimmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrimError {
    /// The name cannot name a log.
    #[error("{why}")]
    BadName {
        /// Which rule it breaks.
        why: String,
    },
    /// There is no such log.
    #[error("log {name:?} does not exist: check the name (list the logs)")]
    NotFound {
        /// The log.
        name: String,
    },
    /// The seq lies above what is known to be committed.
    #[error(
        "log {name:?} cannot be trimmed below {below}: only what lies below the tail {tail} is known to be committed"
    )]
    AboveTail {
        /// The log.
        name: String,
        /// The floor asked for.
        below: ChunkSeq,
        /// The first seq not known to be committed.
        tail: ChunkSeq,
    },
    /// Too few replicas answered to say what is committed.
    #[error("log {name:?} cannot be trimmed: its tail cannot be told: {why}")]
    Unavailable {
        /// The log.
        name: String,
        /// Which replicas are missing, and why.
        why: String,
    },
    /// The record was changed by others each time this trim tried to.
    #[error(
        "log {name:?} cannot be trimmed: its record changed under {attempts} attempts: try again when fewer clients open it"
    )]
    Contended {
        /// The log.
        name: String,
        /// How often it tried.
        attempts: u32,
    },
    /// The register could not be read or written.
    #[error("log {name:?}: the register failed: {why}")]
    Register {
        /// The log.
        name: String,
        /// What it says.
        why: String,
        /// Whether the floor may be on record all the same.
        may_have_happened: bool,
    },
    /// The log's record is damaged or of another version; it needs an operator.
    #[error("log {name:?}: {why}")]
    Record {
        /// The log.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

impl TrimError {
    /// Whether the same call can succeed later. A trim may always be repeated: it only raises the floor.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(
            self,
            Self::AboveTail { .. } | Self::Unavailable { .. } | Self::Contended { .. } | Self::Register { .. }
        )
    }

    /// Whether the floor may have been raised all the same.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        matches!(self, Self::Register { may_have_happened: true, .. })
    }
}
