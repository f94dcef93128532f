//! Where the time of appends went.

use super::{PartResult, Samples};
use serde::{Deserialize, Serialize};

/// The stages of appends, from their receipts ([`quarry_client::AppendTimes`]): they follow each other and add up to the
/// append.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// Stage by stage, in the order in which an append passes them.
    pub stages: Vec<Stage>,
    /// Each replica's own time from being put to its answer.
    pub replicas: Vec<ReplicaStage>,
    /// The same appends with receipts that say nothing, in the same rounds; empty where that was not asked for.
    pub without: Vec<PartResult>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// What it is called, such as `device`.
    pub name: String,
    /// How long it took, over all appends.
    pub samples: Samples,
    /// Its mean share (0 to 1) of the time of a middling append: those between the 40th and the 60th percentile.
    pub share_of_p50: f64,
    /// Its mean share (0 to 1) of the time of the slowest hundredth of appends.
    pub share_of_p99: f64,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaStage {
    /// Its zone.
    pub zone: String,
    /// From the put to its answer.
    pub samples: Samples,
    /// How many appends had their quorum made by its answer.
    pub decided: u64,
}
