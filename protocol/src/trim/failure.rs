//! Why a log was not trimmed.

use crate::ids::ChunkSeq;
use crate::tail::TailFailure;
use alloc::string::String;

/// Why a log was not trimmed. A trim may always be tried again: it only raises the floor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrimFailure {
    /// The name cannot name a log.
    #[error("{why}")]
    BadName {
        /// Which rule it breaks.
        why: String,
    },
    /// There is no such log; or it was deleted meanwhile, and perhaps made anew.
    #[error("the log does not exist")]
    NotFound,
    /// The seq lies above what is known to be committed.
    #[error("{below} lies above the tail {tail}")]
    AboveTail {
        /// The floor asked for.
        below: ChunkSeq,
        /// The first seq not known to be committed.
        tail: ChunkSeq,
    },
    /// Too few replicas answered to say what is committed.
    #[error(transparent)]
    Unavailable(#[from] TailFailure),
    /// The record was changed by others each time.
    #[error("the record changed under {attempts} attempts")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The register could not be read or changed.
    #[error("the register failed: {why}")]
    Register {
        /// What it says.
        why: String,
        /// Whether the floor may be on record all the same, now or later.
        may_have_happened: bool,
    },
    /// The record cannot be used. Nothing was changed.
    #[error("{why}")]
    Record {
        /// What is wrong with it.
        why: String,
    },
}
