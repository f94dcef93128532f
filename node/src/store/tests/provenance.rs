//! What a durability receipt says of chunks: no more than is known, and all of it.

use super::*;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::{PROVENANCE_CHUNKS_MAX, RANGES_PER_ANSWER_MAX};
use quarry_protocol::message::ProvenanceRun;
use quarry_protocol::snapshot::{LossRecord, Record};

const CHUNK: u32 = 1 << 20;
const SECOND: u64 = 1_000_000;

fn asked(driver: &Driver, from: u64, to: u64) -> (Vec<ProvenanceRun>, ChunkSeq) {
    driver.store.provenance(log(1), key(1, 0).segment, ChunkSeq(from), ChunkSeq(to))
}

fn seqs(runs: &[ProvenanceRun]) -> Vec<(u64, u64)> {
    runs.iter().map(|run| (run.from.0, run.to.0)).collect()
}

/// Fills two files and a bit of a third, a chunk a minute. When each chunk was pushed, by the clock on the wall.
fn minutely(driver: &mut Driver, chunks: u64) -> Vec<u64> {
    let push = |seq| {
        driver.push_chunk(key(1, seq), CHUNK);
        driver.run();
        let at = WALL_CLOCK_S + driver.now.0 / SECOND;
        driver.wait(60 * SECOND);
        at
    };
    (0..chunks).map(push).collect()
}

/// Every chunk lies between the bounds said of it, those of neighbouring files meet, and a restart changes neither.
#[test]
fn every_chunk_was_stored_between_the_bounds() {
    let mut driver = Driver::started(8);
    let pushed = minutely(&mut driver, 32);
    let (before, next) = asked(&driver, 0, 1000);
    assert_eq!((before.len(), next), (3, ChunkSeq(1000)), "one run per file: {before:?}");
    for (&at, seq) in pushed.iter().zip(0..) {
        let run = before.iter().find(|run| (run.from.0..run.to.0).contains(&seq)).expect("held");
        assert!((run.stored_from_s..=run.stored_to_s).contains(&at), "{seq} was stored at {at}, said is {run:?}");
        let narrow = run.stored_to_s - run.stored_from_s <= 60 * (run.to.0 - run.from.0 + 1);
        assert!(narrow && run.verified_at_s.is_none(), "{run:?}");
    }
    let after = asked(&driver.restarted(), 0, 1000).0;
    assert_eq!(after[..2], before[..2], "what was closed stays as it was");
    let end = ProvenanceRun { stored_to_s: after[2].stored_to_s, ..before[2] };
    assert!(after[2] == end && end.stored_to_s >= pushed[31], "{after:?}");
}

/// A copy is stored when it is copied: the file it lay in is gone.
#[test]
fn a_chunk_that_was_copied_forward_is_as_old_as_its_copy() {
    let mut driver = Driver::started(6);
    driver.push_chunk(key(1, 0), 1000);
    driver.run();
    let first = asked(&driver, 0, 1).0[0];
    let mut seq = 0;
    while driver.store.statistics().copied_files == 0 {
        driver.push_chunk(key(2, seq), CHUNK);
        driver.wait(60 * SECOND);
        seq += 1;
        driver.trim(2, seq);
    }
    let moved = asked(&driver, 0, 1).0[0];
    assert!(moved.stored_from_s > first.stored_to_s, "{first:?}, then {moved:?}");
}

/// Only what is held and not lost, within the seqs asked for.
#[test]
fn gaps_losses_and_what_was_trimmed_are_left_out() {
    let mut driver = Driver::started(8);
    for seq in [5, 6, 7, 9, 200, 201] {
        driver.push_chunk(key(1, seq), 100);
    }
    driver.run();
    assert_eq!(seqs(&asked(&driver, 0, u64::MAX).0), [(5, 8), (9, 10), (200, 202)]);
    assert_eq!(seqs(&asked(&driver, 6, 201).0), [(6, 8), (9, 10), (200, 201)]);
    assert!(asked(&driver, 10, 200).0.is_empty() && asked(&driver, 9, 9).0.is_empty());
    let loss = LossRecord { log: log(1), segment: key(1, 0).segment, from: ChunkSeq(6), to: ChunkSeq(7) };
    driver.push_record(Record::Loss(loss));
    driver.run();
    assert_eq!(seqs(&asked(&driver, 0, 10).0), [(5, 6), (7, 8), (9, 10)]);
    driver.trim(1, 201);
    assert_eq!(seqs(&asked(&driver, 0, 1000).0), [(201, 202)]);
    assert!(driver.store.provenance(log(2), key(1, 0).segment, ChunkSeq(0), ChunkSeq(9)).0.is_empty());
}

/// D8: an answer is bounded in runs and in what it looks at, and says where to go on.
#[test]
fn an_answer_has_its_bounds_and_the_next_one_goes_on() {
    let mut driver = Driver::started(8);
    let chunks = PROVENANCE_CHUNKS_MAX as u64 + 10;
    for seq in 0..chunks {
        driver.push_chunk(key(1, 2 * seq), 1);
        if seq % 1000 == 0 {
            driver.run();
        }
    }
    driver.run();
    let (mut from, mut held, mut answers) = (0, 0, 0);
    while from < 2 * chunks {
        let (runs, next) = asked(&driver, from, 2 * chunks);
        assert!(runs.len() <= RANGES_PER_ANSWER_MAX && next.0 > from, "{} runs, next is {next}", runs.len());
        (held, from, answers) = (held + runs.len() as u64, next.0, answers + 1);
    }
    assert_eq!((held, answers), (chunks, chunks.div_ceil(RANGES_PER_ANSWER_MAX as u64)));
    // In one run there is no bound but that of looking.
    for seq in 0..chunks {
        driver.push_chunk(key(1, 2 * seq + 1), 1);
        if seq % 1000 == 0 {
            driver.run();
        }
    }
    driver.run();
    let (runs, next) = asked(&driver, 0, 2 * chunks);
    assert_eq!((runs.len() <= 3, next), (true, ChunkSeq(PROVENANCE_CHUNKS_MAX as u64)));
}
