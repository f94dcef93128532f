//! Which replicas there are, and where a new segment goes.

mod choice;
mod learned;
mod nodes;
mod tiers;
mod weight;

pub use nodes::NodeCluster;
pub use tiers::Tiers;

use crate::bucket::BucketStore;
use crate::link::ReplicaLink;
use async_trait::async_trait;
use quarry_protocol::ids::{DiskId, LogId};
use quarry_protocol::member::Member;
use quarry_protocol::message::NodeInfo;
use quarry_protocol::record::{LogRecord, ReplicaRef};
use std::sync::Arc;

/// What a node said of itself, or why it did not or must not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// The `host:port` that was asked.
    pub address: String,
    /// Its answer.
    pub info: Result<NodeInfo, String>,
    /// What the nodes say of it.
    pub member: Option<Member>,
}

/// What a new segment needs.
#[derive(Clone, Copy, Debug)]
pub struct PlaceRequest<'a> {
    /// Its log. What is best differs from log to log, so that logs spread.
    pub log: LogId,
    /// How many replicas, each in a zone of its own.
    pub replicas: usize,
    /// Replicas that the log's record names already (its last segment's): they fill up zones in which no node answers, so that a
    /// log can be taken over while nodes are away.
    pub known: &'a [ReplicaRef],
    /// Replicas that stay if they answer, are fit for new segments and are not avoided; the rest comes from other zones.
    pub keep: &'a [ReplicaRef],
    /// Disks that are not chosen now, whatever becomes of the placement.
    pub avoid: &'a [DiskId],
}

impl<'a> PlaceRequest<'a> {
    /// A request that keeps and avoids nothing.
    #[must_use]
    pub const fn new(log: LogId, replicas: usize, known: &'a [ReplicaRef]) -> Self {
        Self { log, replicas, known, keep: &[], avoid: &[] }
    }
}

/// The replica set of a new segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// As many as were asked for, in distinct zones; those that answered come first, kept ones at their head.
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
    /// Each node that did not answer or must not be used, and why.
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

    /// The only cluster whose nodes it leads to, if there is one.
    fn nodes_of(&self) -> Option<&str> {
        None
    }

    /// The disks of nodes that are being drained, as far as that is known now: a writer moves on from them at once.
    fn draining(&self) -> Vec<DiskId> {
        Vec::new()
    }

    /// Hears of a record as the register holds it now: what buckets answer rests on floors and ends that stand only there.
    fn learn(&self, _record: &LogRecord) {}

    /// Chooses the replicas of a new segment: distinct zones, kept ones first, then live ones.
    async fn place(&self, request: PlaceRequest<'_>) -> Result<Placement, PlaceError>;

    /// Waits until nothing is being deleted in the background any more. Nodes delete by themselves; what is deleted in buckets, this
    /// process deletes.
    async fn settle(&self) {}

    /// The buckets in which new segments may lie.
    fn buckets(&self) -> Vec<BucketStore> {
        Vec::new()
    }

    /// Every disk of every node that answers, under the name in force.
    async fn disks(&self) -> Vec<ReplicaRef> {
        Vec::new()
    }

    /// Whether the node at a replica's address answers and is another disk (P14); what it says then. A node that does not answer
    /// says nothing.
    async fn is_gone(&self, _replica: &ReplicaRef) -> Option<String> {
        None
    }
}
