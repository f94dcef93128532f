//! Calls and reads.

use super::Subject;
use super::fake_node::{CLUSTER, FakeNode, LOG, Peer, SEGMENT, chunk};
use crate::link::{LinkError, LinkEvent, ReadAnswer, ReplicaLink, TcpLink};
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, RecordNumber, SegmentId};
use quarry_protocol::limits::{READ_BYTES_MAX, READ_CHUNKS_MAX};
use quarry_protocol::message::{Answer, Refusal, Reply, Request};
use quarry_protocol::record::ReplicaRef;
use std::time::{Duration, Instant};
use tokio::time::timeout;

fn trim(floor: u64) -> Request {
    Request::Trim { log: LOG, word: RecordNumber(1), floor: ChunkSeq(floor) }
}

#[tokio::test]
async fn a_call_waits_for_the_first_connection() {
    let node = FakeNode::start().await;
    let link = TcpLink::new(node.replica(), CLUSTER);
    let answer = async {
        let mut peer = node.accept().await;
        let (id, request) = peer.request().await;
        assert_eq!(request, trim(4));
        peer.reply(id, &Reply::Trimmed { floor: ChunkSeq(5) }).await;
        peer
    };
    let (called, _peer) = tokio::join!(link.call(trim(4)), answer);
    assert_eq!(called, Ok(Reply::Trimmed { floor: ChunkSeq(5) }));
}

#[tokio::test]
async fn nobody_there_is_an_error_at_once() {
    let node = FakeNode::start().await;
    let replica: ReplicaRef = node.replica();
    drop(node);
    let link = TcpLink::new(replica, CLUSTER);
    let called = link.call(trim(1)).await.unwrap_err();
    assert!(matches!(&called, LinkError::Down { why, .. } if why.starts_with("connect:")), "{called}");
    assert!(called.may_retry() && !called.may_have_happened());
}

#[tokio::test]
async fn calls_are_answered_in_any_order() {
    let node = FakeNode::start().await;
    let (subject, mut peer) = Subject::connected(&node).await;
    let answers = async {
        let mut asked = Vec::new();
        for _ in 0..3 {
            asked.push(peer.request().await);
        }
        for (id, request) in asked.into_iter().rev() {
            let Request::Trim { floor, .. } = request else { panic!("{request:?}") };
            peer.reply(id, &Reply::Trimmed { floor }).await;
        }
    };
    let (first, second, third, ()) =
        tokio::join!(subject.link.call(trim(1)), subject.link.call(trim(2)), subject.link.call(trim(3)), answers);
    for (called, floor) in [(first, 1), (second, 2), (third, 3)] {
        assert_eq!(called, Ok(Reply::Trimmed { floor: ChunkSeq(floor) }));
    }
}

#[tokio::test]
async fn a_call_that_is_not_answered_ends_and_the_link_goes_on() {
    let node = FakeNode::start().await;
    let (mut subject, mut peer) = Subject::connected(&node).await;
    subject.link.call_timeout = Duration::from_millis(30);
    let error = subject.link.call(trim(1)).await.unwrap_err();
    assert!(matches!(error, LinkError::Timeout { request: "trim", after_ms: 30, .. }), "{error}");
    assert!(error.may_retry() && error.may_have_happened());
    subject.link.call_timeout = Duration::from_secs(5);
    let (late, _) = peer.request().await;
    let answer = async {
        let (id, _) = peer.request().await;
        peer.reply(late, &Reply::Trimmed { floor: ChunkSeq(1) }).await;
        peer.reply(id, &Reply::Trimmed { floor: ChunkSeq(2) }).await;
    };
    let (called, ()) = tokio::join!(subject.link.call(trim(2)), answer);
    assert_eq!(called, Ok(Reply::Trimmed { floor: ChunkSeq(2) }), "the late answer was taken for it");
}

#[tokio::test]
async fn a_connection_that_breaks_ends_its_calls() {
    let node = FakeNode::start().await;
    let (subject, mut peer) = Subject::connected(&node).await;
    let breaks = async {
        peer.request().await;
        drop(peer);
    };
    let (called, ()) = tokio::join!(subject.link.call(trim(1)), breaks);
    let error = called.unwrap_err();
    assert!(matches!(error, LinkError::Lost { .. }) && error.may_have_happened(), "{error}");
}

async fn read(subject: &Subject, from: u64) -> Result<ReadAnswer, LinkError> {
    subject.link.read(LOG, SEGMENT, ChunkSeq(from), u32::MAX, u32::MAX).await
}

async fn asked(peer: &mut Peer) -> u64 {
    let (id, request) = peer.request().await;
    assert!(
        matches!(request, Request::Read { chunks_max: READ_CHUNKS_MAX, bytes_max: READ_BYTES_MAX, .. }),
        "the bounds are cut to the protocol's: {request:?}"
    );
    id
}

