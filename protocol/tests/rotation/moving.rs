//! Moving to another tier: other replicas, as many as it has, with its window.

use crate::script::{FIRST, SECOND, Script};
use quarry_protocol::ids::{ChunkSeq, DiskId};
use quarry_protocol::record::{ReplicaRef, SegmentEnd, Window};
use quarry_protocol::recovery::SwapOutcome;
use quarry_protocol::rotation::{RotationEffect, RotationEvent, RotationReason, SegmentShape};
use quarry_protocol::writer::WriterEvent;

/// One bucket, and a window half as wide as before.
const BUCKET: SegmentShape = SegmentShape { replicas: 1, ack_quorum: 1, window: Window { chunks: 4, bytes: 500 } };

fn bucket() -> Vec<ReplicaRef> {
    vec![ReplicaRef { disk: DiskId([77; 16]), address: "s3://bucket".into(), zone: "s3:bucket".into() }]
}

fn asked() -> Script {
    let mut script = Script::new(u64::MAX);
    script.append(6);
    script.handle(RotationEvent::Move(BUCKET));
    script
}

/// The placement that is asked for: how many, whether it is for a move, and its answer.
fn place(script: &mut Script, answer: Result<Vec<ReplicaRef>, String>) -> (usize, bool) {
    let at = script.others.iter().position(|effect| matches!(effect, RotationEffect::Place { .. }));
    let RotationEffect::Place { request, replicas, keep, moving, .. } =
        script.others.remove(at.expect("a placement was asked for"))
    else {
        unreachable!()
    };
    assert!(keep.is_empty(), "what is left behind is not kept");
    script.handle(RotationEvent::Placed { request, result: answer });
    (replicas, moving)
}

#[test]
fn the_next_segment_is_made_like_the_tier_asks() {
    let mut script = asked();
    assert_eq!(place(&mut script, Ok(bucket())), (1, true));
    let plan = script.land().record;
    assert_eq!(plan.segments[0].end, SegmentEnd::Boundary { at: ChunkSeq(106) }, "right at the next chunk");
    let next = &plan.segments[1];
    assert_eq!((next.id, next.ack_quorum, next.window, &next.replicas), (SECOND, 1, BUCKET.window, &bucket()));
    // Six chunks are in flight, the new window takes four.
    assert!(!script.writer.would_fit(10), "P6");
    script.store_all(FIRST, 100..103);
    assert!(script.writer.would_fit(10));
    script.link(SECOND, WriterEvent::Up { replica: 0 });
    script.append(1);
    script.store(SECOND, 106, &[0]);
    assert_eq!(script.committed.len(), 3, "P2: what lies before the seam comes first");
    script.store_all(FIRST, 103..106);
    assert_eq!(script.committed.len(), 7);
    script.land();
    // Further segments are made alike, and looked for where the log is now.
    script.handle(RotationEvent::Rotate);
    let at = script.others.iter().position(|effect| matches!(effect, RotationEffect::Place { .. })).expect("asked");
    let RotationEffect::Place { replicas, keep, moving, .. } = script.others.remove(at) else { unreachable!() };
    assert_eq!((replicas, keep, moving), (1, bucket(), false));
}

/// Without a place there the log stays where it is, and whoever asked hears why.
#[test]
fn a_move_that_finds_no_place_leaves_the_log_where_it_is() {
    let mut script = asked();
    place(&mut script, Err("the bucket is away".into()));
    let unrotated = |effect: &RotationEffect| matches!(effect, RotationEffect::Unrotated { reason: RotationReason::Moved { .. }, why } if why.contains("away"));
    assert!(script.others.iter().any(unrotated), "{:?}", script.others);
    assert!(script.find_swap().is_none());
    script.store_all(FIRST, 100..106);
    script.append(2);
    assert_eq!(script.home(107), FIRST);
    script.store_all(FIRST, 106..108);
    script.pass(600_000_000);
    assert!(script.is_quiet(), "it is not tried again behind the caller's back");
}

/// A plan in doubt is asked for again as it was, whatever is asked for meanwhile.
#[test]
fn a_second_move_waits_for_the_first() {
    let mut script = asked();
    place(&mut script, Ok(bucket()));
    let plan = script.swap();
    script.handle(RotationEvent::Move(SegmentShape { replicas: 3, ack_quorum: 2, ..BUCKET }));
    script.say(&plan, SwapOutcome::Ambiguous("lost".into()));
    script.read();
    let again = script.swap();
    assert_eq!(again.record, plan.record);
    script.apply(&again);
    script.say(&again, SwapOutcome::Done(crate::script::version(&again.record)));
    script.store_all(FIRST, 100..106);
    script.land();
    script.link(SECOND, WriterEvent::Up { replica: 0 });
    script.append(1);
    let at = script.others.iter().position(|effect| matches!(effect, RotationEffect::Place { .. })).expect("asked");
    let RotationEffect::Place { replicas, moving, .. } = script.others.remove(at) else { unreachable!() };
    assert_eq!((replicas, moving), (3, true));
}
