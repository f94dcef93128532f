//! The store: how a shard's chunks and control entries get into chunk files, stay there, and leave room again.
//! Pure: it is handed what to store, says what to write, and is told what was written.
//!
//! ```text
//!  push ─> queue ─> write (a batch, D1) ─> Write ··· Written ─> confirm (in order, D4) ─> Confirmed, index
//!                     ▲      │ open_file, room: snapshot, index, footer (D5)
//!            copying ─┘      └─ files: Ready ─> Open ─> Closed ─> Freed ─> Ready (D7); prepare makes new ones (D2)
//!  scrub reads everything again and says what is damaged (D6)
//! ```
//! What is deliberately absent: payload bytes (slots stand for them, copies apart), answers to anybody (that is the
//! replica's part), and any second place where durable state is written.

mod budget;
mod chunk_log;
mod confirm;
mod copying;
mod data_batch;
mod event;
mod files;
pub mod first_file;
mod flights;
mod index;
mod invariants;
mod losing;
pub mod manifest;
mod open_file;
mod pace;
mod prepare;
mod provenance;
pub mod replay;
mod replayed;
mod room;
mod scrub;
mod small_state;
mod space;
mod statistics;
pub mod superblock;
mod sweep;
#[cfg(test)]
mod tests;
mod write;

pub use event::{Part, StoreEffect, StoreEvent};
pub use index::{ChunkKey, Cursor, Index, Place};
pub use replayed::{ReplayReport, Replayed};
pub use statistics::{ScrubStatistics, StoreStatistics};

use budget::Budget;
use copying::Copying;
use files::Files;
use flights::Flights;
use open_file::OpenFile;
use pace::WRITE_LOOK_US_MAX;
use prepare::Preparing;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::limits::{
    CHUNK_HEADER_BYTES, FILE_BYTES_MAX, FILE_BYTES_MIN, FILES_PER_SHARD_MAX, FILES_PER_SHARD_MIN,
};
use quarry_protocol::ranges::SeqRanges;
use quarry_protocol::replica::ToStore;
use quarry_protocol::snapshot::{LogRecord, Record};
use quarry_protocol::time::Micros;
use scrub::Scrub;
use small_state::SmallState;
use statistics::Counted;
use std::collections::{BTreeMap, VecDeque};

/// What a format fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The shard's disk as formatted: named by every batch, whatever identity is in force.
    pub disk: DiskId,
    /// Size of every chunk file, in bytes: whole blocks.
    pub file_bytes: u64,
    /// Most chunk files of this shard.
    pub files_max: u32,
    /// What the clock on the wall shows at [`Micros`] 0, in Unix seconds. For people: no rule rests on it.
    pub wall_clock_at_zero_s: u64,
    /// Within how long scrub reads again all that lives, in microseconds; none if it is off.
    pub scrub_period_us: Option<u64>,
}

/// The machine. See the module's documentation.
#[derive(Debug)]
pub struct Store {
    config: StoreConfig,
    now: Micros,
    /// Time that passed while somebody watched: what a pause of the whole process adds is bounded.
    watched: Micros,
    index: Index,
    /// Durable floors, those of deleted logs at the end of all seqs: a chunk that is confirmed late is dead below.
    floors: BTreeMap<LogId, ChunkSeq>,
    state: SmallState,
    files: Files,
    next_incarnation: u64,
    open: Option<OpenFile>,
    /// The batch that ends the opening snapshot of this start, once it is scheduled.
    opened: Option<u64>,
    queue: VecDeque<(u64, ToStore)>,
    /// Stored bytes in `queue`, and slots.
    queue_bytes: u64,
    queued_slots: usize,
    /// What the chunks that are not confirmed yet will cost.
    pending_bytes: u64,
    pushed_order: u64,
    pushed_at: Micros,
    confirmed_order: u64,
    flights: Flights,
    /// The last batch that is more than a mark.
    last_content: u64,
    /// The highest mark that is confirmed itself.
    marked: u64,
    /// When something was confirmed last.
    quiet_since: Micros,
    copying: Copying,
    scrub: Scrub,
    /// Token of the last read begun in the background.
    last_read: u64,
    preparing: Preparing,
    budget: Budget,
    full: bool,
    stopping: bool,
    failed: Option<String>,
    statistics: Counted,
    outbox: VecDeque<StoreEffect>,
}

