//! A store of the run: started or connected to, and what reports say of it.

use super::diary::Diary;
use super::{CasePlan, EngineError};
use crate::drive::CpuClock;
use crate::environment::DiskFacts;
use crate::local_cluster::{LocalCluster, LocalClusterPlan};
use crate::result::{TargetFacts, TargetKind};
use crate::suite::{EmulatedKind, NodesSpec, TargetSpec};
use crate::tiers::Emulated;
use quarry_client::bucket::{BucketKind, BucketPlace};
use quarry_client::store_url::{StorePlace, StoreUrl};
use quarry_client::{ChunkStore, CreateMode, OpenOptions, QuorumStore, connect_to_quorum};
use quarry_protocol::limits::{WINDOW_BYTES_MAX, WINDOW_CHUNKS_MAX};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const OF_NODES: &str = "written with O_DIRECT|O_DSYNC by the ack quorum";
const OF_BUCKETS: &str = "the store's own, by the ack quorum";
const OF_DIRECTORIES: &str = "written and synced by the ack quorum";
/// The window of logs in buckets and directories, in chunks.
const BUCKET_WINDOW_CHUNKS: u32 = 256;
const NONE: &str = "none: in the memory of this process";

/// A store of the run.
pub(super) struct Target {
    pub(super) spec: TargetSpec,
    pub(super) facts: TargetFacts,
    reach: Reach,
    /// As many as a case ever asked for; the first is there from the start.
    clients: Vec<QuorumStore>,
}

enum Reach {
    Own(Box<LocalCluster>),
    Emulated(Box<Emulated>),
    Url(String),
}

impl Target {
    /// Starts or connects to what `spec` names; nodes' files go below `dir`.
    pub(super) async fn start(
        spec: &TargetSpec,
        index: usize,
        seed: u64,
        binary: &Path,
        dir: &Path,
    ) -> Result<Self, EngineError> {
        let failed = |why: String| EngineError::Target { target: spec.name.clone(), why };
        let (reach, first) = match (&spec.nodes, spec.emulated, &spec.url) {
            (Some(nodes), _, _) => {
                let cluster = LocalCluster::start(plan(nodes, binary, dir.join(format!("nodes-{index}")))).await?;
                let first = connect_to_quorum(&cluster.url()).await.map_err(|why| failed(why.to_string()))?;
                (Reach::Own(Box::new(cluster)), first)
            }
            (_, Some(kind), _) => {
                let emulated = match kind {
                    EmulatedKind::S3Express => Emulated::s3_express(seed).await,
                    EmulatedKind::S3 => Emulated::s3_standard(seed).await,
                    EmulatedKind::Immediate => Emulated::immediate(seed).await,
                };
                let emulated = emulated.map_err(|why| failed(why.to_string()))?;
                let first = emulated.store.clone();
                (Reach::Emulated(Box::new(emulated)), first)
            }
            (_, _, Some(url)) => {
                let first = connect_to_quorum(url).await.map_err(|why| failed(why.to_string()))?;
                (Reach::Url(url.clone()), first)
            }
            (None, None, None) => return Err(failed("it says neither nodes, emulated nor url".to_owned())),
        };
        let facts = facts(spec, &reach, &first).map_err(failed)?;
        Ok(Self { spec: spec.clone(), facts, reach, clients: vec![first] })
    }

    /// Its store, as the first client has it.
    pub(super) fn store(&self) -> &QuorumStore {
        &self.clients[0]
    }

    /// The store as client number `index` has it, with connections of its own; an emulated store has one client for all.
    pub(super) async fn client(&mut self, index: usize) -> Result<QuorumStore, EngineError> {
        while self.clients.len() <= index {
            let client = match self.url() {
                None => self.clients[0].clone(),
                Some(url) => connect_to_quorum(&url).await.map_err(|why| self.failed(why))?,
            };
            self.clients.push(client);
        }
        Ok(self.clients[index].clone())
    }

