//! One thing at a time.

use crate::world::{Parcel, World, id};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::repair::{RepairConfig, RepairFailure, SegmentOutcome};

fn whole(world: &mut World, config: RepairConfig) -> Vec<(u64, SegmentOutcome)> {
    let client = world.repair(config);
    let report = world.run(client).expect("the log is there");
    report.segments.into_iter().map(|segment| (segment.segment.epoch.0, segment.outcome)).collect()
}

fn assert_all_whole(world: &mut World) {
    let outcomes = whole(world, World::config());
    assert_eq!(outcomes, [(1, SegmentOutcome::Whole), (2, SegmentOutcome::Whole)]);
}

/// A repair of what is whole asks, and changes nothing.
#[test]
fn what_is_whole_stays_as_it_is() {
    let mut world = World::new(4);
    let before = world.record.clone();
    assert_all_whole(&mut world);
    assert_eq!((world.record.clone(), world.copies), (before, 0));
}

/// P16: a lost chunk is copied to where it was lost; the holders stay.
#[test]
fn a_lost_chunk_is_healed_in_place() {
    let mut world = World::new(4);
    world.damage(1, id(1), ChunkSeq(3), false);
    let before = world.record.clone();
    assert_all_whole(&mut world);
    assert_eq!((world.record.clone(), world.copies), (before, 1));
    assert!(world.is_good(&world.record.segments[0].clone(), world.nodes[1].at.disk));
}

/// P14: a wiped node is another one. It may be the one that comes in its own place.
#[test]
fn a_wiped_node_is_replaced() {
    let mut world = World::new(4);
    let gone = world.nodes[2].at.disk;
    world.wipe(2);
    assert_all_whole(&mut world);
    assert_eq!(world.copies, 16);
    for segment in &world.record.segments[..2] {
        assert!(segment.replicas.iter().all(|holder| holder.disk != gone));
        assert!(segment.replicas.iter().all(|holder| world.is_good(segment, holder.disk)));
    }
    assert!(
        world.record.segments[2].replicas.iter().any(|holder| holder.disk == gone),
        "P16: an unsealed one never changes"
    );
}

/// Nobody is replaced because of a short silence, and nobody is waited for without end.
#[test]
fn a_silent_holder_is_replaced_after_the_patience() {
    let mut world = World::new(4);
    world.away = Some(0);
    let silent = world.nodes[0].at.disk;
    let client = world.repair(World::config());
    let start = world.now;
    let report = world.run(client).expect("the log is there");
    assert!(report.segments.iter().all(|segment| segment.outcome == SegmentOutcome::Whole), "{report:#?}");
    assert!(world.now.since(start) >= World::config().patience_us);
    assert!(world.record.segments[..2].iter().all(|s| s.replicas.iter().all(|holder| holder.disk != silent)));
}

/// A holder that comes back in time keeps its good copies, and nothing is copied.
#[test]
fn a_holder_that_comes_back_is_used_as_it_is() {
    let mut world = World::new(4);
    world.away = Some(0);
    let client = world.repair(World::config());
    for _ in 0..40 {
        if let Some(parcel) = world.parcels.pop_front() {
            world.deliver(parcel);
        }
    }
    world.away = None;
    let before = world.record.clone();
    let report = world.run(client).expect("the log is there");
    assert!(report.segments.iter().all(|segment| segment.outcome == SegmentOutcome::Whole), "{report:#?}");
    assert_eq!((world.record.clone(), world.copies), (before, 0));
}

/// A copy whose checksums are right and whose bytes are not breaks the chain of digests: it goes nowhere, and its holder goes.
#[test]
fn a_wrong_chunk_is_never_copied() {
    for seq in 0..8 {
        let mut world = World::new(4);
        world.damage(0, id(1), ChunkSeq(seq), true);
        world.damage(1, id(1), ChunkSeq(3), false);
        for _ in 0..3 {
            whole(&mut world, World::config());
        }
        let segment = world.record.segments[0].clone();
        let good = segment.replicas.iter().filter(|holder| world.is_good(&segment, holder.disk)).count();
        assert!(good >= 2, "{seq}: {good} good copies");
        assert!(world.is_good(&segment, world.nodes[1].at.disk), "{seq}: healed from the good one");
    }
}

