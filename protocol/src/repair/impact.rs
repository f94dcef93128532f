//! What would be lost if replicas went away: told from the record and from what each holder says it has.

use crate::ids::ChunkSeq;
use crate::ranges::SeqRanges;
use crate::record::{ReplicaRef, Segment};

/// The worst that would happen, mildest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// Nothing lies there.
    #[default]
    Nothing,
    /// Copies: what is there has fewer of them.
    Redundancy,
    /// For a while: the log cannot be written, or not be taken over, until somebody comes back.
    Availability,
    /// Chunks: no holder that is left says that it has them.
    Data,
}

/// What happens to a segment without the replicas that `goes` names. `held` is what each replica says it holds, in the
/// record's order; none for one that does not answer, which counts for nothing (P8).
pub fn impact(
    segment: &Segment,
    floor: ChunkSeq,
    held: &[Option<SeqRanges>],
    goes: impl Fn(&ReplicaRef) -> bool,
) -> Impact {
    assert!(held.len() == segment.replicas.len(), "{} answers of {} replicas", held.len(), segment.replicas.len());
    let stays = || segment.replicas.iter().zip(held).filter(|(replica, _)| !goes(replica));
    if stays().count() == segment.replicas.len() {
        return Impact::Nothing;
    }
    // Who does not answer makes no quorum.
    let left = stays().filter(|(_, held)| held.is_some()).count();
    let mut needed = SeqRanges::new();
    for (from, to) in held.iter().flatten().flat_map(SeqRanges::iter) {
        needed.insert(from, to);
    }
    if segment.is_sealed() {
        // What is on record is needed, whoever has it.
        needed = SeqRanges::new();
        needed.insert(segment.base.max(floor), segment.end_seq().unwrap_or(segment.base));
    }
    needed.remove(ChunkSeq(0), segment.base.max(floor));
    for (from, to) in stays().filter_map(|(_, held)| held.as_ref()).flat_map(SeqRanges::iter) {
        needed.remove(from, to);
    }
    if !needed.is_empty() {
        return Impact::Data;
    }
    let (ack, all) = (usize::from(segment.ack_quorum), segment.replicas.len());
    let read = all + 1 - ack.min(all);
    if !segment.is_sealed() && (left < ack || left < read) { Impact::Availability } else { Impact::Redundancy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::ids::{DiskId, Epoch, SegmentId};
    use crate::record::{SegmentEnd, Window};
    use alloc::vec::Vec;

    fn segment(end: SegmentEnd) -> Segment {
        let at = |number: u8| ReplicaRef {
            disk: DiskId([number; 16]),
            address: alloc::format!("n{number}:1"),
            zone: alloc::format!("z{number}"),
        };
        let id = SegmentId { epoch: Epoch(1), index: 0 };
        let replicas = [at(1), at(2), at(3)].to_vec();
        Segment { id, base: ChunkSeq(2), end, replicas, ack_quorum: 2, window: Window { chunks: 4, bytes: 100 } }
    }

    fn held(ranges: [Option<(u64, u64)>; 3]) -> Vec<Option<SeqRanges>> {
        let of = |(from, to)| {
            let mut ranges = SeqRanges::new();
            ranges.insert(ChunkSeq(from), ChunkSeq(to));
            ranges
        };
        ranges.into_iter().map(|range| range.map(of)).collect()
    }

    fn without(segment: &Segment, held: &[Option<SeqRanges>], gone: &[u8]) -> Impact {
        impact(segment, ChunkSeq(0), held, |replica| gone.contains(&replica.disk.0[0]))
    }

    #[test]
    fn a_sealed_segment_needs_one_whole_set_of_copies() {
        let sealed = segment(SegmentEnd::Sealed { at: ChunkSeq(8), digest: Digest::default() });
        let all = held([Some((2, 8)); 3]);
        assert_eq!(without(&sealed, &all, &[9]), Impact::Nothing);
        assert_eq!(without(&sealed, &all, &[1, 2]), Impact::Redundancy);
        assert_eq!(without(&sealed, &all, &[1, 2, 3]), Impact::Data);
        let parts = held([Some((2, 8)), Some((2, 5)), Some((5, 8))]);
        assert_eq!(without(&sealed, &parts, &[1]), Impact::Redundancy);
        assert_eq!(without(&sealed, &parts, &[1, 3]), Impact::Data);
        assert_eq!(
            without(&sealed, &held([Some((2, 8)), None, None]), &[1]),
            Impact::Data,
            "P8: silence is not a copy"
        );
        let trimmed = impact(&sealed, ChunkSeq(6), &held([Some((2, 8)), Some((6, 8)), None]), |r| r.disk.0[0] == 1);
        assert_eq!(trimmed, Impact::Redundancy, "what is trimmed is not needed");
    }

    #[test]
    fn an_open_segment_needs_its_quorums() {
        let open = segment(SegmentEnd::Open);
        let all = held([Some((2, 8)), Some((2, 8)), Some((2, 7))]);
        assert_eq!(without(&open, &all, &[3]), Impact::Redundancy);
        assert_eq!(without(&open, &all, &[2, 3]), Impact::Availability);
        assert_eq!(without(&open, &all, &[1, 2]), Impact::Data, "the newest chunk is on those two only");
        let one_is_silent = held([Some((2, 8)), Some((2, 8)), None]);
        assert_eq!(without(&open, &one_is_silent, &[2]), Impact::Availability, "P8: silence makes no quorum");
    }
}
