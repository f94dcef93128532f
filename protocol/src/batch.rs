//! The batch: the one thing a shard ever writes to a chunk file (D1, D4).
//!
//! ```text
//!  0  magic "QBAT"   4     28  entries      4    64  used bytes   4   84  zero        40
//!  4  version        2     32  incarnation  8    68  heads crc    4  124  header crc   4
//!  6  kind           1     40  position     8    72  part         4  128  (entries follow)
//!  7  zero           1     48  number       8    76  parts        4
//!  8  disk id       16     56  confirmed    8    80  zero         4
//! 24  file number    4
//! ```
//! A data batch's entries follow each other without gaps: a chunk is its header and payload exactly as received, a
//! control entry is 96 bytes around one [`crate::snapshot::Record`]. Snapshot, index and footer batches carry bare
//! 64-byte records. After `used` bytes (counted from the batch's first) zeros fill the last block.
//! `heads crc` covers every chunk header and control entry in order, each without its own checksum, or all records.
//! `confirmed` is the last batch number that was confirmed when this one was written: the *mark*.
//! Numbers are dense per shard, across files, from 1.

use crate::bytesio::{array, put, u16_at, u32_at, u64_at};
use crate::chunk::{CHUNK_KIND, CHUNK_VERSION, ChunkError, ChunkHeader};
use crate::ids::DiskId;
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, BATCH_HEADER_BYTES, BLOCK_BYTES, CHUNK_HEADER_BYTES, RECORD_BYTES,
};
use crate::snapshot::{Record, RecordError};

const MAGIC: [u8; 4] = *b"QBAT";
const CONTROL_MAGIC: [u8; 4] = *b"QCTL";
const CONTROL_KIND: u8 = 2;
/// Version of the batch layout. Before 1.0 there is exactly one.
pub const BATCH_VERSION: u16 = 1;

/// What a batch carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BatchKind {
    /// Chunks and control entries; none at all is a bare mark.
    Data = 1,
    /// A part of a snapshot.
    Snapshot = 2,
    /// A part of a file's index.
    Index = 3,
    /// The last block of a full file: one [`crate::snapshot::FooterRecord`].
    Footer = 4,
}

/// A validated batch header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// What the entries are.
    pub kind: BatchKind,
    /// The disk as formatted (the superblock's id for the shard, whatever identity is in force).
    pub disk: DiskId,
    /// Number of the file this batch was written to.
    pub file: u32,
    /// Incarnation of that file.
    pub incarnation: u64,
    /// Byte position of this batch in that file.
    pub position: u64,
    /// This batch's number: dense per shard, across files.
    pub number: u64,
    /// The mark: every batch up to this number had been confirmed when this one was written.
    pub confirmed: u64,
    /// How many entries or records.
    pub entries: u32,
    /// Bytes from the batch's first to the end of its last entry, before padding.
    pub used: u32,
    /// Of every chunk header and control entry (see [`heads_crc`]), or the crc32c of all records.
    pub heads_crc: u32,
    /// Of a snapshot or index: which part this is, from 0.
    pub part: u32,
    /// Of a snapshot or index: how many parts there are; 1 otherwise.
    pub parts: u32,
}

/// Why bytes are not a batch. What that means (rot, or a torn write) depends on the marks (D4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("batch cut short: {got} of {need} bytes")]
    Short {
        /// Bytes present.
        got: usize,
        /// Bytes needed.
        need: usize,
    },
    /// Not a batch header: magic, version, kind or zero bytes differ, or its checksum does.
    #[error("not a batch header")]
    NotABatch,
    /// Another version of the layout.
    #[error("batch layout version {got}, this build knows only {BATCH_VERSION}: start the version that wrote it")]
    Version {
        /// The version found.
        got: u16,
    },
    /// Sizes in the header exceed what a batch may have.
    #[error("batch header out of bounds: {entries} entries in {used} bytes")]
    Bounds {
        /// Entries announced.
        entries: u32,
        /// Bytes announced.
        used: u32,
    },
    /// The checksum over the entry headers or records does not match.
    #[error("batch heads checksum mismatch: header says {stored:#010x}, computed {computed:#010x}")]
    HeadsChecksum {
        /// In the header.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// The bytes after the last entry are not zero.
    #[error("batch padding is not zero")]
    Padding,
    /// An entry is not a chunk header or a control entry.
    #[error("batch entry at byte {at}: {why}")]
    Entry {
        /// Byte position of the entry in the batch.
        at: u32,
        /// What is wrong with it.
        why: ChunkError,
    },
    /// A record is not one that this build knows.
    #[error("batch record at byte {at}: {why}")]
    Record {
        /// Byte position of the record in the batch.
        at: u32,
        /// What is wrong with it.
        why: RecordError,
    },
}

