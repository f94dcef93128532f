//! Why a log was not deleted.

use quarry_protocol::ids::Epoch;
use std::time::Duration;

/// Why a log was not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    /// The name cannot name a log.
    #[error("{why}")]
    BadName {
        /// Which rule it breaks.
        why: String,
    },
    /// There never was such a log.
    #[error("log {name:?} does not exist: check the name (list the logs)")]
    NotFound {
        /// The log.
        name: String,
    },
    /// An open claimed the log meanwhile.
    #[error(
        "log {name:?} was not deleted: an open took it over meanwhile, at epoch {by}: delete again if it should go all the same"
    )]
    LostRace {
        /// The log.
        name: String,
        /// The epoch that holds it.
        by: Epoch,
    },
    /// Too few replicas answered in time to fence the log's writer.
    #[error("log {name:?} cannot be deleted within {deadline:?}: {why}")]
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
        /// Whether the deletion may have begun all the same.
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

impl DeleteError {
    /// Whether the same call can succeed later. A deletion may always be repeated, but a log that was made anew under the
    /// name meanwhile would go.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(self, Self::LostRace { .. } | Self::Unavailable { .. } | Self::Register { .. })
    }

    /// Whether the deletion may have begun all the same: its writer may be fenced, and the tombstone may be on record.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        match self {
            Self::BadName { .. } | Self::NotFound { .. } => false,
            Self::Register { may_have_happened, .. } => *may_have_happened,
            Self::LostRace { .. } | Self::Unavailable { .. } | Self::Record { .. } => true,
        }
    }
}
