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
    /// Chunks found to be unreadable by copying and scrub since the start.
    pub lost_chunks: u64,
    /// How scrub is getting on.
    pub scrub: ScrubStatistics,
    /// The last batch confirmed.
    pub confirmed_batch: u64,
}

/// How one shard's scrub is getting on. Times are Unix seconds of the node's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ScrubStatistics {
    /// Whether it is on.
    pub on: bool,
    /// Whether a pass is under way.
    pub under_way: bool,
    /// When the present pass, or the last one, began; 0 if none has.
    pub began_at_s: u64,
    /// When the last whole pass ended; 0 if none has.
    pub ended_at_s: u64,
    /// Live bytes of the files that the pass is done with.
    pub done_bytes: u64,
    /// Live bytes of all the files that it goes through.
    pub pass_bytes: u64,
    /// Chunks that the present pass, or the last one if none is under way, found to be damaged.
    pub damaged_in_pass: u64,
    /// Chunks that the pass before it did.
    pub damaged_before: u64,
    /// Chunks verified since the start.
    pub chunks: u64,
    /// Payload bytes of these.
    pub bytes: u64,
    /// Chunks found to be damaged since the start.
    pub damaged: u64,
}

/// What is counted as it happens; the rest is looked up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) batches: u64,
    pub(super) batch_bytes: u64,
    pub(super) copied_bytes: u64,
    pub(super) copied_files: u64,
    pub(super) lost_chunks: u64,
    pub(super) scrubbed_chunks: u64,
    pub(super) scrubbed_bytes: u64,
    pub(super) scrub_damaged: u64,
}

impl Store {
    /// The numbers as of now.
    pub fn statistics(&self) -> StoreStatistics {
        let Counted { batches, batch_bytes, copied_bytes, copied_files, lost_chunks, .. } = self.statistics;
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
            scrub: self.scrub_statistics(),
            confirmed_batch: self.flights.confirmed(),
        }
    }

    fn scrub_statistics(&self) -> ScrubStatistics {
        let progress = self.scrub.progress();
        let (done_bytes, pass_bytes) = self.scrubbed();
        ScrubStatistics {
            on: self.scrub.is_on(),
            under_way: progress.is_under_way(),
            began_at_s: progress.began_at_s,
            ended_at_s: progress.ended_at_s,
            done_bytes,
            pass_bytes,
            damaged_in_pass: u64::from(progress.damaged),
            damaged_before: u64::from(progress.damaged_before),
            chunks: self.statistics.scrubbed_chunks,
            bytes: self.statistics.scrubbed_bytes,
            damaged: self.statistics.scrub_damaged,
        }
    }

    /// Why no further file can be made, if that failed: most often a full file system.
    pub fn preparation_error(&self) -> Option<&str> {
        self.preparing.blocked()
    }
}
