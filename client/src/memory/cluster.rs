//! The memory replicas as a cluster.

use super::link::MemoryLink;
use super::node::MemoryNode;
use crate::cluster::{Cluster, PlaceError, PlaceRequest, Placement};
use crate::link::ReplicaLink;
use async_trait::async_trait;
use quarry_protocol::record::ReplicaRef;
use std::sync::Arc;

pub(super) struct MemoryCluster {
    nodes: Vec<Arc<MemoryNode>>,
    /// Where links to an address that is not ours go: nobody answers there.
    nowhere: Arc<MemoryNode>,
}

impl MemoryCluster {
    pub(super) fn new(nodes: Vec<Arc<MemoryNode>>) -> Self {
        let nowhere = Arc::new(MemoryNode::new("nowhere".to_owned()));
        nowhere.kill();
        Self { nodes, nowhere }
    }
}

#[async_trait]
impl Cluster for MemoryCluster {
    fn link(&self, replica: &ReplicaRef) -> Arc<dyn ReplicaLink> {
        let node = self.nodes.iter().find(|node| node.address() == replica.address).unwrap_or(&self.nowhere);
        Arc::new(MemoryLink { node: Arc::clone(node), replica: replica.clone() })
    }

    async fn place(&self, request: PlaceRequest<'_>) -> Result<Placement, PlaceError> {
        let PlaceRequest { replicas, known, keep, avoid, .. } = request;
        let (up, down): (Vec<_>, Vec<_>) = self.nodes.iter().partition(|node| node.is_up());
        // Every memory node is a zone of its own.
        let mut chosen: Vec<_> =
            up.iter().map(|node| node.replica_ref()).filter(|replica| !avoid.contains(&replica.disk)).collect();
        chosen.sort_by_key(|replica| !keep.contains(replica));
        chosen.truncate(replicas);
        let live = chosen.len();
        let away = known
            .iter()
            .filter(|replica| !avoid.contains(&replica.disk) && down.iter().any(|node| node.zone() == replica.zone));
        chosen.extend(away.take(replicas - live).cloned());
        if chosen.len() < replicas {
            return Err(PlaceError {
                wanted: replicas,
                zones: chosen.into_iter().map(|replica| replica.zone).collect(),
                missing: down.iter().map(|node| format!("{}: the memory replica was killed", node.address())).collect(),
            });
        }
        Ok(Placement { replicas: chosen, live })
    }

    async fn disks(&self) -> Vec<ReplicaRef> {
        self.nodes.iter().filter(|node| node.is_up()).map(|node| node.replica_ref()).collect()
    }
}
