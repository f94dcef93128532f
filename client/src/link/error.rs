//! Why a replica did not answer.

use quarry_protocol::message::Refusal;

/// Why a call or a read has no answer. Every one of them means *unknown* to the protocol (P8).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no connection, and the request was not sent.
    #[error("{address} cannot be reached: {why}")]
    Down {
        /// Where the replica should be.
        address: String,
        /// What was tried and what happened.
        why: String,
    },
    /// The connection broke while the request was under way.
    #[error("{address} was lost while it was asked: {why}")]
    Lost {
        /// Where the replica was.
        address: String,
        /// What happened.
        why: String,
    },
    /// No answer came in time.
    #[error("{address} did not answer a {request} request within {after_ms} ms")]
    Timeout {
        /// Where the replica is.
        address: String,
        /// What was asked.
        request: &'static str,
        /// How long the link waited, in milliseconds.
        after_ms: u64,
    },
    /// A chunk came back that does not verify. Another replica may have it whole.
    #[error("{address} sent a chunk that does not verify: {why}")]
    Corrupt {
        /// Where the replica is.
        address: String,
        /// Which check failed, and on which chunk.
        why: String,
    },
    /// The replica refused.
    #[error("{address} refused: {refusal}")]
    Refused {
        /// Where the replica is.
        address: String,
        /// Why.
        refusal: Refusal,
    },
    /// The answer is not one to the question.
    #[error("{address} broke the protocol: {why}")]
    Protocol {
        /// Where the replica is.
        address: String,
        /// What it did.
        why: String,
    },
}

impl LinkError {
    /// Whether asking the same replica again may help.
    pub const fn may_retry(&self) -> bool {
        match self {
            Self::Down { .. } | Self::Lost { .. } | Self::Timeout { .. } => true,
            Self::Corrupt { .. } | Self::Refused { .. } | Self::Protocol { .. } => false,
        }
    }

    /// Whether the replica may have done what was asked.
    pub const fn may_have_happened(&self) -> bool {
        match self {
            Self::Down { .. } | Self::Refused { .. } => false,
            Self::Lost { .. } | Self::Timeout { .. } | Self::Corrupt { .. } | Self::Protocol { .. } => true,
        }
    }
}
