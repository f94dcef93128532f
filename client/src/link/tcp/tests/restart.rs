//! What was made for one connection is not sent on the next one.

use super::super::outbound::Frame;
use super::super::shared::Shared;
use super::fake_node::{CLUSTER, DISK, FakeNode, LOG, chunk};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

async fn socket(node: &FakeNode) -> Arc<OwnedWriteHalf> {
    let stream = TcpStream::connect(("127.0.0.1", node.port())).await.unwrap();
    Arc::new(stream.into_split().1)
}

/// A put that was noted just before the connection broke, and queued just after it came back: the writer puts it again,
/// and nobody waits for the answer to the first one.
#[tokio::test]
async fn a_frame_of_the_connection_before_is_dropped() {
    let node = FakeNode::start().await;
    let shared = Shared::new(node.replica(), CLUSTER.to_owned(), Box::new(|| None));
    let put = |seq: u64| {
        let payload = Bytes::from_static(b"x");
        let header = chunk(LOG, seq, &payload);
        let (generation, id) = shared.state().put(&header, Instant::now()).unwrap();
        (generation, Frame::put(id, DISK, &header, payload))
    };
    let first = socket(&node).await;
    shared.went_up(&first);
    let (generation, frame) = put(0);
    shared.went_down("it broke");
    assert_eq!(Arc::strong_count(&first), 1, "a link that is down keeps its socket and its queue");
    drop(first);
    let second = socket(&node).await;
    shared.went_up(&second);
    shared.push(generation, frame);
    let (generation, frame) = put(1);
    shared.push(generation, frame);
    shared.flush();
    shared.went_down("the end");
    drop(second);
    drop(shared);

    let mut received = Vec::new();
    for _ in 0..2 {
        let mut peer = node.accept_silently().await;
        while peer.has_more().await {
            received.push(peer.put().await.1.seq.0);
        }
    }
    assert_eq!(received, [1]);
}