    /// What another process would reach it by, if it can.
    pub(super) fn url(&self) -> Option<String> {
        match &self.reach {
            Reach::Own(cluster) => Some(cluster.url()),
            Reach::Url(url) => Some(url.clone()),
            Reach::Emulated(_) => None,
        }
    }

    /// Where a log that is about to be made is noted: one in a store that outlives the run may have to be deleted by hand.
    pub(super) fn diary(&self, plan: &CasePlan<'_>, log: &str) -> Diary {
        if let Reach::Url(url) = &self.reach
            && self.facts.kind != TargetKind::Memory
        {
            plan.diary.opened(url, log);
        }
        plan.diary.clone()
    }

    /// The nodes, if they are ours to hurt.
    pub(super) fn cluster(&mut self) -> Result<&mut LocalCluster, EngineError> {
        match &mut self.reach {
            Reach::Own(cluster) => Ok(cluster),
            _ => Err(EngineError::Target {
                target: self.spec.name.clone(),
                why: "it has no nodes that the run started".to_owned(),
            }),
        }
    }

    /// A clock of this process and the nodes that it started. None where the store is in this process, too: then they could
    /// not be told apart.
    pub(super) fn cpu_clock(&self) -> Option<CpuClock> {
        match &self.reach {
            Reach::Own(cluster) => {
                let nodes: Vec<_> =
                    cluster.nodes().iter().filter_map(crate::local_cluster::LocalNode::process_id).collect();
                Some(CpuClock::start(&nodes))
            }
            Reach::Url(_) if self.facts.kind == TargetKind::Nodes => Some(CpuClock::beside_strangers()),
            Reach::Url(_) if self.facts.kind != TargetKind::Memory => Some(CpuClock::start(&[])),
            Reach::Url(_) | Reach::Emulated(_) => None,
        }
    }

    /// How logs are opened. Repairs in the background would fall into whatever is measured just then.
    pub(super) fn options(&self, replica_patience: Option<Duration>) -> OpenOptions {
        let mut options = OpenOptions {
            create: CreateMode::IfMissing,
            replicas: self.spec.replicas,
            ack_quorum: self.spec.ack,
            repair: false,
            ..OpenOptions::default()
        };
        // A window below the depth would hold appends up in the load generator. That of a bucket is looked through when a log
        // is taken over, so it is no larger than it has to be.
        let probed = !matches!(self.facts.kind, TargetKind::Nodes | TargetKind::Memory);
        options.window_chunks = Some(if probed { BUCKET_WINDOW_CHUNKS } else { WINDOW_CHUNKS_MAX });
        options.window_bytes = Some(WINDOW_BYTES_MAX);
        if let Some(patience) = replica_patience {
            options.rotation.replica_patience = patience;
        }
        options
    }

    /// How large chunks are.
    pub(super) fn chunk_bytes(&self, chunk: crate::suite::ChunkSize) -> usize {
        match chunk {
            crate::suite::ChunkSize::Bytes(size) => size.0 as usize,
            crate::suite::ChunkSize::Preferred => self.store().capabilities().chunk_bytes_preferred as usize,
        }
    }

    /// Stops what was started.
    pub(super) async fn stop(self) -> Result<(), EngineError> {
        if let Reach::Own(cluster) = self.reach {
            drop(self.clients);
            cluster.stop().await?;
        }
        Ok(())
    }

    /// An error of this target.
    #[allow(clippy::needless_pass_by_value, reason = "callers hand over errors and strings that they are done with")]
    pub(super) fn failed(&self, why: impl ToString) -> EngineError {
        EngineError::Target { target: self.spec.name.clone(), why: why.to_string() }
    }
}

fn plan(nodes: &NodesSpec, binary: &Path, dir: PathBuf) -> LocalClusterPlan {
    let words = |words: [&str; 2]| words.map(str::to_owned);
    let (capacity, file_size) = (nodes.capacity.0.to_string(), nodes.file_size.0.to_string());
    LocalClusterPlan {
        binary: binary.to_path_buf(),
        dir,
        nodes: nodes.count,
        zones: nodes.count,
        advertised: Vec::new(),
        cluster: "bench".to_owned(),
        format_arguments: [words(["--capacity", &capacity]), words(["--file-size", &file_size])].concat(),
        start_arguments: words(["--spin-us", &nodes.spin_us.to_string()]).into(),
        gossip: false,
    }
}

