//! The store in this process's memory: the same replica machine, quorum code and register interface as over storage
//! nodes, without disks or sockets. For tests, examples, and trying things out; nothing survives the process.

mod cluster;
mod link;
mod node;
mod shelf;

use crate::capabilities::Tier;
use crate::cluster::Tiers;
use crate::quorum_store::{QuorumStore, StoreDefaults};
use crate::register::{MemoryRegister, Register};
use cluster::MemoryCluster;
use node::MemoryNode;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How many replicas a memory store has, each in a zone of its own.
pub const MEMORY_REPLICAS: usize = 3;

/// A store in memory, with the means to hurt its replicas.
///
/// ```
/// use quarry_client::memory::MemoryStore;
/// use quarry_client::{ChunkStore, OpenOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = MemoryStore::new();
/// let writer = memory.store().open("a", OpenOptions::default()).await?.writer;
/// memory.kill(0); // two of three are a quorum
/// let receipt = writer.append("still committed".into()).await?.await?;
/// assert_eq!(receipt.seq.0, 0);
/// # Ok(()) }
/// ```
pub struct MemoryStore {
    nodes: Vec<Arc<MemoryNode>>,
    register: Arc<MemoryRegister>,
}

impl MemoryStore {
    /// A fresh store with [`MEMORY_REPLICAS`] replicas.
    #[must_use]
    pub fn new() -> Self {
        Self::with_replicas(MEMORY_REPLICAS)
    }

    /// A fresh store with `replicas` replicas, in zones `a`, `b` and so on.
    #[must_use]
    pub fn with_replicas(replicas: usize) -> Self {
        let zones = ('a'..='z').take(replicas).map(|zone| Arc::new(MemoryNode::new(zone.to_string())));
        Self { nodes: zones.collect(), register: Arc::new(MemoryRegister::new()) }
    }

    /// The store that `memory://name` means: made by the first call, shared by all of this process.
    #[must_use]
    pub fn named(name: &str) -> Arc<Self> {
        static NAMED: OnceLock<Mutex<BTreeMap<String, Arc<MemoryStore>>>> = OnceLock::new();
        let mut named = NAMED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(named.entry(name.to_owned()).or_insert_with(|| Arc::new(Self::new())))
    }

    /// A client of the store, as another process would have one over sockets.
    #[must_use]
    pub fn store(&self) -> QuorumStore {
        self.store_with(StoreDefaults::for_replicas(self.nodes.len().min(MEMORY_REPLICAS)))
    }

    /// A client whose opens use other defaults.
    #[must_use]
    pub fn store_with(&self, defaults: StoreDefaults) -> QuorumStore {
        self.store_through(self.register(), defaults)
    }

    /// A client that reaches the register in a way of its own, such as one that fails now and then.
    #[must_use]
    pub fn store_through(&self, register: Arc<dyn Register>, defaults: StoreDefaults) -> QuorumStore {
        let zones = self.nodes.iter().map(|node| node.zone().to_owned()).collect();
        let cluster = Arc::new(Tiers::on_nodes(Arc::new(MemoryCluster::new(self.nodes.clone()))));
        QuorumStore::new(cluster, register, zones, defaults, Tier::MEMORY)
    }

    /// The records of its logs.
    #[must_use]
    pub fn register(&self) -> Arc<dyn Register> {
        Arc::clone(&self.register) as _
    }

    /// How many replicas there are.
    #[must_use]
    pub fn replicas(&self) -> usize {
        self.nodes.len()
    }

    /// Cuts every connection to a replica and refuses new ones. What it stored stays.
    pub fn kill(&self, replica: usize) {
        self.nodes[replica].kill();
    }

    /// Lets a killed replica be reached again, with everything it had acknowledged.
    pub fn restart(&self, replica: usize) {
        self.nodes[replica].restart();
    }

    /// Makes a replica do nothing, as a stopped process would: what is sent to it waits.
    pub fn pause(&self, replica: usize) {
        self.nodes[replica].pause();
    }

    /// Lets a paused replica go on, with what waited.
    pub fn resume(&self, replica: usize) {
        self.nodes[replica].resume();
    }

    /// Replaces a replica's disk: everything it held is gone, and it is a new identity under the old address (P14).
    pub fn wipe(&self, replica: usize) {
        self.nodes[replica].wipe();
    }

    /// Loses one chunk on one replica, as a checksum error found by a disk would. Returns whether it was there.
    pub fn lose_chunk(
        &self,
        replica: usize,
        log: quarry_protocol::ids::LogId,
        seq: quarry_protocol::ids::ChunkSeq,
    ) -> bool {
        self.nodes[replica].lose_chunk(log, seq)
    }

    /// How many chunks a replica holds, of all logs.
    #[must_use]
    pub fn chunks_held(&self, replica: usize) -> usize {
        self.nodes[replica].chunks_held()
    }

    /// How many puts wait at a paused replica.
    #[must_use]
    pub fn puts_waiting(&self, replica: usize) -> usize {
        self.nodes[replica].puts_waiting()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}
