//! Reads over replicas that hold what they should, or less, and answer, or do not. Time is simulated.

mod faults;
mod follow;
mod scripted;

use crate::chunk_store::{ChunkStore, ReadChunk, ReadOptions, ReadRange};
use crate::error::ReadError;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use quarry_protocol::ids::ChunkSeq;
use scripted::{NAME, World, segment_id};
use std::ops::Range;

impl World {
    async fn read(&self, range: ReadRange) -> Result<Vec<ReadChunk>, ReadError> {
        self.store().read(NAME, range, ReadOptions::default()).await?.try_collect().await
    }

    fn is(&self, seqs: Range<u64>, chunks: &[ReadChunk]) {
        let got: Vec<u64> = chunks.iter().map(|chunk| chunk.seq.0).collect();
        assert_eq!(got, seqs.collect::<Vec<_>>());
        let payloads = self.payloads.lock().unwrap();
        assert!(chunks.iter().all(|chunk| chunk.payload == payloads[&chunk.seq.0]));
    }
}

fn between(from: u64, to: u64) -> ReadRange {
    ReadRange::between(ChunkSeq(from), ChunkSeq(to))
}

/// P15: to the end of every sealed segment, in the open one to what is known to be committed, and no further, although
/// a replica has more.
#[tokio::test(start_paused = true)]
async fn a_log_is_read_as_far_as_it_is_committed() {
    let world = World::two_segments().await;
    world.is(0..39, &world.read(ReadRange::all()).await.unwrap());
    world.is(7..39, &world.read(ReadRange::starting_at(ChunkSeq(7))).await.unwrap());
    world.is(25..31, &world.read(between(25, 31)).await.unwrap());
    world.is(13..27, &world.read(between(13, 27)).await.unwrap());
    world.is(0..0, &world.read(between(5, 5)).await.unwrap());
    world.is(0..0, &world.read(ReadRange::starting_at(ChunkSeq(39))).await.unwrap());
}

/// P15: a sealed segment ends where it was sealed; what a replica still has beyond is nothing.
#[tokio::test(start_paused = true)]
async fn what_lies_beyond_a_seal_is_not_read() {
    let world = World::new();
    world.open_segment(1, 0);
    world.chunks(1, 0..5, 8, &[0, 1, 2]);
    world.seal(5);
    world.chunks(1, 5..8, 8, &[0, 1, 2]);
    world.open_segment(2, 5);
    world.chunks(2, 5..9, 0, &[0, 1]);
    world.publish().await;
    let chunks = world.read(ReadRange::all()).await.unwrap();
    world.is(0..9, &chunks);
    assert!(chunks[5..].iter().all(|chunk| chunk.segment == segment_id(2)));
}

/// Pitfall 20d: a watermark says nothing of another segment.
#[tokio::test(start_paused = true)]
async fn a_watermark_of_another_segment_does_not_count() {
    let world = World::new();
    world.open_segment(1, 0);
    world.chunks(1, 0..5, 0, &[0, 1, 2]);
    world.replicas[0].watermark(segment_id(1), 50);
    world.seal(5);
    world.open_segment(2, 5);
    world.chunks(2, 5..9, 0, &[0]);
    world.publish().await;
    world.is(0..5, &world.read(ReadRange::all()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_ends_of_a_log_have_their_errors() {
    let world = World::two_segments().await;
    let above = |seq| ReadError::AboveTail { name: NAME.into(), seq: ChunkSeq(seq), tail: ChunkSeq(39) };
    assert_eq!(world.read(ReadRange::starting_at(ChunkSeq(40))).await, Err(above(40)));
    assert_eq!(world.read(between(39, 40)).await, Err(above(40)));
    let range = between(7, 3);
    let bad = ReadError::BadRange { name: NAME.into(), from: ChunkSeq(7), to: ChunkSeq(3) };
    assert_eq!(world.read(range).await, Err(bad));
    // What is there comes before the error.
    let stream = world.store().read(NAME, between(30, 50), ReadOptions::default()).await.unwrap();
    let (chunks, errors): (Vec<_>, Vec<_>) = stream.collect::<Vec<_>>().await.into_iter().partition(Result::is_ok);
    world.is(30..39, &chunks.into_iter().map(Result::unwrap).collect::<Vec<_>>());
    assert_eq!(errors, [Err(above(50))]);

    world.record.lock().unwrap().floor = ChunkSeq(10);
    world.publish().await;
    let trimmed = |seq| ReadError::Trimmed { name: NAME.into(), seq: ChunkSeq(seq), floor: ChunkSeq(10) };
    assert_eq!(world.read(ReadRange::starting_at(ChunkSeq(9))).await, Err(trimmed(9)));
    world.is(10..39, &world.read(ReadRange::all()).await.unwrap());

    world.record.lock().unwrap().deleted = true;
    world.publish().await;
    let not_found = ReadError::NotFound { name: NAME.into() };
    assert_eq!(world.read(ReadRange::all()).await, Err(not_found));
    let nobody = world.store().read("nobody", ReadRange::all(), ReadOptions::default()).await;
    assert!(matches!(nobody.err(), Some(ReadError::NotFound { .. })));
    let bad = world.store().read("", ReadRange::all(), ReadOptions::default()).await;
    assert!(matches!(bad.err(), Some(ReadError::BadName { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_log_without_a_segment_is_empty() {
    let world = World::new();
    world.publish().await;
    world.is(0..0, &world.read(ReadRange::all()).await.unwrap());
    let above = world.read(ReadRange::starting_at(ChunkSeq(1))).await;
    assert!(matches!(above, Err(ReadError::AboveTail { .. })), "{above:?}");
}

/// What a stream holds is bounded, whatever the size of chunks, and however slowly they are taken.
#[tokio::test(start_paused = true)]
async fn little_is_read_ahead() {
    let world = World::new();
    world.open_segment(1, 0);
    for seq in 0..400 {
        let bytes = if seq < 100 { 10 } else { 300_000 };
        world.chunk(1, seq, 0, &[0, 1, 2], &Bytes::from(vec![seq as u8; bytes]));
    }
    world.seal(400);
    world.publish().await;
    let mut stream = world.store().read(NAME, ReadRange::all(), ReadOptions::default()).await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..5 {
        taken.push(stream.next().await.unwrap().unwrap());
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let reads: usize = world.replicas.iter().map(|r| r.reads().1).sum();
    assert!(reads <= super::bounds::PIECES_MAX + 1, "{reads} reads for five chunks");
    taken.extend(stream.try_collect::<Vec<_>>().await.unwrap());
    world.is(0..400, &taken);
    assert!(world.replicas.iter().all(|r| r.reads().0 <= super::bounds::PIECES_MAX + 1));
    assert!(world.replicas.iter().all(|r| r.reads().1 > 5), "every replica has its share");
}
