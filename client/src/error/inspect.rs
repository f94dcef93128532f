//! Why the log could not be inspected.

/// Why the log could not be inspected. Asking changes nothing, so it never "may have happened".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
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

    /// The register could not be read.
    #[error("log {name:?}: the register failed: {why}")]
    Register {
        /// The log.
        name: String,
        /// What it says.
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
}

impl InspectError {
    /// Whether the same call can succeed later.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(self, Self::Register { .. })
    }

    /// Always false.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        false
    }
}
