//! The token without which nobody can say "stored" (P4). Every way to make one looks at the evidence.

use super::event::Outcome;
use crate::chunk::ChunkHeader;
use crate::ids::ChunkSeq;

/// Evidence that a put counts as stored. Only this module makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Durable(());

impl Durable {
    /// The store says that it created the chunk's object.
    pub(super) fn by_create(outcome: &Outcome) -> Option<Self> {
        matches!(outcome, Outcome::Created).then_some(Self(()))
    }

    /// The slot holds this very chunk: what was read back of it equals what was to be put. The watermark is not part of
    /// a chunk's content.
    pub(super) fn by_comparison(mine: (&ChunkHeader, &[u8]), found: (&ChunkHeader, &[u8])) -> Option<Self> {
        let ((mine, payload), (found, found_payload)) = (mine, found);
        let same = ChunkHeader { watermark: mine.watermark, ..*found } == *mine && payload == found_payload;
        same.then_some(Self(()))
    }

    /// The chunk was committed, and is not needed any more (P4): one record says that its segment has it and that it lies below
    /// the floor. The floor alone is no evidence. It may lie beyond where the segment was sealed, and there the chunks below it
    /// are those of another writer. A node has its fence to tell them apart, and looks at it first (P3).
    pub(super) fn by_floor(seq: ChunkSeq, dropped: ChunkSeq) -> Option<Self> {
        (seq < dropped).then_some(Self(()))
    }
}
