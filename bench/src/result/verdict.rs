//! Whether what was acknowledged is there.

use serde::{Deserialize, Serialize};

/// What reading everything back said. A figure of a run that lost a chunk is worth nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Chunks acknowledged and not trimmed since.
    pub acknowledged: u64,
    /// Of these, read back equal.
    pub equal: u64,
    /// Of these, read back with other bytes.
    pub different: u64,
    /// Of these, not read back at all.
    pub missing: u64,
    /// Chunks acknowledged and then trimmed on purpose: read back equal before that, or not looked at.
    pub trimmed: u64,
}

impl Verdict {
    /// Takes in what is said of further chunks.
    pub const fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.equal += other.equal;
        self.different += other.different;
        self.missing += other.missing;
        self.trimmed += other.trimmed;
    }

    /// Whether every acknowledged chunk that should be there was read back equal, and there was at least one.
    #[must_use]
    pub const fn good(&self) -> bool {
        self.acknowledged > 0 && self.equal == self.acknowledged && self.different == 0 && self.missing == 0
    }
}
