//! The simulated disk: sparse files, writes in progress, and what a power failure makes of them.

use crate::numbers::Numbers;
use quarry_node::store::Replayed;
use quarry_node::store::first_file::{FIRST_FILE, first_batch};
use quarry_node::store::replay::{Replay, ReplayConfig, ReplayEffect, ReplayError, ReplayEvent};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::FILE_BYTES_MIN;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) const DISK: DiskId = DiskId([0xd1; 16]);
pub(crate) const FRESH: DiskId = DiskId([0xf5; 16]);
pub(crate) const FILE_BYTES: u64 = FILE_BYTES_MIN;
const BLOCK: u64 = 4096;
const SECTOR: usize = 512;

/// A chunk file: only blocks that are not zero take memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct SparseFile {
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl SparseFile {
    fn write(&mut self, position: u64, bytes: &[u8]) {
        assert!(position.is_multiple_of(BLOCK) && (bytes.len() as u64).is_multiple_of(BLOCK), "an unaligned write");
        assert!(position + bytes.len() as u64 <= FILE_BYTES, "a write beyond the file's end");
        for (i, block) in bytes.chunks(BLOCK as usize).enumerate() {
            self.blocks.insert(position / BLOCK + i as u64, block.to_vec());
        }
    }

    pub(crate) fn read(&self, position: u64, bytes: u32) -> Vec<u8> {
        let mut read = vec![0; bytes as usize];
        let end = position + u64::from(bytes);
        for (at, block) in self.blocks.range(position / BLOCK..end.div_ceil(BLOCK)) {
            let (from, to) = ((at * BLOCK).max(position), ((at + 1) * BLOCK).min(end));
            let source = &block[(from - at * BLOCK) as usize..(to - at * BLOCK) as usize];
            read[(from - position) as usize..(to - position) as usize].copy_from_slice(source);
        }
        read
    }
}

/// A write in progress.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    pub(crate) file: u32,
    pub(crate) position: u64,
    pub(crate) bytes: Vec<u8>,
}

impl InFlight {
    pub(crate) fn sectors(&self) -> usize {
        self.bytes.len() / SECTOR
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) files: BTreeMap<u32, SparseFile>,
    /// Files that have no name yet.
    pub(crate) nameless: BTreeMap<u32, SparseFile>,
    pub(crate) manifest: BTreeSet<u32>,
    /// By batch number.
    pub(crate) in_flight: BTreeMap<u64, InFlight>,
    /// Files whose naming is in progress.
    pub(crate) naming: BTreeSet<u32>,
}

impl Disk {
    /// What `format` leaves: a first file with a snapshot, and two that are ready.
    pub(crate) fn formatted() -> Self {
        let mut disk = Self::default();
        for file in FIRST_FILE..FIRST_FILE + 3 {
            disk.files.insert(file, SparseFile::default());
            disk.manifest.insert(file);
        }
        disk.files.get_mut(&FIRST_FILE).expect("just made").write(0, &first_batch(DISK));
        disk
    }

    /// A write is done: its bytes are durable.
    pub(crate) fn complete(&mut self, number: u64) -> u32 {
        let InFlight { file, position, bytes } = self.in_flight.remove(&number).expect("a write in progress");
        self.files.get_mut(&file).expect("a file").write(position, &bytes);
        bytes.len() as u32
    }

    /// A file got its name and its entry in the manifest.
    pub(crate) fn name(&mut self, file: u32) {
        assert!(self.naming.remove(&file), "file {file} is not being named");
        self.files.insert(file, self.nameless.remove(&file).expect("a file without a name"));
        self.manifest.insert(file);
    }

    /// Some sectors of a write in progress reach the disk and others do not.
    pub(crate) fn tear(&mut self, number: u64, mut new: impl FnMut(usize) -> bool) {
        let InFlight { file, position, bytes } = self.in_flight.remove(&number).expect("a write in progress");
        let file = self.files.get_mut(&file).expect("a file");
        let mut torn = file.read(position, bytes.len() as u32);
        for (at, sector) in bytes.chunks(SECTOR).enumerate() {
            if new(at) {
                torn[at * SECTOR..][..SECTOR].copy_from_slice(sector);
            }
        }
        file.write(position, &torn);
    }

    /// The power goes.
    pub(crate) fn crash(&mut self, numbers: &mut Numbers) {
        for number in self.in_flight.keys().copied().collect::<Vec<_>>() {
            let sectors = self.in_flight[&number].sectors() as u64;
            let (kind, cut) = (numbers.below(6), numbers.below(sectors + 1) as usize);
            self.tear(number, |sector| match kind {
                0 => false,
                1 | 2 => true,
                3 => sector < cut,
                4 => sector >= cut,
                _ => numbers.percent(80),
            });
        }
        for file in std::mem::take(&mut self.naming) {
            let there = numbers.below(3);
            if there > 0 {
                self.files.insert(file, self.nameless[&file].clone());
            }
            if there > 1 {
                self.manifest.insert(file);
            }
        }
        self.nameless.clear();
    }

    /// Replays what is there, as a start does.
    pub(crate) fn replay(&mut self) -> Result<Replayed, ReplayError> {
        assert!(self.in_flight.is_empty() && self.naming.is_empty(), "a replay beside writes in progress");
        let expected: BTreeSet<u32> = self.manifest.iter().chain(self.files.keys()).copied().collect();
        self.manifest.clone_from(&expected);
        let files = self.files.keys().map(|file| (*file, FILE_BYTES)).collect();
        let mut replay =
            Replay::new(ReplayConfig { disk: DISK, fresh: FRESH, file_bytes: FILE_BYTES, files, expected });
        let mut reads = VecDeque::new();
        loop {
            match replay.poll_effect() {
                Some(ReplayEffect::Read { token, file, position, bytes }) => {
                    reads.push_back((token, file, position, bytes));
                }
                Some(ReplayEffect::Sync { file }) => replay.handle(ReplayEvent::Synced { file, result: Ok(()) }),
                Some(ReplayEffect::Done(replayed)) => return Ok(*replayed),
                Some(ReplayEffect::Failed(why)) => return Err(why),
                None => {
                    let (token, file, position, bytes) = reads.pop_front().expect("a replay waits for something");
                    let data = self.files[&file].read(position, bytes);
                    replay.handle(ReplayEvent::Read { token, result: Ok(&data) });
                }
            }
        }
    }
}
