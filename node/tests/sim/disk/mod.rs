//! The simulated disk.
//!
//! Fault model. Chunk files are written with `O_DIRECT | O_DSYNC`: a write that ended well is on the disk. Writes in
//! progress end in any order. A disk crashes in one of two ways, between any two of its effects:
//!
//! - With the *process*: every write that was issued is readable afterwards, or was never submitted; it is not durable until
//!   the file is synced (D5), and a power failure may still take it.
//! - With the *power*: a write in progress, or one that was never synced, is there, or not, or torn: each of its 512-byte
//!   sectors is old or new on its own; several of them in any combination, so also reordered.
//!
//! A file that is being made has no name until it is synced; a crash while it gets one leaves it without, with, or with its
//! entry in the manifest. Files are recycled and keep what was in them until it is overwritten.
//!
//! Any write may fail (some of its sectors are written), be cut short, or be stuck for longer than the store waits. Any
//! read may fail once. Making a file may fail, and the file system may be full for a while.
//!
//! A disk of a fallible node (see `options::fallible`) may also lie: bits rot in batches that a durable mark covers; a write is
//! lost, or lands elsewhere, and is reported as done; a block cannot be read any more. A lie that no durable mark has
//! covered by the time of a crash is taken back: nobody can tell it from a torn write (the design's stated limit).

mod batches;
mod crash;
mod file;
mod ledger;
mod lies;

pub(crate) use crash::Crash;

use crate::numbers::Numbers;
use batches::Batches;
use file::{BLOCK, File, SECTOR};
use ledger::Ledger;
use quarry_node::store::first_file::{FIRST_FILE, first_batch};
use quarry_node::store::manifest;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::FILE_BYTES_MIN;
use std::collections::{BTreeMap, BTreeSet};

/// Size of every chunk file.
pub(crate) const FILE_BYTES: u64 = FILE_BYTES_MIN;
/// Files that a format prepares.
const FILES_PREPARED: u32 = 3;

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Whole,
    /// It is reported as done, and is nowhere.
    Lost,
    /// It is reported as done, and lies elsewhere.
    Misdirected {
        file: u32,
        position: u64,
    },
    /// It fails; some sectors are written.
    Error {
        chance: u64,
    },
    /// Only these bytes are written, and it says so.
    Short {
        bytes: u32,
    },
}

/// A write in progress.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) number: u64,
    pub(crate) file: u32,
    pub(crate) position: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fate: Fate,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Disk {
    /// The identity it was formatted with.
    pub(crate) formatted: DiskId,
    files: BTreeMap<u32, File>,
    /// Files that have no name yet.
    nameless: BTreeSet<u32>,
    manifest: Vec<u8>,
    batches: Batches,
    ledger: Ledger,
    /// Writes that were reported as done and are not there, not covered by a mark so far.
    lied: Vec<Write>,
    /// How many files the file system has room for.
    pub(crate) room: usize,
    /// Whether it may have lost something that was stored.
    pub(crate) damaged: bool,
    /// Where a read failed once: it does not fail there again.
    stumbled: Vec<(u32, u64, u64)>,
}

impl Disk {
    /// What `format` leaves: a first file with a snapshot, and two that are ready.
    pub(crate) fn formatted(formatted: DiskId) -> Self {
        let numbers: BTreeSet<u32> = (FIRST_FILE..FIRST_FILE + FILES_PREPARED).collect();
        let mut disk = Self {
            formatted,
            files: numbers.iter().map(|number| (*number, File::zeros(FILE_BYTES))).collect(),
            nameless: BTreeSet::new(),
            manifest: manifest::encode(formatted, &numbers),
            batches: Batches::default(),
            ledger: Ledger::default(),
            lied: Vec::new(),
            room: usize::MAX,
            damaged: false,
            stumbled: Vec::new(),
        };
        let first = first_batch(formatted);
        disk.store(FIRST_FILE, 0, &first, true);
        disk
    }

    fn file(&mut self, number: u32) -> &mut File {
        self.files.get_mut(&number).unwrap_or_else(|| panic!("chunk file {number} does not exist"))
    }

