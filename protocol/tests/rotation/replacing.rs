//! A replica that fails or lags is left out of the next segment (P10).

use crate::script::{FIRST, PATIENCE_US, SECOND, Script, replica, same};
use quarry_protocol::ids::SegmentId;
use quarry_protocol::rotation::{COOL_DOWN_US_MIN, RotationEffect, RotationEvent, RotationReason};
use quarry_protocol::writer::WriterEvent;

fn down(script: &mut Script, segment: SegmentId, replica: usize) {
    script.link(segment, WriterEvent::Down { replica, why: "connection refused".into() });
}

/// Appends one chunk that replicas 0 and 1 store.
fn write_at_quorum(script: &mut Script, segment: SegmentId) {
    let seq = script.writer.next_seq().0;
    script.append(1);
    script.store(segment, seq, &[0, 1]);
}

/// Replica 2 is gone, and node 3 takes its place.
fn replaced() -> Script {
    let mut script = Script::new(u64::MAX);
    write_at_quorum(&mut script, FIRST);
    down(&mut script, FIRST, 2);
    script.pass(PATIENCE_US - 100_000);
    assert!(script.is_quiet(), "it is borne with for a while");
    write_at_quorum(&mut script, FIRST);
    script.pass(400_000);
    let others = vec![replica(0), replica(1), replica(3)];
    let (keep, avoid) = script.place(Ok(others.clone()));
    assert_eq!((keep, avoid), (vec![replica(0), replica(1)], vec![replica(2).disk]));
    assert_eq!(script.land().record.segments[1].replicas, others);
    script
}

#[test]
fn a_dead_replica_is_replaced_while_appends_go_on() {
    let mut script = replaced();
    (0..3).for_each(|replica| script.link(SECOND, WriterEvent::Up { replica }));
    let seq = script.writer.next_seq().0;
    for seq in seq..seq + 5 {
        script.append(1);
        let home = script.home(seq);
        script.store(home, seq, &[0, 1]);
    }
    assert_eq!(script.home(seq + 4), SECOND);
    script.land();
    let planned = |effect: &&RotationEffect| matches!(effect, RotationEffect::Planned { why: RotationReason::Replica { replica: failed, .. }, .. } if *failed == replica(2));
    assert_eq!(script.others.iter().filter(planned).count(), 1, "one change at a time");
    assert_eq!(script.committed.len() as u64, script.writer.next_seq().0 - 100);
}

/// A replica that is up, and does not store what it is sent, has failed as well.
#[test]
fn a_replica_that_stores_nothing_is_replaced() {
    let mut script = Script::new(u64::MAX);
    write_at_quorum(&mut script, FIRST);
    script.pass(PATIENCE_US + PATIENCE_US / 4);
    assert_eq!(script.place(Ok(vec![replica(0), replica(1), replica(3)])).1, [replica(2).disk]);
}

/// P10, P16: without a spare zone it stays at quorum, and tries again later and later.
#[test]
fn without_a_spare_zone_the_segment_stays_at_quorum() {
    let mut script = Script::new(u64::MAX);
    write_at_quorum(&mut script, FIRST);
    down(&mut script, FIRST, 2);
    let mut tries = Vec::new();
    for _ in 0..5 {
        for _ in 0..1_000 {
            if !script.is_quiet() {
                break;
            }
            write_at_quorum(&mut script, FIRST);
            script.pass(100_000);
        }
        script.place(Err("3 replicas need as many zones, 2 found".into()));
        tries.push(script.now.0);
        assert!(script.find_swap().is_none());
    }
    let pauses: Vec<_> = tries.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).collect();
    assert!(pauses.windows(2).all(|pair| pair[1] >= 2 * pair[0] - 1) && pauses[3] >= 16, "{pauses:?} seconds");
    assert_eq!(script.attached, [FIRST]);
}

/// Who comes back in time stays.
#[test]
fn a_replica_that_comes_back_in_time_is_not_replaced() {
    let mut script = Script::new(u64::MAX);
    for _ in 0..10 {
        down(&mut script, FIRST, 2);
        write_at_quorum(&mut script, FIRST);
        script.pass(PATIENCE_US / 2);
        script.link(FIRST, WriterEvent::Up { replica: 2 });
        let (from, to) = (100, script.writer.next_seq().0);
        (from..to).for_each(|seq| script.store(FIRST, seq, &[2]));
        assert!(script.is_quiet());
    }
}

/// No storm: a replica that was replaced is not chosen for a while, whatever becomes of its successor.
#[test]
fn a_replaced_replica_cools_down() {
    let mut script = replaced();
    (0..3).for_each(|replica| script.link(SECOND, WriterEvent::Up { replica }));
    for _ in 0..4 {
        let seq = script.writer.next_seq().0;
        script.append(1);
        let home = script.home(seq);
        script.store(home, seq, &[0, 1, 2]);
    }
    script.land();
    down(&mut script, SECOND, 2);
    script.pass(5 * PATIENCE_US);
    let (_, avoid) = script.place(Err("no zone".into()));
    assert_eq!(avoid, [replica(3).disk, replica(2).disk]);
    script.pass(COOL_DOWN_US_MIN);
    script.place(Err("no zone".into()));
    script.pass(COOL_DOWN_US_MIN);
    let (_, avoid) = script.place(Err("no zone".into()));
    assert_eq!(avoid, [replica(3).disk], "by now the first one may be tried again");
}

/// A node that is drained gets nothing new, although nothing is wrong with it.
#[test]
fn an_unwanted_replica_is_left_out() {
    let mut script = Script::new(u64::MAX);
    write_at_quorum(&mut script, FIRST);
    script.store(FIRST, 100, &[2]);
    script.handle(RotationEvent::Unwanted { disks: vec![replica(1).disk] });
    script.pass(PATIENCE_US);
    let (keep, avoid) = script.place(Ok(vec![replica(0), replica(2), replica(3)]));
    assert_eq!((keep, avoid), (vec![replica(0), replica(2)], vec![replica(1).disk]));
    assert_eq!(script.land().record.segments[1].replicas.len(), 3);
}

/// Placement finds nobody else: the same set again would change nothing.
#[test]
fn the_same_replicas_again_are_no_replacement() {
    let mut script = Script::new(u64::MAX);
    write_at_quorum(&mut script, FIRST);
    down(&mut script, FIRST, 2);
    script.pass(PATIENCE_US + PATIENCE_US / 4);
    script.place(Ok(same()));
    assert!(script.find_swap().is_none());
    assert!(script.others.iter().any(|effect| matches!(effect, RotationEffect::Unrotated { .. })));
}
