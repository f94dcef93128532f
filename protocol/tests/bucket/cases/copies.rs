//! Copies into a sealed segment, and looks at what lies in it.

use super::*;

impl Driven {
    /// A machine that has fenced the log at 5, with the segment sealed at 20.
    fn sealed() -> Self {
        let mut driven = Self::new();
        driven.hold([1]);
        driven.fenced(5);
        let end = SegmentEnd::Sealed { at: ChunkSeq(20), digest: Digest([9; 16]) };
        driven.tell(BucketEvent::Known(known(0, end)));
        driven
    }

    fn inventory(&mut self, from: u64, to: u64) -> (Vec<Run>, u64) {
        let (from, to) = (ChunkSeq(from), ChunkSeq(to));
        match self.ask(Request::Inventory { log: LOG, segment: SEGMENT, from, to }) {
            Reply::Inventory { runs, next } => (runs, next.0),
            reply => panic!("{reply:?}"),
        }
    }
}

/// What was kept is the same bytes whoever brings it; from the end on the fence stands, and a marker stands anywhere.
#[test]
fn copies_are_taken_below_the_seal_only() {
    let mut driven = Driven::sealed();
    assert_eq!(driven.put(chunk(10, 1)), Ok(()));
    assert_eq!(driven.put(chunk(10, 1)), Ok(()), "once more");
    assert!(matches!(driven.put(chunk(10, 2)), Err(Refusal::Different { .. })));
    for seq in [20, 21] {
        assert_eq!(driven.put(chunk(seq, 1)), Err(Refusal::Fenced { by: Epoch(5) }), "{seq}");
    }
    driven.mark(12, 4);
    assert_eq!(driven.put(chunk(12, 1)), Err(Refusal::Fenced { by: Epoch(4) }));
    assert_eq!(driven.chunks(), [1, 10]);
    let mut open = Driven::new();
    open.hold([1]);
    open.fenced(5);
    assert_eq!(open.put(chunk(10, 1)), Err(Refusal::Fenced { by: Epoch(5) }), "nothing is kept yet of an open one");
}

#[test]
fn an_inventory_says_what_lies_there_and_changes_nothing() {
    let mut driven = Driven::sealed();
    for seq in [2, 3, 7] {
        driven.put(chunk(seq, 1)).expect("a copy");
    }
    driven.mark(8, 5);
    driven.damage(9, b"rot");
    let before = driven.store.objects.clone();
    let runs = [
        run(0, 1, Answer::Unknown),
        run(1, 4, Answer::Have),
        run(4, 5, Answer::Unknown),
        run(5, 6, Answer::Never),
        run(6, 7, Answer::Unknown),
        run(7, 8, Answer::Have),
        run(8, 9, Answer::Never),
        run(9, 20, Answer::Unknown),
    ];
    assert_eq!(driven.inventory(0, 20), (runs.to_vec(), 20), "the fence's own mark is at 5");
    assert_eq!(driven.store.objects, before);
    driven.tell(BucketEvent::Known(known(2, SegmentEnd::Sealed { at: ChunkSeq(20), digest: Digest([9; 16]) })));
    let (runs, next) = driven.inventory(0, 4);
    assert_eq!((runs, next), ([run(0, 2, Answer::Trimmed), run(2, 4, Answer::Have)].to_vec(), 4));
    // A long stretch is told of in pieces.
    let (runs, next) = driven.inventory(100, 100_000);
    assert!((101..10_000).contains(&next) && runs == [run(100, next, Answer::Unknown)], "{next}: {runs:?}");
    let backward = Request::Inventory { log: LOG, segment: SEGMENT, from: ChunkSeq(3), to: ChunkSeq(2) };
    assert!(matches!(driven.ask(backward), Reply::Refused(Refusal::BadRequest { .. })));
}
