//! A shard's chunk files as glommio sees them, opened `O_DIRECT | O_DSYNC`.
//!
//! No future here may be dropped before it is done: glommio would cancel the operation, and then nobody knows whether
//! it happened. Each one runs in a detached task.

use super::slots::Slots;
use crate::layout;
use crate::store::Part;
use glommio::io::{DmaBuffer, DmaFile, OpenOptions, ReadResult};
use quarry_protocol::limits::BLOCK_BYTES;
use quarry_protocol::planted;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

/// Most chunk files a shard keeps open; past it the one unused for longest is closed.
const OPEN_FILES_MAX: usize = 256;

#[derive(Debug)]
struct Open {
    file: Rc<DmaFile>,
    used: u64,
}

/// The files of one shard.
#[derive(Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    open: RefCell<BTreeMap<u32, Open>>,
    uses: Cell<u64>,
}

/// Bytes that were read: the blocks around them stay in memory as long as this does.
#[derive(Clone, Debug)]
pub(super) struct ReadBytes {
    blocks: ReadResult,
    from: usize,
    bytes: usize,
}

impl ReadBytes {
    /// The bytes asked for.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.blocks[self.from..self.from + self.bytes]
    }

    /// Some of them.
    pub(super) fn slice(&self, from: usize, bytes: usize) -> Self {
        assert!(from + bytes <= self.bytes, "slicing {from} + {bytes} out of {} bytes", self.bytes);
        Self { blocks: self.blocks.clone(), from: self.from + from, bytes }
    }
}

impl Disk {
    /// The files in `directory`. The executor must have opened its superblock before; see [`super::probe`].
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, open: RefCell::default(), uses: Cell::new(0) }
    }

    /// Where the files lie.
    pub(super) fn directory(&self) -> PathBuf {
        self.directory.clone()
    }

    /// Opens a file ahead of its first use, off the append path.
    pub(super) async fn open(&self, file: u32) -> Result<Rc<DmaFile>, String> {
        if let Some(open) = self.opened(file) {
            return Ok(open);
        }
        let path = layout::chunk_file(&self.directory, file);
        let durable = if planted!(WritesNotSynchronous) { 0 } else { libc::O_DSYNC };
        let opened = OpenOptions::new().read(true).write(true).custom_flags(durable).dma_open(&path).await;
        let opened = Rc::new(opened.map_err(|why| why.to_string())?);
        self.close_unused();
        // Two tasks may have opened it at the same time; one handle is as good as the other.
        self.open.borrow_mut().insert(file, Open { file: opened.clone(), used: self.tick() });
        Ok(opened)
    }

    fn opened(&self, file: u32) -> Option<Rc<DmaFile>> {
        let mut open = self.open.borrow_mut();
        let open = open.get_mut(&file)?;
        open.used = self.tick();
        Some(open.file.clone())
    }

    fn tick(&self) -> u64 {
        self.uses.set(self.uses.get() + 1);
        self.uses.get()
    }

    fn close_unused(&self) {
        let mut open = self.open.borrow_mut();
        if open.len() < OPEN_FILES_MAX {
            return;
        }
        let idle = open.iter().filter(|(_, open)| Rc::strong_count(&open.file) == 1);
        if let Some(file) = idle.min_by_key(|(_, open)| open.used).map(|(file, _)| *file) {
            open.remove(&file);
        }
    }

    /// One durable write. Returns how many bytes were written.
    pub(super) async fn write(&self, file: u32, position: u64, buffer: DmaBuffer) -> Result<u32, String> {
        let open = self.open(file).await?;
        let written = open.write_at(buffer, position).await.map_err(|why| why.to_string())?;
        Ok(written as u32)
    }

    /// Reads bytes at any position.
    pub(super) async fn read(&self, file: u32, position: u64, bytes: u32) -> Result<ReadBytes, String> {
        let open = self.open(file).await?;
        let block = u64::from(BLOCK_BYTES);
        let from = position / block * block;
        let end = (position + u64::from(bytes)).next_multiple_of(block);
        let blocks = open.read_at_aligned(from, (end - from) as usize).await.map_err(|why| why.to_string())?;
        let (skip, bytes) = ((position - from) as usize, bytes as usize);
        if blocks.len() < skip + bytes {
            return Err(format!(
                "file {file} ends at byte {}, wanted {bytes} at {position}",
                from + blocks.len() as u64
            ));
        }
        Ok(ReadBytes { blocks, from: skip, bytes })
    }
}

/// Copies the parts of a write into one aligned buffer and fills it up with zeros: the one copy between socket and
/// disk (D3).
pub(super) fn gather(parts: &[Part], bytes: u32, slots: &Slots) -> DmaBuffer {
    let mut buffer = glommio::allocate_dma_buffer(bytes as usize);
    let into = buffer.as_bytes_mut();
    let mut at = 0;
    for part in parts {
        let piece = match part {
            Part::Bytes(piece) => piece.as_slice(),
            Part::Head(head) => head,
            Part::Slot { slot, len } => &slots.payload(*slot)[..*len as usize],
        };
        into[at..at + piece.len()].copy_from_slice(piece);
        at += piece.len();
    }
    // The buffer comes uninitialised, and padding is checked at replay.
    into[at..].fill(0);
    buffer
}
