//! Random worlds: any quorum, any interleaving of any number of takeovers, with every fault of the model.

use crate::world::client::Role;
use crate::world::{Parcel, Swapping, World};
use proptest::prelude::*;
use quarry_protocol::ids::ChunkSeq;
use std::collections::BTreeSet;

const CLIENTS_MAX: usize = 6;

/// What a world may contain.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
struct Faults {
    crashes: bool,
    trims: bool,
    /// One node may lose chunks, or be wiped.
    losses: bool,
    ambiguous_register: bool,
}

struct Walker {
    world: World,
    faults: Faults,
    quorum: (usize, usize),
    wiped: bool,
}

impl Walker {
    fn step(&mut self, choice: u32) {
        let (action, pick) = (choice % 64, (choice / 64) as usize);
        let world = &mut self.world;
        let nodes = world.nodes.len();
        match action {
            0..28 => self.deliver(pick),
            28..36 => {
                let node = pick % nodes;
                world.nodes[node].persist(1 + pick / nodes % 8);
                world.drain_node(node);
            }
            36..46 => {
                let writers: Vec<_> =
                    (0..world.clients.len()).filter(|c| world.clients[*c].writer().is_some()).collect();
                if !writers.is_empty() {
                    world.append(writers[pick % writers.len()]);
                }
            }
            46..49 => world.pass(1_000 << (pick % 12)),
            49..52 => {
                let (client, node) = (pick % world.clients.len(), pick / 8 % nodes);
                let disk = world.nodes[node].at.disk;
                world.connect(client, disk);
            }
            52..54 => {
                for node in 0..nodes {
                    let disk = world.nodes[node].at.disk;
                    world.connect(pick % world.clients.len(), disk);
                }
            }
            54..56 if !world.parcels.is_empty() => {
                let parcel = world.parcels.remove(pick % world.parcels.len());
                world.lose(parcel);
            }
            56 if !world.parcels.is_empty() => {
                let parcel = world.parcels[pick % world.parcels.len()].clone();
                world.parcels.push(parcel);
            }
            57..59 if world.clients.len() < CLIENTS_MAX => {
                world.open(self.quorum.0, self.quorum.1);
            }
            59 | 60 if self.faults.crashes => world.crash(pick % nodes, pick / nodes % 4),
            61 if self.faults.trims => {
                let known = world.oracle.acknowledged.last_key_value().map_or(0, |(seq, _)| seq.0 + 1);
                world.trim(ChunkSeq(pick as u64 % (known + 1)));
            }
            62 if self.faults.losses => self.lose_chunk(pick),
            63 if self.faults.losses && !self.wiped && pick.is_multiple_of(8) => {
                self.wiped = true;
                world.wipe(0);
            }
            _ => {}
        }
    }

    fn deliver(&mut self, pick: usize) {
        let world = &mut self.world;
        if world.parcels.is_empty() {
            return;
        }
        let parcel = world.parcels.remove(pick % world.parcels.len());
        let swap = match pick / 1024 % 8 {
            0 if self.faults.ambiguous_register => Swapping::Lost,
            1 if self.faults.ambiguous_register => Swapping::Unheard,
            2 if self.faults.ambiguous_register => Swapping::Delayed,
            3 if self.faults.ambiguous_register => Swapping::Failed,
            _ => Swapping::Works,
        };
        world.deliver(parcel, swap);
    }

    /// Only node 0 loses anything: one copy of everything acknowledged is left as long as `Qa` is at least 2.
    fn lose_chunk(&mut self, pick: usize) {
        let node = &mut self.world.nodes[0];
        if self.quorum.1 >= 2 && !node.chunks.is_empty() {
            let key = *node.chunks.keys().nth(pick % node.chunks.len()).expect("inside");
            self.world.oracle.losses = true;
            node.lose(key);
            self.world.drain_node(0);
        }
    }
}

fn run(nodes: usize, quorum: (usize, usize), mut faults: Faults, choices: &[u32]) {
    faults.losses &= quorum.1 >= 2;
    let mut walker = Walker { world: World::new(nodes), faults, quorum, wiped: false };
    walker.world.open(quorum.0, quorum.1);
    for choice in choices {
        walker.step(*choice);
    }
    let world = &mut walker.world;
    // A last takeover in a world that works sees the whole history; with losses it may have to wait for ever instead, but
    // never decides otherwise.
    let last = world.open(quorum.0, quorum.1);
    let opened = world.run_until(3_000, &BTreeSet::new(), |world| {
        world.clients[last].writer().is_some() || world.clients[last].is_over()
    });
    if !opened {
        assert!(world.oracle.losses, "the last takeover hangs: {}", world.why_not(last));
        return;
    }
    if let Role::Writing(_) = world.clients[last].role {
        let acknowledged = world.oracle.acknowledged.last_key_value().map_or(ChunkSeq(0), |(seq, _)| seq.next());
        let tail = world.clients[last].next_seq();
        assert!(tail >= acknowledged, "the last takeover ends at {tail}, acknowledged to {acknowledged}");
        assert!(world.oracle.decided_through().is_none_or(|seq| seq < tail), "a longer history was seen before");
        world.append_and_commit(last, 3);
    }
}

/// Any N from 1 to 7 with any valid ack quorum, on some more nodes than that.
fn shape() -> impl Strategy<Value = (usize, (usize, usize))> {
    (1..=7_usize).prop_flat_map(|replicas| (replicas..=(replicas + 1).min(8), (Just(replicas), 1..=replicas)))
}

fn faults() -> impl Strategy<Value = Faults> {
    any::<[bool; 4]>().prop_map(|[crashes, trims, losses, ambiguous_register]| Faults {
        crashes,
        trims,
        losses,
        ambiguous_register,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// P1 to P9, P12, P14; pitfalls 5, 15, 19, 20: no acknowledged chunk is lost, no history forks.
    #[test]
    fn no_acknowledged_chunk_is_lost_whatever_happens(
        (nodes, quorum) in shape(),
        faults in faults(),
        choices in prop::collection::vec(any::<u32>(), 50..900),
    ) {
        run(nodes, quorum, faults, &choices);
    }

    /// The same, for the quorum that everybody uses, and longer.
    #[test]
    fn two_of_three_survive_anything(faults in faults(), choices in prop::collection::vec(any::<u32>(), 200..2000)) {
        run(4, (3, 2), faults, &choices);
    }
}

#[test]
fn a_world_that_works_takes_over_again_and_again() {
    for (replicas, ack) in (1..=7).flat_map(|replicas| (1..=replicas).map(move |ack| (replicas, ack))) {
        let mut world = World::new(8);
        for round in 0..6 {
            let client = world.take_over(replicas, ack);
            assert_eq!(world.client(client).next_seq(), ChunkSeq(round * 7), "{replicas} replicas, {ack} acknowledge");
            world.append_and_commit(client, 7);
        }
        assert!(!world.parcels.iter().any(|parcel| matches!(parcel, Parcel::Swap { .. })));
    }
}
