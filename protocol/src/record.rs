//! The register record: what is known of a log as a whole (DESIGN 3.1). Off the append path.

use crate::digest::Digest;
use crate::ids::{ChunkSeq, DiskId, Epoch, LogId, OwnerId, RecordNumber, SegmentId};
use crate::limits::{
    ADDRESS_BYTES_MAX, LOG_NAME_BYTES_MAX, RECORD_BYTES_MAX, SEGMENTS_PER_LOG_MAX, SEGMENTS_RESERVED_FOR_RECOVERY,
    WINDOW_BYTES_MAX, WINDOW_CHUNKS_MAX, ZONE_BYTES_MAX,
};
use crate::quorum::{Quorum, QuorumError};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Version of the record's format. Before 1.0 there is exactly one.
pub const RECORD_VERSION: u32 = 2;

/// What a register gives with a record and wants back with a change to it: opaque, equal if and only if the
/// record is. Every change compares the whole record as read (DESIGN 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub Vec<u8>);

/// One record per log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogRecord {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// Rises with every change, so no record ever comes back: neither a version that is the record's content nor a client's
    /// word can be mistaken for a later one (P13; tla/MODULES.md, findings 1 and 2).
    pub number: RecordNumber,
    /// The log's random id.
    pub log: LogId,
    /// The log's name, the key of the record.
    pub name: String,
    /// The highest epoch claimed.
    pub epoch: Epoch,
    /// Who claimed it.
    pub owner: OwnerId,
    /// The seq below which the log is trimmed.
    pub floor: ChunkSeq,
    /// A tombstone: the log was deleted at `epoch`.
    pub deleted: bool,
    /// The chain, oldest first: each begins where the one before it ends.
    pub segments: Vec<Segment>,
}

/// A run of the log with one writer epoch and one replica set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The segment's name.
    pub id: SegmentId,
    /// Its first seq.
    pub base: ChunkSeq,
    /// Where it ends, as far as that is known.
    pub end: SegmentEnd,
    /// Who holds it.
    pub replicas: Vec<ReplicaRef>,
    /// `Qa`.
    pub ack_quorum: u8,
    /// How far its writer may put beyond what is committed (P6).
    pub window: Window,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SegmentEnd {
    /// It grows.
    Open,
    /// The next segment takes over at this seq; what lies below may not all be committed yet (P11).
    Boundary {
        /// The first seq of the next segment.
        at: ChunkSeq,
    },
    /// It really ended, for ever.
    Sealed {
        /// One past its last seq.
        at: ChunkSeq,
        /// Its digest through its last chunk.
        digest: Digest,
    },
}

/// A replica's identity and where it was last reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaRef {
    /// The disk, as its shard names it. The identity; the rest is a hint.
    pub disk: DiskId,
    /// `host:port` of the node's first shard.
    pub address: String,
    /// The failure domain.
    pub zone: String,
}

/// The writer's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// In chunks.
    pub chunks: u32,
    /// In payload bytes.
    pub bytes: u64,
}

impl Window {
    /// Refuses a window that holds nothing, or more than any window may.
    pub fn check(self) -> Result<(), String> {
        let (chunks, bytes) = (self.chunks, self.bytes);
        if (1..=WINDOW_CHUNKS_MAX).contains(&chunks) && (1..=WINDOW_BYTES_MAX).contains(&bytes) {
            return Ok(());
        }
        Err(alloc::format!(
            "window of {chunks} chunks, {bytes} bytes: it holds 1 to {WINDOW_CHUNKS_MAX} chunks and 1 to {WINDOW_BYTES_MAX} bytes"
        ))
    }
}

