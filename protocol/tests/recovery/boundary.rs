//! Two unsealed segments around a boundary (P11): both are fenced, and the walk goes by seq.

use crate::script::{Script, Shelf, Shelves, id, record, segment, version, written};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::record::{LogRecord, SegmentEnd};
use quarry_protocol::recovery::SwapOutcome;
use std::collections::BTreeMap;

/// Epoch 3 wrote from 10, and planned to go on in its next segment from 14.
fn around_14() -> LogRecord {
    let before = segment(id(3, 0), 10, SegmentEnd::Boundary { at: ChunkSeq(14) }, 3, 2);
    record(3, vec![before, segment(id(3, 1), 14, SegmentEnd::Open, 3, 2)])
}

fn shelves(before: [Shelf; 3], after: [Shelf; 3]) -> Shelves {
    let before = before.into_iter().enumerate().map(|(replica, shelf)| ((replica, id(3, 0)), shelf));
    before.chain(after.into_iter().enumerate().map(|(replica, shelf)| ((replica, id(3, 1)), shelf))).collect()
}

/// The chain after the takeover: id, base and end of each segment, and the tail.
fn chain_after(shelves: &Shelves, answering: &[usize]) -> (Vec<(String, u64, Option<u64>)>, u64) {
    let mut script = Script::claimed(around_14());
    script.answer(shelves, answering);
    let mut chunks: BTreeMap<_, _> = written(id(3, 0), 10, 4);
    chunks.extend(written(id(3, 1), 14, 4));
    script.give_chunks(&chunks);
    if let Some(new) = script.attached() {
        script.up(new, &[0, 1, 2]);
        for _ in 0..10 {
            for (replica, header, payload) in script.copies() {
                assert_eq!(payload, chunks[&header.seq.0].1, "a copy keeps its seq and its bytes");
                script.store(replica, &header);
            }
            script.give_chunks(&chunks);
        }
    }
    let swap = script.swap();
    for segment in &swap.record.segments {
        if let SegmentEnd::Sealed { at, digest } = segment.end {
            assert_eq!(digest, chunks[&(at.0 - 1)].0.digest, "sealed with the digest of its last chunk");
        }
    }
    script.swapped(swap.request, SwapOutcome::Done(version(3)));
    let report = script.report();
    let chain = report.record.segments.iter().map(|s| (s.id.to_string(), s.base.0, s.end_seq().map(|end| end.0)));
    (chain.collect(), report.next_seq.0)
}

fn link(id: &str, base: u64, end: Option<u64>) -> (String, u64, Option<u64>) {
    (id.to_owned(), base, end)
}

#[test]
fn a_log_that_ended_behind_the_boundary_seals_both_segments() {
    let before = || Shelf::with(12, 10..14);
    let after = || Shelf::with(14, 14..16);
    let shelves = shelves([before(), before(), before()], [after(), after(), after()]);
    let (chain, tail) = chain_after(&shelves, &[0, 1]);
    assert_eq!(chain, [link("3.0", 10, Some(14)), link("3.1", 14, Some(16)), link("4.0", 16, None)]);
    assert_eq!(tail, 16);
}

/// What lies behind a gap before the boundary was never committed: the second segment leaves the chain.
#[test]
fn a_log_that_ended_before_the_boundary_drops_the_segment_behind_it() {
    let before = || Shelf::with(12, 10..13);
    let after = || Shelf::with(0, 14..16);
    let shelves = shelves([before(), before(), before()], [after(), after(), after()]);
    let (chain, tail) = chain_after(&shelves, &[0, 1]);
    assert_eq!(chain, [link("3.0", 10, Some(13)), link("4.0", 13, None)]);
    assert_eq!(tail, 13);
}

/// The cut may lie before the boundary and the end behind it: everything from the cut on moves, over the boundary.
#[test]
fn copies_go_over_the_boundary() {
    let shelves = shelves(
        [Shelf::with(12, 10..14), Shelf::with(12, 10..13), Shelf::default()],
        [Shelf::with(0, 14..16), Shelf::default(), Shelf::default()],
    );
    let (chain, tail) = chain_after(&shelves, &[0, 1]);
    assert_eq!(chain, [link("3.0", 10, Some(13)), link("4.0", 13, None)]);
    assert_eq!(tail, 16);
}

/// Pitfall 20d: a watermark belongs to its segment. The second segment's must not move the start of the first one's walk
/// past chunks that only one replica holds.
#[test]
fn a_watermark_covers_one_segment_only() {
    let shelves = shelves(
        [Shelf::with(11, 10..14), Shelf::with(11, 10..12), Shelf::default()],
        [Shelf::with(14, 14..15), Shelf::with(14, 14..15), Shelf::default()],
    );
    let (chain, tail) = chain_after(&shelves, &[0, 1]);
    assert_eq!(chain, [link("3.0", 10, Some(12)), link("4.0", 12, None)], "12 and 13 are on one replica: copied");
    assert_eq!(tail, 15);
}

/// P7.2: enough replicas of each of the two segments, not of both together.
#[test]
fn both_segments_need_their_own_read_quorum() {
    let mut record = around_14();
    for (i, replica) in record.segments[1].replicas.iter_mut().enumerate() {
        *replica = crate::script::replica(3 + i);
    }
    let mut script = Script::claimed(record);
    script.answer(&Shelves::new(), &[0, 1, 2, 3]);
    assert!(script.find_swap().is_none(), "one replica of the second segment is not enough");
    script.pass(2_000_000);
    script.answer(&Shelves::new(), &[0, 1, 3, 4]);
    let swap = script.swap();
    assert_eq!(swap.record.segments.len(), 1, "both were empty");
    assert_eq!(swap.record.segments[0].base, ChunkSeq(10));
}

/// A chunk behind the boundary that is known to be committed says that everything before it is, too: answers that deny it
/// are waited out, never believed.
#[test]
fn a_committed_chunk_behind_the_boundary_contradicts_a_gap_before_it() {
    let shelves = shelves(
        [Shelf::with(12, 10..13), Shelf::with(12, 10..13), Shelf::with(12, 10..14)],
        [Shelf::with(15, 14..16), Shelf::with(15, 14..16), Shelf::with(15, 14..16)],
    );
    let mut script = Script::claimed(around_14());
    script.answer(&shelves, &[0, 1]);
    assert!(script.find_swap().is_none());
    let (chain, tail) = chain_after(&shelves, &[0, 1, 2]);
    assert_eq!(chain[0], link("3.0", 10, Some(13)));
    assert_eq!((chain.len(), tail), (2, 16));
}
