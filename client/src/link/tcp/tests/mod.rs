//! A link against a node that answers late, twice, wrongly, with garbage or not at all.

mod calls;
mod fake_node;
mod identity;
mod overdue;
mod puts;
mod restart;

use super::TcpLink;
use crate::link::{LinkEvent, ReplicaLink, Subscription};
use fake_node::{CLUSTER, FakeNode, LOG, Peer, SEGMENT};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// A link to a node, and the events of one subscriber.
struct Subject {
    link: TcpLink,
    events: UnboundedReceiver<(usize, LinkEvent)>,
    _subscription: Subscription,
}

impl Subject {
    fn new(node: &FakeNode) -> Self {
        let link = TcpLink::new(node.replica(), CLUSTER);
        let (sender, events) = unbounded_channel();
        let subscription = link.subscribe(LOG, SEGMENT, 7, sender);
        Self { link, events, _subscription: subscription }
    }

    /// A link that is up, and its connection.
    async fn connected(node: &FakeNode) -> (Self, Peer) {
        let mut subject = Self::new(node);
        let peer = node.accept().await;
        assert!(matches!(subject.event().await, LinkEvent::Down(why) if why.contains("connecting")));
        assert_eq!(subject.event().await, LinkEvent::Up);
        (subject, peer)
    }

    async fn event(&mut self) -> LinkEvent {
        // So that a test that waits for what never comes fails instead of hanging.
        let (tag, event) = timeout(Duration::from_secs(30), self.events.recv()).await.unwrap().unwrap();
        assert_eq!(tag, 7);
        event
    }

    async fn down(&mut self) -> String {
        match self.event().await {
            LinkEvent::Down(why) => why,
            other => panic!("{other:?} instead of down"),
        }
    }
}
