//! What the store counts, for operators.

use super::Store;
use super::files::FileState;

/// Numbers of one shard's store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StoreStatistics {
    /// Chunks that can be read.
    pub chunks: u64,
    /// An estimate of the memory that the index takes, in bytes.
    pub index_bytes: u64,
    /// Live bytes, those still queued included.
    pub live_bytes: u64,
    /// What live bytes are measured against.
    pub capacity_bytes: u64,
    /// Whether puts are refused for want of space.
    pub full: bool,
    /// Chunk files that exist, in any state.
    pub files: u64,
    /// Files that may be overwritten at once.
    pub files_ready: u64,
    /// Files that hold live chunks, the open one included.
    pub files_live: u64,
    /// Files set aside because something in them cannot be read.
    pub files_set_aside: u64,
    /// Batches written since the start.
    pub batches: u64,
    /// Bytes of these batches on disk.
    pub batch_bytes: u64,
    /// Payload bytes copied forward since the start.
    pub copied_bytes: u64,
    /// Files emptied by copying since the start.
    pub copied_files: u64,
    /// Chunks found to be unreadable by copying since the start.
    pub lost_chunks: u64,
    /// The last batch confirmed.
    pub confirmed_batch: u64,
}

/// What is counted as it happens; the rest is looked up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) batches: u64,
    pub(super) batch_bytes: u64,
    pub(super) copied_bytes: u64,
    pub(super) copied_files: u64,
    pub(super) lost_chunks: u64,
}

impl Store {
    /// The numbers as of now.
    pub fn statistics(&self) -> StoreStatistics {
        let Counted { batches, batch_bytes, copied_bytes, copied_files, lost_chunks } = self.statistics;
        StoreStatistics {
            chunks: self.index.len(),
            index_bytes: self.index.memory_bytes(),
            live_bytes: self.live_bytes(),
            capacity_bytes: self.capacity(),
            full: self.full,
            files: self.files.len() as u64,
            files_ready: self.files.count(FileState::Ready) as u64,
            files_live: (self.files.count(FileState::Open) + self.files.count(FileState::Closed)) as u64,
            files_set_aside: self.files.set_aside() as u64,
            batches,
            batch_bytes,
            copied_bytes,
            copied_files,
            lost_chunks,
            confirmed_batch: self.flights.confirmed(),
        }
    }

    /// Why no further file can be made, if that failed: most often a full file system.
    pub fn preparation_error(&self) -> Option<&str> {
        self.preparing.blocked()
    }
}
