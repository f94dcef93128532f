//! What `quarry doctor` said, as a report keeps it.

use serde::{Deserialize, Serialize};

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoctorFinding {
    /// Its stable name.
    pub code: String,
    /// `ok`, `unknown`, `warning` or `bad`.
    pub severity: String,
    /// What was found.
    pub current: String,
}
