//! From a store URL to a store.

use crate::bucket::{BucketCluster, BucketPlace, BucketStore};
use crate::capabilities::Tier;
use crate::chunk_store::ChunkStore;
use crate::cluster::{Cluster, NodeCluster, Tiers};
use crate::error::ConnectError;
use crate::link::tcp::ANY_CLUSTER;
use crate::memory::MemoryStore;
use crate::quorum_store::{QuorumStore, StoreDefaults};
use crate::register::{Register, RegisterPlace};
use crate::store_url::{StorePlace, StoreUrl};
use quarry_protocol::rotation::SegmentShape;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Connects to the store that `url` names:
///
/// - `memory://NAME`: three replicas in this process, lost with it. Every `connect` with the same name reaches the same
///   store.
/// - `s3express://`, `s3://`, `az://`, `gs://`, `file://`: buckets and directories.
/// - `quarry://HOST:PORT,HOST:PORT,.../CLUSTER?register=PLACE`: storage nodes, with a register at a [`RegisterPlace`]. Nodes
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
    let defaults = defaults(&parsed);
    match parsed.place {
        StorePlace::Memory { name } => Ok(MemoryStore::named(&name).store_with(defaults)),
        StorePlace::Nodes { nodes, cluster, register } => {
            check_register(url, &register, &[]).await?;
            let register = open_register(url, &register).await?;
            let (cluster, zones) = connect_to_nodes(url, nodes, cluster).await?;
            let tiers = Arc::new(Tiers::on_nodes(cluster));
            Ok(QuorumStore::new(tiers, register, zones, defaults, Tier::LOCAL_DISK))
        }
        StorePlace::Buckets { places, register } => {
            let (buckets, zones) = connect_to_buckets(url, &places).await?;
            let register = match (register, places[0].directory()) {
                (Some(place), _) => {
                    check_register(url, &place, &places).await?;
                    open_register(url, &place).await?
                }
                (None, Some(directory)) => own_register(url, directory.join("register")).await?,
                (None, None) => open_register(url, &RegisterPlace::Bucket(places[0].clone())).await?,
            };
            let nodes = Arc::new(NodeCluster::new(ANY_CLUSTER.to_owned(), Vec::new()));
            let tiers = Arc::new(Tiers::on_buckets(buckets, nodes));
            Ok(QuorumStore::new(tiers, register, zones, defaults, Tier::of_buckets(places[0].kind)))
        }
    }
}

/// A tier: where a log's next segments are placed, and what they are like.
pub(crate) struct Reached {
    pub(crate) replicas: ReachedReplicas,
    pub(crate) shape: SegmentShape,
    zones: Vec<String>,
    tier: Tier,
}

/// Its replicas.
pub(crate) enum ReachedReplicas {
    Nodes(Arc<NodeCluster>),
    Buckets(Arc<BucketCluster>),
}

/// The tier that `url`, which names no register, means to a log whose store is `home`.
pub(crate) async fn connect_to_tier(home: &dyn Cluster, url: &str) -> Result<Reached, ConnectError> {
    let parsed = StoreUrl::parse_tier(url)?;
    let StoreDefaults { replicas, ack_quorum, window } = defaults(&parsed);
    let shape = SegmentShape { replicas, ack_quorum, window };
    match parsed.place {
        StorePlace::Memory { .. } => unreachable!("memory is no tier"),
        StorePlace::Nodes { nodes, cluster, .. } => {
            if let Some(other) = home.nodes_of().filter(|home| *home != cluster) {
                let why =
                    format!("the log's store leads to nodes of cluster {other:?}, and to no others: name that one");
                return Err(ConnectError::BadUrl { url: url.to_owned(), why });
            }
            let (nodes, zones) = connect_to_nodes(url, nodes, cluster).await?;
            Ok(Reached { replicas: ReachedReplicas::Nodes(nodes), shape, zones, tier: Tier::LOCAL_DISK })
        }
        StorePlace::Buckets { places, .. } => {
            let (buckets, zones) = connect_to_buckets(url, &places).await?;
            let tier = Tier::of_buckets(places[0].kind);
            Ok(Reached { replicas: ReachedReplicas::Buckets(buckets), shape, zones, tier })
        }
    }
}

