//! Why a log was not opened.

use quarry_protocol::ids::Epoch;
use std::time::Duration;

/// Why a log was not opened. No writer exists because of a failed open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The name cannot name a log.
    #[error("{why}")]
    BadName {
        /// Which rule it breaks.
        why: String,
    },
    /// The options contradict each other or exceed a limit.
    #[error("log {name:?} cannot be opened like this: {why}")]
    BadOptions {
        /// The log.
        name: String,
        /// Which rule they break.
        why: String,
    },
    /// There is no such log, and the open was not to make one.
    #[error("log {name:?} does not exist: check the name (list the logs), or open it with CreateMode::IfMissing")]
    NotFound {
        /// The log.
        name: String,
    },
    /// The log is there, and the open was to make it.
    #[error("log {name:?} already exists: choose another name, or open it with CreateMode::IfMissing")]
    AlreadyExists {
        /// The log.
        name: String,
    },
    /// Another open claimed the log meanwhile, and holds it or will.
    #[error(
        "log {name:?}: another open took it over meanwhile, at epoch {by}: open again only to take it from that writer"
    )]
    LostRace {
        /// The log.
        name: String,
        /// The epoch that holds it.
        by: Epoch,
    },
    /// There are not enough zones with live nodes for a new segment.
    #[error("log {name:?}: no place for its replicas: {why}")]
    NoPlace {
        /// The log.
        name: String,
        /// What is missing.
        why: String,
    },
    /// Too few replicas answered in time to settle how long the log is. The log is never cut short instead (P8).
    #[error("log {name:?} cannot be taken over within {deadline:?}: {why}")]
    Unavailable {
        /// The log.
        name: String,
        /// How long it tried.
        deadline: Duration,
        /// Which replicas are missing, and why.
        why: String,
    },
    /// The register could not be read or written.
    #[error("log {name:?}: the register failed: {why}")]
    Register {
        /// The log.
        name: String,
        /// What it says.
        why: String,
        /// Whether the takeover may have begun all the same.
        may_have_happened: bool,
    },
    /// The log consists of as many segments as it may. Nothing was changed: if it has a writer, that goes on. Trim the log, then
    /// open it.
    #[error("{why}")]
    Full {
        /// The log.
        name: String,
        /// How many segments, and how far to trim.
        why: String,
    },
    /// The log's record is damaged or of another version; it needs an operator.
    #[error("log {name:?}: {why}")]
    Record {
        /// The log.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// Register and replicas contradict each other in a way that no fault explains that the rules allow for.
    #[error("log {name:?}: register and replicas contradict each other: {why}; keep every copy")]
    Contradiction {
        /// The log.
        name: String,
        /// Who says what.
        why: String,
    },
}

impl OpenError {
    /// Whether the same call can succeed later. After a lost race it can, and fences the one that won.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(self, Self::LostRace { .. } | Self::NoPlace { .. } | Self::Unavailable { .. } | Self::Register { .. })
    }

    /// Whether the takeover may have begun all the same: an earlier writer may be fenced, and the log may have been made.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        match self {
            Self::BadName { .. }
            | Self::BadOptions { .. }
            | Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::Full { .. } => false,
            Self::Register { may_have_happened, .. } => *may_have_happened,
            Self::LostRace { .. }
            | Self::NoPlace { .. }
            | Self::Unavailable { .. }
            | Self::Record { .. }
            | Self::Contradiction { .. } => true,
        }
    }
}
