//! Fixed 64-byte records: what snapshots and indexes are made of, and what control entries carry (D5).
//!
//! ```text
//! byte 0 tag; bytes 1-7 zero; unused bytes zero
//!            8            24           32           40          48          56
//! 1 log      log id 16    fence 8      floor 8      deleted 8   word 8
//! 2 loss     log id 16    seg epoch 8  seg index 4  from 8      to 8
//! 3 file     number 4 ..  first 8      last 8       incarnation 8  opened at 8  verified at 8
//!            closed at 8 (16)
//! 4 identity disk id 16   since 8      retired 1
//! 5 chunk    log id 16    seg epoch 8  seg index 4  seq 8       watermark 8  position 4
//!                                      length 4 (36)                         payload crc 4 (60)
//! 6 footer   index pos 4, index parts 4 (12), snapshot pos 4 (16), snapshot parts 4 (20)
//! 7 scrub    through 8    until 8 (16) began at 8   verified at 8 ended at 8  damaged 4, before 4 (52)
//! ```

use crate::bytesio::{array, put, u32_at, u64_at};
use crate::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use crate::limits::RECORD_BYTES;

/// A log's durable small state. Records of one log merge by maximum, in any order (P12, D5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogRecord {
    /// The log.
    pub log: LogId,
    /// The fence: lower epochs are refused, for ever (P3).
    pub fence: Epoch,
    /// The seq below which the log is trimmed.
    pub floor: ChunkSeq,
    /// The epoch that deleted the log; 0 if it is not deleted.
    pub deleted: Epoch,
    /// The highest record number a client told this shard of (P13).
    pub word: RecordNumber,
}

impl LogRecord {
    /// Raises every field of `self` to that of `other`.
    pub fn merge(&mut self, other: &Self) {
        assert!(self.log == other.log, "merging records of two logs: {} and {}", self.log, other.log);
        self.fence = self.fence.max(other.fence);
        self.floor = self.floor.max(other.floor);
        self.deleted = self.deleted.max(other.deleted);
        self.word = self.word.max(other.word);
    }
}

/// Seqs of a segment whose chunks may have been acknowledged and cannot be read any more: answered *unknown*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossRecord {
    /// The log.
    pub log: LogId,
    /// The segment.
    pub segment: SegmentId,
    /// First seq lost.
    pub from: ChunkSeq,
    /// One past the last seq lost.
    pub to: ChunkSeq,
}

/// A live chunk file. Its times are those of the shard's own clock: for people, no rule rests on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileRecord {
    /// The file's number, which is its name.
    pub number: u32,
    /// How often, over the whole shard, a file had been opened when this one was: unique, rising.
    pub incarnation: u64,
    /// The first batch in the file.
    pub first: u64,
    /// The last batch placed in the file so far.
    pub last: u64,
    /// When the file was opened, in Unix seconds; 0 if nobody knows. What lies in it was stored then or later.
    pub opened_at_s: u64,
    /// When the file was closed, in Unix seconds; 0 if it is open, or was when the shard stopped.
    pub closed_at_s: u64,
    /// When everything that lives in it was last read again and verified, in Unix seconds; 0 for never.
    pub verified_at_s: u64,
}

/// One identity of the shard's disk. Exactly one is not retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityRecord {
    /// The identity.
    pub disk: DiskId,
    /// The batch number at which it came into force.
    pub since: u64,
    /// Under a retired identity the shard serves reads and *unknown* and takes no puts (P8).
    pub retired: bool,
}

/// Where a chunk lies in the file whose index holds this record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRecord {
    /// The log.
    pub log: LogId,
    /// The segment.
    pub segment: SegmentId,
    /// The seq.
    pub seq: ChunkSeq,
    /// The watermark in the chunk's header.
    pub watermark: ChunkSeq,
    /// Payload bytes.
    pub length: u32,
    /// crc32c of the payload.
    pub payload_crc: u32,
    /// Byte position of the chunk's header in the file.
    pub position: u32,
}

/// Where the index and the closing snapshot of a full file lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FooterRecord {
    /// Byte position of the first index batch.
    pub index_position: u32,
    /// How many index batches there are.
    pub index_parts: u32,
    /// Byte position of the first closing snapshot batch.
    pub snapshot_position: u32,
    /// How many closing snapshot batches there are.
    pub snapshot_parts: u32,
}

/// How far scrub has come: it goes through the files in order of incarnation. Written as a control entry with every file
/// that it is done with, and carried by snapshots. Its times are for people, like those of [`FileRecord`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubRecord {
    /// Incarnation of the last file that the present pass is done with; 0 if there is none.
    pub through: u64,
    /// The first incarnation that the pass leaves to the next one.
    pub until: u64,
    /// When the pass began, in Unix seconds.
    pub began_at_s: u64,
    /// When all that lives in the file `through` was verified, in Unix seconds; 0 if it still took more meanwhile.
    pub verified_at_s: u64,
    /// When the last whole pass ended, in Unix seconds; 0 if none has.
    pub ended_at_s: u64,
    /// Chunks that the present pass found to be damaged.
    pub damaged: u32,
    /// Chunks that the pass before it did.
    pub damaged_before: u32,
}

impl ScrubRecord {
    /// Whether the pass has files left.
    pub const fn is_under_way(&self) -> bool {
        self.through + 1 < self.until
    }
}

/// Any record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// See [`LogRecord`].
    Log(LogRecord),
    /// See [`LossRecord`].
    Loss(LossRecord),
    /// See [`FileRecord`].
    File(FileRecord),
    /// See [`IdentityRecord`].
    Identity(IdentityRecord),
    /// See [`ChunkRecord`].
    Chunk(ChunkRecord),
    /// See [`FooterRecord`].
    Footer(FooterRecord),
    /// See [`ScrubRecord`].
    Scrub(ScrubRecord),
}

