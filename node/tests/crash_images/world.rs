//! A store on the simulated disk, and the books of what was told to whom.

use crate::disk::{DISK, Disk, FILE_BYTES, InFlight};
use crate::numbers::Numbers;
use quarry_node::store::{ChunkKey, Part, Place, Replayed, Store, StoreConfig, StoreEffect, StoreEvent};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use quarry_protocol::limits::CHUNK_HEADER_BYTES;
use quarry_protocol::replica::{Slot, ToStore};
use quarry_protocol::snapshot::{LogRecord, Record};
use quarry_protocol::time::Micros;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const FILES_MAX: u32 = 8;

pub(crate) fn log(number: u8) -> LogId {
    LogId([number; 16])
}

pub(crate) fn key(number: u8, epoch: u64, seq: u64) -> ChunkKey {
    let segment = SegmentId { epoch: Epoch(epoch), index: 0 };
    ChunkKey { log: log(number), segment, seq: ChunkSeq(seq) }
}

/// P1: a seq of a segment has one content, for ever.
fn payload(key: &ChunkKey, bytes: u32) -> Vec<u8> {
    let mut numbers = Numbers::new(key.seq.0 ^ u64::from(key.log.0[0]) << 40 ^ key.segment.epoch.0 << 50);
    let first = numbers.below(256) as u8;
    (0..bytes).map(|at| first.wrapping_add((at ^ at >> 8) as u8).wrapping_mul(5)).collect()
}

#[derive(Clone, Copy, Debug)]
enum Pushed {
    Chunk(ChunkKey),
    Control(LogRecord),
}

/// What everybody was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    /// Every chunk that may be on the disk, and its length.
    written: BTreeMap<ChunkKey, u32>,
    /// Those that were confirmed.
    pub(crate) confirmed: BTreeSet<ChunkKey>,
    /// Those of which a replay said that they are not there, and that were not stored again.
    never: BTreeSet<ChunkKey>,
    /// Small state, confirmed and pushed.
    confirmed_logs: BTreeMap<LogId, LogRecord>,
    pushed_logs: BTreeMap<LogId, LogRecord>,
}

pub(crate) struct World {
    pub(crate) disk: Disk,
    pub(crate) store: Store,
    pub(crate) books: Books,
    now: Micros,
    order: u64,
    confirmed: u64,
    pushed: BTreeMap<u64, Pushed>,
    slots: BTreeMap<Slot, Vec<u8>>,
    next_slot: u32,
    /// Files that are being made, and whether the step in progress gives one its name.
    preparing: BTreeMap<u32, bool>,
    reads: Vec<(u64, u32, u64, u32)>,
}

impl World {
    /// A store on a formatted disk.
    pub(crate) fn formatted() -> Self {
        let mut disk = Disk::formatted();
        let replayed = disk.replay().expect("a formatted disk replays");
        Self::start(disk, Books::default(), replayed)
    }

    /// Another world with the same disk and books, to be crashed: a store does not outlive that.
    pub(crate) fn copy(&self) -> Self {
        Self { disk: self.disk.clone(), books: self.books.clone(), ..Self::formatted() }
    }

    fn start(disk: Disk, books: Books, replayed: Replayed) -> Self {
        let config = StoreConfig {
            disk: DISK,
            file_bytes: FILE_BYTES,
            files_max: FILES_MAX,
            wall_clock_at_zero_s: 1_700_000_000,
            scrub_period_us: None,
        };
        Self {
            disk,
            store: Store::new(config, replayed),
            books,
            now: Micros(1_000_000),
            order: 0,
            confirmed: 0,
            pushed: BTreeMap::new(),
            slots: BTreeMap::new(),
            next_slot: 0,
            preparing: BTreeMap::new(),
            reads: Vec::new(),
        }
    }

    /// Replays what the crash left, checks it against the books, and starts a store on it.
    pub(crate) fn restart(self, what: &str) -> Self {
        let Self { mut disk, mut books, .. } = self;
        let replayed = disk.replay().unwrap_or_else(|why| panic!("{what}: {why}"));
        books.check(&disk, &replayed, what);
        Self::start(disk, books, replayed)
    }

    /// Puts a chunk, unless the store takes none.
    pub(crate) fn put(&mut self, key: ChunkKey, bytes: u32) -> bool {
        if self.store.fullness().is_some() {
            return false;
        }
        let bytes = *self.books.written.entry(key).or_insert(bytes);
        let payload = payload(&key, bytes);
        let header = ChunkHeader {
            log: key.log,
            segment: key.segment,
            seq: key.seq,
            watermark: ChunkSeq(0),
            length: bytes,
            payload_crc: crc32c::crc32c(&payload),
            digest: Digest::default(),
        };
        let slot = Slot(self.next_slot);
        self.next_slot += 1;
        self.slots.insert(slot, payload);
        self.books.never.remove(&key);
        self.push(Pushed::Chunk(key), ToStore::Chunk { header, slot });
        true
    }

