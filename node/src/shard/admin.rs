//! What the control plane may ask a shard.

use super::Shard;
use crate::store::{ChunkKey, Place, ReplayReport, StoreStatistics};
use quarry_protocol::ids::{DiskId, LogId};
use quarry_protocol::replica::LogState;
use quarry_protocol::snapshot::LossRecord;

/// A question of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminRequest {
    /// Counters and sizes.
    Statistics,
    /// Logs in order of id.
    Logs {
        /// The first id of interest.
        from: LogId,
        /// Most logs wanted.
        logs_max: u32,
    },
}

/// The answer to an [`AdminRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAnswer {
    /// To [`AdminRequest::Statistics`].
    Statistics(Box<ShardStatistics>),
    /// To [`AdminRequest::Logs`].
    Logs(Vec<LogState>),
}

/// What a shard counts. Counters start at 0 when the process does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardStatistics {
    /// The identity in force.
    pub disk: DiskId,
    /// Identities that serve reads only (P8).
    pub retired: Vec<DiskId>,
    /// Why the disk counts as failed, if it does.
    pub failed: Option<String>,
    /// Live bytes and the capacity they are measured against, while puts are refused.
    pub full: Option<(u64, u64)>,
    /// Connections now.
    pub connections: u64,
    /// Logs remembered, deleted ones included.
    pub logs: u64,
    /// Ranges of seqs known to be lost.
    pub losses: u64,
    /// Payload slots the shard holds now.
    pub slots: u64,
    /// Chunks and control entries on their way to the disk now.
    pub storing: u64,
    /// Reads in progress now.
    pub reading: u64,
    /// Reads waiting for their turn now.
    pub reads_waiting: u64,
    /// Files, space, batches.
    pub store: StoreStatistics,
    /// Why no further chunk file can be made, if that failed: most often a full file system.
    pub preparation_error: Option<String>,
    /// What the shard did since it started.
    pub counters: Counters,
    /// What the replay at start found.
    pub replay: ReplayReport,
}

/// Counters of a shard, from 0 at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Puts received.
    pub puts: u64,
    /// Payload bytes of puts received.
    pub put_bytes: u64,
    /// Puts answered "stored".
    pub puts_stored: u64,
    /// Puts and requests refused.
    pub refused: u64,
    /// Control requests received, reads included.
    pub requests: u64,
    /// Chunks sent to readers.
    pub chunks_read: u64,
    /// Chunks that turned out to be unreadable.
    pub chunks_unreadable: u64,
}

impl Shard {
    /// Every chunk that is stored here, whether it can be read or not, and where it lies.
    pub fn places(&self) -> impl Iterator<Item = (ChunkKey, Place)> + '_ {
        self.store.places()
    }

    /// Where a chunk lies that is stored here, whether it can be read or not.
    pub fn locate(&self, key: &ChunkKey) -> Option<Place> {
        self.store.locate(key)
    }

    /// Everything known to be lost.
    pub fn losses(&self) -> impl Iterator<Item = LossRecord> + '_ {
        self.replica.losses()
    }

    pub(super) fn admin(&self, request: AdminRequest) -> AdminAnswer {
        match request {
            AdminRequest::Statistics => AdminAnswer::Statistics(Box::new(self.statistics())),
            AdminRequest::Logs { from, logs_max } => {
                AdminAnswer::Logs(self.replica.log_states(from).take(logs_max as usize).collect())
            }
        }
    }

    /// What the shard counts.
    pub fn statistics(&self) -> ShardStatistics {
        let identity = self.replica.identity();
        ShardStatistics {
            disk: identity.current,
            retired: identity.retired.clone(),
            failed: self.replica.failed().map(str::to_owned),
            full: self.full,
            connections: self.connections.len() as u64,
            logs: self.replica.logs() as u64,
            losses: self.replica.losses().count() as u64,
            slots: self.slots.len() as u64,
            storing: self.replica.in_flight(),
            reading: self.reads.in_progress() as u64,
            reads_waiting: self.reads.waiting() as u64,
            store: self.store.statistics(),
            preparation_error: self.store.preparation_error().map(str::to_owned),
            counters: self.counters,
            replay: self.replay.clone(),
        }
    }
}
