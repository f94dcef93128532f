//! A put costs no memory of its own in steady state: what a chunk needs besides its index entry is there already.

use super::fake::{DISK, Fake, ONE, chunk};
use crate::shard::{Shard, ShardEffect, ShardEvent};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::replica::Slot;
use quarry_protocol::time::Micros;

/// Batches of each measurement.
const BATCHES: u64 = 64;
/// Allocations for each further chunk of a batch: a page of the index holds 64 chunks, and a node of its table several pages.
const PER_CHUNK_MAX: f64 = 1.0 / 64.0 * 1.5;

/// Puts `headers` as one batch and has them stored, as the loop of a node does.
fn store(shard: &mut Shard, now: Micros, headers: &[ChunkHeader], stored: &mut usize) {
    for (slot, header) in headers.iter().enumerate() {
        let (request_id, slot) = (header.seq.0, Slot(slot as u32));
        let put = ShardEvent::Put { connection: ONE, request_id, disk: DISK, header: *header, slot, copy: false };
        shard.handle(now, put);
    }
    let mut written = None;
    loop {
        while let Some(effect) = shard.poll_effect() {
            match effect {
                ShardEffect::Write { number, bytes, .. } => {
                    assert!(written.replace((number, bytes)).is_none(), "one batch at a time");
                }
                ShardEffect::Stored { .. } => *stored += 1,
                ShardEffect::Release { .. } => {}
                other => panic!("{other:?} in steady state"),
            }
        }
        let Some((number, bytes)) = written.take() else { return };
        shard.handle(now, ShardEvent::Written { number, result: Ok(bytes) });
    }
}

/// Allocations of batches of so many chunks each.
fn allocations(chunks_per_batch: u64) -> u64 {
    let mut fake = Fake::new(6);
    // Small chunks: no file is full before the end.
    let batch = |number: u64| -> Vec<_> {
        (0..chunks_per_batch).map(|chunk_number| chunk(1, number * chunks_per_batch + chunk_number, 16).0).collect()
    };
    let batches: Vec<_> = (0..2 * BATCHES).map(batch).collect();
    let (first, rest) = batches.split_at(BATCHES as usize);
    let mut stored = 0;
    for headers in first {
        store(&mut fake.shard, fake.now, headers, &mut stored);
    }
    let counted = allocation_counter::measure(|| {
        for headers in rest {
            store(&mut fake.shard, fake.now, headers, &mut stored);
        }
    });
    assert_eq!(stored as u64, 2 * BATCHES * chunks_per_batch, "everything was stored");
    fake.shard.invariants();
    counted.count_total
}

#[test]
fn a_further_chunk_in_a_batch_allocates_nothing_but_its_share_of_the_index() {
    let (few, many) = (allocations(16), allocations(64));
    let per_chunk = (many as f64 - few as f64) / (48 * BATCHES) as f64;
    let per_batch = few as f64 / BATCHES as f64;
    println!("{per_batch:.1} allocations for a batch of 16 chunks, {per_chunk:.4} for each further chunk");
    assert!(per_chunk <= PER_CHUNK_MAX, "{per_chunk:.4} allocations for each further chunk, {few} and {many} in all");
}
