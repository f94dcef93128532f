//! Which replicas there are, and where a new segment goes.

mod choice;
mod static_nodes;

pub use static_nodes::{StaticCluster, Surveyed};

use crate::link::ReplicaLink;
use async_trait::async_trait;
use quarry_protocol::ids::LogId;
use quarry_protocol::record::ReplicaRef;
use std::sync::Arc;

/// The replica set of a new segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// As many as were asked for, in distinct zones; those that answered come first.
    pub replicas: Vec<ReplicaRef>,
    /// How many of them answered just now. A segment with fewer than its ack quorum alive cannot take an append.
    pub live: usize,
}

/// Why no replica set could be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wanted} replicas need as many zones, {} found ({}); {}: start nodes in further zones, or ask for fewer replicas",
    zones.len(),
    zones.join(", "),
    if missing.is_empty() { "every node answered".to_owned() } else { missing.join("; ") }
)]
pub struct PlaceError {
    /// How many replicas were asked for.
    pub wanted: usize,
    /// The zones in which a replica could be placed.
    pub zones: Vec<String>,
    /// Each node that did not answer, and why.
    pub missing: Vec<String>,
}

impl PlaceError {
    /// Whether a later attempt may succeed without a change to the cluster.
    pub const fn may_retry(&self) -> bool {
        !self.missing.is_empty()
    }
}

/// The replicas a store can use.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// The way to a replica. One link per replica, shared by all callers; it connects by itself. Must be called
    /// inside a Tokio runtime.
    fn link(&self, replica: &ReplicaRef) -> Arc<dyn ReplicaLink>;

    /// Chooses `replicas` replicas for a new segment of `log`: distinct zones, live nodes first. `known` are replicas that the
    /// log's record names already (its last segment's): they fill up zones in which no node answers, so that a log can
    /// be taken over while nodes are away.
    async fn place(&self, log: LogId, replicas: usize, known: &[ReplicaRef]) -> Result<Placement, PlaceError>;
}
