//! A disk in memory and the loop that drives a store against it.
//!
//! The disk does what it is told, when the test says so: writes are held back, ended in any order, failed or cut. With
//! every write the driver checks what must hold in every test: batches are numbered densely and decode, a mark never
//! runs ahead, a file is overwritten only after a confirmed snapshot without it and while nobody reads it, and a
//! slot is released exactly once.

use crate::store::replay::{Replay, ReplayConfig, ReplayEffect, ReplayEvent};
use crate::store::{ChunkKey, Part, Replayed, Store, StoreConfig, StoreEffect, StoreEvent};
use quarry_protocol::batch::{BatchHeader, BatchKind, Entry};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::limits::{BLOCK_BYTES, FILE_BYTES_MIN};
use quarry_protocol::replica::{Slot, ToStore};
use quarry_protocol::snapshot::{LogRecord, Record};
use quarry_protocol::time::Micros;
use std::collections::{BTreeMap, BTreeSet};

/// What the clock on the wall shows when a store starts, in Unix seconds.
pub(super) const WALL_CLOCK_S: u64 = 1_700_000_000;
pub(super) const DISK: DiskId = DiskId([0xd1; 16]);

/// A write in progress.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) header: BatchHeader,
    pub(super) bytes: Vec<u8>,
}

/// How a write ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Error,
    Short,
}

pub(super) struct Driver {
    pub(super) config: StoreConfig,
    pub(super) store: Store,
    pub(super) now: Micros,
    pub(super) files: BTreeMap<u32, Vec<u8>>,
    /// Writes in progress, by number. They end by themselves unless `hold` is set.
    pub(super) writes: BTreeMap<u64, Write>,
    pub(super) hold: bool,
    pub(super) reads: Vec<(u64, u32, u64, u32)>,
    pub(super) hold_reads: bool,
    /// When each read was begun, how much it reads, and which files were read.
    pub(super) read_log: Vec<(Micros, u32)>,
    pub(super) read_files: BTreeSet<u32>,
    /// Making files fails from this number of files on.
    pub(super) files_fit: usize,
    /// Reads of these bytes of a file fail.
    pub(super) unreadable: BTreeSet<(u32, u64)>,
    pub(super) order: u64,
    pub(super) confirmed: u64,
    pub(super) failed: Option<String>,
    pub(super) lost: Vec<ChunkSeq>,
    pub(super) headers: Vec<BatchHeader>,
    pub(super) refused: u64,
    slots: BTreeMap<Slot, Vec<u8>>,
    next_slot: u32,
    written: BTreeSet<u64>,
    durable_through: u64,
    /// Files listed by each snapshot, by its last batch.
    snapshots: BTreeMap<u64, BTreeSet<u32>>,
    listing: BTreeSet<u32>,
    pub(super) pins: BTreeMap<u32, u32>,
    /// When zeros were written.
    pub(super) fills: Vec<Micros>,
}

pub(super) fn log(number: u8) -> LogId {
    LogId([number; 16])
}

pub(super) fn key(number: u8, seq: u64) -> ChunkKey {
    ChunkKey { log: log(number), segment: SegmentId { epoch: Epoch(1), index: 0 }, seq: ChunkSeq(seq) }
}

fn payload(key: &ChunkKey, bytes: u32) -> Vec<u8> {
    let first = key.log.0[0] ^ (key.seq.0 as u8).wrapping_mul(31) | 1;
    let mut payload = vec![first; bytes as usize];
    let seq = key.seq.0.to_le_bytes();
    for (byte, seq) in payload.iter_mut().zip(seq) {
        *byte ^= seq;
    }
    payload
}

impl Driver {
    pub(super) fn new(files_max: u32) -> Self {
        Self::with(files_max, Replayed::fresh(DISK))
    }

    pub(super) fn with(files_max: u32, replayed: Replayed) -> Self {
        let (disk, file_bytes, wall_clock_at_zero_s) = (DISK, FILE_BYTES_MIN, WALL_CLOCK_S);
        let scrub_period_us = None;
        Self::with_config(StoreConfig { disk, file_bytes, files_max, wall_clock_at_zero_s, scrub_period_us }, replayed)
    }

