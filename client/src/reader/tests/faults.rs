//! Replicas that do not give what they should.

use super::between;
use super::scripted::{Mood, NAME, World, segment_id};
use crate::chunk_store::{ChunkStore, ReadOptions, ReadRange};
use crate::error::ReadError;
use bytes::Bytes;
use futures::TryStreamExt;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::record::SegmentEnd;
use std::time::Duration;
use tokio::time::timeout;

const BAD: [Mood; 8] = [
    Mood::Silent,
    Mood::Down,
    Mood::Corrupt(9),
    Mood::Corrupt(31),
    Mood::Unknown(17),
    Mood::Trimmed(25),
    Mood::Deleted,
    Mood::Short(1),
];

/// Any one replica may fail in any way: the others give everything.
#[tokio::test(start_paused = true)]
async fn one_bad_replica_is_not_noticed() {
    for bad in 0..3 {
        for mood in BAD {
            let world = World::two_segments().await;
            // The last two chunks are not on every replica; see `a_chunk_on_one_replica_is_found`.
            world.replicas[bad].mood(mood.clone());
            let start = tokio::time::Instant::now();
            let chunks = world.read(between(0, 38)).await.unwrap_or_else(|why| panic!("{bad} {mood:?}: {why}"));
            world.is(0..38, &chunks);
            // Simulated time: another replica was asked long before a call would have timed out.
            assert!(start.elapsed() < Duration::from_secs(2), "{bad} {mood:?}: {:?}", start.elapsed());
        }
    }
}

/// Any two replicas may fail, as long as the tail is not asked for.
#[tokio::test(start_paused = true)]
async fn one_good_replica_is_enough_for_a_sealed_segment() {
    for good in 0..3 {
        for (one, other) in BAD.iter().zip(BAD.iter().cycle().skip(3)) {
            let world = World::two_segments().await;
            world.replicas[(good + 1) % 3].mood(one.clone());
            world.replicas[(good + 2) % 3].mood(other.clone());
            let chunks = world.read(between(0, 20)).await.unwrap_or_else(|why| panic!("{one:?} {other:?}: {why}"));
            world.is(0..20, &chunks);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_on_one_replica_is_found() {
    for holder in 0..3 {
        let world = World::two_segments().await;
        for index in (0..3).filter(|index| *index != holder) {
            world.lose(index, 1, 13);
        }
        world.is(0..20, &world.read(between(0, 20)).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn short_answers_come_together() {
    let world = World::two_segments().await;
    for (replica, most) in world.replicas.iter().zip([1, 2, 3]) {
        replica.mood(Mood::Short(most));
    }
    world.is(0..39, &world.read(ReadRange::all()).await.unwrap());
}

/// An error names the seq, each replica, and what each one said.
#[tokio::test(start_paused = true)]
async fn nothing_readable_names_every_replica_and_why() {
    let world = World::two_segments().await;
    for (replica, mood) in world.replicas.iter().zip([Mood::Corrupt(4), Mood::Down, Mood::Unknown(4)]) {
        replica.mood(mood);
    }
    let stream = world.store().read(NAME, between(0, 20), ReadOptions::default()).await.unwrap();
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    let ReadError::Unavailable { seq, why, lost, .. } = &error else { panic!("{error}") };
    assert_eq!((*seq, *lost), (ChunkSeq(4), false), "the one that is off may have it");
    for word in ["z1 (node1:1)", "rotten", "z2 (node2:1)", "it is off", "z3 (node3:1)", "cannot say"] {
        assert!(why.contains(word), "{word}: {why}");
    }
    assert!(error.may_retry());
}

/// Lost and out of reach are told apart: only what every replica answered for is lost.
#[tokio::test(start_paused = true)]
async fn what_no_replica_has_any_more_is_lost() {
    let world = World::two_segments().await;
    for (replica, mood) in world.replicas.iter().zip([Mood::Corrupt(4), Mood::Unknown(4), Mood::Unknown(4)]) {
        replica.mood(mood);
    }
    let error = world.read(between(0, 20)).await.unwrap_err();
    assert!(matches!(&error, ReadError::Unavailable { seq: ChunkSeq(4), lost: true, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tail_that_nobody_tells_is_an_error_that_says_so() {
    let world = World::two_segments().await;
    world.replicas[0].mood(Mood::Down);
    world.replicas[1].mood(Mood::Down);
    let error = world.read(ReadRange::starting_at(ChunkSeq(30))).await.unwrap_err();
    assert!(matches!(&error, ReadError::Unavailable { why, .. } if why.contains("node1:1")), "{error}");
}

/// A fault that passes within the deadline is waited out.
#[tokio::test(start_paused = true)]
async fn a_fault_that_passes_is_waited_out() {
    let world = World::two_segments().await;
    world.replicas.iter().for_each(|replica| replica.mood(Mood::Down));
    let mends = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.replicas[0].mood(Mood::Good);
        world.replicas[2].mood(Mood::Good);
    };
    let (chunks, ()) = tokio::join!(world.read(ReadRange::all()), mends);
    world.is(0..39, &chunks.unwrap());
}

/// P1, D3: whole chunks of another history are noticed by the chain of digests.
#[tokio::test(start_paused = true)]
async fn another_history_is_noticed() {
    let other = World::new();
    other.open_segment(2, 20);
    for seq in 20..38 {
        other.chunk(2, seq, 0, &[0], &Bytes::from_static(b"another writer's"));
    }
    let mut mixed = World::two_segments().await;
    mixed.replicas[0] = other.replicas[0].clone();
    mixed.replicas[0].mood(Mood::Unknown(25));
    let error = mixed.read(between(20, 38)).await.unwrap_err();
    assert!(matches!(&error, ReadError::Unavailable { why, .. } if why.contains("digests")), "{error}");
}

/// Whoever knew how far the segment behind a boundary is committed went away: the read ends where the others know it to be,
/// and does not wait for one that may never come back.
#[tokio::test(start_paused = true)]
async fn a_read_ends_where_those_who_are_left_know_it_to_be_committed() {
    let world = World::new();
    world.open_segment(1, 0);
    world.chunks(1, 0..10, 0, &[0, 1, 2]);
    world.record.lock().unwrap().segments[0].end = SegmentEnd::Boundary { at: ChunkSeq(20) };
    world.open_segment(2, 20);
    world.chunks(2, 20..30, 20, &[2]);
    world.publish().await;
    let mut stream = world.store().read(NAME, ReadRange::all(), ReadOptions::default()).await.unwrap();
    for _ in 0..10 {
        stream.try_next().await.unwrap().unwrap();
    }
    world.chunks(1, 10..20, 0, &[0, 1, 2]);
    world.replicas[2].watermark(segment_id(2), 28);
    let eleventh = stream.try_next().await.unwrap().unwrap();
    assert_eq!(eleventh.seq, ChunkSeq(10));
    world.replicas[2].mood(Mood::Down);
    let rest = timeout(Duration::from_mins(1), stream.try_collect::<Vec<_>>()).await.unwrap().unwrap();
    world.is(11..20, &rest);
}
