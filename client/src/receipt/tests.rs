//! Pages that are put together, and what is made of holders that lack something.

use super::*;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{DiskId, Epoch, SegmentId};
use quarry_protocol::record::{SegmentEnd, Window};

const fn run(from: u64, to: u64, stored_to_s: u64) -> ProvenanceRun {
    ProvenanceRun { from: ChunkSeq(from), to: ChunkSeq(to), stored_from_s: 1, stored_to_s, verified_at_s: None }
}

fn page(runs: &[ProvenanceRun], next: u64) -> Reply {
    Reply::Provenance { runs: runs.to_vec(), next: ChunkSeq(next) }
}

fn hear(pages: &[Reply]) -> Result<Vec<ProvenanceRun>, String> {
    let mut heard = Heard { runs: Vec::new(), next: ChunkSeq(0) };
    for reply in pages {
        heard.page(reply.clone(), ChunkSeq(20))?;
    }
    Ok(heard.runs)
}

fn segment(end: SegmentEnd) -> Segment {
    let at = |number| ReplicaRef { disk: DiskId([number; 16]), address: "n:1".into(), zone: format!("z{number}") };
    Segment {
        id: SegmentId { epoch: Epoch(1), index: 0 },
        base: ChunkSeq(4),
        end,
        replicas: [at(1), at(2), at(3)].to_vec(),
        ack_quorum: 2,
        window: Window { chunks: 4, bytes: 100 },
    }
}

fn receipt_of(answers: [Result<Vec<ProvenanceRun>, String>; 3]) -> SegmentReceipt {
    let segment = segment(SegmentEnd::Open);
    let holders = segment.replicas.iter().cloned().zip(answers);
    let holders = holders.map(|(replica, answer)| HolderReceipt { replica, answer }).collect();
    SegmentReceipt { segment, from: ChunkSeq(4), end: ChunkSeq(20), holders }
}

#[test]
fn runs_that_a_page_cut_in_two_are_one_again() {
    let heard = hear(&[page(&[run(0, 3, 5), run(3, 6, 7)], 6), page(&[run(6, 9, 7), run(10, 12, 7)], 20)]);
    assert_eq!(heard, Ok(vec![run(0, 3, 5), run(3, 9, 7), run(10, 12, 7)]));
}

#[test]
fn a_holder_that_tells_nonsense_is_not_believed() {
    let wrong = |pages: &[Reply]| hear(pages).expect_err("it is refused");
    assert!(wrong(&[page(&[run(3, 6, 7), run(5, 9, 7)], 20)]).contains("out of order"));
    assert!(wrong(&[page(&[run(3, 21, 7)], 20)]).contains("out of order"));
    assert!(wrong(&[page(&[run(6, 6, 7)], 20)]).contains("out of order"));
    assert!(wrong(&[page(&[], 3), page(&[run(2, 4, 7)], 9)]).contains("out of order"));
    assert!(wrong(&[page(&[], 3), page(&[], 3)]).contains("does not go on from seq 3"));
}

#[test]
fn what_holders_lack_or_do_not_tell_is_no_copy() {
    let whole = || Ok(vec![run(4, 11, 5), run(11, 20, 6)]);
    let copies = |receipt: &SegmentReceipt| -> Vec<_> {
        receipt.copies().iter().map(|range| (range.from.0, range.to.0, range.copies)).collect()
    };
    let all = receipt_of([whole(), whole(), whole()]);
    assert_eq!((copies(&all), all.is_whole()), (vec![(4, 20, 3)], true));

    let gaps = vec![run(6, 8, 5), run(11, 12, 5)];
    let some = receipt_of([whole(), Ok(gaps.clone()), Err("away".to_owned())]);
    let missing = [(4, 6), (8, 11), (12, 20)].map(|(from, to)| (ChunkSeq(from), ChunkSeq(to)));
    assert_eq!(some.missing(&gaps), missing);
    let expected = vec![(4, 6, 1), (6, 8, 2), (8, 11, 1), (11, 12, 2), (12, 20, 1)];
    assert_eq!((copies(&some), some.is_whole()), (expected, false));

    let none = receipt_of([Ok(Vec::new()), Ok(Vec::new()), Ok(Vec::new())]);
    assert_eq!(none.missing(&[]), [(ChunkSeq(4), ChunkSeq(20))]);
    assert_eq!((copies(&none), none.is_whole()), (vec![(4, 20, 0)], false));
}

#[test]
fn a_receipt_is_for_what_is_committed_and_not_trimmed() {
    let spanned = |end, floor, tail: Option<u64>| {
        let (from, to) = span(&segment(end), ChunkSeq(floor), tail.map(ChunkSeq));
        (from.0, to.0)
    };
    let sealed = SegmentEnd::Sealed { at: ChunkSeq(9), digest: Digest::default() };
    assert_eq!(spanned(sealed, 0, Some(7)), (4, 9));
    assert_eq!(spanned(sealed, 6, None), (6, 9));
    assert_eq!(spanned(sealed, 12, None), (12, 12));
    let boundary = SegmentEnd::Boundary { at: ChunkSeq(9) };
    assert_eq!(spanned(boundary, 0, Some(7)), (4, 7));
    assert_eq!(spanned(boundary, 0, None), (4, 9));
    assert_eq!(spanned(SegmentEnd::Open, 5, Some(7)), (5, 7));
    assert_eq!(spanned(SegmentEnd::Open, 0, Some(2)), (4, 4));
    assert_eq!(spanned(SegmentEnd::Open, 0, None), (4, u64::MAX));
}
