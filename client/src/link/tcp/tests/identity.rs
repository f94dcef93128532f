//! Which node, shard and disk a link talks to.

use super::Subject;
use super::fake_node::{DISK, FakeNode, LOG, OTHER_DISK, SEGMENT, chunk};
use crate::link::{LinkError, LinkEvent, ReplicaLink};
use bytes::Bytes;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::message::{Refusal, Reply, Request, ShardAddress};

/// Pitfalls 20c and 33: a node that comes back with another disk under the old address is not talked to as the
/// old one.
#[tokio::test]
async fn a_replaced_disk_is_not_talked_to() {
    let mut node = FakeNode::start().await;
    let (mut subject, peer) = Subject::connected(&node).await;
    node.info.shards[0].disk = OTHER_DISK;
    drop(peer);
    subject.down().await;
    let mut peer = node.accept().await;
    let why = subject.down().await;
    assert!(why.contains("disk replaced") && why.contains(&OTHER_DISK.to_string()), "{why}");
    let payload = Bytes::from_static(b"x");
    subject.link.put(chunk(LOG, 0, &payload), payload);
    subject.link.flush();
    let called = subject.link.call(Request::Inspect { log: LOG, segments: vec![SEGMENT] }).await;
    assert!(matches!(&called, Err(LinkError::Down { why, .. }) if why.contains("disk replaced")), "{called:?}");
    assert!(peer.is_closed().await, "it was told something");
    // The old disk is put back.
    node.info.shards[0].disk = DISK;
    node.accept().await;
    assert_eq!(subject.event().await, LinkEvent::Up);
}

/// P8: under a retired identity a shard still serves reads.
#[tokio::test]
async fn a_retired_identity_is_still_asked() {
    let mut node = FakeNode::start().await;
    node.info.shards[0] = ShardAddress { disk: OTHER_DISK, retired: vec![DISK], port: node.port() };
    let (subject, mut peer) = Subject::connected(&node).await;
    let answer = async {
        let (id, _) = peer.request().await;
        peer.disk = OTHER_DISK;
        peer.reply(id, &Reply::Refused(Refusal::Retired { named: DISK, here: OTHER_DISK })).await;
    };
    let (called, ()) = tokio::join!(subject.link.call(Request::Inspect { log: LOG, segments: vec![SEGMENT] }), answer);
    assert!(matches!(called, Ok(Reply::Refused(Refusal::Retired { .. }))), "{called:?}");
}

#[tokio::test]
async fn another_cluster_is_not_talked_to() {
    let mut node = FakeNode::start().await;
    node.info.cluster = "production".into();
    let mut subject = Subject::new(&node);
    subject.down().await;
    let mut peer = node.accept().await;
    assert!(subject.down().await.contains("belongs to cluster \"production\""));
    assert!(peer.is_closed().await);
    // A node that minds says so itself.
    let mut peer = node.accept_silently().await;
    let (id, _) = peer.request().await;
    let refusal = Refusal::WrongCluster { asked: "test".into(), here: "production".into() };
    peer.reply(id, &Reply::Refused(refusal.clone())).await;
    assert_eq!(subject.down().await, refusal.to_string());
}

/// The address in a record is that of the node's first shard; the disk may be another shard's.
#[tokio::test]
async fn the_shard_that_has_the_disk_is_found() {
    let (mut first, mut second) = (FakeNode::start().await, FakeNode::start().await);
    let shards = vec![
        ShardAddress { disk: OTHER_DISK, retired: Vec::new(), port: first.port() },
        ShardAddress { disk: DISK, retired: Vec::new(), port: second.port() },
    ];
    first.info.shards.clone_from(&shards);
    second.info.shards = shards;
    second.info.shard = 1;
    let mut subject = Subject::new(&first);
    subject.down().await;
    first.accept().await;
    let mut peer = second.accept().await;
    assert_eq!(subject.event().await, LinkEvent::Up);
    let payload = Bytes::from_static(b"x");
    subject.link.put(chunk(LOG, 4, &payload), payload);
    subject.link.flush();
    let (id, _) = peer.put().await;
    peer.stored(id).await;
    assert_eq!(subject.event().await, LinkEvent::Stored(ChunkSeq(4)));
    // The port now leads to somebody else, although the first shard still names it.
    second.info.shards[1].disk = OTHER_DISK;
    drop(peer);
    subject.down().await;
    first.accept().await;
    second.accept().await;
    assert!(subject.down().await.contains("disk replaced"));
}

#[tokio::test]
async fn what_answers_a_hello_with_something_else_is_no_node() {
    let node = FakeNode::start().await;
    let mut subject = Subject::new(&node);
    subject.down().await;
    for (bytes, word) in
        [(&b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3 and then some more of the same\r\n"[..], "not a Quarry frame")]
    {
        let mut peer = node.accept_silently().await;
        peer.request().await;
        peer.raw(bytes).await;
        let why = subject.down().await;
        assert!(why.contains(word), "{why}");
    }
    let mut peer = node.accept_silently().await;
    let (id, _) = peer.request().await;
    peer.reply(id, &Reply::Deleted).await;
    assert!(subject.down().await.contains("breaks the protocol"));
    let mut info = node.info.clone();
    info.shards.clear();
    let mut peer = node.accept_silently().await;
    let (id, _) = peer.request().await;
    peer.reply(id, &Reply::Hello(info)).await;
    assert!(subject.down().await.contains("no shard"));
}
