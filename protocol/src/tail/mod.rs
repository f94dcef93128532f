//! What is known to be committed, without fencing anybody (P15): a lower bound that may trail the last acknowledgement.

mod search;

pub use search::{STRAGGLER_GRACE_US, TailEffect, TailEvent, TailFailure, TailSearch};

use crate::ids::ChunkSeq;
use crate::message::{Answer, SegmentView};
use crate::planted;
use crate::quorum::ReplicaSet;
use crate::record::Segment;

/// The first seq of `segment` that is not known to be committed, given that everything before the segment is.
///
/// `floor` is that of the record which names the segment: what lies below is committed (P12), and no replica has to hold it
/// any more.
/// `views` come from an inspect or a fence, each with the replica's index in the segment; a replica that is named twice
/// counts once (pitfall 4), a view of another segment not at all (pitfall 20d). What lies below any watermark is
/// committed; from the highest one on, a chunk seen on an ack quorum is, as long as every chunk before it is.
pub fn committed_tail(segment: &Segment, floor: ChunkSeq, views: &[(usize, SegmentView)]) -> ChunkSeq {
    let end = segment.end_seq().unwrap_or(ChunkSeq(u64::MAX));
    if segment.is_sealed() {
        return end;
    }
    let Ok(quorum) = segment.quorum() else { return segment.base };
    let views = || views.iter().filter(|(index, view)| view.segment == segment.id && *index < quorum.replicas());
    let mut tail = views().map(|(_, view)| view.watermark).max().unwrap_or_default().max(segment.base).max(floor);
    while tail < end {
        let mut holders = ReplicaSet::default();
        for (index, view) in views() {
            if view.runs.iter().any(|run| run.answer == Answer::Have && (run.from..run.to).contains(&tail)) {
                holders.insert(*index);
            }
        }
        if holders.count() < if planted!(TailOnOneReplica) { 1 } else { quorum.ack() } {
            break;
        }
        tail = tail.next();
    }
    tail.min(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DiskId, Epoch, SegmentId};
    use crate::message::Run;
    use crate::record::{ReplicaRef, SegmentEnd, Window};
    use alloc::string::ToString;

    const ID: SegmentId = SegmentId { epoch: Epoch(3), index: 0 };

    fn segment(end: SegmentEnd) -> Segment {
        let replica = |i: u8| ReplicaRef { disk: DiskId([i; 16]), address: "a:1".to_string(), zone: i.to_string() };
        let replicas = (1..=3).map(replica).collect();
        let window = Window { chunks: 8, bytes: 1 << 20 };
        Segment { id: ID, base: ChunkSeq(10), end, replicas, ack_quorum: 2, window }
    }

    fn view(watermark: u64, have: &[(u64, u64)]) -> SegmentView {
        let run = |(from, to): &(u64, u64)| Run { from: ChunkSeq(*from), to: ChunkSeq(*to), answer: Answer::Have };
        let newest = have.last().map(|(_, to)| ChunkSeq(to - 1));
        SegmentView { segment: ID, watermark: ChunkSeq(watermark), newest, runs: have.iter().map(run).collect() }
    }

    fn tail(views: &[(usize, SegmentView)]) -> u64 {
        committed_tail(&segment(SegmentEnd::Open), ChunkSeq(0), views).0
    }

    #[test]
    fn starts_at_the_base_and_follows_the_highest_watermark() {
        assert_eq!(tail(&[]), 10);
        assert_eq!(tail(&[(0, view(0, &[]))]), 10);
        assert_eq!(tail(&[(0, view(12, &[(12, 14)])), (1, view(11, &[]))]), 12);
    }

    #[test]
    fn a_chunk_on_an_ack_quorum_counts_only_without_a_gap_before_it() {
        assert_eq!(tail(&[(0, view(10, &[(10, 13)])), (1, view(10, &[(10, 12), (13, 14)]))]), 12);
        assert_eq!(tail(&[(0, view(10, &[(11, 13)])), (1, view(10, &[(11, 13)]))]), 10);
        // Two different pairs hold the two chunks: each is on an ack quorum (pitfall 19).
        let stitched = [(0, view(10, &[(10, 11)])), (1, view(10, &[(10, 12)])), (2, view(10, &[(11, 12)]))];
        assert_eq!(tail(&stitched), 12);
    }

    /// Pitfall 4: replicas are counted, not replies.
    #[test]
    fn a_replica_that_is_heard_twice_counts_once() {
        assert_eq!(tail(&[(0, view(10, &[(10, 13)])), (0, view(10, &[(10, 13)]))]), 10);
    }

    /// Pitfall 20d: a watermark belongs to one segment.
    #[test]
    fn a_view_of_another_segment_does_not_count() {
        let mut other = view(15, &[(15, 16)]);
        other.segment.index = 1;
        assert_eq!(tail(&[(0, other.clone()), (1, other)]), 10);
    }

    /// Pitfall 20a: replicas that dropped what lies below the floor still tell where the log ends.
    #[test]
    fn what_is_trimmed_counts_as_committed() {
        let views = [(0, view(11, &[(14, 20)])), (1, view(11, &[(14, 20)]))];
        assert_eq!(committed_tail(&segment(SegmentEnd::Open), ChunkSeq(14), &views).0, 20);
        assert_eq!(committed_tail(&segment(SegmentEnd::Open), ChunkSeq(14), &[]).0, 14);
    }

    #[test]
    fn a_known_end_is_never_passed() {
        let views = [(0, view(14, &[])), (1, view(10, &[]))];
        assert_eq!(committed_tail(&segment(SegmentEnd::Boundary { at: ChunkSeq(12) }), ChunkSeq(0), &views).0, 12);
        let digest = crate::digest::Digest::default();
        assert_eq!(
            committed_tail(&segment(SegmentEnd::Sealed { at: ChunkSeq(11), digest }), ChunkSeq(0), &views).0,
            11
        );
    }
}
