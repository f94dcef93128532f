//! The small objects of a bucket: the marker that keeps a slot empty for ever, and the identity that names the bucket.
//!
//! ```text
//!          0       4   6 7 8                24        32    36     40     48      56    60     64
//!          +-------+---+-+-+----------------+---------+-----+------+------+-------+-----+------+
//! marker   | QMRK  |ver|k|0|     log id     |seg epoch|index| zero | seq  | epoch |zero | crc  |
//!          |       | 1 |3| |                |         |     |      |      |       |     |      |
//!          +-------+---+-+-+----------------+---------+-----+------+------+-------+-----+------+
//! size        4      2  1 1        16            8       4     4      8      8       4     4
//!
//!          0       4   6 7 8                24     28    32
//!          +-------+---+-+-+----------------+------+-----+
//! identity | QBKT  |ver|k|0|    disk id     | zero | crc |
//!          |       | 1 |4| |                |      |     |
//!          +-------+---+-+-+----------------+------+-----+
//! size        4      2  1 1        16           4     4
//! ```
//! All integers are little-endian; `crc` is the crc32c of everything before it.

use super::key::SlotName;
use crate::bytesio::{array, put, u16_at, u32_at, u64_at};
use crate::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use crate::limits::{IDENTITY_BYTES, MARKER_BYTES};

const MARKER_MAGIC: [u8; 4] = *b"QMRK";
const IDENTITY_MAGIC: [u8; 4] = *b"QBKT";
const MARKER_KIND: u8 = 3;
const IDENTITY_KIND: u8 = 4;
/// Version of both layouts. Before 1.0 there is exactly one.
pub const OBJECT_VERSION: u16 = 1;

/// Keeps one slot empty for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The slot it was made for: a marker anywhere else means nothing.
    pub slot: SlotName,
    /// The epoch that made it, above the segment's.
    pub epoch: Epoch,
}

/// Why bytes are not a marker or an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// Another size.
    #[error("{got} bytes, it has {wanted}")]
    Size {
        /// Bytes found.
        got: usize,
        /// Bytes it has.
        wanted: usize,
    },
    /// Other magic, kind or zero bytes.
    #[error("magic, kind or zero bytes differ")]
    Foreign,
    /// Another version of the layout.
    #[error("layout version {got}, this build knows only {OBJECT_VERSION}: upgrade the older side")]
    Version {
        /// The version found.
        got: u16,
    },
    /// The checksum does not match.
    #[error("checksum mismatch: stored {stored:#010x}, computed {computed:#010x}")]
    Checksum {
        /// The checksum in the object.
        stored: u32,
        /// The checksum of its bytes.
        computed: u32,
    },
}

impl Marker {
    /// The object.
    #[must_use]
    pub fn encode(&self) -> [u8; MARKER_BYTES] {
        let mut bytes = [0; MARKER_BYTES];
        put(&mut bytes, 8, &self.slot.log.0);
        put(&mut bytes, 24, &self.slot.segment.epoch.0.to_le_bytes());
        put(&mut bytes, 32, &self.slot.segment.index.to_le_bytes());
        put(&mut bytes, 40, &self.slot.seq.0.to_le_bytes());
        put(&mut bytes, 48, &self.epoch.0.to_le_bytes());
        seal(&mut bytes, MARKER_MAGIC, MARKER_KIND);
        bytes
    }

    /// Reads and verifies a marker.
    pub fn decode(bytes: &[u8]) -> Result<Self, ObjectError> {
        check(bytes, MARKER_BYTES, MARKER_MAGIC, MARKER_KIND)?;
        if bytes[36..40].iter().chain(&bytes[56..60]).any(|b| *b != 0) {
            return Err(ObjectError::Foreign);
        }
        let segment = SegmentId { epoch: Epoch(u64_at(bytes, 24)), index: u32_at(bytes, 32) };
        let slot = SlotName { log: LogId(array(bytes, 8)), segment, seq: ChunkSeq(u64_at(bytes, 40)) };
        Ok(Self { slot, epoch: Epoch(u64_at(bytes, 48)) })
    }
}

/// The identity object of a bucket: made once, when the bucket is formatted, never changed.
#[must_use]
pub fn encode_identity(disk: DiskId) -> [u8; IDENTITY_BYTES] {
    let mut bytes = [0; IDENTITY_BYTES];
    put(&mut bytes, 8, &disk.0);
    seal(&mut bytes, IDENTITY_MAGIC, IDENTITY_KIND);
    bytes
}

/// Reads and verifies the identity object of a bucket.
pub fn decode_identity(bytes: &[u8]) -> Result<DiskId, ObjectError> {
    check(bytes, IDENTITY_BYTES, IDENTITY_MAGIC, IDENTITY_KIND)?;
    if bytes[24..28].iter().any(|b| *b != 0) {
        return Err(ObjectError::Foreign);
    }
    Ok(DiskId(array(bytes, 8)))
}

fn seal(bytes: &mut [u8], magic: [u8; 4], kind: u8) {
    put(bytes, 0, &magic);
    put(bytes, 4, &OBJECT_VERSION.to_le_bytes());
    bytes[6] = kind;
    let at = bytes.len() - 4;
    let crc = crc32c::crc32c(&bytes[..at]);
    put(bytes, at, &crc.to_le_bytes());
}

fn check(bytes: &[u8], wanted: usize, magic: [u8; 4], kind: u8) -> Result<(), ObjectError> {
    if bytes.len() != wanted {
        return Err(ObjectError::Size { got: bytes.len(), wanted });
    }
    if bytes[..4] != magic {
        return Err(ObjectError::Foreign);
    }
    let (stored, computed) = (u32_at(bytes, wanted - 4), crc32c::crc32c(&bytes[..wanted - 4]));
    if stored != computed {
        return Err(ObjectError::Checksum { stored, computed });
    }
    match u16_at(bytes, 4) {
        OBJECT_VERSION if bytes[6] == kind && bytes[7] == 0 => Ok(()),
        OBJECT_VERSION => Err(ObjectError::Foreign),
        got => Err(ObjectError::Version { got }),
    }
}
