//! Why logs could not be listed.

/// Why logs could not be listed. Listing changes nothing, so it never "may have happened".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The register could not be read.
    #[error("logs with prefix {prefix:?}: the register failed: {why}")]
    Register {
        /// The prefix asked for.
        prefix: String,
        /// What it says.
        why: String,
    },
}

impl ListError {
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
