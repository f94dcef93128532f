//! Performing a replay: a shard's chunk files are read past the page cache (which would answer with what was once
//! written, not with what the disk holds) and synced, with plain blocking calls: nobody is served yet.

use super::prepare::{self, PrepareError};
use crate::layout;
use crate::store::Replayed;
use crate::store::replay::{REPLAY_READ_BYTES_MAX, Replay, ReplayConfig, ReplayEffect, ReplayEvent};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::BLOCK_BYTES;
use quarry_protocol::planted;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Most files kept open while reading.
const OPEN_FILES_MAX: usize = 64;

/// Bytes to read into, aligned for `O_DIRECT`.
struct Aligned {
    bytes: Vec<u8>,
    from: usize,
}

impl Aligned {
    fn new(bytes: usize) -> Self {
        let bytes = vec![0; bytes + BLOCK_BYTES as usize];
        let from = bytes.as_ptr().align_offset(BLOCK_BYTES as usize);
        Self { bytes, from }
    }

    fn get(&mut self, bytes: usize) -> &mut [u8] {
        &mut self.bytes[self.from..self.from + bytes]
    }
}

/// A shard's chunk files, to be read with blocking calls.
pub(crate) struct Files {
    directory: PathBuf,
    open: BTreeMap<u32, File>,
    buffer: Aligned,
}

impl Files {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            open: BTreeMap::new(),
            buffer: Aligned::new(REPLAY_READ_BYTES_MAX as usize),
        }
    }

    fn open(&mut self, file: u32) -> io::Result<&File> {
        if !self.open.contains_key(&file) {
            if self.open.len() >= OPEN_FILES_MAX {
                self.open.pop_first();
            }
            let path = layout::chunk_file(&self.directory, file);
            let direct = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
            self.open.insert(file, direct);
        }
        Ok(&self.open[&file])
    }

    /// Reads whole blocks.
    pub(crate) fn read(&mut self, file: u32, position: u64, bytes: u32) -> Result<&[u8], String> {
        self.open(file).map_err(|why| why.to_string())?;
        let into = self.buffer.get(bytes as usize);
        self.open[&file].read_exact_at(into, position).map_err(|why| why.to_string())?;
        Ok(into)
    }

    fn sync(&mut self, file: u32) -> Result<(), String> {
        self.open(file).and_then(File::sync_data).map_err(|why| why.to_string())
    }
}

/// Number and size of every chunk file in a shard's directory.
pub(crate) fn list(directory: &Path) -> io::Result<BTreeMap<u32, u64>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().and_then(layout::chunk_file_number) {
            files.insert(number, entry.metadata()?.len());
        }
    }
    Ok(files)
}

/// Clears away what an interrupted preparation left, and brings the manifest up to date with it. Returns the chunk files
/// there are, and those that were ever made.
fn take_stock(directory: &Path, disk: DiskId) -> Result<(BTreeMap<u32, u64>, BTreeSet<u32>), String> {
    let listed = |why: io::Error| format!("reading {}: {why}", directory.display());
    for entry in std::fs::read_dir(directory).map_err(listed)? {
        let path = entry.map_err(listed)?.path();
        if path.extension().is_some_and(|extension| extension == "preparing") {
            std::fs::remove_file(&path).map_err(|why| format!("removing {}: {why}", path.display()))?;
        }
    }
    let files = list(directory).map_err(listed)?;
    let known = prepare::read_manifest(directory, disk);
    if known.is_none() {
        tracing::warn!(directory = %directory.display(), "the manifest is missing or damaged: made again from the files that are there");
    }
    let named = known.clone().filter(|_| !planted!(MissingFileUnnoticed));
    let expected: BTreeSet<u32> = named.unwrap_or_default().into_iter().chain(files.keys().copied()).collect();
    if known.as_ref() != Some(&expected) {
        prepare::write_manifest(directory, disk, &expected).map_err(|why: PrepareError| why.to_string())?;
    }
    Ok((files, expected))
}

/// Replays a shard. `fresh` is a new random identity, used if the one in force has to be retired.
pub(crate) fn replay(directory: &Path, disk: DiskId, fresh: DiskId, file_bytes: u64) -> Result<Replayed, String> {
    let (files, expected) = take_stock(directory, disk)?;
    let mut machine = Replay::new(ReplayConfig { disk, fresh, file_bytes, files, expected });
    let mut on_disk = Files::new(directory);
    while let Some(effect) = machine.poll_effect() {
        match effect {
            ReplayEffect::Read { token, file, position, bytes } => {
                let result = on_disk.read(file, position, bytes);
                machine.handle(ReplayEvent::Read { token, result });
            }
            ReplayEffect::Sync { file } => {
                let result = on_disk.sync(file);
                machine.handle(ReplayEvent::Synced { file, result });
            }
            ReplayEffect::Done(replayed) => return Ok(*replayed),
            ReplayEffect::Failed(why) => return Err(why.to_string()),
        }
    }
    unreachable!("a replay ends with an answer")
}
