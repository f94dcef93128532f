//! A [`ChunkStore`] made of a cluster of replicas and a register: the one implementation behind every backend, whatever
//! its replicas are.

use crate::bucket::TellingRegister;
use crate::capabilities::{Capabilities, Tier};
use crate::chunk_store::{ChunkStore, ChunkStream, Deleted, OpenOptions, Opened, ReadOptions, ReadRange, Tail};
use crate::cluster::Cluster;
use crate::connect::connect_to_tier;
use crate::error::{ConnectError, DeleteError, InspectError, ListError, OpenError, ReadError, TailError, TrimError};
use crate::gather::{GatherError, Gathered, gather};
use crate::inspection::Inspection;
use crate::receipt::{self, DurabilityReceipt};
use crate::register::Register;
use crate::repair::{self, LogImpact, Orphan, RepairOptions, Repairs};
use crate::trim::Trims;
use crate::{delete, inspect, list, open, reader, tail, trim};
use async_trait::async_trait;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::{WINDOW_BYTES_DEFAULT, WINDOW_CHUNKS_DEFAULT};
use quarry_protocol::record::{LogRecord, ReplicaRef, Window};
use quarry_protocol::repair::{RepairFailure, RepairProgress, RepairReport};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What an open gets that does not ask for anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreDefaults {
    /// How many replicas new chunks get.
    pub replicas: usize,
    /// How many of them commit a chunk.
    pub ack_quorum: usize,
    /// The writer's window.
    pub window: Window,
}

impl StoreDefaults {
    /// The majority of `replicas`, and the default window.
    #[must_use]
    pub const fn for_replicas(replicas: usize) -> Self {
        let window = Window { chunks: WINDOW_CHUNKS_DEFAULT, bytes: WINDOW_BYTES_DEFAULT };
        Self { replicas, ack_quorum: replicas / 2 + 1, window }
    }
}

/// What every operation works with.
pub(crate) struct Parts {
    pub(crate) cluster: Arc<dyn Cluster>,
    pub(crate) register: Arc<dyn Register>,
    pub(crate) defaults: StoreDefaults,
    pub(crate) trims: Trims,
    pub(crate) repairs: Repairs,
    zones: Vec<String>,
    tier: Tier,
}

/// Logs on a cluster of replicas. Cheap to clone.
#[derive(Clone)]
pub struct QuorumStore {
    parts: Arc<Parts>,
}

impl QuorumStore {
    /// A store on the replicas of `cluster`, with its logs' records in `register`. `zones` are those that the cluster is
    /// known to have.
    #[must_use]
    pub fn new(
        cluster: Arc<dyn Cluster>,
        register: Arc<dyn Register>,
        zones: Vec<String>,
        defaults: StoreDefaults,
        tier: Tier,
    ) -> Self {
        let (trims, repairs) = (Trims::default(), Repairs::default());
        let register = Arc::new(TellingRegister { register, cluster: Arc::clone(&cluster) });
        Self { parts: Arc::new(Parts { cluster, register, defaults, trims, repairs, zones, tier }) }
    }

    /// The same logs, with new segments on the tier that `url` names: an open of it moves a log there. `url` names no register.
    pub async fn on_tier(&self, url: &str) -> Result<Self, ConnectError> {
        let (cluster, register) = (Arc::clone(&self.parts.cluster), Arc::clone(&self.parts.register));
        Ok(connect_to_tier(cluster.as_ref(), url).await?.store(cluster, register))
    }

    /// Brings the log's sealed segments that lie on other tiers to this one, at most `bytes_per_s` fast: copies them, verified, and
    /// puts the copies on record. `progress` is told how far it is. Dropping the future stops it where it stands, and another one
    /// goes on from there. What lay elsewhere is freed on nodes as anything that no record names; buckets keep it.
    pub async fn gather(
        &self,
        name: &str,
        bytes_per_s: u64,
        progress: &mut (dyn FnMut(&Gathered) + Send),
    ) -> Result<Gathered, GatherError> {
        gather(&self.parts, name, bytes_per_s, progress).await
    }

    /// Waits until what was trimmed and deleted is gone from buckets, as far as this client deletes it in the background: a
    /// process that ends before leaves the rest behind, until the log's next trim. Does not end while a writer is open.
    pub async fn settle(&self) {
        self.parts.cluster.settle().await;
    }

    /// Who holds each range of a log, since when, and when it was verified last. Changes nothing and fences nobody.
    pub async fn receipt(&self, name: &str) -> Result<DurabilityReceipt, InspectError> {
        receipt::receipt(&self.parts, name).await
    }

    /// Makes the copies of a log's sealed segments whole again (P16); `progress` is told how far it is. Dropping the future
    /// stops the repair where it stands, and another one goes on from there.
    pub async fn repair(
        &self,
        name: &str,
        options: &RepairOptions,
        progress: &mut (dyn FnMut(RepairProgress) + Send),
    ) -> Result<RepairReport, RepairFailure> {
        repair::repair(&self.parts, name, options, progress).await
    }

    /// Copies that no record needs; frees those that may be freed (P13) and were idle for `grace`, if one is given. Fails if the
    /// register does not answer.
    pub async fn orphans(&self, grace: Option<Duration>) -> Result<Vec<Orphan>, String> {
        repair::orphans(&self.parts, grace).await
    }

    /// What would happen to each log without the replicas that `goes` names. Fails if the register does not answer.
    pub async fn impact_without(&self, goes: &(dyn Fn(&ReplicaRef) -> bool + Sync)) -> Result<Vec<LogImpact>, String> {
        repair::without(&self.parts, goes).await
    }

    /// The records of logs with segments on the replicas that `named` names, each with those segments only.
    pub async fn records_naming(&self, named: &(dyn Fn(&ReplicaRef) -> bool + Sync)) -> Result<Vec<LogRecord>, String> {
        repair::naming(&self.parts, named).await
    }
}

#[cfg(test)]
impl QuorumStore {
    pub(crate) fn parts(&self) -> Arc<Parts> {
        Arc::clone(&self.parts)
    }
}

#[async_trait]
impl ChunkStore for QuorumStore {
    async fn open(&self, name: &str, options: OpenOptions) -> Result<Opened, OpenError> {
        open::open(&self.parts, name, &options).await
    }

    async fn read(&self, name: &str, range: ReadRange, options: ReadOptions) -> Result<ChunkStream, ReadError> {
        reader::read(&self.parts, name, range, options).await
    }

    async fn tail(&self, name: &str) -> Result<Tail, TailError> {
        tail::tail(&self.parts, name).await
    }

    async fn trim(&self, name: &str, below: ChunkSeq) -> Result<ChunkSeq, TrimError> {
        trim::trim(&self.parts, name, below).await
    }

    async fn delete(&self, name: &str) -> Result<Deleted, DeleteError> {
        delete::delete(&self.parts, name).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ListError> {
        list::list(&self.parts, prefix).await
    }

    async fn inspect(&self, name: &str) -> Result<Inspection, InspectError> {
        inspect::inspect(&self.parts, name).await
    }

    fn capabilities(&self) -> Capabilities {
        let StoreDefaults { replicas, ack_quorum, .. } = self.parts.defaults;
        Capabilities::of_quorum(self.parts.zones.clone(), replicas, ack_quorum, self.parts.tier)
    }
}

impl fmt::Debug for QuorumStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuorumStore")
            .field("zones", &self.parts.zones)
            .field("defaults", &self.parts.defaults)
            .finish_non_exhaustive()
    }
}
