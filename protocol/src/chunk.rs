//! The chunk header: one layout for the wire and for the disk (D3). The client fills it once; the node
//! verifies it once and stores the same bytes; the reader verifies it again.
//!
//! ```text
//!  0  magic "QCHK"        4   24  segment epoch  8   56  digest       16
//!  4  version             2   32  segment index  4   72  payload crc   4
//!  6  kind                1   36  length         4   76  zero         16
//!  7  zero                1   40  seq            8   92  header crc    4
//!  8  log id             16   48  watermark      8   96  (payload follows)
//! ```

use crate::bytesio::{array, put, u16_at, u32_at, u64_at};
use crate::digest::Digest;
use crate::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use crate::limits::{CHUNK_HEADER_BYTES, CHUNK_PAYLOAD_BYTES_MAX, CHUNK_PAYLOAD_BYTES_MIN};

const MAGIC: [u8; 4] = *b"QCHK";
/// Version of the chunk layout. Before 1.0 there is exactly one.
pub const CHUNK_VERSION: u16 = 1;
/// Kind byte of a chunk; other kinds are control entries (see [`crate::batch`]).
pub const CHUNK_KIND: u8 = 1;

/// What is known of a chunk apart from its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// The log.
    pub log: LogId,
    /// The segment; its epoch is the epoch of the one writer that may put this chunk (P1).
    pub segment: SegmentId,
    /// The chunk's number in the log.
    pub seq: ChunkSeq,
    /// One past the highest committed seq of this segment that the writer knew when it first sent the
    /// chunk (P2, P6).
    pub watermark: ChunkSeq,
    /// Payload length in bytes.
    pub length: u32,
    /// crc32c of the payload.
    pub payload_crc: u32,
    /// The segment's digest through this chunk.
    pub digest: Digest,
}

/// Why bytes are not a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The bytes end before the header does.
    #[error("chunk header cut short: {got} of {CHUNK_HEADER_BYTES} bytes")]
    Short {
        /// How many bytes there were.
        got: usize,
    },
    /// The header's own checksum does not match.
    #[error("chunk header checksum mismatch: stored {stored:#010x}, computed {computed:#010x}")]
    HeaderChecksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the header's bytes.
        computed: u32,
    },
    /// Not a chunk header at all.
    #[error("not a chunk header: magic, kind or zero bytes differ")]
    NotAChunk,
    /// Another version of the layout.
    #[error("chunk layout version {got}, this build knows only {CHUNK_VERSION}: upgrade the older side")]
    Version {
        /// The version found.
        got: u16,
    },
    /// The payload length is outside what a chunk may have.
    #[error(
        "chunk of {got} bytes: a chunk holds {CHUNK_PAYLOAD_BYTES_MIN} to {CHUNK_PAYLOAD_BYTES_MAX} bytes, split or fill it"
    )]
    Length {
        /// The length found, in bytes.
        got: u64,
    },
    /// The payload's bytes are not as many as the header says.
    #[error("chunk payload has {got} bytes, its header says {said}")]
    PayloadLength {
        /// Bytes present.
        got: usize,
        /// Bytes announced.
        said: u32,
    },
    /// The payload's checksum does not match.
    #[error("chunk payload checksum mismatch: header says {stored:#010x}, computed {computed:#010x}")]
    PayloadChecksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the payload's bytes.
        computed: u32,
    },
}

impl ChunkHeader {
    /// The header as it is sent and stored.
    #[must_use]
    pub fn encode(&self) -> [u8; CHUNK_HEADER_BYTES] {
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 4, &CHUNK_VERSION.to_le_bytes());
        bytes[6] = CHUNK_KIND;
        put(&mut bytes, 8, &self.log.0);
        put(&mut bytes, 24, &self.segment.epoch.0.to_le_bytes());
        put(&mut bytes, 32, &self.segment.index.to_le_bytes());
        put(&mut bytes, 36, &self.length.to_le_bytes());
        put(&mut bytes, 40, &self.seq.0.to_le_bytes());
        put(&mut bytes, 48, &self.watermark.0.to_le_bytes());
        put(&mut bytes, 56, &self.digest.0);
        put(&mut bytes, 72, &self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..92]);
        put(&mut bytes, 92, &crc.to_le_bytes());
        bytes
    }

    /// Reads and verifies a header; the payload is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChunkError> {
        if bytes.len() < CHUNK_HEADER_BYTES {
            return Err(ChunkError::Short { got: bytes.len() });
        }
        let (stored, computed) = (u32_at(bytes, 92), crc32c::crc32c(&bytes[..92]));
        if bytes[..4] != MAGIC {
            return Err(ChunkError::NotAChunk);
        }
        if stored != computed {
            return Err(ChunkError::HeaderChecksum { stored, computed });
        }
        let version = u16_at(bytes, 4);
        if version != CHUNK_VERSION {
            return Err(ChunkError::Version { got: version });
        }
        if bytes[6] != CHUNK_KIND || bytes[7] != 0 || bytes[76..92].iter().any(|b| *b != 0) {
            return Err(ChunkError::NotAChunk);
        }
        let length = u32_at(bytes, 36);
        check_length(u64::from(length))?;
        Ok(Self {
            log: LogId(array(bytes, 8)),
            segment: SegmentId { epoch: Epoch(u64_at(bytes, 24)), index: u32_at(bytes, 32) },
            seq: ChunkSeq(u64_at(bytes, 40)),
            watermark: ChunkSeq(u64_at(bytes, 48)),
            length,
            payload_crc: u32_at(bytes, 72),
            digest: Digest(array(bytes, 56)),
        })
    }

    /// Verifies that `payload` is what this header describes.
    pub fn verify_payload(&self, payload: &[u8]) -> Result<(), ChunkError> {
        if payload.len() != self.length as usize {
            return Err(ChunkError::PayloadLength { got: payload.len(), said: self.length });
        }
        let computed = crc32c::crc32c(payload);
        if computed != self.payload_crc {
            return Err(ChunkError::PayloadChecksum { stored: self.payload_crc, computed });
        }
        Ok(())
    }

    /// Bytes of header and payload together.
    #[must_use]
    pub const fn stored_bytes(&self) -> u32 {
        CHUNK_HEADER_BYTES as u32 + self.length
    }
}

/// Refuses a payload length that no chunk may have.
pub fn check_length(bytes: u64) -> Result<(), ChunkError> {
    if (u64::from(CHUNK_PAYLOAD_BYTES_MIN)..=u64::from(CHUNK_PAYLOAD_BYTES_MAX)).contains(&bytes) {
        Ok(())
    } else {
        Err(ChunkError::Length { got: bytes })
    }
}
