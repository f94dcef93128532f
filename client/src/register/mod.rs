//! The register: a linearizable compare-and-swap store that holds one small record per log (DESIGN 3.1). Off
//! the append path.

mod causes;
pub mod conformance;
mod directory;
mod etcd;
mod marker;
mod memory;
mod object;
mod place;
mod record_names;
mod syncing;

pub use directory::DirectoryRegister;
pub use etcd::{EtcdPlace, EtcdRegister};
pub use memory::MemoryRegister;
pub use object::ObjectRegister;
pub use place::{ETCD_PASSWORD, RegisterPlace};

use async_trait::async_trait;
use quarry_protocol::record::{LogRecord, RecordError, Version, check_log_name};

/// Why a register could not be read or listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name cannot name a log.
    #[error("{why}")]
    Name {
        /// Which rule it breaks.
        why: String,
    },
    /// What is stored under the name is not a usable record. It was left as it is.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The register itself is gone, is not one, or cannot be relied on any more.
    #[error("the register {register} is not usable: {why}")]
    Unusable {
        /// Where it should be.
        register: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// It could not be reached or did not answer.
    #[error("the register {register} failed: {why}")]
    Failed {
        /// Where it is.
        register: String,
        /// What happened.
        why: String,
    },
}

impl RegisterError {
    /// Whether the same call may succeed later by itself.
    pub const fn may_retry(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// Why a change was not made, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwapError {
    /// The record is not (or no longer) the one that was read. Nothing was changed: read it again.
    #[error("the register record was changed by somebody else")]
    Conflict,
    /// It may have been changed, now or later. Read it, and look for the change's own content (pitfall 15).
    #[error("the register did not say whether the record was changed: {why}")]
    Ambiguous {
        /// What happened.
        why: String,
    },
    /// Nothing was changed.
    #[error(transparent)]
    Failed(#[from] RegisterError),
}

impl SwapError {
    /// Whether the same change may be tried again as it is.
    pub const fn may_retry(&self) -> bool {
        match self {
            Self::Conflict | Self::Ambiguous { .. } => false,
            Self::Failed(why) => why.may_retry(),
        }
    }

    /// Whether the record may have been changed.
    pub const fn may_have_happened(&self) -> bool {
        matches!(self, Self::Ambiguous { .. })
    }
}

/// One small record per log, changed only by comparing the whole record as read.
#[async_trait]
pub trait Register: Send + Sync {
    /// The record stored under `name` and its version; `None` if there never was one. A record that does
    /// not decode is an error, never `None`. What is returned is durable, also if it comes from a change that was ambiguous.
    async fn read(&self, name: &str) -> Result<Option<(Version, LogRecord)>, RegisterError>;

    /// Stores `record` under its own name if what is stored there now has version `expected` (`None`: nothing is stored).
    /// Durable, and visible to every later read, before it returns the new version.
    async fn compare_and_swap(&self, expected: Option<&Version>, record: &LogRecord) -> Result<Version, SwapError>;

    /// The names that begin with `prefix`, sorted; those of deleted logs (tombstones) included.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, RegisterError>;
}

fn named(name: &str) -> Result<(), RegisterError> {
    check_log_name(name).map_err(|why| RegisterError::Name { why })
}

/// The bytes under which a record is stored, and which are its version.
fn encode(record: &LogRecord) -> Result<Vec<u8>, RegisterError> {
    named(&record.name)?;
    Ok(record.encode()?)
}
