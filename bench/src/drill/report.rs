//! What a drill has shown.

use super::{Counts, FaultKind};
use serde::Serialize;
use std::collections::BTreeMap;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DrillReport {
    /// `OK` or `FAILED`.
    pub verdict: &'static str,
    /// Where all choices came from.
    pub seed: u64,
    /// How long it took.
    pub seconds: u64,
    /// How many nodes.
    pub nodes: usize,
    /// In how many zones.
    pub zones: usize,
    /// The one zone in which disks lost something.
    pub fallible_zone: String,
    /// How often each fault happened.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Bits flipped on disks.
    pub bits_flipped: usize,
    /// How often a writer was told that the disks are full.
    pub disks_filled: usize,
    /// What the clients did.
    pub counts: Counts,
    /// The longest time in which somebody waited for an acknowledgement of a log and got none, by what was being done meanwhile,
    /// in milliseconds. Takeovers and tries of clients included.
    pub longest_stall_ms: BTreeMap<String, u64>,
    /// What was not as it must be; empty if the verdict is `OK`.
    pub violations: Vec<String>,
}