/// Why bytes are not a usable record. Nothing is ever deleted because of it (P13).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not the JSON of a record.
    #[error("register record of log {name:?} does not parse: {why}: restore it from a copy, do not delete it")]
    Malformed {
        /// The log's name.
        name: String,
        /// What the parser says.
        why: String,
    },
    /// Another format version.
    #[error("register record of log {name:?} has version {got}, this build knows only {RECORD_VERSION}: upgrade it")]
    Version {
        /// The log's name.
        name: String,
        /// The version found.
        got: u64,
    },
    /// It parses and contradicts itself.
    #[error("register record of log {name:?} is inconsistent: {why}: restore it from a copy, do not delete it")]
    Inconsistent {
        /// The log's name.
        name: String,
        /// Which rule it breaks.
        why: String,
    },
    /// It is larger than a record may be.
    #[error("register record of log {name:?} has {got} {what}, the most is {max}: trim the log")]
    TooLarge {
        /// The log's name.
        name: String,
        /// What there are too many of.
        what: &'static str,
        /// How many.
        got: usize,
        /// The bound.
        max: usize,
    },
}

impl Segment {
    /// Its quorum.
    pub fn quorum(&self) -> Result<Quorum, QuorumError> {
        Quorum::new(self.replicas.len(), usize::from(self.ack_quorum))
    }

    /// Its end, if it is planned or sealed.
    pub const fn end_seq(&self) -> Option<ChunkSeq> {
        match self.end {
            SegmentEnd::Open => None,
            SegmentEnd::Boundary { at } | SegmentEnd::Sealed { at, .. } => Some(at),
        }
    }

    /// Whether it is sealed.
    pub const fn is_sealed(&self) -> bool {
        matches!(self.end, SegmentEnd::Sealed { .. })
    }

    /// Whether it owns `seq`.
    pub fn owns(&self, seq: ChunkSeq) -> bool {
        seq >= self.base && self.end_seq().is_none_or(|end| seq < end)
    }
}

/// Whether `name` may name a log: 1 to 255 bytes, no control characters, and not `.` or `..`.
pub fn check_log_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > LOG_NAME_BYTES_MAX {
        return Err(alloc::format!("a log name has 1 to {LOG_NAME_BYTES_MAX} bytes, {name:.32?} has {}", name.len()));
    }
    if name.chars().any(char::is_control) || name == "." || name == ".." {
        return Err(alloc::format!("a log name has no control characters and is not \".\" or \"..\", got {name:?}"));
    }
    Ok(())
}

impl LogRecord {
    /// The record of a log that nobody has opened yet.
    #[must_use]
    pub fn new(name: &str, log: LogId) -> Self {
        Self {
            version: RECORD_VERSION,
            number: RecordNumber(0),
            log,
            name: name.to_string(),
            epoch: Epoch(0),
            owner: OwnerId::ZERO,
            floor: ChunkSeq(0),
            deleted: false,
            segments: Vec::new(),
        }
    }

    /// The record to put in the place of this one: the same, one change further on.
    #[must_use]
    pub fn changed(&self) -> Self {
        Self { number: self.number.next(), ..self.clone() }
    }