fn facts(spec: &TargetSpec, reach: &Reach, store: &QuorumStore) -> Result<TargetFacts, String> {
    let capabilities = store.capabilities();
    let facts = |kind, place: String, durability: &str, on_this_machine| TargetFacts {
        name: spec.name.clone(),
        kind,
        place,
        emulated: false,
        durability: durability.to_owned(),
        replicas: spec.replicas.unwrap_or(capabilities.replicas),
        ack_quorum: spec.ack.unwrap_or(capabilities.ack_quorum),
        on_this_machine,
        disks: Vec::new(),
    };
    Ok(match reach {
        Reach::Own(cluster) => {
            let spin_us = spec.nodes.as_ref().map_or(0, |nodes| nodes.spin_us);
            let place =
                format!("{} processes of this binary, one shard each, spin {spin_us} us", cluster.nodes().len());
            let disks = cluster.nodes().first().map(|node| DiskFacts::of(node.data())).into_iter().collect();
            TargetFacts { disks, ..facts(TargetKind::Nodes, place, OF_NODES, true) }
        }
        Reach::Emulated(emulated) => {
            let kind =
                if spec.emulated == Some(EmulatedKind::S3Express) { TargetKind::S3Express } else { TargetKind::S3 };
            let place = format!("{} on a server in the measuring process", emulated.shape.name);
            TargetFacts { emulated: true, ..facts(kind, place, NONE, true) }
        }
        Reach::Url(url) => {
            let mut place = url.split('?').next().unwrap_or(url).to_owned();
            let parsed = StoreUrl::parse(url).map_err(|why| why.to_string())?;
            if let StorePlace::Buckets { places, .. } = &parsed.place
                && let Some(endpoint) = &places[0].endpoint
            {
                // Another server than the vendor's: no report may take one for the other.
                let _ = write!(place, " at {endpoint}");
                return Ok(TargetFacts {
                    durability: format!("{OF_BUCKETS}; the store is the server at {endpoint}"),
                    ..facts(kind_of(places[0].kind), place, OF_BUCKETS, false)
                });
            }
            match parsed.place {
                StorePlace::Memory { .. } => facts(TargetKind::Memory, place, NONE, true),
                StorePlace::Nodes { nodes, .. } => {
                    facts(TargetKind::Nodes, place, OF_NODES, nodes.iter().all(|node| is_loopback(node)))
                }
                StorePlace::Buckets { places, .. } => match kind_of(places[0].kind) {
                    TargetKind::Directories => {
                        let disks = directories(&places);
                        TargetFacts { disks, ..facts(TargetKind::Directories, place, OF_DIRECTORIES, true) }
                    }
                    kind => facts(kind, place, OF_BUCKETS, false),
                },
            }
        }
    })
}

/// The disks that directories lie on, each once.
fn directories(places: &[BucketPlace]) -> Vec<DiskFacts> {
    let mut disks: Vec<DiskFacts> = Vec::new();
    for place in places {
        let path = Path::new("/").join(&place.prefix);
        // It may not be made yet.
        let disk = path.ancestors().find(|path| path.is_dir()).map_or_else(DiskFacts::default, DiskFacts::of);
        if !disks.iter().any(|known| known.is_same_disk(&disk)) {
            disks.push(disk);
        }
    }
    disks
}

const fn kind_of(kind: BucketKind) -> TargetKind {
    match kind {
        BucketKind::Directory => TargetKind::Directories,
        BucketKind::S3Express => TargetKind::S3Express,
        BucketKind::S3 => TargetKind::S3,
        BucketKind::Azure => TargetKind::Azure,
        BucketKind::Google => TargetKind::Google,
    }
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