impl Store {
    /// A store that goes on where a replay ended. It opens a fresh file as soon as one is ready.
    ///
    /// # Panics
    /// If the configuration is out of bounds, or if what was replayed contradicts itself.
    pub fn new(config: StoreConfig, replayed: Replayed) -> Self {
        check_config(&config);
        let Replayed { index, files, free_files, quarantined, logs, identities, losses, next_batch, scrub, .. } =
            replayed;
        assert!(next_batch > 0, "batches are numbered from 1");
        let mut table = Files::new(&files, &free_files, &quarantined);
        for (_, place) in index.iter() {
            table.add_live(place);
        }
        let confirmed = next_batch - 1;
        table.free_all_dead(confirmed);
        table.close_left_open(config.wall_clock_at_zero_s);
        let floor = |deleted, floor| if deleted > Epoch(0) { ChunkSeq(u64::MAX) } else { floor };
        let floors = logs.iter().map(|log| (log.record.log, floor(log.record.deleted, log.record.floor)));
        let floors = floors.filter(|(_, floor)| *floor > ChunkSeq(0)).collect();
        let records = logs.iter().map(|log| {
            let fence = log.segments.iter().map(|segment| segment.segment.epoch).max().unwrap_or_default();
            LogRecord { fence: fence.max(log.record.fence), ..log.record }
        });
        let mut store = Self {
            config,
            now: Micros(0),
            watched: Micros(0),
            state: SmallState::new(records, &losses, &identities, scrub),
            index,
            floors,
            files: table,
            next_incarnation: replayed.next_incarnation,
            open: None,
            opened: None,
            queue: VecDeque::new(),
            queue_bytes: 0,
            queued_slots: 0,
            pending_bytes: 0,
            pushed_order: 0,
            pushed_at: Micros(0),
            confirmed_order: 0,
            flights: Flights::new(next_batch),
            last_content: confirmed,
            marked: 0,
            quiet_since: Micros(0),
            copying: Copying::default(),
            scrub: Scrub::new(config.scrub_period_us, scrub, config.wall_clock_at_zero_s),
            last_read: 0,
            preparing: Preparing::default(),
            budget: Budget::new(),
            full: false,
            stopping: false,
            failed: None,
            statistics: Counted::default(),
            outbox: VecDeque::new(),
        };
        store.update_fullness();
        store.invariants();
        store
    }

    /// Takes something to store. `order` is dense, from 1; [`StoreEffect::Confirmed`] comes in this order. The slot of
    /// a chunk belongs to the store from here until [`StoreEffect::Release`]. After a failure nothing is stored.
    ///
    /// # Panics
    /// If `order` is not the next one.
    pub fn push(&mut self, now: Micros, order: u64, what: ToStore) {
        self.pass_time(now);
        assert!(order == self.pushed_order + 1, "order {order} follows {}", self.pushed_order);
        self.pushed_order = order;
        self.pushed_at = self.now;
        let chunk = match what {
            ToStore::Chunk { header, slot } => Some((header, slot)),
            ToStore::Control(_) => None,
        };
        if self.failed.is_some() {
            self.outbox.extend(chunk.map(|(_, slot)| StoreEffect::Release { slot }));
            return;
        }
        self.queue.push_back((order, what));
        self.queue_bytes += chunk.map_or(CHUNK_HEADER_BYTES as u64, |(header, _)| u64::from(header.stored_bytes()));
        if let Some((header, _)) = chunk {
            self.queued_slots += 1;
            self.pending_bytes += room::cost(header.length);
            self.update_fullness();
        }
        self.invariants();
    }

    /// Takes one event in.
    ///
    /// # Panics
    /// If the event ends something that was not begun.
    pub fn handle(&mut self, now: Micros, event: StoreEvent<'_>) {
        self.pass_time(now);
        match event {
            StoreEvent::Written { number, result } => self.written(number, result),
            StoreEvent::Prepared { file, result } => self.prepared(file, result),
            StoreEvent::CopyRead { token, result } => {
                if !self.scrub_read(token, &result) {
                    self.copy_read(token, &result);
                }
            }
            StoreEvent::Tick => {}
            StoreEvent::Stop => self.stopping = true,
        }
        self.check_slow_writes();
        self.update_fullness();
        self.invariants();
    }

