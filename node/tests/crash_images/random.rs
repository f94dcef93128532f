//! Random lives: puts, trims, deletions, crashes in the middle of anything, again and again on one disk.

use crate::numbers::Numbers;
use crate::world::{World, key, log};
use quarry_protocol::ids::{ChunkSeq, Epoch};
use quarry_protocol::snapshot::LogRecord;

const LOGS: u8 = 4;

/// The writers' side: where each log goes on.
#[derive(Clone, Copy, Debug, Default)]
struct Writer {
    epoch: u64,
    next: u64,
    floor: u64,
}

fn step(world: &mut World, writers: &mut [Writer; LOGS as usize + 1], numbers: &mut Numbers, large: bool) {
    let number = 1 + numbers.below(u64::from(LOGS)) as u8;
    let writer = &mut writers[usize::from(number)];
    match numbers.below(100) {
        0..40 => {
            let bytes = match numbers.below(if large { 3 } else { 2 }) {
                0 => 1 + numbers.below(600),
                1 => 1 + numbers.below(40_000),
                _ => 500_000 + numbers.below(1_000_000),
            };
            if world.put(key(number, writer.epoch, writer.next), bytes as u32) {
                writer.next += 1;
            }
        }
        // A trim, of nearly everything where space matters.
        40..46 => {
            writer.floor += (writer.next - writer.floor) * numbers.below(101) / 100;
            let floor = ChunkSeq(writer.floor);
            world.control(LogRecord { log: log(number), floor, fence: Epoch(writer.epoch), ..LogRecord::default() });
        }
        46 if number == LOGS && numbers.percent(20) => {
            world.control(LogRecord { log: log(number), deleted: Epoch(writer.epoch), ..LogRecord::default() });
        }
        46..80 => {
            let in_flight: Vec<u64> = world.disk.in_flight.keys().copied().collect();
            if !in_flight.is_empty() {
                world.end_write(in_flight[numbers.below(in_flight.len() as u64) as usize]);
            }
        }
        80..90 => world.end_preparation(),
        90..95 => world.end_read(),
        _ => world.pass_time(1 + numbers.below(10_000)),
    }
    world.take_effects();
}

/// A new writer goes on somewhere at or below where the last one was: as a recovery, or as a retransmission.
fn take_over(writers: &mut [Writer; LOGS as usize + 1], numbers: &mut Numbers) {
    for writer in writers {
        if numbers.percent(50) {
            writer.epoch += 1;
        }
        let back = numbers.below(4).min(writer.next - writer.floor);
        writer.next -= back;
    }
}

fn live(seed: u64, crashes: u64, steps: u64, large: bool) {
    let mut numbers = Numbers::new(seed);
    let mut world = World::formatted();
    let mut writers = [Writer { epoch: 1, ..Writer::default() }; LOGS as usize + 1];
    for crash in 0..crashes {
        for _ in 0..=numbers.below(steps) {
            step(&mut world, &mut writers, &mut numbers, large);
        }
        if numbers.percent(10) {
            world.settle();
        }
        world.disk.crash(&mut numbers);
        world = world.restart(&format!("seed {seed}, crash {crash}"));
        take_over(&mut writers, &mut numbers);
    }
    world.settle();
}

/// D4, D5: small steps, many crashes, often in the middle of opening a file.
#[test]
fn many_crashes_close_together() {
    (0..60).for_each(|seed| live(seed, 12, 25, false));
}

/// D5, D7: files fill up, are closed, freed, reused and copied forward between the crashes.
#[test]
fn crashes_while_files_turn_over() {
    (1000..1012).for_each(|seed| live(seed, 6, 500, true));
}