#[tokio::test]
async fn a_read_collects_chunks_until_its_end() {
    let node = FakeNode::start().await;
    let (subject, mut peer) = Subject::connected(&node).await;
    let payloads = [Bytes::from_static(b"one"), Bytes::from(vec![2; 3_000_000]), Bytes::from_static(b"three")];
    let answer = async {
        let id = asked(&mut peer).await;
        for (payload, seq) in payloads.iter().zip(10..) {
            peer.chunk(id, &chunk(LOG, seq, payload), payload).await;
        }
        peer.read_end(id, 13, Answer::Never).await;
    };
    let (got, ()) = tokio::join!(read(&subject, 10), answer);
    let got = got.unwrap();
    assert_eq!((got.next, got.answer), (ChunkSeq(13), Answer::Never));
    assert!(got.chunks.iter().map(|c| &c.payload).eq(payloads.iter()));
}

/// A chunk that is not the one asked for, or not whole, ends the read that wanted it and nothing else. Another replica
/// is asked then.
#[tokio::test]
async fn a_wrong_chunk_ends_its_read_only() {
    let node = FakeNode::start().await;
    let (mut subject, mut peer) = Subject::connected(&node).await;
    let payload = Bytes::from_static(b"payload");
    let good = chunk(LOG, 10, &payload);
    let elsewhere = SegmentId { epoch: Epoch(2), index: 0 };
    let cases: [(ChunkHeader, &[u8], &str); 6] = [
        (good, b"pAyload", "payload checksum"),
        (good, b"payloads", "payload has 8 bytes"),
        (ChunkHeader { seq: ChunkSeq(11), ..good }, &payload, "was expected"),
        (ChunkHeader { segment: elsewhere, ..good }, &payload, "was expected"),
        (ChunkHeader { log: LogId([9; 16]), ..good }, &payload, "was expected"),
        (ChunkHeader { length: 0, ..good }, &payload, "chunk of 0 bytes"),
    ];
    for (header, payload, word) in cases {
        let answer = async {
            let id = asked(&mut peer).await;
            peer.chunk(id, &header, payload).await;
            peer.read_end(id, 11, Answer::Have).await;
        };
        let (got, ()) = tokio::join!(read(&subject, 10), answer);
        let error = got.unwrap_err();
        assert!(matches!(&error, LinkError::Corrupt { why, .. } if why.contains(word)), "{word}: {error}");
    }
    let answer = async {
        let id = asked(&mut peer).await;
        peer.chunk(id, &good, &payload).await;
        peer.read_end(id, 12, Answer::Have).await;
    };
    let (got, ()) = tokio::join!(read(&subject, 10), answer);
    assert!(matches!(&got, Err(LinkError::Protocol { why, .. }) if why.contains("up to 11")), "{got:?}");
    let answer = async {
        let id = asked(&mut peer).await;
        peer.reply(id, &Reply::Refused(Refusal::DiskFailed { why: "EIO".into() })).await;
    };
    let (got, ()) = tokio::join!(read(&subject, 10), answer);
    assert!(matches!(got, Err(LinkError::Refused { .. })), "{got:?}");
    assert!(timeout(Duration::from_millis(20), subject.event()).await.is_err(), "the link stayed up");
}

#[tokio::test]
async fn a_node_that_sends_more_than_was_asked_for_is_stopped() {
    let node = FakeNode::start().await;
    let (subject, mut peer) = Subject::connected(&node).await;
    let payload = Bytes::from_static(b"x");
    let answer = async {
        let (id, _) = peer.request().await;
        for seq in 0..3 {
            peer.chunk(id, &chunk(LOG, seq, &payload), &payload).await;
        }
    };
    let (got, ()) = tokio::join!(subject.link.read(LOG, SEGMENT, ChunkSeq(0), 2, 100), answer);
    assert!(matches!(&got, Err(LinkError::Protocol { why, .. }) if why.contains("more chunks")), "{got:?}");
}

/// A hedged read that lost is dropped; what still comes for it disturbs nothing.
#[tokio::test]
async fn a_read_that_is_given_up_leaves_nothing_behind() {
    let node = FakeNode::start().await;
    let (mut subject, mut peer) = Subject::connected(&node).await;
    let (given_up, id) = tokio::join!(timeout(Duration::from_millis(20), read(&subject, 0)), asked(&mut peer));
    assert!(given_up.is_err());
    let much_later = Instant::now() + Duration::from_hours(1);
    assert_eq!(subject.link.shared.state().overdue(much_later), None, "something still waits");
    let payload = Bytes::from_static(b"late");
    peer.chunk(id, &chunk(LOG, 0, &payload), b"late").await;
    peer.read_end(id, 1, Answer::Have).await;
    subject.link.put(chunk(LOG, 3, &payload), payload);
    subject.link.flush();
    let (id, _) = peer.put().await;
    peer.stored(id).await;
    assert_eq!(subject.event().await, LinkEvent::Stored(ChunkSeq(3)));
}
