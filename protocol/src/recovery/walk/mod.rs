//! The walk (P7.3): from what replicas testified to where the log ends, and from where on its end has to be copied.
//! A function of the testimony alone; it may be taken again whenever more of it is in.

#[cfg(test)]
mod tests;

use super::witness::Testimony;
use crate::ids::ChunkSeq;
use crate::message::Answer;
use crate::planted;
use crate::quorum::Quorum;
use crate::record::Segment;
use alloc::vec::Vec;

/// An unsealed segment and what its *fenced* replicas testified, at most one testimony per replica (pitfall 4).
pub(super) struct Walk<'a> {
    pub(super) segment: &'a Segment,
    pub(super) quorum: Quorum,
    pub(super) testimonies: Vec<&'a Testimony>,
}

/// How far the walk got. Segments are named by their index among the unsealed ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Walked {
    /// Fewer than `Qr` replicas of this segment are fenced.
    NeedsFences { segment: usize },
    /// The fate of this seq is not decided by the answers so far.
    NeedsAnswers { segment: usize, seq: ChunkSeq },
    /// This seq was trimmed meanwhile: the floor has to be read again (pitfall 20a).
    NeedsFloor { segment: usize, seq: ChunkSeq },
    /// The end is known.
    Settled(Settled),
}

/// Where the log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// Per unsealed segment, the seqs walked and kept.
    pub(super) extents: Vec<Extent>,
    /// The first kept seq that is not proven to be on an ack quorum; `end` if all are.
    pub(super) cut: ChunkSeq,
    /// One past the last seq kept.
    pub(super) end: ChunkSeq,
}

/// The kept part of a segment that was walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: ChunkSeq,
    pub(super) end: ChunkSeq,
}

/// What the answers say of one seq.
enum Verdict {
    Kept { proven: bool },
    End,
    Trimmed,
    Undecided,
}

impl Walk<'_> {
    /// Where the walk of this segment starts: everything below is committed, or gone.
    fn start(&self, floor: ChunkSeq) -> ChunkSeq {
        let window = u64::from(self.segment.window.chunks);
        let window = if planted!(WindowTooNarrow) { window.div_ceil(2) } else { window };
        let base = self.segment.base.max(floor);
        self.testimonies.iter().fold(base, |start, testimony| {
            let below_window = testimony.newest.map_or(ChunkSeq(0), |newest| newest.plus(1).minus(window));
            start.max(testimony.watermark).max(below_window)
        })
    }

    fn verdict(&self, seq: ChunkSeq) -> Verdict {
        let (mut have, mut never, mut trimmed) = (0, 0, 0);
        for testimony in &self.testimonies {
            match testimony.answers.get(&seq) {
                Some(Answer::Have) => have += 1,
                Some(Answer::Never) => never += 1,
                Some(Answer::Trimmed) => trimmed += 1,
                // P8: unknown never counts, and neither does what was not heard.
                Some(Answer::Unknown) if planted!(UnknownCountsAsNever) => never += 1,
                Some(Answer::Unknown) | None => {}
            }
        }
        if have > 0 {
            Verdict::Kept { proven: have >= self.quorum.ack() }
        } else if trimmed > 0 {
            Verdict::Trimmed
        } else if never >= self.quorum.read() || never > 0 && planted!(EndOnOneNegative) {
            Verdict::End
        } else {
            Verdict::Undecided
        }
    }

    /// Whether somebody knows that a chunk of this segment was committed.
    fn has_committed(&self) -> bool {
        self.testimonies.iter().any(|testimony| testimony.watermark > self.segment.base)
    }
}

/// Walks the unsealed segments, oldest first. Without any, the log ends at `tail`.
pub(super) fn walk(floor: ChunkSeq, tail: ChunkSeq, segments: &[Walk<'_>]) -> Walked {
    // P7.2: only when enough are fenced is anything believed.
    if let Some(segment) = segments.iter().position(|walk| walk.testimonies.len() < walk.quorum.read()) {
        return Walked::NeedsFences { segment };
    }
    let mut extents = Vec::new();
    let (mut cut, mut end, mut ended) = (None, tail, false);
    for (i, walk) in segments.iter().enumerate() {
        let base = walk.segment.base;
        if ended {
            extents.push(Extent { start: base, end: base });
            continue;
        }
        let boundary = walk.segment.end_seq();
        let start = boundary.map_or(walk.start(floor), |at| at.min(walk.start(floor)));
        let mut seq = start;
        while boundary != Some(seq) {
            match walk.verdict(seq) {
                Verdict::Kept { proven: true } => {}
                Verdict::Kept { proven: false } => cut = cut.or(Some(seq)),
                // A chunk committed behind a seq that nobody had: somebody is wrong, and no log is cut because of it.
                Verdict::End if segments[i + 1..].iter().any(Walk::has_committed) => {
                    return Walked::NeedsAnswers { segment: i, seq };
                }
                Verdict::End => {
                    ended = true;
                    break;
                }
                Verdict::Trimmed => return Walked::NeedsFloor { segment: i, seq },
                Verdict::Undecided => return Walked::NeedsAnswers { segment: i, seq },
            }
            seq = seq.next();
        }
        extents.push(Extent { start, end: seq });
        end = seq;
    }
    let cut = cut.filter(|_| !planted!(NoCopyForward));
    Walked::Settled(Settled { extents, cut: cut.unwrap_or(end), end })
}
