//! A client: a recovery, and then the writer that it gives way to.

use quarry_protocol::ids::{ChunkSeq, SegmentId};
use quarry_protocol::limits::{STRAGGLER_BYTES_MAX, STRAGGLER_CHUNKS_MAX};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::recovery::{Recovery, RecoveryConfig, RecoveryError, RecoveryReport};
use quarry_protocol::time::Micros;
use quarry_protocol::writer::{Writer, WriterConfig};

/// No deadline inside a test's time.
pub(crate) const NEVER_US: u64 = u64::MAX / 2;

pub(crate) enum Role {
    Recovering(Box<Recovery>),
    Writing(Box<Writer>),
    Over(Option<Box<RecoveryError>>),
}

pub(crate) struct Client {
    pub(crate) role: Role,
    /// The segment it puts to, and that segment's replicas.
    pub(crate) segment: Option<SegmentId>,
    pub(crate) replicas: Vec<ReplicaRef>,
    pub(crate) report: Option<RecoveryReport>,
    pub(crate) appended: u8,
}

impl Client {
    pub(crate) fn new(config: RecoveryConfig, now: Micros) -> Self {
        let role = Role::Recovering(Box::new(Recovery::new(config, now)));
        Self { role, segment: None, replicas: Vec::new(), report: None, appended: 0 }
    }

    pub(crate) fn writer(&self) -> Option<&Writer> {
        match &self.role {
            Role::Writing(writer) => Some(writer),
            _ => None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.role, Role::Over(_))
    }

    /// The recovery is done: its writer goes on from there.
    pub(crate) fn start_writing(&mut self, report: RecoveryReport, now: Micros) {
        let segment = report.segment.clone().expect("opened to write");
        assert!(segment.base <= report.next_seq, "base {} above the tail {}", segment.base, report.next_seq);
        let config = WriterConfig {
            log: report.record.log,
            segment: segment.id,
            quorum: segment.quorum().expect("valid"),
            window: segment.window,
            next_seq: report.next_seq,
            digest: report.digest,
            carried: report.carried.clone(),
            deadline_us: NEVER_US,
            straggler_chunks_max: STRAGGLER_CHUNKS_MAX,
            held: false,
            straggler_bytes_max: STRAGGLER_BYTES_MAX,
        };
        (self.segment, self.replicas) = (Some(segment.id), segment.replicas);
        self.report = Some(report);
        self.role = Role::Writing(Box::new(Writer::new(config, now)));
    }

    pub(crate) fn next_seq(&self) -> ChunkSeq {
        self.report.as_ref().map_or(ChunkSeq(0), |report| report.next_seq)
    }
}
