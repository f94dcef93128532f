//! Any order of anything.

use crate::world::{World, id};
use quarry_protocol::ids::{ChunkSeq, SegmentId};
use quarry_protocol::record::{LogRecord, Segment};
use quarry_protocol::repair::{RepairConfig, SegmentOutcome};

/// Seeds of every test run.
const SEEDS: u64 = 300;
const STEPS: u64 = 500;

/// Numbers that look random, from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

fn damage(world: &mut World, dice: &mut Dice) {
    let (epoch, node) = (1 + dice.roll(2), dice.roll(world.nodes.len() as u64) as usize);
    // One copy of each segment is left alone: what is lost for good is the business of other tests. A wipe takes a copy of each.
    let disk = world.nodes[node].at.disk;
    let spared = |segment: &Segment| {
        let others = segment.replicas.iter().filter(|holder| holder.disk != disk);
        others.filter(|holder| world.is_good(segment, holder.disk)).count() >= 2
    };
    let sealed = || world.record.segments.iter().filter(|segment| segment.is_sealed());
    let may_wipe = sealed().all(spared);
    let may_hurt = sealed().any(|segment| segment.id == id(epoch) && spared(segment));
    let seq = ChunkSeq(8 * (epoch - 1) + dice.roll(8));
    if may_hurt {
        match dice.roll(4) {
            0 if may_wipe => world.wipe(node),
            1 => world.damage(node, id(epoch), seq, true),
            _ => world.damage(node, id(epoch), seq, false),
        }
    }
}

fn step(world: &mut World, dice: &mut Dice, read: &mut Vec<Option<LogRecord>>) {
    match dice.roll(100) {
        0..=59 if !world.parcels.is_empty() => {
            let at = dice.roll(world.parcels.len() as u64) as usize;
            let parcel = world.parcels.remove(at).expect("one of them");
            match dice.roll(40) {
                0 => world.lose(&parcel),
                1 => {
                    // Its sender hears that it was lost, and it arrives later all the same.
                    world.lose(&parcel);
                    world.parcels.push_back(parcel);
                }
                _ => world.deliver(parcel),
            }
        }
        0..=79 => {
            let node = dice.roll(world.nodes.len() as u64) as usize;
            world.persist(node, 1 + dice.roll(4) as usize);
        }
        80..=84 => world.pass(dice.roll(400_000)),
        85 => world.pass(20_000_000),
        86 => {
            let away = dice.roll(2 * world.nodes.len() as u64) as usize;
            world.away = (away < world.nodes.len()).then_some(away);
        }
        87 => {
            let node = dice.roll(world.nodes.len() as u64) as usize;
            world.crash(node, dice.roll(4) as usize);
        }
        88 | 89 => damage(world, dice),
        90 if dice.roll(3) == 0 && !world.record.deleted => world.take_over(),
        91 if dice.roll(6) == 0 && !world.record.deleted => world.trim(ChunkSeq(dice.roll(12))),
        91 if dice.roll(60) == 0 && !world.record.deleted => world.delete(),
        // A register may fail to show a record; that is no word.
        92 => read.push((dice.roll(4) > 0).then(|| world.record.clone())),
        93..=95 if !read.is_empty() => {
            let record = read[dice.roll(read.len() as u64) as usize].clone();
            world.free(record.as_ref(), dice.roll(world.nodes.len() as u64) as usize);
        }
        96 => {
            let first = world.repairs.keys().next().copied();
            first.into_iter().for_each(|client| world.cut_short(client));
        }
        97 if !world.record.segments.is_empty() => {
            let leaving = [world.nodes[dice.roll(3) as usize].at.disk].into();
            if world.repairs.len() < 3 {
                world.repair(RepairConfig { leaving, patience_us: 10_000_000, ..World::config() });
            }
        }
        _ if world.repairs.len() < 2 => {
            world.repair(RepairConfig { patience_us: 10_000_000, ..World::config() });
        }
        _ => {}
    }
}

/// A world that ends as the oracle wants it; the panic says where it does not.
pub(crate) fn run(seed: u64) {
    let (mut world, mut dice, mut read) = (World::new(5), Dice(seed), Vec::new());
    for _ in 0..STEPS {
        step(&mut world, &mut dice, &mut read);
        world.check();
    }
    // Everybody is back, and nothing else goes wrong: a repair by itself makes every segment whole (RepairEnds).
    world.away = None;
    let clients: Vec<u64> = world.repairs.keys().copied().collect();
    clients.into_iter().for_each(|client| world.cut_short(client));
    if world.record.deleted {
        return;
    }
    let mut last = None;
    for _ in 0..3 {
        let client = world.repair(RepairConfig { patience_us: 1_000_000, ..World::config() });
        last = Some(world.run(client).expect("the log is there"));
    }
    let report = last.expect("three runs");
    for segment in world.record.segments.iter().filter(|segment| segment.is_sealed()) {
        let whole =
            |id: SegmentId| report.segments.iter().any(|r| r.segment == id && r.outcome == SegmentOutcome::Whole);
        assert!(whole(segment.id), "{} is not whole: {report:#?}", segment.id);
        let good = segment.replicas.iter().filter(|holder| world.is_good(segment, holder.disk)).count();
        let swapped = segment.replicas.iter().filter(|holder| world.hurt.contains(&(holder.disk, segment.id))).count();
        assert!(good + swapped >= 3, "{}: {good} good copies, {swapped} hurt", segment.id);
    }
}

#[test]
fn nothing_is_lost_whatever_happens_meanwhile() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        run(seed);
    }
}
