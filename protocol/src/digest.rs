//! A segment's running digest: what a seal binds a segment's content to (D3).

use crate::chunk::ChunkHeader;
use crate::ids::{ChunkSeq, LogId, SegmentId};
use core::fmt;
use sha2::{Digest as _, Sha256};

/// The chained digest of a segment through one of its chunks: the first 16 bytes of
/// SHA-256(previous digest ‖ seq ‖ length ‖ crc32c of the payload), all little-endian.
///
/// Every chunk header carries it, so that the digest of a sealed segment is that of its last chunk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// Where the chain of a segment starts, before its first chunk: it binds log, segment and base.
    #[must_use]
    pub fn start(log: LogId, segment: SegmentId, base: ChunkSeq) -> Self {
        let mut bytes = [0; 16 + 8 + 4 + 8];
        bytes[..16].copy_from_slice(&log.0);
        bytes[16..24].copy_from_slice(&segment.epoch.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&segment.index.to_le_bytes());
        bytes[28..].copy_from_slice(&base.0.to_le_bytes());
        Self::of(&bytes)
    }

    /// The digest through the chunk `seq` that follows.
    #[must_use]
    pub fn chain(self, seq: ChunkSeq, length: u32, payload_crc: u32) -> Self {
        let mut bytes = [0; 16 + 8 + 4 + 4];
        bytes[..16].copy_from_slice(&self.0);
        bytes[16..24].copy_from_slice(&seq.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&length.to_le_bytes());
        bytes[28..].copy_from_slice(&payload_crc.to_le_bytes());
        Self::of(&bytes)
    }

    /// Whether `header` continues a chain that stands at `self`.
    #[must_use]
    pub fn continues_with(self, header: &ChunkHeader) -> bool {
        self.chain(header.seq, header.length, header.payload_crc) == header.digest
    }

    fn of(bytes: &[u8]) -> Self {
        let whole = Sha256::digest(bytes);
        let mut first = [0; 16];
        first.copy_from_slice(&whole[..16]);
        Self(first)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The textual form is that of any 16-byte id.
        crate::ids::OwnerId::deserialize(deserializer).map(|id| Self(id.0))
    }
}
