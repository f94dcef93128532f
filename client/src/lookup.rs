//! Finding a log's record by its name.

use crate::open::REGISTER_TIMEOUT;
use crate::quorum_store::Parts;
use crate::register::RegisterError;
use quarry_protocol::record::{LogRecord, Version};
use tokio::time::timeout;

/// Why there is no record to work with.
pub(crate) enum NoRecord {
    /// The name cannot name a log.
    BadName(String),
    /// There is no such log, or it was deleted.
    NotFound,
    /// The register could not be read.
    Register(String),
    /// What is on record cannot be used.
    Record(String),
}

/// The record of a log that is there.
pub(crate) async fn lookup(parts: &Parts, name: &str) -> Result<(Version, LogRecord), NoRecord> {
    let found = timeout(REGISTER_TIMEOUT, parts.register.read(name))
        .await
        .map_err(|_| NoRecord::Register(format!("no answer within {REGISTER_TIMEOUT:?}")))??;
    found.filter(|(_, record)| !record.deleted).ok_or(NoRecord::NotFound)
}

impl From<RegisterError> for NoRecord {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Name { why } => Self::BadName(why),
            RegisterError::Record(error) => Self::Record(error.to_string()),
            RegisterError::Unusable { .. } | RegisterError::Failed { .. } => Self::Register(error.to_string()),
        }
    }
}

/// Gives an operation's error enum its way from [`NoRecord`].
macro_rules! into_error {
    ($method:ident, $error:ident) => {
        impl NoRecord {
            pub(crate) fn $method(self, name: &str) -> crate::error::$error {
                let name = name.to_owned();
                match self {
                    Self::BadName(why) => crate::error::$error::BadName { why },
                    Self::NotFound => crate::error::$error::NotFound { name },
                    Self::Register(why) => crate::error::$error::Register { name, why },
                    Self::Record(why) => crate::error::$error::Record { name, why },
                }
            }
        }
    };
}
into_error!(read_error, ReadError);
into_error!(tail_error, TailError);
into_error!(inspect_error, InspectError);
