//! The frame header: what stands before every message on a connection. It is validated by hand, and the body's
//! size is judged, before any of the body is read (D8).
//!
//! ```text
//!  0  magic "QRRY"   4     8  request id   8    32  body bytes  4    40  zero       20
//!  4  version        2    16  disk id     16    36  body crc    4    60  header crc  4
//!  6  kind           2
//! ```
//! The disk id names the disk a request is meant for, or the disk that answers (P4). The body crc of a frame that
//! carries a chunk is zero: the chunk has its own checksums.

use crate::bytesio::{array, put, u16_at, u32_at, u64_at};
use crate::ids::DiskId;
use crate::limits::{FRAME_CHUNK_BODY_BYTES_MAX, FRAME_CONTROL_BODY_BYTES_MAX, FRAME_HEADER_BYTES};
use crate::planted;
use crate::put_times::PUT_TIMES_BYTES;

const MAGIC: [u8; 4] = *b"QRRY";
/// Version of the wire protocol. Before 1.0 there is exactly one.
pub const FRAME_VERSION: u16 = 1;

/// What a frame carries. Replies have bit 15 set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum FrameKind {
    /// A control request, [`crate::message::Request`] as rkyv.
    Request = 1,
    /// A put: chunk header, then payload.
    Put = 2,
    /// A copy of a chunk of a sealed segment, made by a repair: body as of a put. The log's fence does not stand in its way.
    Copy = 3,
    /// As a put; whoever sent it wants to know where its time went. It may be answered as any put, or with `TimedStored`.
    TimedPut = 4,
    /// A control reply, [`crate::message::Reply`] as rkyv.
    Reply = 0x8001,
    /// "The put of this request id is stored": no body.
    Stored = 0x8002,
    /// One chunk of a read: chunk header, then payload. More frames of the same request id follow.
    Chunk = 0x8003,
    /// As `Stored`, with where the time went: [`crate::put_times::PutTimes`].
    TimedStored = 0x8004,
}

impl FrameKind {
    const fn from_wire(kind: u16) -> Option<Self> {
        match kind {
            1 => Some(Self::Request),
            2 => Some(Self::Put),
            3 => Some(Self::Copy),
            4 => Some(Self::TimedPut),
            0x8001 => Some(Self::Reply),
            0x8002 => Some(Self::Stored),
            0x8003 => Some(Self::Chunk),
            0x8004 => Some(Self::TimedStored),
            _ => None,
        }
    }

    /// Smallest and largest body of this kind, in bytes.
    #[must_use]
    pub const fn body_bounds(self) -> (u32, u32) {
        match self {
            Self::Request | Self::Reply => (1, FRAME_CONTROL_BODY_BYTES_MAX),
            Self::Put | Self::TimedPut | Self::Copy | Self::Chunk => {
                (crate::limits::CHUNK_HEADER_BYTES as u32 + 1, FRAME_CHUNK_BODY_BYTES_MAX)
            }
            Self::Stored => (0, 0),
            Self::TimedStored => (PUT_TIMES_BYTES as u32, PUT_TIMES_BYTES as u32),
        }
    }
}

/// A validated frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the body is.
    pub kind: FrameKind,
    /// Chosen by the client, unique among its unanswered requests on the connection; replies repeat it.
    pub request_id: u64,
    /// The disk meant, or the disk that answers; zero in a hello, before the client knows any.
    pub disk: DiskId,
    /// Bytes of body that follow.
    pub body_bytes: u32,
    /// crc32c of the body; 0 for kinds that carry a chunk or nothing.
    pub body_crc: u32,
}

