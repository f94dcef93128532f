//! What a replay found, or what a format begins with: everything a [`super::Store`] and a replica start from.

use super::Index;
use quarry_protocol::ids::DiskId;
use quarry_protocol::replica::{Identity, RestoredLog};
use quarry_protocol::snapshot::{FileRecord, IdentityRecord, LossRecord, ScrubRecord};

/// The durable state of a shard, believed and synced (D5).
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// Where every believed chunk lies. Chunks below their log's floor and of deleted logs are not in it.
    pub index: Index,
    /// Every file that the newest snapshot lists, or that was opened after it, and that can be read: with its last
    /// *believed* batch. None of them is ever appended to again.
    pub files: Vec<FileRecord>,
    /// Files that exist, are full size and are not listed: ready to be overwritten.
    pub free_files: Vec<u32>,
    /// Files that must neither be trusted nor overwritten; snapshots go on listing them as they are. Usually none.
    pub quarantined: Vec<FileRecord>,
    /// What the replica starts from. The records are also the store's small state.
    pub logs: Vec<RestoredLog>,
    /// Every identity of this shard's disk; exactly one is not retired.
    pub identities: Vec<IdentityRecord>,
    /// Every known loss, those found by this replay included.
    pub losses: Vec<LossRecord>,
    /// How far scrub had come, if it ever began.
    pub scrub: Option<ScrubRecord>,
    /// The number of the first batch to be written: one past the last believed one.
    pub next_batch: u64,
    /// The incarnation of the first file to be opened: above every one ever used.
    pub next_incarnation: u64,
    /// What to tell the operator.
    pub report: ReplayReport,
}

/// What a replay did and found, in numbers and sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReplayReport {
    /// Live files.
    pub files: u64,
    /// Live files that had no index and were scanned.
    pub files_scanned: u64,
    /// Chunks in the index.
    pub chunks: u64,
    /// Logs known, deleted ones included.
    pub logs: u64,
    /// Batches at the end that were never confirmed and were dropped (D4: torn, never acknowledged).
    pub torn_batches: u64,
    /// Seqs newly found to be lost (D4: rot).
    pub lost_chunks: u64,
    /// The identity that this replay retired, if it could not say what was lost (P8, D6).
    pub retired: Option<DiskId>,
    /// What an operator should know, one sentence each.
    pub notes: Vec<String>,
}

impl Replayed {
    /// What a freshly formatted shard begins with.
    #[must_use]
    pub fn fresh(disk: DiskId) -> Self {
        Self {
            identities: vec![IdentityRecord { disk, since: 1, retired: false }],
            next_batch: 1,
            next_incarnation: 1,
            ..Self::default()
        }
    }

    /// The names the replica goes by.
    ///
    /// # Panics
    /// If not exactly one identity is in force.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let (retired, current): (Vec<_>, Vec<IdentityRecord>) =
            self.identities.iter().partition(|identity| identity.retired);
        assert!(current.len() == 1, "{} identities are in force instead of one", current.len());
        Identity { current: current[0].disk, retired: retired.iter().map(|identity| identity.disk).collect() }
    }
}
