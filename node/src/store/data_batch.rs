//! Gathers a batch: its header, then entries without gaps, as pieces of memory and slots (D3: what is sent is stored).

use super::event::Part;
use quarry_protocol::batch::{BatchHeader, encode_control, heads_crc, padded};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::limits::{BATCH_HEADER_BYTES, RECORD_BYTES};
use quarry_protocol::replica::Slot;
use quarry_protocol::snapshot::Record;

/// A batch without its header.
#[derive(Debug, Default)]
pub(super) struct BatchBody {
    parts: Vec<Part>,
    /// Bytes after the last slot.
    open: Vec<u8>,
    bytes: u32,
    pub(super) entries: u32,
    pub(super) heads_crc: u32,
}

impl BatchBody {
    pub(super) fn new() -> Self {
        // The header's place is kept, so that it and the first entry's header are one piece.
        Self { open: vec![0; BATCH_HEADER_BYTES], bytes: BATCH_HEADER_BYTES as u32, ..Self::default() }
    }

    /// Makes room for so many chunks at once.
    pub(super) fn reserve_chunks(&mut self, chunks: usize) {
        self.parts.reserve(2 * chunks + 2);
    }

    /// A whole batch of records.
    pub(super) fn of_records(records: &[Record]) -> Self {
        let mut body = Self::new();
        body.open.reserve(records.len() * RECORD_BYTES);
        for record in records {
            body.open.extend_from_slice(&record.encode());
        }
        body.heads_crc = crc32c::crc32c(&body.open[BATCH_HEADER_BYTES..]);
        body.entries = records.len() as u32;
        body.bytes = body.open.len() as u32;
        body
    }

    /// Bytes so far, header included.
    pub(super) const fn used(&self) -> u32 {
        self.bytes
    }

    /// Bytes on disk if `more` bytes are added.
    pub(super) const fn padded_with(&self, more: u32) -> u32 {
        padded(self.bytes + more)
    }

    pub(super) fn push_control(&mut self, record: &Record) {
        self.push_head(&encode_control(record));
    }

    /// Adds a chunk and says at which byte of the batch it lies.
    pub(super) fn push_chunk(&mut self, header: &ChunkHeader, slot: Slot) -> u32 {
        let at = self.bytes;
        let head = header.encode();
        self.count_head(&head);
        if !self.open.is_empty() {
            self.parts.push(Part::Bytes(std::mem::take(&mut self.open)));
        }
        self.parts.push(Part::Head(head));
        self.parts.push(Part::Slot { slot, len: header.length });
        self.bytes += header.length;
        at
    }

    /// Adds a chunk whose header and payload are `bytes`, and says at which byte of the batch it lies.
    pub(super) fn push_copy(&mut self, header: &ChunkHeader, bytes: &[u8]) -> u32 {
        assert!(bytes.len() == header.stored_bytes() as usize, "{} bytes of {header:?}", bytes.len());
        let at = self.bytes;
        let payload = bytes.len() - header.length as usize;
        self.push_head(&bytes[..payload]);
        self.open.extend_from_slice(&bytes[payload..]);
        self.bytes += header.length;
        at
    }

    fn push_head(&mut self, head: &[u8]) {
        self.count_head(head);
        self.open.extend_from_slice(head);
    }

    fn count_head(&mut self, head: &[u8]) {
        self.heads_crc = heads_crc(self.heads_crc, head);
        self.bytes += head.len() as u32;
        self.entries += 1;
    }

    /// The pieces, with `header` in front.
    pub(super) fn finish(mut self, header: &BatchHeader) -> Vec<Part> {
        assert!(header.used == self.bytes && header.entries == self.entries, "{header:?} is not of this batch");
        if !self.open.is_empty() {
            self.parts.push(Part::Bytes(self.open));
        }
        let Some(Part::Bytes(first)) = self.parts.first_mut() else { panic!("a batch begins with its header") };
        first[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode());
        self.parts
    }
}