/// With one good copy left everything is copied from it; with none of some chunk, that is said and the rest goes on.
#[test]
fn one_good_copy_is_enough_and_none_is_reported() {
    let mut world = World::new(5);
    for node in [0, 1] {
        (0..8).for_each(|seq| world.damage(node, id(1), ChunkSeq(seq), false));
    }
    assert_all_whole(&mut world);
    for node in 0..3 {
        world.damage(node, id(1), ChunkSeq(5), false);
        world.damage(node, id(2), ChunkSeq(9 + node as u64), false);
    }
    let outcomes = whole(&mut world, World::config());
    let SegmentOutcome::Lost { seqs, lacking } = &outcomes[0].1 else { panic!("{outcomes:?}") };
    assert_eq!(seqs.iter().collect::<Vec<_>>(), [(ChunkSeq(5), ChunkSeq(6))]);
    assert_eq!(lacking.len(), 3);
    assert_eq!(outcomes[1], (2, SegmentOutcome::Whole), "each lacked another one");
    assert!(world.record.segments.iter().any(|segment| segment.id == id(1)), "it stays on record");
}

/// A full disk is no place for copies: another one is found, and it is asked no more.
#[test]
fn a_full_target_is_passed_over() {
    let mut world = World::new(5);
    world.wipe(2);
    let replacement = world.nodes[2].at.disk;
    let client = world.repair(World::config());
    // Full from the moment it has been chosen.
    while !world.parcels.iter().any(|parcel| matches!(parcel, Parcel::ToNode { disk, .. } if *disk == replacement)) {
        let parcel = world.parcels.pop_front().expect("the repair goes on");
        world.deliver(parcel);
    }
    world.full.insert(replacement);
    let report = world.run(client).expect("the log is there");
    assert!(report.segments.iter().all(|segment| segment.outcome == SegmentOutcome::Whole), "{report:#?}");
    let named = |disk| world.record.segments[0].replicas.iter().any(|holder| holder.disk == disk);
    assert!(named(world.nodes[3].at.disk) && !named(replacement));
}

/// Without a place for it, a segment stays short and says why.
#[test]
fn without_another_zone_it_says_so() {
    let mut world = World::new(3);
    let leaving = [world.nodes[0].at.disk].into();
    let outcomes = whole(&mut world, RepairConfig { leaving, ..World::config() });
    let SegmentOutcome::Short { why, .. } = &outcomes[0].1 else { panic!("{outcomes:?}") };
    assert!(why.contains("no other zone"), "{why}");
}

/// Whatever step a repair ends at, the next one goes on from there, and copies nothing twice.
#[test]
fn a_repair_cut_short_anywhere_goes_on() {
    for steps in 0..200 {
        let mut world = World::new(4);
        world.wipe(2);
        let client = world.repair(World::config());
        for _ in 0..steps {
            let Some(parcel) = world.parcels.pop_front() else { break };
            world.deliver(parcel);
            for node in 0..4 {
                world.persist(node, usize::MAX);
            }
            world.check();
        }
        world.cut_short(client);
        while let Some(parcel) = world.parcels.pop_front() {
            world.deliver(parcel);
            (0..4).for_each(|node| world.persist(node, usize::MAX));
        }
        assert_all_whole(&mut world);
        assert!(world.copies <= 16, "{} copies after {steps} steps", world.copies);
    }
}

/// Pitfall 15: the answer to a swap is lost, whether it took place or not.
#[test]
fn an_ambiguous_swap_is_looked_up() {
    for took_place in [false, true] {
        let mut world = World::new(4);
        world.wipe(2);
        let client = world.repair(World::config());
        let swap = loop {
            (0..4).for_each(|node| world.persist(node, usize::MAX));
            let parcel = world.parcels.pop_front().expect("the repair goes on");
            if matches!(parcel, Parcel::Swap { .. }) {
                break parcel;
            }
            world.deliver(parcel);
        };
        world.lose(&swap);
        if took_place {
            world.parcels.push_back(swap);
        }
        let report = world.run(client).expect("the log is there");
        assert!(report.segments.iter().all(|segment| segment.outcome == SegmentOutcome::Whole), "{report:#?}");
        assert_eq!(world.copies, 16, "nothing is copied again");
    }
}

/// Pitfall 14: two repair the same; one wins, the other finds less to do.
#[test]
fn two_repairs_at_once_end() {
    let mut world = World::new(5);
    world.wipe(2);
    let (one, two) = (world.repair(World::config()), world.repair(World::config()));
    world.run(one).expect("the log is there");
    world.run(two).expect("the log is there");
    assert_all_whole(&mut world);
}

/// A log that was deleted, or never was, is not repaired.
#[test]
fn a_deleted_log_is_not_found() {
    let mut world = World::new(4);
    let mut record = world.record.changed();
    record.deleted = true;
    world.change(record);
    let client = world.repair(World::config());
    assert!(matches!(world.run(client), Err(RepairFailure::NotFound { .. })));
}

/// Only what is kept is repaired: below the floor nobody needs anything.
#[test]
fn what_is_trimmed_is_not_repaired() {
    let mut world = World::new(4);
    world.trim(ChunkSeq(5));
    world.wipe(2);
    assert_all_whole(&mut world);
    assert_eq!(world.copies, 3 + 8);
}
