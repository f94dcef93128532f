//! Following the tail: across new chunks, takeovers, trims and deletions.

use super::scripted::{Mood, NAME, World, segment_id};
use crate::chunk_store::{ChunkStore, ChunkStream, ReadChunk, ReadOptions, ReadRange};
use crate::error::ReadError;
use futures::StreamExt;
use quarry_protocol::ids::{ChunkSeq, LogId};
use std::time::Duration;
use tokio::time::timeout;

async fn follow(world: &World, from: u64) -> ChunkStream {
    let range = ReadRange::starting_at(ChunkSeq(from));
    world.store().read(NAME, range, ReadOptions::following()).await.unwrap()
}

async fn some(stream: &mut ChunkStream, count: usize) -> Vec<ReadChunk> {
    let mut chunks = Vec::new();
    for _ in 0..count {
        chunks.push(stream.next().await.unwrap().unwrap());
    }
    chunks
}

async fn nothing(stream: &mut ChunkStream) {
    let came = timeout(Duration::from_mins(1), stream.next()).await;
    assert!(came.is_err(), "{came:?} came");
}

#[tokio::test(start_paused = true)]
async fn new_chunks_come_when_they_are_committed() {
    let world = World::two_segments().await;
    let mut stream = follow(&world, 30).await;
    world.is(30..39, &some(&mut stream, 9).await);
    nothing(&mut stream).await;
    world.chunks(2, 40..44, 40, &[0, 1]);
    world.chunks(2, 44..45, 40, &[0]);
    nothing(&mut stream).await;
    world.replicas[1].watermark(segment_id(2), 44);
    world.is(39..44, &some(&mut stream, 5).await);
    nothing(&mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn a_read_above_the_tail_waits_for_it() {
    let world = World::two_segments().await;
    let mut stream = follow(&world, 41).await;
    nothing(&mut stream).await;
    world.chunks(2, 40..43, 40, &[0, 1, 2]);
    world.replicas[1].watermark(segment_id(2), 43);
    world.is(41..43, &some(&mut stream, 2).await);
}

/// The segment under way is sealed by a takeover, shorter than what one replica still holds, and another one follows.
#[tokio::test(start_paused = true)]
async fn a_takeover_is_followed() {
    let world = World::two_segments().await;
    let mut stream = follow(&world, 0).await;
    world.is(0..39, &some(&mut stream, 39).await);
    nothing(&mut stream).await;
    {
        let (record, digest) = (&world.record, world_digest(&world, 39));
        record.lock().unwrap().segments[1].end =
            quarry_protocol::record::SegmentEnd::Sealed { at: ChunkSeq(39), digest };
    }
    world.open_segment(5, 39);
    world.chunks(5, 39..50, 45, &[0, 1]);
    world.publish().await;
    let chunks = some(&mut stream, 11).await;
    world.is(39..50, &chunks);
    assert!(chunks.iter().all(|chunk| chunk.segment == segment_id(5)));
    nothing(&mut stream).await;
}

/// The digest of segment 2 of [`World::two_segments`] through the chunk before `at`.
fn world_digest(world: &World, at: u64) -> quarry_protocol::digest::Digest {
    use quarry_protocol::digest::Digest;
    let payloads = world.payloads.lock().unwrap();
    (20..at).fold(Digest::start(super::scripted::LOG, segment_id(2), ChunkSeq(20)), |digest, seq| {
        let payload = &payloads[&seq];
        digest.chain(ChunkSeq(seq), payload.len() as u32, crc32c::crc32c(payload))
    })
}

#[tokio::test(start_paused = true)]
async fn replicas_that_go_away_for_a_while_are_waited_for() {
    let world = World::two_segments().await;
    let mut stream = follow(&world, 38).await;
    world.is(38..39, &some(&mut stream, 1).await);
    world.replicas.iter().for_each(|replica| replica.mood(Mood::Down));
    assert!(timeout(Duration::from_secs(5), stream.next()).await.is_err());
    world.replicas.iter().for_each(|replica| replica.mood(Mood::Good));
    nothing(&mut stream).await;
    world.chunks(2, 40..41, 40, &[0, 1, 2]);
    world.replicas[0].watermark(segment_id(2), 41);
    world.is(39..41, &some(&mut stream, 2).await);
    world.replicas.iter().for_each(|replica| replica.mood(Mood::Down));
    let ended = stream.next().await;
    assert!(matches!(ended, Some(Err(ReadError::Unavailable { .. }))), "{ended:?}");
    assert!(stream.next().await.is_none(), "after an error the stream is over");
}

#[tokio::test(start_paused = true)]
async fn a_trim_beyond_the_reader_is_an_error() {
    let world = World::two_segments().await;
    let mut stream = follow(&world, 0).await;
    some(&mut stream, 1).await;
    world.record.lock().unwrap().floor = ChunkSeq(38);
    world.publish().await;
    world.replicas.iter().for_each(|replica| replica.mood(Mood::Trimmed(37)));
    let mut last = stream.next().await;
    for _ in 0..40 {
        if matches!(last, Some(Ok(_))) {
            last = stream.next().await;
        }
    }
    assert!(matches!(last, Some(Err(ReadError::Trimmed { floor: ChunkSeq(38), .. }))), "{last:?}");
}

/// Pitfall 11: a log that is deleted and made again under its name is not the log that was followed.
#[tokio::test(start_paused = true)]
async fn another_log_of_the_same_name_is_not_followed() {
    let world = World::two_segments().await;
    let mut stream = follow(&world, 39).await;
    nothing(&mut stream).await;
    world.record.lock().unwrap().log = LogId([0x77; 16]);
    world.publish().await;
    let ended = timeout(Duration::from_mins(1), stream.next()).await;
    assert!(matches!(ended, Ok(Some(Err(ReadError::NotFound { .. })))), "{ended:?}");
}
