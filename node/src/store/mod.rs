//! The store: how a shard's chunks and control entries get into chunk files, stay there, and leave room again.
//! Pure: it is handed what to store, says what to write, and is told what was written.

mod event;
mod index;
mod replayed;

pub use event::{Part, StoreEffect, StoreEvent};
pub use index::{ChunkKey, Cursor, Index, Place};
pub use replayed::{ReplayReport, Replayed};

use quarry_protocol::ids::{ChunkSeq, DiskId, LogId};
use quarry_protocol::replica::ToStore;
use quarry_protocol::time::Micros;
use std::collections::VecDeque;

/// What a format fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The shard's disk as formatted: named by every batch, whatever identity is in force.
    pub disk: DiskId,
    /// Size of every chunk file.
    pub file_bytes: u64,
    /// Most chunk files of this shard.
    pub files_max: u32,
}

/// The machine. See the module's documentation.
#[derive(Debug)]
pub struct Store {
    config: StoreConfig,
    now: Micros,
    index: Index,
    outbox: VecDeque<StoreEffect>,
}

impl Store {
    /// A store that goes on where a replay ended. It opens a fresh file as soon as one is ready.
    pub fn new(config: StoreConfig, replayed: Replayed) -> Self {
        Self { config, now: Micros(0), index: replayed.index, outbox: VecDeque::new() }
    }

    /// Takes something to store. `order` is dense; [`StoreEffect::Confirmed`] comes in this order. The slot of a chunk
    /// belongs to the store from here until [`StoreEffect::Release`].
    pub fn push(&mut self, now: Micros, order: u64, what: ToStore) {
        self.now = now;
        let _ = (order, what);
    }

    /// Takes one event in.
    pub fn handle(&mut self, now: Micros, event: StoreEvent<'_>) {
        self.now = now;
        let _ = event;
    }

    /// The next thing to do, until none is left. What was pushed since the last call shares one batch.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<StoreEffect> {
        self.outbox.pop_front()
    }

    /// When to call [`Self::handle`] with [`StoreEvent::Tick`] at the latest.
    pub fn poll_timeout(&self) -> Option<Micros> {
        None
    }

    /// Where a confirmed chunk lies.
    pub fn locate(&self, key: &ChunkKey) -> Option<Place> {
        self.index.get(key)
    }

    /// The floor of `log` is durable: forget what lies below.
    pub fn free(&mut self, log: LogId, below: ChunkSeq) {
        self.index.remove_below(log, below, |_| ());
    }

    /// The deletion of `log` is durable: forget its chunks.
    pub fn drop_log(&mut self, log: LogId) {
        self.free(log, ChunkSeq(u64::MAX));
    }

    /// A read of this file begins: the file is not reused before as many calls of [`Self::unpin`].
    pub fn pin(&mut self, file: u32) {
        let _ = (file, self.config);
    }

    /// A read of this file ended.
    pub fn unpin(&mut self, file: u32) {
        let _ = file;
    }

    /// Live bytes (those still queued included) and the capacity they are measured against, while puts have to be
    /// refused (D7). Changes with every push: ask after each one, before the next put is judged.
    pub fn fullness(&self) -> Option<(u64, u64)> {
        None
    }

    /// Takes `bytes` for a catch-up read out of the budget that background work shares (D2), or says when to ask
    /// again.
    pub fn take_background(&mut self, now: Micros, bytes: u64) -> Result<(), Micros> {
        let _ = (now, bytes);
        Ok(())
    }

    /// Whether everything pushed is confirmed and marked: a clean stop may end the process now.
    pub fn is_settled(&self) -> bool {
        true
    }

    /// Why the disk counts as failed, if it does.
    pub fn failed(&self) -> Option<&str> {
        None
    }
}
