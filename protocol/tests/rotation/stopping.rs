//! What a writer's end means around a boundary.

use crate::script::{FIRST, SECOND, Script, same};
use quarry_protocol::ids::{ChunkSeq, Epoch};
use quarry_protocol::message::Refusal;
use quarry_protocol::writer::{StopReason, WriterEvent};

/// Three chunks on each side of a boundary, none of them committed.
fn crossing() -> Script {
    let mut script = Script::new(30);
    script.append(3);
    script.place(Ok(same()));
    script.land();
    (0..3).for_each(|replica| script.link(SECOND, WriterEvent::Up { replica }));
    script.append(5);
    script
}

/// Appends fail in their order, whichever segment finds out, and the end is told of once.
#[test]
fn a_fence_in_the_second_segment_ends_both() {
    for segment in [FIRST, SECOND] {
        let mut script = crossing();
        script.store(FIRST, 100, &[0, 1]);
        let seq = ChunkSeq(106);
        script.link(segment, WriterEvent::Refused { replica: 2, seq, refusal: Refusal::Fenced { by: Epoch(5) } });
        assert_eq!(script.committed, [100]);
        assert_eq!(script.failed, (101..108).map(Some).collect::<Vec<_>>());
        assert_eq!(script.stopped, 1);
        assert_eq!(script.writer.stopped(), Some(&StopReason::Fenced { mine: Epoch(4), by: Epoch(5) }));
        script.force_append();
        assert_eq!(script.failed.last(), Some(&None), "nothing is taken any more");
    }
}

/// P9: the oldest chunk misses its quorum; what lies beyond the boundary cannot be committed without it.
#[test]
fn a_missed_quorum_below_the_boundary_ends_both() {
    let mut script = crossing();
    script.store_all(SECOND, 106..108);
    script.pass(31_000_000);
    assert!(matches!(script.writer.stopped(), Some(StopReason::NoQuorum { seq: ChunkSeq(100), .. })));
    assert!(script.committed.is_empty());
    assert_eq!(script.failed, (100..108).map(Some).collect::<Vec<_>>());
}
