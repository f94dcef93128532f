//! What the walk means for the chain: where each unsealed segment is sealed, and what is copied.

use super::fetch::Wanted;
use super::walk::{Extent, Settled};
use crate::ids::ChunkSeq;
use crate::record::{ReplicaRef, Segment};
use alloc::vec::Vec;

/// The plan of P7.4 and P7.5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The first kept seq not proven on an ack quorum: everything from here on is copied, and the new segment begins here.
    pub(super) cut: ChunkSeq,
    /// The tail of the log.
    pub(super) end: ChunkSeq,
    /// Per unsealed segment, what was walked.
    pub(super) extents: Vec<Extent>,
    /// Per unsealed segment, where it is sealed.
    pub(super) sealed_at: Vec<ChunkSeq>,
    /// Per unsealed segment, the chunk whose digest the seal needs. `None` where the segment leaves the chain.
    pub(super) digest_at: Vec<Option<ChunkSeq>>,
    /// The replicas of the new segment.
    pub(super) replicas: Vec<ReplicaRef>,
}

impl Plan {
    pub(super) fn new(floor: ChunkSeq, open: &[Segment], settled: Settled, replicas: Vec<ReplicaRef>) -> Self {
        let Settled { extents, cut, end } = settled;
        let seal = |segment: &Segment| {
            let at = cut.max(segment.base);
            segment.end_seq().map_or(at, |boundary| at.min(boundary))
        };
        let sealed_at: Vec<ChunkSeq> = open.iter().map(seal).collect();
        let digest =
            |(segment, at): (&Segment, &ChunkSeq)| leaves_content(segment.base, *at, floor).then(|| at.minus(1));
        let digest_at = open.iter().zip(&sealed_at).map(digest).collect();
        Self { cut, end, extents, sealed_at, digest_at, replicas }
    }

    /// Whether what was copied for `other` serves this plan, too.
    pub(super) fn copies_like(&self, other: &Self) -> bool {
        (self.cut, self.end) == (other.cut, other.end) && self.replicas == other.replicas
    }

    /// The chunks whose digests the seals need.
    pub(super) fn digests(&self) -> impl Iterator<Item = Wanted> + '_ {
        self.digest_at.iter().enumerate().filter_map(|(open, at)| Some((open, (*at)?)))
    }
}

/// Which unsealed segment owns `seq`, one of those to be copied.
pub(super) fn owner_of(open: &[Segment], seq: ChunkSeq) -> usize {
    open.iter().rposition(|segment| segment.owns(seq)).expect("a kept seq belongs to an unsealed segment")
}

/// Whether a segment that is sealed at `end` stays in the chain: it is not empty, and not wholly below the floor.
pub(super) fn leaves_content(base: ChunkSeq, end: ChunkSeq, floor: ChunkSeq) -> bool {
    end > base && end > floor
}