    /// Stores a control entry.
    pub(crate) fn control(&mut self, record: LogRecord) {
        merge(&mut self.books.pushed_logs, &record);
        self.push(Pushed::Control(record), ToStore::Control(Record::Log(record)));
    }

    fn push(&mut self, pushed: Pushed, what: ToStore) {
        self.order += 1;
        self.pushed.insert(self.order, pushed);
        self.store.push(self.now, self.order, what);
    }

    /// Takes every effect there is.
    pub(crate) fn take_effects(&mut self) {
        while let Some(effect) = self.store.poll_effect() {
            match effect {
                StoreEffect::Write { number, file, position, parts, bytes } => {
                    let bytes = self.gather(&parts, bytes);
                    self.disk.in_flight.insert(number, InFlight { file, position, bytes });
                }
                StoreEffect::Confirmed { order_through } => self.confirm(order_through),
                StoreEffect::Release { slot } => drop(self.slots.remove(&slot).expect("a slot is released once")),
                StoreEffect::Create { file, .. } => {
                    self.disk.nameless.insert(file, crate::disk::SparseFile::default());
                    self.preparing.insert(file, false);
                }
                StoreEffect::Fill { file, .. } => drop(self.preparing.insert(file, false)),
                StoreEffect::SyncFile { file } => {
                    self.disk.naming.insert(file);
                    self.preparing.insert(file, true);
                }
                StoreEffect::Read { token, file, position, bytes } => self.reads.push((token, file, position, bytes)),
                StoreEffect::Lost { log, segment, from, to, why } => {
                    panic!("{log} {segment} {from}..{to} is lost: {why}")
                }
                StoreEffect::Failed { why } => panic!("the store failed: {why}"),
            }
        }
    }

    fn gather(&self, parts: &[Part], bytes: u32) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(bytes as usize);
        for part in parts {
            match part {
                Part::Bytes(bytes) => buffer.extend_from_slice(bytes),
                Part::Head(head) => buffer.extend_from_slice(head),
                Part::Slot { slot, len } => buffer.extend_from_slice(&self.slots[slot][..*len as usize]),
            }
        }
        buffer.resize(bytes as usize, 0);
        buffer
    }

    fn confirm(&mut self, through: u64) {
        for order in self.confirmed + 1..=through {
            match self.pushed.remove(&order).expect("it was pushed") {
                Pushed::Chunk(key) => {
                    self.books.confirmed.insert(key);
                }
                Pushed::Control(record) => {
                    merge(&mut self.books.confirmed_logs, &record);
                    if record.deleted > Epoch(0) {
                        self.store.drop_log(record.log);
                    } else if record.floor > ChunkSeq(0) {
                        self.store.free(record.log, record.floor);
                    }
                }
            }
        }
        self.confirmed = through;
    }

    /// Ends one write in progress.
    pub(crate) fn end_write(&mut self, number: u64) {
        let bytes = self.disk.complete(number);
        self.store.handle(self.now, StoreEvent::Written { number, result: Ok(bytes) });
        self.take_effects();
    }

    /// Ends what is being done to a file that is made.
    pub(crate) fn end_preparation(&mut self) {
        let Some((file, named)) = self.preparing.pop_last() else { return };
        if named {
            self.disk.name(file);
        }
        self.store.handle(self.now, StoreEvent::Prepared { file, result: Ok(()) });
        self.take_effects();
    }

    /// Ends a read for copying forward.
    pub(crate) fn end_read(&mut self) {
        let Some((token, file, position, bytes)) = self.reads.pop() else { return };
        let data = self.disk.files[&file].read(position, bytes);
        self.store.handle(self.now, StoreEvent::CopyRead { token, result: Ok(&data) });
        self.take_effects();
    }

    /// Lets time pass, to the next timeout or by a little.
    pub(crate) fn pass_time(&mut self, by: u64) {
        // A write may take long here; the store must not give up on it.
        let slow = self.disk.in_flight.is_empty();
        let due = self.store.poll_timeout().filter(|_| slow);
        self.now = due.map_or(self.now.plus(by), |due| due.max(self.now));
        self.store.handle(self.now, StoreEvent::Tick);
        self.take_effects();
    }

    /// Lets everything in progress end, oldest write first.
    pub(crate) fn settle(&mut self) {
        self.take_effects();
        for _ in 0..10_000 {
            if let Some((&number, _)) = self.disk.in_flight.first_key_value() {
                self.end_write(number);
            } else if !self.preparing.is_empty() {
                self.end_preparation();
            } else if !self.reads.is_empty() {
                self.end_read();
            } else if self.store.is_settled() && self.confirmed == self.order {
                return;
            } else {
                self.pass_time(1000);
            }
        }
        let (confirmed, order, due) = (self.confirmed, self.order, self.store.poll_timeout());
        panic!(
            "the store never comes to rest: {confirmed} of {order}, {:?}, due {due:?}, now {:?}",
            self.store.statistics(),
            self.now
        );
    }
}