    /// A batch reaches its place.
    fn store(&mut self, file: u32, position: u64, bytes: &[u8], durable: bool) {
        self.file(file).write(position, bytes, durable);
        self.batches.overwrite(file, position, bytes, true, durable);
    }

    fn tear(&mut self, file: u32, position: u64, bytes: &[u8], new: impl FnMut(usize) -> bool) {
        self.file(file).tear(position, bytes, new);
        self.batches.overwrite(file, position, bytes, false, true);
    }

    /// A write ends: what the process is told.
    pub(crate) fn end_write(&mut self, write: Write, numbers: &mut Numbers) -> Result<u32, String> {
        let (file, position, bytes) = (write.file, write.position, write.bytes.len() as u32);
        match write.fate {
            Fate::Whole => {
                self.ledger.written(&write.bytes);
                self.store(file, position, &write.bytes, true);
            }
            Fate::Lost | Fate::Misdirected { .. } => {
                self.ledger.written(&write.bytes);
                self.lie(write);
            }
            Fate::Error { chance } => {
                self.tear(file, position, &write.bytes, |_| numbers.percent(chance));
                return Err("input/output error".to_owned());
            }
            Fate::Short { bytes } => {
                let sectors = bytes as usize / SECTOR;
                self.tear(file, position, &write.bytes, |sector| sector < sectors);
                return Ok(bytes);
            }
        }
        self.settle_lies();
        Ok(bytes)
    }

    /// Reads what the disk gives.
    pub(crate) fn read(&self, file: u32, position: u64, into: &mut [u8]) -> Result<(), String> {
        self.files.get(&file).ok_or_else(|| format!("chunk file {file} does not exist"))?.read(position, into)
    }

    /// A read here fails once: false if one did before.
    pub(crate) fn stumble(&mut self, file: u32, position: u64, bytes: u64) -> bool {
        let end = position + bytes;
        let before = self.stumbled.iter().any(|(of, from, to)| *of == file && *from < end && position < *to);
        if !before {
            self.stumbled.push((file, position, end));
        }
        !before
    }

    pub(crate) fn sync(&mut self, file: u32) {
        self.file(file).sync();
        self.batches.synced(file);
    }

    // --- files --------------------------------------------------------------------------------------

    pub(crate) fn create(&mut self, file: u32) -> Result<(), String> {
        if self.files.len() + self.nameless.len() >= self.room {
            return Err("no space left on device".to_owned());
        }
        assert!(!self.files.contains_key(&file), "chunk file {file} is made although it exists");
        self.nameless.insert(file);
        Ok(())
    }

    /// Making a file failed: what there was of it goes.
    pub(crate) fn take_back(&mut self, file: u32) {
        self.nameless.remove(&file);
    }

    /// A filled file gets its name, and its entry in the manifest.
    pub(crate) fn name(&mut self, file: u32) -> Result<(), String> {
        let Some(mut known) = manifest::decode(self.formatted, &self.manifest) else {
            self.take_back(file);
            return Err("the manifest cannot be read: restart the node to mend it".to_owned());
        };
        assert!(self.nameless.remove(&file), "chunk file {file} is named although nobody made it");
        self.files.insert(file, File::zeros(FILE_BYTES));
        known.insert(file);
        self.manifest = manifest::encode(self.formatted, &known);
        Ok(())
    }

    /// What a start does before it replays: as `node/src/io/replay.rs`, `take_stock`.
    pub(crate) fn take_stock(&mut self) -> (BTreeMap<u32, u64>, BTreeSet<u32>) {
        self.nameless.clear();
        let files: BTreeMap<u32, u64> = self.files.iter().map(|(number, file)| (*number, file.bytes())).collect();
        let known = manifest::decode(self.formatted, &self.manifest);
        let expected: BTreeSet<u32> = known.unwrap_or_default().into_iter().chain(files.keys().copied()).collect();
        self.manifest = manifest::encode(self.formatted, &expected);
        (files, expected)
    }

    /// A bit of the manifest flips.
    pub(crate) fn rot_manifest(&mut self, numbers: &mut Numbers) {
        let at = numbers.index(self.manifest.len());
        self.manifest[at] ^= 1 << numbers.below(8);
    }
}