/// Why bytes are not a frame. Any of these ends the connection: what follows cannot be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes end before the header does.
    #[error("frame header cut short: {got} of {FRAME_HEADER_BYTES} bytes")]
    Short {
        /// How many bytes there were.
        got: usize,
    },
    /// Not a Quarry frame.
    #[error("not a Quarry frame: the peer speaks another protocol")]
    NotAFrame,
    /// The header's own checksum does not match.
    #[error("frame header checksum mismatch: stored {stored:#010x}, computed {computed:#010x}")]
    HeaderChecksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the header's bytes.
        computed: u32,
    },
    /// Another version of the wire protocol.
    #[error("wire protocol version {got}, this build speaks only {FRAME_VERSION}: upgrade the older side")]
    Version {
        /// The version found.
        got: u16,
    },
    /// A kind this build does not know.
    #[error("unknown frame kind {got:#06x}")]
    Kind {
        /// The kind found.
        got: u16,
    },
    /// The body is smaller or larger than its kind allows.
    #[error("frame body of {got} bytes, a {kind:?} frame holds {min} to {max}")]
    BodySize {
        /// The frame's kind.
        kind: FrameKind,
        /// Bytes announced.
        got: u32,
        /// Fewest allowed.
        min: u32,
        /// Most allowed.
        max: u32,
    },
    /// The body's checksum does not match.
    #[error("frame body checksum mismatch: header says {stored:#010x}, computed {computed:#010x}")]
    BodyChecksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the body's bytes.
        computed: u32,
    },
}

impl FrameHeader {
    /// A frame that carries a chunk of `stored_bytes` (header and payload).
    #[must_use]
    pub const fn chunk(kind: FrameKind, request_id: u64, disk: DiskId, stored_bytes: u32) -> Self {
        Self { kind, request_id, disk, body_bytes: stored_bytes, body_crc: 0 }
    }

    /// A frame that carries `body`.
    #[must_use]
    pub fn control(kind: FrameKind, request_id: u64, disk: DiskId, body: &[u8]) -> Self {
        let body_crc = if body.is_empty() { 0 } else { crc32c::crc32c(body) };
        Self { kind, request_id, disk, body_bytes: body.len() as u32, body_crc }
    }

    /// The header as it is sent.
    #[must_use]
    pub fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 4, &FRAME_VERSION.to_le_bytes());
        put(&mut bytes, 6, &(self.kind as u16).to_le_bytes());
        put(&mut bytes, 8, &self.request_id.to_le_bytes());
        put(&mut bytes, 16, &self.disk.0);
        put(&mut bytes, 32, &self.body_bytes.to_le_bytes());
        put(&mut bytes, 36, &self.body_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        put(&mut bytes, 60, &crc.to_le_bytes());
        bytes
    }

    /// Reads and verifies a header, the announced body size included.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() < FRAME_HEADER_BYTES {
            return Err(FrameError::Short { got: bytes.len() });
        }
        if bytes[..4] != MAGIC {
            return Err(FrameError::NotAFrame);
        }
        // The version comes before the checksum: another version may checksum differently, and the
        // message has to say that it is the version that differs.
        let version = u16_at(bytes, 4);
        if version != FRAME_VERSION {
            return Err(FrameError::Version { got: version });
        }
        let (stored, computed) = (u32_at(bytes, 60), crc32c::crc32c(&bytes[..60]));
        if stored != computed {
            return Err(FrameError::HeaderChecksum { stored, computed });
        }
        let raw = u16_at(bytes, 6);
        let kind = FrameKind::from_wire(raw).ok_or(FrameError::Kind { got: raw })?;
        if bytes[40..60].iter().any(|b| *b != 0) {
            return Err(FrameError::NotAFrame);
        }
        let body_bytes = u32_at(bytes, 32);
        let (min, max) = kind.body_bounds();
        if (body_bytes < min || body_bytes > max) && !planted!(AnyBodySize) {
            return Err(FrameError::BodySize { kind, got: body_bytes, min, max });
        }
        Ok(Self {
            kind,
            request_id: u64_at(bytes, 8),
            disk: DiskId(array(bytes, 16)),
            body_bytes,
            body_crc: u32_at(bytes, 36),
        })
    }

    /// Verifies a control body against the header. Not for kinds that carry a chunk.
    pub fn verify_body(&self, body: &[u8]) -> Result<(), FrameError> {
        let computed = crc32c::crc32c(body);
        if computed == self.body_crc {
            Ok(())
        } else {
            Err(FrameError::BodyChecksum { stored: self.body_crc, computed })
        }
    }
}
