//! What was measured.

use crate::environment::DiskFacts;
use serde::{Deserialize, Serialize};

/// One store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetFacts {
    /// How reports call it; unique in a run.
    pub name: String,
    /// What it is.
    pub kind: TargetKind,
    /// Its URL without parameters and credentials, or who started it.
    pub place: String,
    /// Whether latencies were put in front of a server that is not the store itself: printed wherever it is named.
    pub emulated: bool,
    /// What an acknowledgement promises.
    pub durability: String,
    /// Copies of each chunk.
    pub replicas: usize,
    /// How many of them must have stored a chunk before it is acknowledged.
    pub ack_quorum: usize,
    /// Whether all replicas share this machine, and its one disk, with the client.
    pub on_this_machine: bool,
    /// The disks of this machine that it writes to, as far as they are known; empty for one elsewhere or in memory.
    pub disks: Vec<DiskFacts>,
}

/// What a store is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// Storage nodes.
    Nodes,
    /// S3 Express One Zone.
    S3Express,
    /// S3 Standard.
    S3,
    /// Azure Premium Blob.
    Azure,
    /// Google Cloud Storage.
    Google,
    /// Directories.
    Directories,
    /// Memory of the client.
    Memory,
}

impl TargetFacts {
    /// What every report calls it. An emulated store is never named without saying so.
    #[must_use]
    pub fn label(&self) -> String {
        if self.emulated { format!("{} (emulated)", self.name) } else { self.name.clone() }
    }
}