    /// What a start finds, on the same files.
    pub(super) fn restarted(&self) -> Self {
        let wall_clock_at_zero_s = self.config.wall_clock_at_zero_s + self.now.0 / 1_000_000;
        let mut next = Self::with_config(StoreConfig { wall_clock_at_zero_s, ..self.config }, self.replay());
        next.files.clone_from(&self.files);
        next
    }

    pub(super) fn with_config(config: StoreConfig, replayed: Replayed) -> Self {
        let through = replayed.next_batch - 1;
        let files = replayed.free_files.iter().map(|file| (*file, vec![0xee; FILE_BYTES_MIN as usize])).collect();
        Self {
            config,
            store: Store::new(config, replayed),
            now: Micros(1_000_000),
            files,
            writes: BTreeMap::new(),
            hold: false,
            reads: Vec::new(),
            hold_reads: false,
            read_log: Vec::new(),
            read_files: BTreeSet::new(),
            files_fit: usize::MAX,
            unreadable: BTreeSet::new(),
            order: 0,
            confirmed: 0,
            failed: None,
            lost: Vec::new(),
            headers: Vec::new(),
            refused: 0,
            slots: BTreeMap::new(),
            next_slot: 0,
            written: BTreeSet::new(),
            durable_through: through,
            snapshots: BTreeMap::new(),
            listing: BTreeSet::new(),
            pins: BTreeMap::new(),
            fills: Vec::new(),
        }
    }

    /// A driver whose store has opened its first file and prepared the others.
    pub(super) fn started(files_max: u32) -> Self {
        let mut driver = Self::new(files_max);
        driver.settle();
        driver.headers.clear();
        driver
    }

    pub(super) fn push_chunk(&mut self, key: ChunkKey, bytes: u32) -> u64 {
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
        self.order += 1;
        self.store.push(self.now, self.order, ToStore::Chunk { header, slot });
        self.order
    }

    /// Puts a chunk unless the store is full, as a replica would.
    pub(super) fn put(&mut self, key: ChunkKey, bytes: u32) {
        if self.store.fullness().is_some() {
            self.refused += 1;
            return;
        }
        self.push_chunk(key, bytes);
    }

    pub(super) fn push_record(&mut self, record: Record) -> u64 {
        self.order += 1;
        self.store.push(self.now, self.order, ToStore::Control(record));
        self.order
    }

    /// Raises a floor durably, then frees what is below, as a replica would.
    pub(super) fn trim(&mut self, number: u8, floor: u64) {
        let floor = ChunkSeq(floor);
        let order = self.push_record(Record::Log(LogRecord { log: log(number), floor, ..LogRecord::default() }));
        self.run();
        assert!(self.confirmed >= order, "a trim is stuck: order {order}, confirmed {}", self.confirmed);
        self.store.free(log(number), floor);
    }

    /// Performs effects until none is left. Time stands still.
    pub(super) fn run(&mut self) {
        loop {
            while let Some(effect) = self.store.poll_effect() {
                self.perform(effect);
            }
            if !self.hold
                && let Some((&number, _)) = self.writes.first_key_value()
            {
                self.end(number, End::Done);
            } else if !self.hold_reads && !self.reads.is_empty() {
                self.end_read(0);
            } else {
                return;
            }
        }
    }

    /// Lets the time until the next timeout pass.
    pub(super) fn tick(&mut self) {
        let at = self.store.poll_timeout().unwrap_or(self.now.plus(1000));
        self.wait(at.since(self.now));
    }