/// One entry of a data batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A chunk; its payload follows its header.
    Chunk(ChunkHeader),
    /// A control entry.
    Control(Record),
}

/// `bytes` rounded up to whole blocks.
pub const fn padded(bytes: u32) -> u32 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

impl BatchHeader {
    /// The header as it is stored.
    #[must_use]
    pub fn encode(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 4, &BATCH_VERSION.to_le_bytes());
        bytes[6] = self.kind as u8;
        put(&mut bytes, 8, &self.disk.0);
        put(&mut bytes, 24, &self.file.to_le_bytes());
        put(&mut bytes, 28, &self.entries.to_le_bytes());
        put(&mut bytes, 32, &self.incarnation.to_le_bytes());
        put(&mut bytes, 40, &self.position.to_le_bytes());
        put(&mut bytes, 48, &self.number.to_le_bytes());
        put(&mut bytes, 56, &self.confirmed.to_le_bytes());
        put(&mut bytes, 64, &self.used.to_le_bytes());
        put(&mut bytes, 68, &self.heads_crc.to_le_bytes());
        put(&mut bytes, 72, &self.part.to_le_bytes());
        put(&mut bytes, 76, &self.parts.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..124]);
        put(&mut bytes, 124, &crc.to_le_bytes());
        bytes
    }

    /// Reads and verifies a header; the entries are not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.len() < BATCH_HEADER_BYTES {
            return Err(BatchError::Short { got: bytes.len(), need: BATCH_HEADER_BYTES });
        }
        if bytes[..4] != MAGIC || u32_at(bytes, 124) != crc32c::crc32c(&bytes[..124]) {
            return Err(BatchError::NotABatch);
        }
        let version = u16_at(bytes, 4);
        if version != BATCH_VERSION {
            return Err(BatchError::Version { got: version });
        }
        let kind = match bytes[6] {
            1 => BatchKind::Data,
            2 => BatchKind::Snapshot,
            3 => BatchKind::Index,
            4 => BatchKind::Footer,
            _ => return Err(BatchError::NotABatch),
        };
        if bytes[7] != 0 || bytes[80..124].iter().any(|b| *b != 0) {
            return Err(BatchError::NotABatch);
        }
        let header = Self {
            kind,
            disk: DiskId(array(bytes, 8)),
            file: u32_at(bytes, 24),
            incarnation: u64_at(bytes, 32),
            position: u64_at(bytes, 40),
            number: u64_at(bytes, 48),
            confirmed: u64_at(bytes, 56),
            entries: u32_at(bytes, 28),
            used: u32_at(bytes, 64),
            heads_crc: u32_at(bytes, 68),
            part: u32_at(bytes, 72),
            parts: u32_at(bytes, 76),
        };
        header.check_bounds()?;
        Ok(header)
    }

    fn check_bounds(&self) -> Result<(), BatchError> {
        let (entries_max, exact) = match self.kind {
            BatchKind::Data => (BATCH_ENTRIES_MAX, None),
            _ => (
                BATCH_BYTES_MAX as usize / RECORD_BYTES,
                Some(BATCH_HEADER_BYTES + self.entries as usize * RECORD_BYTES),
            ),
        };
        let ok = self.entries as usize <= entries_max
            && self.used as usize >= BATCH_HEADER_BYTES
            && self.used <= BATCH_BYTES_MAX
            && exact.is_none_or(|used| used == self.used as usize)
            && self.part < self.parts
            && self.confirmed < self.number;
        if ok { Ok(()) } else { Err(BatchError::Bounds { entries: self.entries, used: self.used }) }
    }

    /// Bytes the batch takes on disk, padding included.
    #[must_use]
    pub const fn disk_bytes(&self) -> u32 {
        padded(self.used)
    }

    /// Verifies a whole batch except its payloads, and hands every entry of a data batch to `entry` with its byte
    /// position in the batch. `bytes` starts at the header and holds at least [`Self::disk_bytes`].
    ///
    /// `entry` may have been called for some entries when an error is found: collect, then believe.
    pub fn verify_data(&self, bytes: &[u8], mut entry: impl FnMut(u32, Entry)) -> Result<(), BatchError> {
        self.check_whole(bytes)?;
        let (mut at, mut crc) = (BATCH_HEADER_BYTES as u32, 0);
        for _ in 0..self.entries {
            let end = at as usize + CHUNK_HEADER_BYTES;
            if end > self.used as usize {
                return Err(BatchError::Bounds { entries: self.entries, used: self.used });
            }
            let head = &bytes[at as usize..end];
            crc = heads_crc(crc, head);
            let decoded = decode_entry(head).map_err(|why| BatchError::Entry { at, why })?;
            entry(at, decoded);
            at += match decoded {
                Entry::Chunk(header) => header.stored_bytes(),
                Entry::Control(_) => CHUNK_HEADER_BYTES as u32,
            };
        }
        if at != self.used {
            return Err(BatchError::Bounds { entries: self.entries, used: self.used });
        }
        self.check_heads(crc)
    }

    /// Verifies a whole snapshot, index or footer batch and hands every record to `record`.
    pub fn verify_records(&self, bytes: &[u8], mut record: impl FnMut(Record)) -> Result<(), BatchError> {
        self.check_whole(bytes)?;
        let body = &bytes[BATCH_HEADER_BYTES..self.used as usize];
        self.check_heads(crc32c::crc32c(body))?;
        for (i, bytes) in body.chunks_exact(RECORD_BYTES).enumerate() {
            let at = (BATCH_HEADER_BYTES + i * RECORD_BYTES) as u32;
            record(Record::decode(bytes).map_err(|why| BatchError::Record { at, why })?);
        }
        Ok(())
    }

    fn check_whole(&self, bytes: &[u8]) -> Result<(), BatchError> {
        let need = self.disk_bytes() as usize;
        if bytes.len() < need {
            return Err(BatchError::Short { got: bytes.len(), need });
        }
        if bytes[self.used as usize..need].iter().any(|b| *b != 0) {
            return Err(BatchError::Padding);
        }
        Ok(())
    }

    fn check_heads(&self, computed: u32) -> Result<(), BatchError> {
        if computed == self.heads_crc {
            Ok(())
        } else {
            Err(BatchError::HeadsChecksum { stored: self.heads_crc, computed })
        }
    }
}

