//! What one check found.

use serde::Serialize;
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// As wanted.
    Ok,
    /// Could not be found out; never taken for "ok".
    Unknown,
    /// A node works, slower or with a risk that is named.
    Warning,
    /// A node does not start, or what it acknowledges may be lost.
    Bad,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Bad => "bad",
        })
    }
}

/// One line of the doctor's table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// A stable name for scripts and runbooks.
    pub(super) code: &'static str,
    /// What was looked at.
    pub(super) check: &'static str,
    /// What was found, `unknown` if nothing was.
    pub(super) current: String,
    /// What it should be.
    pub(super) wanted: &'static str,
    /// How bad it is.
    pub(super) severity: Severity,
    /// What to do when it is not as wanted.
    pub(super) fix: String,
}

/// What is looked at, and what it should be.
#[allow(clippy::struct_field_names, reason = "named like the columns of the table")]
pub(super) struct Check {
    pub(super) code: &'static str,
    pub(super) check: &'static str,
    pub(super) wanted: &'static str,
}

impl Check {
    /// Found as `current`, and how bad that is.
    pub(super) fn found(&self, severity: Severity, current: impl Into<String>, fix: impl Into<String>) -> Finding {
        let Self { code, check, wanted } = *self;
        Finding { code, check, wanted, severity, current: current.into(), fix: fix.into() }
    }

    /// Could not be found out, because of `why`.
    pub(super) fn unknown(&self, why: impl Into<String>) -> Finding {
        self.found(Severity::Unknown, "unknown", why)
    }
}
