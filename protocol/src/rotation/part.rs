//! One segment of a rotating writer.

use super::config::RotationConfig;
use crate::digest::Digest;
use crate::ids::ChunkSeq;
use crate::record::Segment;
use crate::time::Micros;
use crate::writer::{Writer, WriterConfig};
use alloc::vec::Vec;

/// A segment, and its writer.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) segment: Segment,
    pub(super) writer: Writer,
    /// Where the next segment takes over, once that is on record.
    pub(super) end: Option<ChunkSeq>,
    /// Set once the record says that it is sealed: until when replicas that lack its last chunks are waited for.
    pub(super) sealed_until: Option<Micros>,
    /// Since when it is written.
    pub(super) since: Micros,
    /// Payload bytes appended to it.
    pub(super) bytes: u64,
}

impl Part {
    /// The segment that recovery opened.
    pub(super) fn first(config: &mut RotationConfig, now: Micros) -> Self {
        let segment = config.open_segment().clone();
        let carried = core::mem::take(&mut config.carried);
        let writer = WriterConfig { carried, ..config_of(config, &segment, (config.next_seq, config.digest)) };
        Self::new(segment, writer, now)
    }

    /// A segment of which nothing is written yet. It is held: whatever lies before it may not be committed.
    pub(super) fn next(config: &RotationConfig, segment: Segment, now: Micros) -> Self {
        let start = (segment.base, Digest::start(config.record.log, segment.id, segment.base));
        let writer = WriterConfig { held: true, ..config_of(config, &segment, start) };
        Self::new(segment, writer, now)
    }

    fn new(segment: Segment, config: WriterConfig, now: Micros) -> Self {
        let bytes = config.carried.iter().map(|chunk| u64::from(chunk.header.length)).sum();
        let writer = Writer::new(config, now);
        Self { segment, writer, end: None, sealed_until: None, since: now, bytes }
    }

    /// Whether every seq below its boundary was handed out.
    pub(super) fn is_complete(&self) -> bool {
        self.end.is_some_and(|end| self.writer.next_seq() >= end)
    }

    /// Whether all of it, up to its boundary, is committed.
    pub(super) fn is_committed(&self) -> bool {
        self.end.is_some_and(|end| self.writer.committed() >= end)
    }
}

/// The writer of one segment of this log: nothing was copied into it, and nothing holds it.
fn config_of(config: &RotationConfig, segment: &Segment, (next_seq, digest): (ChunkSeq, Digest)) -> WriterConfig {
    WriterConfig {
        log: config.record.log,
        segment: segment.id,
        quorum: segment.quorum().expect("a registered segment has a valid quorum"),
        window: segment.window,
        next_seq,
        digest,
        carried: Vec::new(),
        held: false,
        deadline_us: config.deadline_us,
        straggler_chunks_max: config.straggler_chunks_max,
        straggler_bytes_max: config.straggler_bytes_max,
    }
}