/// `heads crc` of a data batch through one more chunk header or control entry; 0 before the first.
///
/// The head's own checksum is left out: a crc32c over bytes and their crc32c is the same whatever the bytes are.
///
/// # Panics
/// If `head` is shorter than a chunk header.
#[must_use]
pub fn heads_crc(crc: u32, head: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, &head[..CHUNK_HEADER_BYTES - size_of::<u32>()])
}

/// A control entry as it is stored in a data batch.
#[must_use]
pub fn encode_control(record: &Record) -> [u8; CHUNK_HEADER_BYTES] {
    let mut bytes = [0; CHUNK_HEADER_BYTES];
    put(&mut bytes, 0, &CONTROL_MAGIC);
    put(&mut bytes, 4, &CHUNK_VERSION.to_le_bytes());
    bytes[6] = CONTROL_KIND;
    put(&mut bytes, 8, &record.encode());
    let crc = crc32c::crc32c(&bytes[..92]);
    put(&mut bytes, 92, &crc.to_le_bytes());
    bytes
}

/// Reads one entry header.
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, ChunkError> {
    if bytes.len() < CHUNK_HEADER_BYTES {
        return Err(ChunkError::Short { got: bytes.len() });
    }
    if bytes[6] == CHUNK_KIND {
        return ChunkHeader::decode(bytes).map(Entry::Chunk);
    }
    if bytes[..4] != CONTROL_MAGIC || bytes[6] != CONTROL_KIND {
        return Err(ChunkError::NotAChunk);
    }
    let (stored, computed) = (u32_at(bytes, 92), crc32c::crc32c(&bytes[..92]));
    if stored != computed {
        return Err(ChunkError::HeaderChecksum { stored, computed });
    }
    let version = u16_at(bytes, 4);
    if version != CHUNK_VERSION {
        return Err(ChunkError::Version { got: version });
    }
    Record::decode(&bytes[8..8 + RECORD_BYTES]).map(Entry::Control).map_err(|_| ChunkError::NotAChunk)
}
