//! All combinations: three batches in progress, each of them lost, whole, or torn in the ways that matter.

use crate::world::{World, key, log};
use quarry_protocol::ids::{ChunkSeq, Epoch};
use quarry_protocol::snapshot::LogRecord;

/// A world with some confirmed chunks, and three batches in progress.
fn three_in_flight(bytes: [u32; 3]) -> World {
    let mut world = World::formatted();
    for seq in 0..4 {
        assert!(world.put(key(1, 1, seq), 3000));
        world.settle();
    }
    for (seq, bytes) in (4..).zip(bytes) {
        // Large enough not to wait for the batch before.
        assert!(world.put(key(1, 1, seq), bytes));
        assert!(world.put(key(2, 1, seq), 600));
        world.take_effects();
    }
    assert_eq!(world.disk.in_flight.len(), 3, "three batches are in progress");
    world
}

fn crash_with(world: &World, fates: [usize; 3], what: &str) {
    let mut world = world.copy();
    let numbers: Vec<u64> = world.disk.in_flight.keys().copied().collect();
    for (number, fate) in numbers.into_iter().zip(fates) {
        let sectors = world.disk.in_flight[&number].sectors();
        world.disk.tear(number, |sector| match fate {
            0 => false,
            1 => true,
            2 => sector == 0,
            3 => sector != 0,
            4 => sector + 1 < sectors,
            5 => sector + 1 == sectors,
            _ => sector % 2 == 0,
        });
    }
    world.restart(what).settle();
}

/// D4, pitfall 23: each of three batches in progress in seven states, all 343 combinations.
#[test]
fn every_combination_of_three_batches_in_progress() {
    let world = three_in_flight([300_000, 300_000, 300_000]);
    for fate in 0..7 * 7 * 7 {
        let fates = [fate % 7, fate / 7 % 7, fate / 49];
        crash_with(&world, fates, &format!("fates {fates:?}"));
    }
}

/// D4: every single sector of the last batch in progress old while all others are new, and the other way round.
#[test]
fn every_single_sector_of_a_batch() {
    let mut world = World::formatted();
    for seq in 0..3 {
        assert!(world.put(key(1, 1, seq), 9000));
        if seq < 2 {
            world.settle();
        }
    }
    world.control(LogRecord { log: log(1), floor: ChunkSeq(1), fence: Epoch(2), ..LogRecord::default() });
    world.take_effects();
    let (&number, write) = world.disk.in_flight.last_key_value().expect("a batch in progress");
    for odd in 0..write.sectors() {
        for new in [false, true] {
            let mut world = world.copy();
            world.disk.tear(number, |sector| (sector == odd) == new);
            world.restart(&format!("sector {odd}, new {new}")).settle();
        }
    }
}

/// The same, at the moment when one file is closed and the next one opened: index, snapshots, footer (D5).
#[test]
fn every_combination_while_a_file_is_closed_and_the_next_one_opened() {
    let mut world = World::formatted();
    let mut seq = 0;
    let mut images = 0;
    while images < 5 {
        assert!(world.put(key(1, 1, seq), 1_000_000));
        seq += 1;
        world.take_effects();
        // The oldest ends first, one at a time: every step of the way gives an image.
        while let Some((&oldest, _)) = world.disk.in_flight.first_key_value() {
            let files: std::collections::BTreeSet<u32> =
                world.disk.in_flight.values().map(|write| write.file).collect();
            let ends = world
                .disk
                .in_flight
                .values()
                .any(|write| write.position > crate::disk::FILE_BYTES / 8 * 7 || write.position == 0);
            if ends && seq > 2 {
                images += 1;
                let in_flight = world.disk.in_flight.len() as u32;
                for fate in 0..3usize.pow(in_flight) {
                    let mut torn = world.copy();
                    let mut fates = fate;
                    for number in world.disk.in_flight.keys() {
                        let way = fates % 3;
                        fates /= 3;
                        torn.disk.tear(*number, |sector| way == 1 || way == 2 && sector % 8 == 0);
                    }
                    torn.restart(&format!("image {images} of files {files:?}, fate {fate}"));
                }
            }
            world.end_write(oldest);
        }
        world.settle();
    }
}
