//! Puts and their outcomes.

use super::fake_node::{FakeNode, LOG, OTHER_DISK, SEGMENT, chunk};
use super::{Subject, TcpLink};
use crate::link::{LinkError, LinkEvent, ReplicaLink};
use bytes::Bytes;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId};
use quarry_protocol::limits::{CHUNK_PAYLOAD_BYTES_MAX, FRAME_HEADER_BYTES};
use quarry_protocol::message::{Refusal, Reply};
use tokio::sync::mpsc::unbounded_channel;

fn put(link: &TcpLink, seqs: std::ops::Range<u64>) {
    for seq in seqs {
        let payload = Bytes::from(vec![seq as u8; 1 + 1000 * seq as usize]);
        link.put(chunk(LOG, seq, &payload), payload);
    }
    link.flush();
}

#[tokio::test]
async fn answers_find_their_puts_in_any_order() {
    let node = FakeNode::start().await;
    let (mut subject, mut peer) = Subject::connected(&node).await;
    put(&subject.link, 0..50);
    let mut ids = Vec::new();
    for seq in 0..50 {
        let (id, header) = peer.put().await;
        assert_eq!(header.seq, ChunkSeq(seq), "puts go out in order");
        ids.push((id, header.seq));
    }
    for &(id, _) in ids.iter().rev() {
        peer.stored(id).await;
    }
    for (_, seq) in ids.into_iter().rev() {
        assert_eq!(subject.event().await, LinkEvent::Stored(seq));
    }
}

#[tokio::test]
async fn a_second_answer_is_no_second_event() {
    let node = FakeNode::start().await;
    let (mut subject, mut peer) = Subject::connected(&node).await;
    put(&subject.link, 0..2);
    let (first, _) = peer.put().await;
    let (second, _) = peer.put().await;
    let fenced = Refusal::Fenced { by: Epoch(9) };
    peer.stored(first).await;
    peer.stored(first).await;
    peer.reply(first, &Reply::Refused(fenced.clone())).await;
    peer.reply(second, &Reply::Refused(fenced.clone())).await;
    assert_eq!(subject.event().await, LinkEvent::Stored(ChunkSeq(0)));
    assert_eq!(subject.event().await, LinkEvent::Refused(ChunkSeq(1), fenced));
}

/// What the link loses it does not put again by itself: only the writer knows what is still wanted.
#[tokio::test]
async fn a_broken_connection_comes_back_without_what_was_under_way() {
    let node = FakeNode::start().await;
    let (mut subject, mut peer) = Subject::connected(&node).await;
    put(&subject.link, 0..3);
    let (id, _) = peer.put().await;
    peer.stored(id).await;
    assert_eq!(subject.event().await, LinkEvent::Stored(ChunkSeq(0)));
    drop(peer);
    subject.down().await;
    put(&subject.link, 3..4);
    let mut peer = node.accept().await;
    assert_eq!(subject.event().await, LinkEvent::Up);
    // A put made while the link was down is not sent either.
    put(&subject.link, 1..2);
    let (again, header) = peer.put().await;
    assert_eq!(header.seq, ChunkSeq(1));
    // An answer to a put of the connection before finds nothing.
    peer.stored(id + 1).await;
    peer.stored(again).await;
    assert_eq!(subject.event().await, LinkEvent::Stored(ChunkSeq(1)));
}

/// Frames that are cut, oversized, of another version, damaged, or no frames at all end the connection, with the reason,
/// and nothing else: the next connection works.
#[tokio::test]
async fn a_node_that_breaks_the_protocol_is_left_and_tried_again() {
    let node = FakeNode::start().await;
    let (mut subject, mut peer) = Subject::connected(&node).await;
    let disk = peer.disk;
    let stored = |id| FrameHeader::control(FrameKind::Stored, id, disk, &[]).encode();
    let with = |at: usize, value: u8| {
        let mut bytes = stored(1);
        bytes[at] = value;
        bytes
    };
    let kind = |kind| FrameHeader { kind, request_id: 1, disk, body_bytes: 1, body_crc: 0 }.encode();
    let mut wrong_body = kind(FrameKind::Reply).to_vec();
    wrong_body.push(0);
    let mut no_reply = FrameHeader::control(FrameKind::Reply, 1, disk, &[0xff; 40]).encode().to_vec();
    no_reply.extend_from_slice(&[0xff; 40]);
    let mut from_a_client = FrameHeader::control(FrameKind::Request, 1, disk, &[1]).encode().to_vec();
    from_a_client.push(1);
    let oversized =
        FrameHeader { kind: FrameKind::Reply, request_id: 1, disk, body_bytes: u32::MAX, body_crc: 0 }.encode();
    let cases: [(&[u8], &str); 11] = [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "not a Quarry frame"),
        (&[0; FRAME_HEADER_BYTES], "not a Quarry frame"),
        (&with(4, 9), "version 9"),
        (&with(8, 9), "header checksum"),
        (&with(63, 9), "header checksum"),
        (&oversized, "frame body of 4294967295 bytes"),
        (&kind(FrameKind::Chunk), "frame body of 1 bytes"),
        (&wrong_body, "body checksum"),
        (&no_reply, "does not decode"),
        (&from_a_client, "only clients send"),
        (&stored(u64::MAX), "never made"),
    ];
    for (bytes, word) in cases {
        peer.raw(bytes).await;
        let why = subject.down().await;
        assert!(why.contains(word), "{word:?}: {why}");
        assert!(peer.is_closed().await);
        peer = node.accept().await;
        assert_eq!(subject.event().await, LinkEvent::Up, "after {word:?}");
    }
    put(&subject.link, 5..6);
    let (id, _) = peer.put().await;
    peer.stored(id).await;
    assert_eq!(subject.event().await, LinkEvent::Stored(ChunkSeq(5)));
}

