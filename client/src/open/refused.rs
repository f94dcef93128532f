//! What a failed recovery means to the caller of an open or a deletion.

use crate::error::{DeleteError, OpenError};
use quarry_protocol::recovery::RecoveryError;
use std::time::Duration;

pub(super) fn open_error(name: &str, deadline: Duration, error: RecoveryError) -> OpenError {
    let name = name.to_owned();
    let said = error.to_string();
    match error {
        RecoveryError::Config { why } => OpenError::BadOptions { name, why },
        RecoveryError::NotFound { .. } => OpenError::NotFound { name },
        RecoveryError::Exists { .. } => OpenError::AlreadyExists { name },
        RecoveryError::Superseded { by, .. } => OpenError::LostRace { name, by },
        RecoveryError::RegisterBehind { .. } | RecoveryError::Broken { .. } => {
            OpenError::Contradiction { name, why: said }
        }
        RecoveryError::Full { .. } => OpenError::Full { name, why: said },
        RecoveryError::Record(_) | RecoveryError::RecordUnusable { .. } => OpenError::Record { name, why: said },
        RecoveryError::Register { may_have_happened, .. } => OpenError::Register { name, why: said, may_have_happened },
        RecoveryError::Placement { .. } => OpenError::NoPlace { name, why: said },
        RecoveryError::Replicas { .. } => OpenError::Unavailable { name, deadline, why: said },
    }
}

pub(crate) fn delete_error(name: &str, deadline: Duration, error: &RecoveryError) -> DeleteError {
    let name = name.to_owned();
    let said = error.to_string();
    match *error {
        RecoveryError::NotFound { .. } => DeleteError::NotFound { name },
        RecoveryError::Superseded { by, .. } => DeleteError::LostRace { name, by },
        RecoveryError::Register { may_have_happened, .. } => {
            DeleteError::Register { name, why: said, may_have_happened }
        }
        RecoveryError::Replicas { .. } => DeleteError::Unavailable { name, deadline, why: said },
        RecoveryError::Config { .. }
        | RecoveryError::Exists { .. }
        | RecoveryError::RegisterBehind { .. }
        | RecoveryError::Broken { .. }
        | RecoveryError::Placement { .. }
        | RecoveryError::Full { .. }
        | RecoveryError::Record(_)
        | RecoveryError::RecordUnusable { .. } => DeleteError::Record { name, why: said },
    }
}
