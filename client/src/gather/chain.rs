//! The chain of digests from a segment's base to its seal: what is copied is what was sealed.

use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::record::{Segment, SegmentEnd};

pub(super) struct Chain {
    log: LogId,
    segment: SegmentId,
    next: ChunkSeq,
    /// Through the chunk before `next`; none where the segment's beginning is trimmed.
    digest: Option<Digest>,
    end: SegmentEnd,
}

impl Chain {
    /// The chain of a segment from `from` on.
    pub(super) fn new(log: LogId, segment: &Segment, from: ChunkSeq) -> Self {
        let digest = (from == segment.base).then(|| Digest::start(log, segment.id, segment.base));
        Self { log, segment: segment.id, next: from, digest, end: segment.end }
    }

    /// Whether this chunk comes next, and is the last one if the segment ends behind it.
    pub(super) fn fits(&self, header: &ChunkHeader) -> bool {
        let is_here = (header.log, header.segment, header.seq) == (self.log, self.segment, self.next);
        let is_sealed = match self.end {
            SegmentEnd::Sealed { at, digest } => header.seq.next() != at || header.digest == digest,
            SegmentEnd::Open | SegmentEnd::Boundary { .. } => true,
        };
        is_here && is_sealed && self.digest.is_none_or(|before| before.continues_with(header))
    }

    pub(super) fn take(&mut self, header: &ChunkHeader) {
        assert!(self.fits(header), "seq {} was to come next, not {header:?}", self.next);
        (self.next, self.digest) = (header.seq.next(), Some(header.digest));
    }
}
