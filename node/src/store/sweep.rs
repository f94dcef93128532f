//! Going through the live chunks of one file: they are looked for in the index, a bounded number of pages at a time, then
//! read in runs of neighbours, and each is held against its name and its checksums. Copying forward and scrub both do it.

use super::index::{ChunkKey, Cursor, Index, Place};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::limits::CHUNK_HEADER_BYTES;
use std::collections::VecDeque;

/// The bytes of a chunk on disk.
pub(super) const fn stored_bytes(length: u32) -> u64 {
    CHUNK_HEADER_BYTES as u64 + length as u64
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) file: u32,
    cursor: Option<Cursor>,
    searched: bool,
    /// Chunks found and not read yet, by position.
    found: VecDeque<(ChunkKey, Place)>,
}

impl Sweep {
    pub(super) const fn new(file: u32) -> Self {
        Self { file, cursor: None, searched: false, found: VecDeque::new() }
    }

    /// Whether there is more to look for, and room for what may be found.
    pub(super) fn may_search(&self) -> bool {
        !self.searched && self.found.is_empty()
    }

    /// Looks through the next pages of the index; says whether there are more.
    pub(super) fn search(&mut self, index: &Index, pages_max: usize) -> bool {
        let mut found = Vec::new();
        self.cursor = index.find_in_file(self.file, self.cursor, pages_max, &mut found);
        self.searched = self.cursor.is_none();
        found.sort_unstable_by_key(|(_, place)| place.position);
        self.found = found.into();
        !self.searched
    }

    /// Whether every chunk was found and taken.
    pub(super) fn is_done(&self) -> bool {
        self.searched && self.found.is_empty()
    }

    /// The next run: how many neighbours, with at most `gap` dead bytes between two, make up to `bytes_max` bytes or are
    /// one chunk, and how many bytes that is.
    pub(super) fn next_run(&self, gap: u32, bytes_max: u32) -> Option<(usize, u64)> {
        let first = self.found.front()?.1.position;
        let mut end = first;
        let is_near = |(_, place): &&(ChunkKey, Place)| {
            let next_end = place.position + stored_bytes(place.length) as u32;
            let near = place.position.saturating_sub(end) <= gap;
            let small = place.position == first || next_end - first <= bytes_max;
            if near && small {
                end = next_end;
            }
            near && small
        };
        let count = self.found.iter().take_while(is_near).count();
        Some((count, u64::from(end - first)))
    }

    /// Takes the first `count` chunks out.
    pub(super) fn take(&mut self, count: usize) -> Vec<(ChunkKey, Place)> {
        self.found.drain(..count).collect()
    }
}

/// A read in progress.
#[derive(Debug)]
pub(super) struct SweepRead {
    pub(super) file: u32,
    pub(super) position: u32,
    pub(super) bytes: u32,
    /// The chunks in it, by position.
    pub(super) chunks: Vec<(ChunkKey, Place)>,
    /// Whether these chunks were read before, in vain.
    pub(super) again: bool,
}

impl SweepRead {
    /// The read that fetches these neighbours.
    pub(super) fn of(chunks: Vec<(ChunkKey, Place)>, again: bool) -> Self {
        let (first, last) = (chunks[0].1, chunks[chunks.len() - 1].1);
        let bytes = last.position - first.position + stored_bytes(last.length) as u32;
        Self { file: first.file, position: first.position, bytes, chunks, again }
    }

    /// The bytes of the chunk at `place`, or why there are none.
    pub(super) fn slice<'a>(&self, place: Place, result: &Result<&'a [u8], String>) -> Result<&'a [u8], String> {
        let at = (place.position - self.position) as usize;
        let end = at + stored_bytes(place.length) as usize;
        match result {
            Ok(bytes) if end <= bytes.len() => Ok(&bytes[at..end]),
            Ok(bytes) => Err(format!("{} of {} bytes were read", bytes.len(), self.bytes)),
            Err(why) => Err(why.clone()),
        }
    }
}

/// The header at the front of `bytes`, if it is that of the chunk `key`.
pub(super) fn named(key: &ChunkKey, bytes: &[u8]) -> Result<ChunkHeader, String> {
    let header = ChunkHeader::decode(bytes).map_err(|why| why.to_string())?;
    let found = ChunkKey { log: header.log, segment: header.segment, seq: header.seq };
    if found == *key { Ok(header) } else { Err(format!("{found:?} lies where {key:?} should")) }
}

/// The header at the front of `bytes`, if they are the chunk `key` and nothing else.
pub(super) fn verified(key: &ChunkKey, bytes: &[u8]) -> Result<ChunkHeader, String> {
    let header = named(key, bytes)?;
    header.verify_payload(&bytes[CHUNK_HEADER_BYTES..]).map_err(|why| why.to_string())?;
    Ok(header)
}
