//! Why a store could not be reached.

/// Why a store could not be reached. Connecting changes nothing, so it never "may have happened".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The URL is not one of a store.
    #[error("store URL {url:?}: {why}")]
    BadUrl {
        /// The URL.
        url: String,
        /// What is wrong with it, and what it should be.
        why: String,
    },
    /// No node answered.
    #[error("store {url:?}: no node answered: {why}; check that the nodes run and that the addresses are theirs")]
    Unreachable {
        /// The URL.
        url: String,
        /// What each node's connection met.
        why: String,
    },
    /// A bucket must not or cannot be used.
    #[error("store {url:?}: {why}")]
    Bucket {
        /// The URL.
        url: String,
        /// Which bucket, what is wrong with it, and what helps.
        why: String,
    },
    /// The register cannot be used.
    #[error("store {url:?}: its register cannot be used: {why}")]
    Register {
        /// The URL.
        url: String,
        /// What the register says.
        why: String,
    },
}

impl ConnectError {
    /// Whether the same call can succeed later.
    #[must_use]
    pub const fn may_retry(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Bucket { .. } | Self::Register { .. })
    }

    /// Always false.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        false
    }
}
