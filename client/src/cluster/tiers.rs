//! Replicas of every kind. New segments go to the store's own tier; those of the record are reached wherever they are, so that
//! a log may lie on several.

use super::{Cluster, PlaceError, PlaceRequest, Placement};
use crate::bucket::{BucketCluster, BucketPlace, BucketStore};
use crate::link::ReplicaLink;
use async_trait::async_trait;
use quarry_protocol::ids::DiskId;
use quarry_protocol::record::{LogRecord, ReplicaRef};
use std::sync::Arc;

/// A cluster that leads to the replicas of any tier.
pub struct Tiers {
    /// Storage nodes, those of memory included.
    nodes: Arc<dyn Cluster>,
    buckets: Arc<BucketCluster>,
    /// Where new segments go.
    home: Home,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    Nodes,
    Buckets,
}

impl Home {
    fn of(replica: &ReplicaRef) -> Self {
        if BucketPlace::is_address(&replica.address) { Self::Buckets } else { Self::Nodes }
    }
}

impl Tiers {
    /// New segments go to nodes.
    #[must_use]
    pub fn on_nodes(nodes: Arc<dyn Cluster>) -> Self {
        Self { nodes, buckets: Arc::new(BucketCluster::new(Vec::new())), home: Home::Nodes }
    }

    /// New segments go to buckets; `nodes` leads to the nodes of older ones.
    #[must_use]
    pub fn on_buckets(buckets: Arc<BucketCluster>, nodes: Arc<dyn Cluster>) -> Self {
        Self { nodes, buckets, home: Home::Buckets }
    }

    fn at_home(&self) -> &dyn Cluster {
        match self.home {
            Home::Nodes => self.nodes.as_ref(),
            Home::Buckets => self.buckets.as_ref(),
        }
    }

    /// Those of `replicas` that are where new segments go. A segment's replicas are of one kind (DESIGN 3.3).
    fn of_home(&self, replicas: &[ReplicaRef]) -> Vec<ReplicaRef> {
        replicas.iter().filter(|replica| Home::of(replica) == self.home).cloned().collect()
    }
}

#[async_trait]
impl Cluster for Tiers {
    fn link(&self, replica: &ReplicaRef) -> Arc<dyn ReplicaLink> {
        match Home::of(replica) {
            Home::Nodes => self.nodes.link(replica),
            Home::Buckets => self.buckets.link(replica),
        }
    }

    fn nodes_of(&self) -> Option<&str> {
        self.nodes.nodes_of()
    }

    fn draining(&self) -> Vec<DiskId> {
        self.nodes.draining()
    }

    fn learn(&self, record: &LogRecord) {
        self.buckets.learn(record);
    }

    async fn place(&self, request: PlaceRequest<'_>) -> Result<Placement, PlaceError> {
        let (known, keep) = (self.of_home(request.known), self.of_home(request.keep));
        self.at_home().place(PlaceRequest { known: &known, keep: &keep, ..request }).await
    }

    async fn settle(&self) {
        self.nodes.settle().await;
        self.buckets.settle().await;
    }

    fn buckets(&self) -> Vec<BucketStore> {
        self.buckets.buckets()
    }

    async fn disks(&self) -> Vec<ReplicaRef> {
        self.nodes.disks().await
    }

    async fn is_gone(&self, replica: &ReplicaRef) -> Option<String> {
        match Home::of(replica) {
            Home::Nodes => self.nodes.is_gone(replica).await,
            Home::Buckets => self.buckets.is_gone(replica).await,
        }
    }
}
