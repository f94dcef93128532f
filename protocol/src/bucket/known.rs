//! What a bucket's machine knows of the log from the register, which is where a bucket's floor and window are kept.

use super::survey::Survey;
use crate::ids::{ChunkSeq, Epoch, SegmentId};
use crate::limits::BUCKET_SEGMENTS_MAX;
use crate::record::{LogRecord, SegmentEnd};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What one record of the log says. Floor and ends belong together: they have to come from the same record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLog {
    /// The log's floor.
    pub floor: ChunkSeq,
    /// Its segments.
    pub segments: Vec<KnownSegment>,
}

/// What a record says of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSegment {
    /// The segment.
    pub id: SegmentId,
    /// Its first seq.
    pub base: ChunkSeq,
    /// Where it ends.
    pub end: SegmentEnd,
    /// Its writer's window, in chunks.
    pub window_chunks: u32,
}

impl KnownLog {
    /// What `record` says.
    #[must_use]
    pub fn of(record: &LogRecord) -> Self {
        let known = |segment: &crate::record::Segment| KnownSegment {
            id: segment.id,
            base: segment.base,
            end: segment.end,
            window_chunks: segment.window.chunks,
        };
        Self { floor: record.floor, segments: record.segments.iter().map(known).collect() }
    }
}

impl KnownSegment {
    /// One past the last seq that a chunk of it may ever have, as far as that is known.
    pub(super) const fn limit(&self) -> ChunkSeq {
        match self.end {
            SegmentEnd::Open => ChunkSeq(u64::MAX),
            SegmentEnd::Boundary { at } | SegmentEnd::Sealed { at, .. } => at,
        }
    }

    pub(super) const fn sealed_at(&self) -> Option<ChunkSeq> {
        match self.end {
            SegmentEnd::Sealed { at, .. } => Some(at),
            SegmentEnd::Open | SegmentEnd::Boundary { .. } => None,
        }
    }

    /// How much is known of its end.
    const fn rank(&self) -> u8 {
        match self.end {
            SegmentEnd::Open => 0,
            SegmentEnd::Boundary { .. } => 1,
            SegmentEnd::Sealed { .. } => 2,
        }
    }
}

/// One segment, and what may be deleted of it.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) known: KnownSegment,
    /// Slots below this are not needed: trimmed, and below the segment's end. A floor from a later record may lie far behind
    /// the end of a segment that this machine still takes for open, and the markers at that end have to stay; so this only ever
    /// comes from a floor and an end of one record. A floor is at most the committed tail, so it is below the end of a
    /// segment that is open in the same record.
    pub(super) dropped: ChunkSeq,
    /// Slots below this were deleted; none if that was not looked at yet.
    pub(super) swept: Option<ChunkSeq>,
    /// The epoch that fenced it here, through this machine.
    pub(super) fenced: Epoch,
    /// The mark that this fence made, or one further on.
    pub(super) mark: Option<ChunkSeq>,
    /// The last survey of it: where the next one begins.
    pub(super) surveyed: Option<Survey>,
}

/// All of it, merged by maximum.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) floor: ChunkSeq,
    pub(super) segments: BTreeMap<SegmentId, Segment>,
}

impl Known {
    /// Whether the record says that this seq of the segment was kept when it was sealed.
    pub(super) fn is_kept(&self, segment: SegmentId, seq: ChunkSeq) -> bool {
        let sealed = self.segments.get(&segment).and_then(|segment| segment.known.sealed_at());
        sealed.is_some_and(|at| seq < at)
    }

    /// Below this, chunks of the segment were committed and are trimmed. Nothing is known of a segment that no record names yet.
    pub(super) fn dropped_of(&self, segment: SegmentId) -> ChunkSeq {
        self.segments.get(&segment).map_or(ChunkSeq(0), |segment| segment.dropped)
    }

    pub(super) fn learn(&mut self, log: &KnownLog) {
        self.floor = self.floor.max(log.floor);
        for known in &log.segments {
            let new = Segment {
                known: *known,
                dropped: known.base,
                swept: None,
                fenced: Epoch(0),
                mark: None,
                surveyed: None,
            };
            let segment = self.segments.entry(known.id).or_insert(new);
            let (old, id) = (segment.known, known.id);
            assert!(
                old.base == known.base && old.window_chunks == known.window_chunks,
                "segment {id} changed from {old:?} to {known:?}"
            );
            if known.rank() >= old.rank() {
                segment.known = *known;
            }
            segment.dropped = segment.dropped.max(log.floor.min(known.limit()));
        }
        if self.segments.len() > BUCKET_SEGMENTS_MAX {
            // Those that left the chain long ago: their chunks stay until whoever trims next knows the old record.
            let named = |id: &SegmentId| log.segments.iter().any(|known| known.id == *id);
            self.segments.retain(|id, _| named(id));
        }
    }
}
