//! Nodes that gossip over real sockets of the loopback, at a faster pace.

use super::counters::{Cause, Counters};
use super::pace::Pace;
use super::seal::{DATAGRAM_BYTES_MAX, Seal};
use super::{ClusterKey, Gossip, GossipStart};
use crate::control::publishing::Publisher;
use crate::shard::MemberList;
use quarry_protocol::ids::DiskId;
use quarry_protocol::member::{Health, Liveness, Member, MemberShard};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PACE: Pace = Pace {
    probe: Duration::from_millis(200),
    suspicion: Duration::from_millis(600),
    gossip: Duration::from_millis(20),
    announce: Duration::from_millis(200),
    announce_pause: Duration::from_millis(30),
    seeds: Duration::from_millis(100),
    twin_after: Duration::from_secs(1),
    forget_after: Duration::from_hours(1),
};
/// Nothing here takes nearly as long.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a node of a test is started.
#[derive(Clone)]
struct Plan {
    cluster: &'static str,
    key: u8,
    zone: &'static str,
    incarnation: u64,
    /// 0 lets the system choose.
    port: u16,
}

const PLAN: Plan = Plan { cluster: "oak", key: 1, zone: "a", incarnation: 1, port: 0 };

struct Node {
    address: SocketAddr,
    own: watch::Sender<Member>,
    list: watch::Receiver<Arc<MemberList>>,
    counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Node {
    async fn start(number: u8, plan: &Plan, seeds: &[&Self]) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", plan.port)).await.expect("a port");
        let address = socket.local_addr().expect("its address");
        let disk = DiskId([number; 16]);
        let own = watch::Sender::new(Member {
            node: disk,
            incarnation: plan.incarnation,
            zone: plan.zone.to_owned(),
            advertise: format!("host-{}:1", address.port()),
            shards: vec![MemberShard { disk, port: 1 }],
            capacity_bytes: 1 << 30,
            ..Member::default()
        });
        let publisher = Arc::new(Publisher::new(Vec::new()));
        let (list, counters) = (publisher.subscribe(), Arc::default());
        let start = GossipStart {
            socket,
            address,
            seeds: seeds.iter().map(|seed| seed.address.to_string()).collect(),
            key: ClusterKey([plan.key; 32]),
            cluster: plan.cluster.to_owned(),
            own: own.subscribe(),
            publisher,
            counters: Arc::clone(&counters),
        };
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(Gossip::with_pace(start, PACE).run(stopped));
        Self { address, own, list, counters, stop, ended }
    }

    /// Waits until the list is as wanted.
    async fn sees(&mut self, what: &str, wanted: impl Fn(&[Member]) -> bool) {
        let seen = timeout(PATIENCE, self.list.wait_for(|list| wanted(&list.members))).await.is_ok();
        assert!(seen, "{what}: {:#?}", self.list.borrow().members);
    }

    async fn counts(&self, cause: Cause, above: u64) {
        let counted = async {
            while self.counters.dropped_for(cause) <= above {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, counted).await.is_ok(), "nothing is dropped for {cause:?}");
    }

    fn members(&self) -> Vec<Member> {
        self.list.borrow().members.clone()
    }

    async fn leave(self) {
        self.stop.send(()).expect("it runs");
        self.ended.await.expect("it ended");
    }
}

fn alive(members: &[Member]) -> usize {
    members.iter().filter(|member| member.liveness != Liveness::Down).count()
}

fn of(members: &[Member], number: u8) -> Option<&Member> {
    members.iter().find(|member| member.node == DiskId([number; 16]))
}

/// Nodes that know one seed learn of all, follow what changes, and see who leaves, dies, and comes back.
#[tokio::test]
async fn nodes_learn_of_each_other_and_follow() {
    let mut one = Node::start(1, &PLAN, &[]).await;
    let mut two = Node::start(2, &PLAN, &[&one]).await;
    let mut three = Node::start(3, &PLAN, &[&one]).await;
    for node in [&mut one, &mut two, &mut three] {
        node.sees("all three", |members| alive(members) == 3).await;
        assert!(node.members().iter().all(|member| member.trouble.is_empty()));
    }
    three.own.send_modify(|own| (own.draining, own.health) = (true, Health::Full));
    let told = |members: &[Member]| of(members, 3).is_some_and(|m| m.draining && m.health == Health::Full);
    two.sees("a node that is being emptied", told).await;
    let port = three.address.port();
    three.leave().await;
    two.sees("it said good-bye", |members| of(members, 3).is_some_and(|m| m.liveness == Liveness::Down)).await;
    let three = Node::start(3, &Plan { incarnation: 2, port, ..PLAN }, &[&one]).await;
    let back = |members: &[Member]| {
        of(members, 3).is_some_and(|m| m.incarnation == 2 && m.liveness == Liveness::Alive && !m.draining)
    };
    two.sees("it is back", back).await;
    // Killed: nobody is told.
    three.ended.abort();
    one.sees("found out", |members| of(members, 3).is_some_and(|m| m.liveness == Liveness::Down)).await;
    assert!(one.members().iter().all(|member| member.trouble.is_empty()));
}

