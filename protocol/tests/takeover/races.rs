//! One disturbance, tried at every step of a takeover.

use crate::world::World;
use crate::world::client::Role;
use proptest::prelude::*;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::recovery::RecoveryError;
use quarry_protocol::writer::StopReason;
use std::collections::BTreeSet;

/// More steps than a takeover of this world takes.
const STEPS_MAX: usize = 150;

/// Five nodes, three replicas, two acknowledge. The first client has three chunks committed and three more in flight, each of
/// which reached only some replicas. Then a second client begins to take over, and takes `steps` steps.
struct Race {
    world: World,
    writer: usize,
    first: usize,
}

impl Race {
    fn at(steps: usize, in_flight: [usize; 3]) -> Self {
        let mut world = World::new(5);
        let writer = world.take_over(3, 2);
        world.append_and_commit(writer, 3);
        world.run_until(20, &BTreeSet::new(), |_| false);
        for reach in in_flight {
            let waiting = world.parcels.len();
            assert!(world.append(writer), "room for three");
            // To three replicas at once; only the first `reach` of them get it.
            let puts = world.parcels.split_off(waiting);
            for parcel in puts.into_iter().take(reach) {
                world.deliver(parcel, crate::world::Swapping::Works);
            }
        }
        for node in 0..world.nodes.len() {
            world.nodes[node].persist(usize::MAX);
            world.drain_node(node);
        }
        // The writer hears none of it: it is asleep from here on.
        let first = world.open(3, 2);
        let mut race = Self { world, writer, first };
        (0..steps).for_each(|_| race.step());
        race
    }

    /// One parcel, everything that follows from it on the disks, and some time if there is no parcel.
    fn step(&mut self) {
        let world = &mut self.world;
        for node in 0..world.nodes.len() {
            let disk = world.nodes[node].at.disk;
            world.connect(self.first, disk);
        }
        let own = world.parcels.iter().position(|parcel| parcel.is_for(self.first));
        match own {
            Some(at) => {
                let parcel = world.parcels.remove(at);
                world.deliver(parcel, crate::world::Swapping::Works);
            }
            None => world.pass(20_000),
        }
        for node in 0..world.nodes.len() {
            world.nodes[node].persist(usize::MAX);
            world.drain_node(node);
        }
    }

    /// Whoever takes over last has the whole log, and goes on with it.
    fn finish(mut self) {
        let last = self.world.take_over(3, 2);
        let known = self.world.oracle.acknowledged.len() as u64;
        assert!(self.world.client(last).next_seq() >= ChunkSeq(known.max(3)));
        self.world.append_and_commit(last, 3);
    }
}