    /// The next thing to do, until none is left. What was pushed since the last call shares one batch.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<StoreEffect> {
        while self.outbox.is_empty() && self.failed.is_none() {
            if !(self.write_next() || self.copy_next() || self.prepare_next() || self.scrub_next()) {
                break;
            }
        }
        self.outbox.pop_front()
    }

    /// When to call [`Self::handle`] with [`StoreEvent::Tick`] at the latest.
    pub fn poll_timeout(&self) -> Option<Micros> {
        if self.failed.is_some() {
            return None;
        }
        let due = [self.slow_at(), self.mark_at(), self.prepare_at(), self.copying.due_at(), self.scrub.due_at()];
        due.into_iter().flatten().min()
    }

    fn pass_time(&mut self, now: Micros) {
        self.watched = self.watched.plus(now.since(self.now).min(WRITE_LOOK_US_MAX));
        self.now = self.now.max(now);
    }

    /// The clock on the wall, in Unix seconds, as far as the start knew it.
    fn wall_clock_s(&self) -> u64 {
        self.config.wall_clock_at_zero_s + self.now.0 / 1_000_000
    }

    /// Where a confirmed chunk lies. Pin the file before reading.
    pub fn locate(&self, key: &ChunkKey) -> Option<Place> {
        self.index.get(key)
    }

    /// Every confirmed chunk, and where it lies.
    pub fn places(&self) -> impl Iterator<Item = (ChunkKey, Place)> + '_ {
        self.index.iter()
    }

    /// The floor of `log` is durable: forget what lies below.
    pub fn free(&mut self, log: LogId, below: ChunkSeq) {
        self.forget_below(log, below);
        self.update_fullness();
        self.invariants();
    }

    /// These seqs of a segment are not needed here, by a record that says so (P13). Nothing of them is on its way.
    pub fn free_segment(&mut self, log: LogId, segment: SegmentId, seqs: &SeqRanges) {
        for (from, to) in seqs.iter() {
            let found: Vec<_> = self.index.range(log, segment, from, to).map(|(seq, _)| seq).collect();
            for seq in found {
                let place = self.index.remove(&ChunkKey { log, segment, seq });
                self.forget(place.expect("it was just found"));
            }
        }
        self.update_fullness();
        self.invariants();
    }

    /// The deletion of `log` is durable: forget its chunks, those still on their way included.
    pub fn drop_log(&mut self, log: LogId) {
        self.free(log, ChunkSeq(u64::MAX));
    }

    /// A read of this file begins: the file is not reused before as many calls of [`Self::unpin`].
    pub fn pin(&mut self, file: u32) {
        self.files.pin(file);
    }

    /// A read of this file ended.
    pub fn unpin(&mut self, file: u32) {
        self.files.unpin(file);
        self.files.reuse(file, self.flights.confirmed());
    }

    /// Live bytes (those still queued included) and the capacity they are measured against, while puts have to be
    /// refused (D7). Changes with every push: ask after each one, before the next put is judged.
    pub fn fullness(&self) -> Option<(u64, u64)> {
        self.full.then(|| (self.live_bytes(), self.capacity()))
    }

    /// Takes `bytes` for a catch-up read out of the budget that background work shares (D2), or says when to ask
    /// again. Free while nothing is appended.
    pub fn take_background(&mut self, now: Micros, bytes: u64) -> Result<(), Micros> {
        self.pass_time(now);
        if self.is_idle() {
            self.budget.spend(bytes);
            return Ok(());
        }
        self.budget.take(self.now, bytes)
    }

    /// Whether everything pushed is confirmed and marked, or never will be: a clean stop may end the process now.
    pub fn is_settled(&self) -> bool {
        let nothing_left = self.queue.is_empty() && self.flights.is_empty() && self.mark_at().is_none();
        self.failed.is_some() || nothing_left
    }

    /// Whether the snapshot of this start is confirmed: what a replay found is durable again.
    pub fn is_open(&self) -> bool {
        self.opened.is_some_and(|batch| batch <= self.flights.confirmed())
    }

    /// Why the disk counts as failed, if it does.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// What the next snapshot will say of logs, losses, identities and files (D5).
    pub fn small_state(&self) -> Vec<Record> {
        self.state.to_records().chain(self.files.to_records().map(Record::File)).collect()
    }
}

fn check_config(config: &StoreConfig) {
    let StoreConfig { file_bytes, files_max, .. } = *config;
    let in_bounds = (FILE_BYTES_MIN..=FILE_BYTES_MAX).contains(&file_bytes)
        && file_bytes.is_multiple_of(u64::from(quarry_protocol::limits::BLOCK_BYTES));
    assert!(in_bounds, "chunk files of {file_bytes} bytes");
    let enough = (FILES_PER_SHARD_MIN..=FILES_PER_SHARD_MAX as u64).contains(&u64::from(files_max));
    assert!(enough, "{files_max} chunk files");
}