impl Reached {
    /// Where segments are placed.
    pub(crate) fn cluster(self) -> Arc<dyn Cluster> {
        match self.replicas {
            // A record names replicas of every kind: nodes hear of those that are nodes.
            ReachedReplicas::Nodes(nodes) => Arc::new(Tiers::on_nodes(nodes)),
            ReachedReplicas::Buckets(buckets) => buckets,
        }
    }

    /// A store that has this tier for its own, and leads to older segments by way of `home`.
    pub(crate) fn store(self, home: Arc<dyn Cluster>, register: Arc<dyn Register>) -> QuorumStore {
        let SegmentShape { replicas, ack_quorum, window } = self.shape;
        let tiers = match self.replicas {
            ReachedReplicas::Nodes(nodes) => Tiers::on_nodes(nodes),
            ReachedReplicas::Buckets(buckets) => Tiers::on_buckets(buckets, home),
        };
        let defaults = StoreDefaults { replicas, ack_quorum, window };
        QuorumStore::new(Arc::new(tiers), register, self.zones, defaults, self.tier)
    }
}

fn defaults(url: &StoreUrl) -> StoreDefaults {
    StoreDefaults { replicas: url.quorum.replicas(), ack_quorum: url.quorum.ack(), window: url.window }
}

async fn connect_to_nodes(
    url: &str,
    nodes: Vec<String>,
    cluster: String,
) -> Result<(Arc<NodeCluster>, Vec<String>), ConnectError> {
    let cluster = Arc::new(NodeCluster::new(cluster, nodes));
    let zones = zones_of(url, &cluster).await?;
    cluster.follow();
    Ok((cluster, zones))
}

async fn connect_to_buckets(
    url: &str,
    places: &[BucketPlace],
) -> Result<(Arc<BucketCluster>, Vec<String>), ConnectError> {
    let failed = |why| ConnectError::Bucket { url: url.to_owned(), why };
    let opened: Result<Vec<_>, _> = places.iter().map(BucketStore::open).collect();
    let buckets = Arc::new(BucketCluster::new(opened.map_err(failed)?));
    let found = buckets.connect().await.map_err(failed)?;
    for why in found.silent {
        tracing::warn!("connected without {why}");
    }
    for why in found.unseen_rules {
        tracing::warn!("{why}");
    }
    Ok((buckets, found.zones))
}

/// The register inside a directory that is a bucket, made with it.
async fn own_register(url: &str, path: PathBuf) -> Result<Arc<dyn Register>, ConnectError> {
    let failed =
        |why: String| ConnectError::Register { url: url.to_owned(), why: format!("{}: {why}", path.display()) };
    match tokio::fs::create_dir(&path).await {
        Err(why) if why.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(why.to_string())),
        _ => {}
    }
    open_register(url, &RegisterPlace::Directory(path)).await
}

/// That no rule of the register's bucket lets records expire, unless the bucket was looked at as one of the store's.
async fn check_register(url: &str, place: &RegisterPlace, looked_at: &[BucketPlace]) -> Result<(), ConnectError> {
    let RegisterPlace::Bucket(place) = place else { return Ok(()) };
    if looked_at.contains(place) {
        return Ok(());
    }
    let failed = |why| ConnectError::Register { url: url.to_owned(), why };
    match BucketStore::open(place).map_err(failed)?.check_expiry().await {
        Ok(None) => {}
        Ok(Some(unseen)) => tracing::warn!("{unseen}"),
        Err(unusable) => return Err(failed(unusable.why)),
    }
    Ok(())
}

async fn open_register(url: &str, place: &RegisterPlace) -> Result<Arc<dyn Register>, ConnectError> {
    place.open().await.map_err(|why| ConnectError::Register { url: url.to_owned(), why: why.to_string() })
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