    /// Lets time pass. Whatever was due is done after that: a deadline left in the past would keep a shard's loop from
    /// ever waiting for anything.
    pub(super) fn wait(&mut self, micros: u64) {
        self.now = self.now.plus(micros);
        self.store.handle(self.now, StoreEvent::Tick);
        self.run();
        let due = self.store.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now), "due at {due:?} still, at {:?}", self.now);
    }

    /// Lets time pass until nothing is left to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..100_000 {
            self.run();
            if self.store.poll_timeout().is_none() {
                return;
            }
            self.tick();
        }
        panic!("the store never comes to rest: next at {:?}, now {:?}", self.store.poll_timeout(), self.now);
    }

    pub(super) fn end(&mut self, number: u64, end: End) {
        let Write { header, bytes } = self.writes.remove(&number).expect("a write in progress");
        let result = match end {
            End::Done => {
                let at = header.position as usize;
                self.files.get_mut(&header.file).expect("a file")[at..at + bytes.len()].copy_from_slice(&bytes);
                self.written.insert(number);
                while self.written.remove(&(self.durable_through + 1)) {
                    self.durable_through += 1;
                }
                Ok(bytes.len() as u32)
            }
            End::Error => Err("Input/output error".into()),
            End::Short => Ok(bytes.len() as u32 - BLOCK_BYTES),
        };
        self.store.handle(self.now, StoreEvent::Written { number, result });
    }

    pub(super) fn end_read(&mut self, at: usize) {
        let (token, file, position, bytes) = self.reads.remove(at);
        let range = position..position + u64::from(bytes);
        let result = if self.unreadable.iter().any(|(bad, at)| *bad == file && range.contains(at)) {
            Err("Input/output error".into())
        } else {
            Ok(&self.files[&file][range.start as usize..range.end as usize])
        };
        self.store.handle(self.now, StoreEvent::CopyRead { token, result });
    }

    pub(super) fn perform(&mut self, effect: StoreEffect) {
        match effect {
            StoreEffect::Write { number, file, position, parts, bytes } => {
                self.begin(number, (file, position), &parts, bytes);
            }
            StoreEffect::Confirmed { order_through } => {
                assert!(self.failed.is_none(), "order {order_through} is confirmed after a failure");
                assert!(order_through > self.confirmed && order_through <= self.order);
                self.confirmed = order_through;
            }
            StoreEffect::Release { slot } => {
                self.slots.remove(&slot).unwrap_or_else(|| panic!("{slot:?} is released twice"));
            }
            StoreEffect::Create { file, bytes } => {
                let fits = self.files.len() < self.files_fit;
                if fits {
                    // Recycled bytes: a store must not depend on zeros.
                    self.files.insert(file, vec![0xee; bytes as usize]);
                }
                let result = if fits { Ok(()) } else { Err("No space left on device".to_owned()) };
                self.store.handle(self.now, StoreEvent::Prepared { file, result });
            }
            StoreEffect::Fill { file, position, bytes } => {
                self.fills.push(self.now);
                let (from, to) = (position as usize, position as usize + bytes as usize);
                self.files.get_mut(&file).expect("a file being made")[from..to].fill(0);
                self.store.handle(self.now, StoreEvent::Prepared { file, result: Ok(()) });
            }
            StoreEffect::SyncFile { file } => {
                assert!(self.files[&file].iter().all(|byte| *byte == 0), "file {file} is not full of zeros");
                self.store.handle(self.now, StoreEvent::Prepared { file, result: Ok(()) });
            }
            StoreEffect::Read { token, file, position, bytes } => {
                self.read_log.push((self.now, bytes));
                self.read_files.insert(file);
                self.reads.push((token, file, position, bytes));
            }
            StoreEffect::Lost { from, .. } => self.lost.push(from),
            StoreEffect::Failed { why } => {
                assert!(self.failed.is_none(), "failed twice");
                self.failed = Some(why);
            }
        }
    }

    fn begin(&mut self, number: u64, (file, position): (u32, u64), parts: &[Part], bytes: u32) {
        assert!(self.failed.is_none(), "batch {number} is written after a failure");
        let mut buffer = Vec::with_capacity(bytes as usize);
        for part in parts {
            match part {
                Part::Bytes(bytes) => buffer.extend_from_slice(bytes),
                Part::Head(head) => buffer.extend_from_slice(head),
                Part::Slot { slot, len } => buffer.extend_from_slice(&self.slots[slot][..*len as usize]),
            }
        }
        assert!(buffer.len() <= bytes as usize && bytes.is_multiple_of(BLOCK_BYTES));
        buffer.resize(bytes as usize, 0);
        let header = BatchHeader::decode(&buffer).expect("a batch header");
        assert_eq!((header.number, header.file, header.position), (number, file, position));
        assert_eq!((header.disk, header.disk_bytes()), (DISK, bytes));
        let last = self.headers.last().map_or(number - 1, |last| last.number);
        assert_eq!(number, last + 1, "batches are numbered densely");
        assert!(
            header.confirmed <= self.durable_through,
            "mark {} ahead of {}",
            header.confirmed,
            self.durable_through
        );
        if position == 0 {
            self.check_reuse(file);
        }
        self.check_body(&header, &buffer);
        self.headers.push(header);
        self.writes.insert(number, Write { header, bytes: buffer });
    }

    /// D5, D7, pitfall 26: who overwrites a file must not be missed by a replay or read by anybody.
    fn check_reuse(&self, file: u32) {
        if let Some((batch, files)) = self.snapshots.range(..=self.durable_through).next_back() {
            assert!(!files.contains(&file), "file {file} is overwritten, but the snapshot {batch} lists it");
        }
        assert_eq!(self.pins.get(&file).copied().unwrap_or(0), 0, "file {file} is overwritten while it is read");
        assert!(!self.reads.iter().any(|read| read.1 == file), "file {file} is overwritten while it is copied");
    }

    fn check_body(&mut self, header: &BatchHeader, bytes: &[u8]) {
        if header.kind == BatchKind::Data {
            header.verify_data(bytes, |_, _| ()).expect("a data batch");
            return;
        }
        if header.part == 0 {
            self.listing.clear();
        }
        let listing = &mut self.listing;
        let record = |record| {
            if let Record::File(file) = record {
                listing.insert(file.number);
            }
        };
        header.verify_records(bytes, record).expect("a batch of records");
        if header.kind == BatchKind::Snapshot && header.part + 1 == header.parts {
            self.snapshots.insert(header.number, self.listing.clone());
        }
    }

    /// The chunk as it lies on the disk.
    pub(super) fn read_back(&self, key: &ChunkKey) -> Option<ChunkHeader> {
        let place = self.store.locate(key)?;
        let bytes = &self.files[&place.file][place.position as usize..];
        let header = ChunkHeader::decode(bytes).expect("a chunk header where the index points");
        assert_eq!((header.log, header.seq, header.length), (key.log, key.seq, place.length));
        assert_eq!(bytes[96..96 + header.length as usize], payload(key, header.length));
        Some(header)
    }

    /// Every slot was released, and nothing contradicts itself.
    pub(super) fn finish(&mut self) {
        self.settle();
        self.store.audit();
        assert!(self.slots.is_empty(), "{} slots were not released", self.slots.len());
        if self.failed.is_none() {
            assert_eq!(self.confirmed, self.order, "something was not confirmed");
            assert!(self.store.is_settled());
        }
    }

    /// What a start would find on the disk as it is.
    pub(super) fn replay(&self) -> Replayed {
        let files: BTreeMap<u32, u64> = self.files.iter().map(|(file, bytes)| (*file, bytes.len() as u64)).collect();
        let expected = files.keys().copied().collect();
        let fresh = DiskId([0xf5; 16]);
        let mut replay = Replay::new(ReplayConfig { disk: DISK, fresh, file_bytes: FILE_BYTES_MIN, files, expected });
        loop {
            match replay.poll_effect().expect("a replay that waits for nothing is done") {
                ReplayEffect::Read { token, file, position, bytes } => {
                    let result = Ok(&self.files[&file][position as usize..][..bytes as usize]);
                    replay.handle(ReplayEvent::Read { token, result });
                }
                ReplayEffect::Sync { file } => replay.handle(ReplayEvent::Synced { file, result: Ok(()) }),
                ReplayEffect::Done(replayed) => return *replayed,
                ReplayEffect::Failed(why) => panic!("{why}"),
            }
        }
    }

    /// The entries of a data batch in progress.
    pub(super) fn entries(&self, number: u64) -> Vec<Entry> {
        let Write { header, bytes } = &self.writes[&number];
        let mut entries = Vec::new();
        header.verify_data(bytes, |_, entry| entries.push(entry)).expect("a data batch");
        entries
    }
}