fn in_flight() -> impl Strategy<Value = [usize; 3]> {
    [0..=3_usize, 0..=3_usize, 0..=3_usize]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Pitfall 20: two recoveries interleave. The first sleeps at any of its steps; the second finishes; the first wakes, its late
    /// copies and its late swap arrive, and it learns that it lost.
    #[test]
    fn a_recovery_that_sleeps_at_any_step_loses_and_harms_nothing(steps in 0..STEPS_MAX, reach in in_flight()) {
        let mut race = Race::at(steps, reach);
        let sleeping = BTreeSet::from([race.first, race.writer]);
        let second = race.world.open(3, 2);
        prop_assert!(race.world.run_until(2_000, &sleeping, |world| world.client(second).writer().is_some()));
        race.world.append_and_commit_while(second, 4, &sleeping);
        race.world.run_until(300, &BTreeSet::from([race.writer]), |_| false);
        match &race.world.client(race.first).role {
            Role::Over(Some(why)) => prop_assert!(matches!(**why, RecoveryError::Superseded { .. }), "{why}"),
            Role::Over(None) => prop_assert!(false, "over without a reason"),
            // It had claimed nothing yet, and took over from the second one; or its swap had taken place before it fell asleep.
            Role::Writing(writer) if writer.committed() >= ChunkSeq(7) => {}
            Role::Writing(_) => {
                race.world.append(race.first);
                race.world.run_until(300, &BTreeSet::from([race.writer]), |_| false);
                let stopped = race.world.client(race.first).writer().and_then(|writer| writer.stopped().cloned());
                prop_assert!(matches!(stopped, Some(StopReason::Fenced { .. })), "{stopped:?}");
            }
            Role::Recovering(_) => prop_assert!(false, "{}", race.world.why_not(race.first)),
        }
        race.finish();
    }

    /// A writer that slept through a takeover is told that it is fenced, and gets no acknowledgement it should not have.
    #[test]
    fn a_writer_that_wakes_after_a_takeover_is_fenced(steps in 0..STEPS_MAX, reach in in_flight()) {
        let mut race = Race::at(steps, reach);
        let sleeping = BTreeSet::from([race.writer]);
        let first = race.first;
        prop_assert!(race.world.run_until(2_000, &sleeping, |world| world.client(first).writer().is_some()));
        race.world.append_and_commit_while(first, 2, &sleeping);
        race.world.append(race.writer);
        let late = race.world.last_payload(race.writer);
        race.world.run_until(300, &BTreeSet::new(), |_| false);
        let stopped = race.world.client(race.writer).writer().and_then(|writer| writer.stopped().cloned());
        prop_assert!(matches!(stopped, Some(StopReason::Fenced { .. })), "{stopped:?}");
        // What an ack quorum had stored before may be acknowledged late: the takeover kept it (the oracle looks).
        for (seq, payload) in &race.world.oracle.acknowledged {
            prop_assert!(*payload != late, "{seq} was put after the takeover, and acknowledged");
        }
        race.finish();
    }

    /// Every node at once loses its power, at any step, and again a few steps later.
    #[test]
    fn power_fails_everywhere_at_any_step(steps in 0..STEPS_MAX, reach in in_flight(), survive in 0..4_usize) {
        let mut race = Race::at(steps, reach);
        for _ in 0..2 {
            (0..race.world.nodes.len()).for_each(|node| race.world.crash(node, survive));
            (0..7).for_each(|_| race.step());
        }
        let first = race.first;
        prop_assert!(race.world.run_until(2_000, &BTreeSet::from([race.writer]), |world| world.client(first).writer().is_some()));
        race.finish();
    }

    /// P12, pitfall 20a: a trim at any step of the takeover.
    #[test]
    fn a_trim_at_any_step_neither_cuts_the_log_nor_brings_trimmed_chunks_back(
        steps in 0..STEPS_MAX,
        reach in in_flight(),
        floor in 0..4_u64,
    ) {
        let mut race = Race::at(steps, reach);
        race.world.trim(ChunkSeq(floor));
        let (first, sleeping) = (race.first, BTreeSet::from([race.writer]));
        prop_assert!(race.world.run_until(2_000, &sleeping, |world| world.client(first).writer().is_some()));
        let (_, record) = race.world.register.as_ref().expect("a record");
        prop_assert_eq!(record.floor, ChunkSeq(floor));
        race.finish();
    }

    /// Pitfalls 20c and 33: a node is wiped and comes back under its old address in the middle of a takeover. It never answers
    /// for the disk it replaced.
    #[test]
    fn a_node_wiped_at_any_step_does_not_shorten_the_log(steps in 0..STEPS_MAX, reach in in_flight(), node in 0..5_usize) {
        let mut race = Race::at(steps, reach);
        race.world.wipe(node);
        // What was in flight may be on the wiped node alone, or may be undecided without it: then the takeover waits. What was
        // acknowledged is on another node still (the oracle looks), and two of three can always be asked.
        let (first, sleeping) = (race.first, BTreeSet::from([race.writer]));
        let opened = race.world.run_until(2_000, &sleeping, |world| world.client(first).writer().is_some());
        if opened {
            prop_assert!(race.world.client(first).next_seq() >= ChunkSeq(3));
            race.finish();
        } else {
            prop_assert!(reach.iter().any(|count| *count > 0), "nothing was in flight: {}", race.world.why_not(first));
        }
    }
}

/// A hundred takeovers in a row, each of which ends with chunks in flight.
#[test]
fn a_hundred_takeovers_in_a_row() {
    let mut world = World::new(4);
    for round in 0..100 {
        let client = world.take_over(3, 2);
        world.append_and_commit(client, 2);
        (0..round % 3).for_each(|_| _ = world.append(client));
        world.run_until(round % 4, &BTreeSet::new(), |_| false);
    }
    assert!(world.oracle.acknowledged.len() >= 200);
}
