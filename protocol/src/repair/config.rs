//! What a repair is asked to do.

use super::budget::REPAIR_BYTES_PER_S_DEFAULT;
use crate::ids::{DiskId, SegmentId};
use alloc::collections::BTreeSet;
use alloc::string::String;

/// How long a holder may not answer before another one is made in its place, in microseconds, when nothing else is asked for.
pub const REPAIR_PATIENCE_US_DEFAULT: u64 = 600_000_000;

/// Which log to repair, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairConfig {
    /// The log's name.
    pub name: String,
    /// Bytes to copy in a second, at most.
    pub bytes_per_s: u64,
    /// How long a holder may not answer before it is replaced, in microseconds.
    pub patience_us: u64,
    /// Disks that are not to hold anything any more: drained, or declared lost.
    pub leaving: BTreeSet<DiskId>,
    /// The segments to look at; none for all that are sealed.
    pub only: Option<BTreeSet<SegmentId>>,
}

impl RepairConfig {
    /// A repair of everything that is sealed, at the default rate and patience.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            bytes_per_s: REPAIR_BYTES_PER_S_DEFAULT,
            patience_us: REPAIR_PATIENCE_US_DEFAULT,
            leaving: BTreeSet::new(),
            only: None,
        }
    }
}
