//! From a store URL to a store.

use crate::capabilities::LatencyClass;
use crate::chunk_store::ChunkStore;
use crate::cluster::NodeCluster;
use crate::error::ConnectError;
use crate::memory::MemoryStore;
use crate::quorum_store::{QuorumStore, StoreDefaults};
use crate::register::DirectoryRegister;
use crate::store_url::{StorePlace, StoreUrl};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Connects to the store that `url` names:
///
/// - `memory://NAME`: three replicas in this process, lost with it. Every `connect` with the same name reaches the same
///   store.
/// - `quarry://HOST:PORT,HOST:PORT,.../CLUSTER?register=dir:/PATH`: storage nodes, with a register in a local directory. Nodes
///   that gossip tell of all others, so that a few are enough.
///
/// See [`crate::store_url`] for every parameter. Must be called inside a Tokio runtime. Fails if no node answers; those
/// that do not answer yet are connected to when they do.
pub async fn connect(url: &str) -> Result<Arc<dyn ChunkStore>, ConnectError> {
    Ok(Arc::new(connect_to_quorum(url).await?))
}

/// As [`connect`], to the store behind the trait: it repairs, too.
pub async fn connect_to_quorum(url: &str) -> Result<QuorumStore, ConnectError> {
    let parsed = StoreUrl::parse(url)?;
    let defaults =
        StoreDefaults { replicas: parsed.quorum.replicas(), ack_quorum: parsed.quorum.ack(), window: parsed.window };
    match parsed.place {
        StorePlace::Memory { name } => Ok(MemoryStore::named(&name).store_with(defaults)),
        StorePlace::Nodes { nodes, cluster, register } => {
            let register = open_register(url, register).await?;
            let cluster = Arc::new(NodeCluster::new(cluster, nodes));
            let zones = zones_of(url, &cluster).await?;
            let latency = LatencyClass::LocalDisk;
            cluster.follow();
            Ok(QuorumStore::new(cluster, Arc::new(register), zones, defaults, latency))
        }
    }
}

/// Opening a directory does file I/O, which stays off the runtime's threads.
async fn open_register(url: &str, path: PathBuf) -> Result<DirectoryRegister, ConnectError> {
    let failed = |why: String| ConnectError::Register { url: url.to_owned(), why };
    let opened = tokio::task::spawn_blocking(move || DirectoryRegister::open(Path::new(&path))).await;
    opened.map_err(|why| failed(why.to_string()))?.map_err(|why| failed(why.to_string()))
}

/// Asks the nodes who they are: their zones, in order.
async fn zones_of(url: &str, cluster: &NodeCluster) -> Result<Vec<String>, ConnectError> {
    let (mut zones, mut silent) = (BTreeSet::new(), Vec::new());
    for node in cluster.survey().await {
        match node.info {
            Ok(info) => _ = zones.insert(info.zone),
            Err(why) => silent.push(format!("{}: {why}", node.address)),
        }
    }
    if zones.is_empty() {
        return Err(ConnectError::Unreachable { url: url.to_owned(), why: silent.join("; ") });
    }
    for why in silent {
        tracing::warn!("connected without {why}");
    }
    Ok(zones.into_iter().collect())
}
