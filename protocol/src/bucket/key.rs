//! What the objects of a bucket are called.

use crate::ids::{ChunkSeq, LogId, SegmentId};
use core::fmt;

/// One slot: the place of one seq of one segment. Created at most once, never overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotName {
    /// The log.
    pub log: LogId,
    /// The segment.
    pub segment: SegmentId,
    /// The seq.
    pub seq: ChunkSeq,
}

/// The name of an object. Whoever drives the machine puts the bucket's own prefix before it.
///
/// ```text
/// identity                                                                              8 bytes
/// <log id>/<segment epoch>-<segment index>/<seq>                                       85 bytes
///   32 hex      20 digits       10 digits   20 digits
/// ```
/// Digits are decimal and padded with zeros, so that names sort as seqs do. The log id comes first: it is random, which
/// spreads logs over a store that splits its key space by prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKey {
    /// The object that names the bucket.
    Identity,
    /// A slot.
    Slot(SlotName),
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Slot(slot) => slot.fmt(f),
        }
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SegmentId { epoch, index } = self.segment;
        write!(f, "{}/{:020}-{index:010}/{:020}", self.log, epoch.0, self.seq.0)
    }
}