    /// The record as JSON, after [`Self::check`].
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        self.check(SEGMENTS_PER_LOG_MAX)?;
        let json = serde_json::to_vec_pretty(self)
            .map_err(|why| RecordError::Malformed { name: self.name.clone(), why: why.to_string() })?;
        self.check_size("bytes", json.len(), RECORD_BYTES_MAX)?;
        Ok(json)
    }

    /// Reads and checks a record that was stored under `name`.
    pub fn decode(name: &str, json: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let malformed =
            |why: serde_json::Error| RecordError::Malformed { name: name.to_string(), why: why.to_string() };
        if json.len() > RECORD_BYTES_MAX {
            let (got, max) = (json.len(), RECORD_BYTES_MAX);
            return Err(RecordError::TooLarge { name: name.to_string(), what: "bytes", got, max });
        }
        let found: Versioned = serde_json::from_slice(json).map_err(malformed)?;
        if found.version != u64::from(RECORD_VERSION) {
            return Err(RecordError::Version { name: name.to_string(), got: found.version });
        }
        let record: Self = serde_json::from_slice(json).map_err(malformed)?;
        if record.name != name {
            return Err(record.inconsistent(alloc::format!("it was stored under {name:?}")));
        }
        record.check(SEGMENTS_PER_LOG_MAX)?;
        Ok(record)
    }

    /// Whether one more segment may be opened by something other than a recovery.
    pub fn has_room_to_rotate(&self) -> bool {
        self.segments.len() + SEGMENTS_RESERVED_FOR_RECOVERY < SEGMENTS_PER_LOG_MAX
    }

    /// The segment that owns `seq`, if the chain reaches that far.
    pub fn segment_of(&self, seq: ChunkSeq) -> Option<&Segment> {
        self.segments.iter().rev().find(|s| s.owns(seq))
    }

    /// The unsealed segments: the open one, and one before it around a boundary.
    pub fn unsealed(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|s| !s.is_sealed())
    }

    /// Checks every rule that a record must obey by itself.
    pub fn check(&self, segments_max: usize) -> Result<(), RecordError> {
        check_log_name(&self.name).map_err(|why| self.inconsistent(why))?;
        self.check_size("segments", self.segments.len(), segments_max)?;
        if self.log.is_zero() {
            return Err(self.inconsistent("its log id is zero".into()));
        }
        if self.number.0 < self.epoch.0 {
            let (number, epoch) = (self.number, self.epoch);
            return Err(self.inconsistent(alloc::format!(
                "its number {number} lies below its epoch {epoch}, every claim is a change"
            )));
        }
        for (i, segment) in self.segments.iter().enumerate() {
            self.check_segment(i, segment)?;
        }
        if let Some(first) = self.segments.first()
            && self.floor < first.base
        {
            return Err(self.inconsistent(alloc::format!(
                "its floor {} lies below its first segment's base {}",
                self.floor,
                first.base
            )));
        }
        Ok(())
    }

    fn check_segment(&self, i: usize, segment: &Segment) -> Result<(), RecordError> {
        let fail = |why: String| Err(self.inconsistent(alloc::format!("segment {}: {why}", segment.id)));
        if let Err(why) = segment.quorum() {
            return fail(why.to_string());
        }
        if segment.id.epoch > self.epoch || segment.id.epoch == Epoch(0) {
            return fail(alloc::format!("its epoch is not between 1 and the record's {}", self.epoch));
        }
        if let Err(why) = segment.window.check() {
            return fail(why);
        }
        for (j, replica) in segment.replicas.iter().enumerate() {
            if replica.address.len() > ADDRESS_BYTES_MAX
                || replica.zone.len() > ZONE_BYTES_MAX
                || replica.disk.is_zero()
            {
                return fail(alloc::format!("replica {j} has no disk id, or an address or zone that is too long"));
            }
            if segment.replicas[..j].iter().any(|other| other.zone == replica.zone || other.disk == replica.disk) {
                return fail(alloc::format!("two replicas in zone {:?}, a zone holds at most one", replica.zone));
            }
        }
        if segment.end_seq().is_some_and(|end| end < segment.base) {
            return fail("it ends before it begins".into());
        }
        match self.segments.get(i + 1) {
            None if matches!(segment.end, SegmentEnd::Boundary { .. }) => {
                fail("a boundary without a next segment".into())
            }
            Some(next) if segment.end_seq() != Some(next.base) => {
                fail(alloc::format!("it does not end where {} begins", next.id))
            }
            Some(next) if next.id <= segment.id => fail(alloc::format!("{} follows it", next.id)),
            Some(next) if !segment.is_sealed() && !matches!(next.end, SegmentEnd::Open) => {
                fail("at most one boundary is unsettled".into())
            }
            _ => Ok(()),
        }
    }

    fn check_size(&self, what: &'static str, got: usize, max: usize) -> Result<(), RecordError> {
        if got <= max { Ok(()) } else { Err(RecordError::TooLarge { name: self.name.clone(), what, got, max }) }
    }

    fn inconsistent(&self, why: String) -> RecordError {
        RecordError::Inconsistent { name: self.name.clone(), why }
    }
}