fn merge(logs: &mut BTreeMap<LogId, LogRecord>, record: &LogRecord) {
    logs.entry(record.log).or_insert(LogRecord { log: record.log, ..LogRecord::default() }).merge(record);
}

impl Books {
    fn check(&mut self, disk: &Disk, replayed: &Replayed, what: &str) {
        assert_eq!(replayed.report.retired, None, "{what}: nothing was lost: {:?}", replayed.report);
        assert!(replayed.losses.is_empty() && replayed.quarantined.is_empty(), "{what}: {:?}", replayed.report);
        let logs: BTreeMap<LogId, LogRecord> = replayed.logs.iter().map(|log| (log.record.log, log.record)).collect();
        self.check_logs(&logs, what);
        for key in &self.confirmed {
            let log = logs.get(&key.log).copied().unwrap_or_default();
            if key.seq < log.floor || log.deleted > Epoch(0) {
                assert_eq!(replayed.index.get(key), None, "{what}: {key:?} is trimmed");
            } else {
                assert!(
                    replayed.index.get(key).is_some(),
                    "{what}: {key:?} was confirmed and is gone: {:?}",
                    replayed.report
                );
            }
        }
        for (key, place) in replayed.index.iter() {
            let bytes = self.written.get(&key).unwrap_or_else(|| panic!("{what}: {key:?} was never written"));
            assert!(!self.never.contains(&key), "{what}: {key:?} was never there, and is back");
            check_bytes(disk, &key, place, *bytes, what);
            assert!(logs[&key.log].fence >= key.segment.epoch, "{what}: the fence of {key:?} is forgotten");
        }
        let held: u64 = replayed.logs.iter().flat_map(|log| &log.segments).map(|segment| segment.held.len()).sum();
        assert_eq!(held, replayed.index.len(), "{what}: inventory and index differ");
        // Everything that is not there now must stay away.
        self.never = self.written.keys().filter(|key| replayed.index.get(key).is_none()).copied().collect();
        self.confirmed = replayed.index.iter().map(|(key, _)| key).collect();
        for record in logs.values() {
            merge(&mut self.confirmed_logs, record);
        }
    }

    /// Pitfall 8: what is confirmed never moves backwards; and nothing is there that nobody asked for.
    fn check_logs(&self, logs: &BTreeMap<LogId, LogRecord>, what: &str) {
        for (log, confirmed) in &self.confirmed_logs {
            let found = logs.get(log).copied().unwrap_or_default();
            let kept =
                found.fence >= confirmed.fence && found.floor >= confirmed.floor && found.deleted >= confirmed.deleted;
            assert!(kept, "{what}: {found:?} falls behind {confirmed:?}");
        }
        for (log, found) in logs {
            let pushed = self.pushed_logs.get(log).copied().unwrap_or_default();
            let asked = found.floor <= pushed.floor && found.deleted <= pushed.deleted;
            assert!(asked, "{what}: {found:?} is more than was pushed, {pushed:?}");
        }
    }
}

/// The chunk that an index entry points to, header and payload.
fn check_bytes(disk: &Disk, key: &ChunkKey, place: Place, bytes: u32, what: &str) {
    assert_eq!(place.length, bytes, "{what}: {key:?}");
    let stored = disk.files[&place.file].read(u64::from(place.position), CHUNK_HEADER_BYTES as u32 + bytes);
    let header = ChunkHeader::decode(&stored).unwrap_or_else(|why| panic!("{what}: {key:?} at {place:?}: {why}"));
    assert_eq!((header.log, header.segment, header.seq), (key.log, key.segment, key.seq), "{what}");
    let same = stored[CHUNK_HEADER_BYTES..] == payload(key, bytes);
    assert!(same, "{what}: {key:?} at {place:?} holds other bytes");
}