/// Why 64 bytes are not a record, although the batch around them verified: another version, or a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record this build knows: tag {tag}")]
pub struct RecordError {
    /// The tag byte found.
    pub tag: u8,
}

impl Record {
    /// The record as it is stored.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let b = &mut bytes;
        match self {
            Self::Log(r) => {
                b[0] = 1;
                put(b, 8, &r.log.0);
                put(b, 24, &r.fence.0.to_le_bytes());
                put(b, 32, &r.floor.0.to_le_bytes());
                put(b, 40, &r.deleted.0.to_le_bytes());
                put(b, 48, &r.word.0.to_le_bytes());
            }
            Self::Loss(r) => {
                b[0] = 2;
                put(b, 8, &r.log.0);
                put_segment(b, r.segment);
                put(b, 40, &r.from.0.to_le_bytes());
                put(b, 48, &r.to.0.to_le_bytes());
            }
            Self::File(r) => {
                b[0] = 3;
                put(b, 8, &r.number.to_le_bytes());
                put(b, 24, &r.first.to_le_bytes());
                put(b, 32, &r.last.to_le_bytes());
                put(b, 40, &r.incarnation.to_le_bytes());
                put(b, 48, &r.opened_at_s.to_le_bytes());
                put(b, 16, &r.closed_at_s.to_le_bytes());
                put(b, 56, &r.verified_at_s.to_le_bytes());
            }
            Self::Identity(r) => {
                b[0] = 4;
                put(b, 8, &r.disk.0);
                put(b, 24, &r.since.to_le_bytes());
                b[32] = u8::from(r.retired);
            }
            Self::Chunk(r) => {
                b[0] = 5;
                put(b, 8, &r.log.0);
                put_segment(b, r.segment);
                put(b, 36, &r.length.to_le_bytes());
                put(b, 40, &r.seq.0.to_le_bytes());
                put(b, 48, &r.watermark.0.to_le_bytes());
                put(b, 56, &r.position.to_le_bytes());
                put(b, 60, &r.payload_crc.to_le_bytes());
            }
            Self::Footer(r) => {
                b[0] = 6;
                put(b, 8, &r.index_position.to_le_bytes());
                put(b, 12, &r.index_parts.to_le_bytes());
                put(b, 16, &r.snapshot_position.to_le_bytes());
                put(b, 20, &r.snapshot_parts.to_le_bytes());
            }
            Self::Scrub(r) => r.encode(b),
        }
        bytes
    }

    /// Reads a record out of a verified batch.
    ///
    /// # Panics
    /// If `bytes` is shorter than a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let log = LogId(array(bytes, 8));
        let segment = SegmentId { epoch: Epoch(u64_at(bytes, 24)), index: u32_at(bytes, 32) };
        Ok(match bytes[0] {
            1 => Self::Log(LogRecord {
                log,
                fence: Epoch(u64_at(bytes, 24)),
                floor: ChunkSeq(u64_at(bytes, 32)),
                deleted: Epoch(u64_at(bytes, 40)),
                word: RecordNumber(u64_at(bytes, 48)),
            }),
            2 => Self::Loss(LossRecord {
                log,
                segment,
                from: ChunkSeq(u64_at(bytes, 40)),
                to: ChunkSeq(u64_at(bytes, 48)),
            }),
            3 => Self::File(FileRecord {
                number: u32_at(bytes, 8),
                first: u64_at(bytes, 24),
                last: u64_at(bytes, 32),
                incarnation: u64_at(bytes, 40),
                opened_at_s: u64_at(bytes, 48),
                closed_at_s: u64_at(bytes, 16),
                verified_at_s: u64_at(bytes, 56),
            }),
            4 => Self::Identity(IdentityRecord {
                disk: DiskId(array(bytes, 8)),
                since: u64_at(bytes, 24),
                retired: bytes[32] != 0,
            }),
            5 => Self::Chunk(ChunkRecord {
                log,
                segment,
                seq: ChunkSeq(u64_at(bytes, 40)),
                watermark: ChunkSeq(u64_at(bytes, 48)),
                length: u32_at(bytes, 36),
                payload_crc: u32_at(bytes, 60),
                position: u32_at(bytes, 56),
            }),
            6 => Self::Footer(FooterRecord {
                index_position: u32_at(bytes, 8),
                index_parts: u32_at(bytes, 12),
                snapshot_position: u32_at(bytes, 16),
                snapshot_parts: u32_at(bytes, 20),
            }),
            7 => Self::Scrub(ScrubRecord::decode(bytes)),
            tag => return Err(RecordError { tag }),
        })
    }
}

impl ScrubRecord {
    fn encode(&self, b: &mut [u8; RECORD_BYTES]) {
        b[0] = 7;
        put(b, 8, &self.through.to_le_bytes());
        put(b, 16, &self.until.to_le_bytes());
        put(b, 24, &self.began_at_s.to_le_bytes());
        put(b, 32, &self.verified_at_s.to_le_bytes());
        put(b, 40, &self.ended_at_s.to_le_bytes());
        put(b, 48, &self.damaged.to_le_bytes());
        put(b, 52, &self.damaged_before.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Self {
        Self {
            through: u64_at(bytes, 8),
            until: u64_at(bytes, 16),
            began_at_s: u64_at(bytes, 24),
            verified_at_s: u64_at(bytes, 32),
            ended_at_s: u64_at(bytes, 40),
            damaged: u32_at(bytes, 48),
            damaged_before: u32_at(bytes, 52),
        }
    }
}

fn put_segment(bytes: &mut [u8], segment: SegmentId) {
    put(bytes, 24, &segment.epoch.0.to_le_bytes());
    put(bytes, 32, &segment.index.to_le_bytes());
}