/// Another key, or the same key and another cluster: nothing is learned, and the reason is counted.
#[tokio::test]
async fn nodes_with_another_key_or_cluster_stay_outside() {
    let one = Node::start(1, &PLAN, &[]).await;
    for plan in [Plan { key: 2, ..PLAN }, Plan { cluster: "elm", ..PLAN }] {
        let before = one.counters.dropped_for(Cause::Seal);
        let outside = Node::start(2, &plan, &[&one]).await;
        one.counts(Cause::Seal, before + 2).await;
        assert_eq!((outside.members().len(), one.members().len()), (1, 1));
        outside.leave().await;
    }
    assert_eq!(one.counters.dropped_for(Cause::Message), 0);
}

/// Two nodes with one identity: both are reported, to everybody and by everybody, until one is stopped.
#[tokio::test]
async fn two_nodes_with_one_identity_are_found() {
    let mut watching = Node::start(1, &PLAN, &[]).await;
    let mut old = Node::start(2, &PLAN, &[&watching]).await;
    old.sees("the other", |members| alive(members) == 2).await;
    let mut new = Node::start(2, &Plan { incarnation: 2, ..PLAN }, &[&watching]).await;
    let (first, second) = (format!("host-{}:1", old.address.port()), format!("host-{}:1", new.address.port()));
    for node in [&mut watching, &mut old, &mut new] {
        let both = |members: &[Member]| {
            of(members, 2).is_some_and(|m| m.trouble.contains(&first) && m.trouble.contains(&second))
        };
        node.sees("twins", both).await;
        assert_eq!(of(&node.members(), 1).map(|m| m.trouble.as_str()), Some(""));
    }
    old.leave().await;
    watching.sees("one is left", |members| of(members, 2).is_some_and(|m| m.trouble.is_empty())).await;
}

/// A node that lies about its zone, after others heard the truth.
#[tokio::test]
async fn a_node_that_claims_another_zone_is_not_believed() {
    let mut one = Node::start(1, &PLAN, &[]).await;
    let liar = Node::start(2, &Plan { zone: "b", ..PLAN }, &[&one]).await;
    one.sees("the truth", |members| of(members, 2).is_some_and(|m| m.zone == "b")).await;
    let port = liar.address.port();
    liar.leave().await;
    let liar = Node::start(2, &Plan { zone: "c", incarnation: 2, port, ..PLAN }, &[&one]).await;
    liar.own.send_modify(|own| own.draining = true);
    one.sees("a lie", |members| of(members, 2).is_some_and(|m| m.trouble.contains("claims zone \"c\""))).await;
    let believed = of(&one.members(), 2).cloned().expect("listed");
    assert_eq!((believed.zone.as_str(), believed.draining), ("b", false), "nothing that it says is taken over");
    assert!(one.counters.dropped_for(Cause::Refused) > 0);
}

/// A flood of rubbish from one source, of every kind: it is dropped by cause, and the members go on gossiping.
#[tokio::test]
async fn a_flood_of_rubbish_does_no_harm() {
    let mut one = Node::start(1, &PLAN, &[]).await;
    let two = Node::start(2, &PLAN, &[&one]).await;
    one.sees("each other", |members| alive(members) == 2).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let seal = Seal::new(&ClusterKey([1; 32]), "oak");
    let datagrams: [&[u8]; 6] = [
        b"rubbish",
        &[1; 100],
        &[1; DATAGRAM_BYTES_MAX + 1],
        &seal.seal(b"not what foca says")[..20],
        &seal.seal(b"not what foca says"),
        &seal.seal(&[6; 300]),
    ];
    for round in 0..2000 {
        for datagram in datagrams {
            socket.send_to(datagram, one.address).await.expect("sent");
        }
        if round % 50 == 0 {
            // What is sent faster than the kernel has room for would be dropped before it is counted.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    for cause in [Cause::Malformed, Cause::Oversize, Cause::Seal, Cause::Message, Cause::Flood] {
        one.counts(cause, 0).await;
    }
    two.own.send_modify(|own| own.draining = true);
    one.sees("news", |members| alive(members) == 2 && of(members, 2).is_some_and(|m| m.draining)).await;
}