/// P4, P14: only the disk that a put was meant for can say that it is stored.
#[tokio::test]
async fn stored_on_another_disk_is_not_stored() {
    let node = FakeNode::start().await;
    let (mut subject, mut peer) = Subject::connected(&node).await;
    put(&subject.link, 0..1);
    let (id, _) = peer.put().await;
    peer.disk = OTHER_DISK;
    peer.stored(id).await;
    assert!(subject.down().await.contains("answered for disk"));
}

#[tokio::test]
async fn random_bytes_never_do_more_than_end_a_connection() {
    let node = FakeNode::start().await;
    let (mut subject, mut peer) = Subject::connected(&node).await;
    let mut state = 1_u64;
    for round in 0..30 {
        put(&subject.link, 0..3);
        let (id, _) = peer.put().await;
        let mut bytes = FrameHeader::control(FrameKind::Stored, id, peer.disk, &[]).encode().to_vec();
        bytes.extend((0..200).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        }));
        if round % 2 == 0 {
            // Somewhere inside a header that is otherwise good.
            bytes[round % FRAME_HEADER_BYTES] ^= 1 << (round % 8);
        }
        peer.raw(&bytes).await;
        loop {
            match subject.event().await {
                LinkEvent::Down(_) => break,
                LinkEvent::Stored(seq) => assert!(seq == ChunkSeq(0) && round % 2 == 1),
                other => panic!("{other:?}"),
            }
        }
        peer = node.accept().await;
        assert_eq!(subject.event().await, LinkEvent::Up);
    }
}

/// Pitfall 34: a node that takes nothing costs bounded memory, and no caller ever waits for it.
#[tokio::test]
async fn a_node_that_reads_nothing_is_given_up() {
    let node = FakeNode::start().await;
    let (mut subject, peer) = Subject::connected(&node).await;
    let payload = Bytes::from(vec![1; CHUNK_PAYLOAD_BYTES_MAX as usize]);
    for seq in 0..80 {
        subject.link.put(chunk(LOG, seq, &payload), payload.clone());
    }
    assert!(subject.down().await.contains("too slow"));
    drop(peer);
    node.accept().await;
    assert_eq!(subject.event().await, LinkEvent::Up);
}

#[tokio::test]
async fn logs_share_a_connection_and_hear_only_of_their_own_puts() {
    let node = FakeNode::start().await;
    let (mut subject, mut peer) = Subject::connected(&node).await;
    let other = LogId([0x20; 16]);
    let (sender, mut events) = unbounded_channel();
    let subscription = subject.link.subscribe(other, SEGMENT, 8, sender);
    assert_eq!(events.recv().await, Some((8, LinkEvent::Up)));
    let payload = Bytes::from_static(b"x");
    subject.link.put(chunk(other, 1, &payload), payload.clone());
    subject.link.put(chunk(LOG, 2, &payload), payload);
    subject.link.flush();
    for _ in 0..2 {
        let (id, _) = peer.put().await;
        peer.stored(id).await;
    }
    assert_eq!(events.recv().await, Some((8, LinkEvent::Stored(ChunkSeq(1)))));
    assert_eq!(subject.event().await, LinkEvent::Stored(ChunkSeq(2)));
    drop(subscription);
    assert_eq!(events.recv().await, None, "a subscription that is over holds nothing");
}

#[tokio::test]
async fn a_later_subscription_takes_over_and_outlives_the_earlier_one() {
    let node = FakeNode::start().await;
    let (Subject { link, mut events, _subscription: earlier }, mut peer) = Subject::connected(&node).await;
    put(&link, 0..1);
    let (sender, mut later_events) = unbounded_channel();
    let _later = link.subscribe(LOG, SEGMENT, 9, sender);
    assert_eq!(later_events.recv().await, Some((9, LinkEvent::Up)));
    drop(earlier);
    assert_eq!(events.recv().await, None);
    let (id, _) = peer.put().await;
    peer.stored(id).await;
    assert_eq!(later_events.recv().await, Some((9, LinkEvent::Stored(ChunkSeq(0)))));
}

/// P16: a copy goes out as one, is stored when it returns, and a refusal names the replica.
#[tokio::test]
async fn a_copy_is_answered_to_whoever_makes_it() {
    let node = FakeNode::start().await;
    let (subject, mut peer) = Subject::connected(&node).await;
    let payload = Bytes::from_static(b"copied");
    let header = chunk(LOG, 4, &payload);
    let answering = async {
        let mut ids = Vec::new();
        for _ in 0..2 {
            let (frame, body) = peer.frame().await;
            assert_eq!(frame.kind, FrameKind::Copy);
            assert_eq!(body[body.len() - payload.len()..], payload[..]);
            ids.push(frame.request_id);
        }
        peer.stored(ids[0]).await;
        peer.reply(ids[1], &Reply::Refused(Refusal::Full { live_bytes: 9, capacity_bytes: 10 })).await;
    };
    let copy = || subject.link.copy(header, payload.clone());
    let (first, second, ()) = tokio::join!(copy(), copy(), answering);
    assert!(first.is_ok(), "{first:?}");
    assert!(matches!(second, Err(LinkError::Refused { refusal: Refusal::Full { .. }, .. })), "{second:?}");
}
