//! Placement and links against nodes of the test that speak the protocol over the loopback.

use super::*;
use crate::link::LinkEvent;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::{Epoch, SegmentId};
use quarry_protocol::limits::FRAME_HEADER_BYTES;
use quarry_protocol::member::{Liveness, MemberShard};
use quarry_protocol::message::{NodeInfo, Reply, Request, ShardAddress};
use std::sync::Mutex as StdMutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const LOG: LogId = LogId([5; 16]);
type List = Arc<StdMutex<Vec<Member>>>;

/// A node that says who it is and whom it knows, and nothing else.
struct Node {
    address: String,
    disk: DiskId,
    serving: JoinHandle<()>,
}

impl Node {
    async fn start(number: u8, zone: &str, list: &List) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let disk = DiskId([number; 16]);
        let shard = ShardAddress { disk, retired: Vec::new(), port: address.port() };
        let (cluster, zone, advertise) = ("oak".to_owned(), zone.to_owned(), address.to_string());
        let info = NodeInfo { cluster, zone, advertise, shards: vec![shard], shard: 0 };
        let list = Arc::clone(list);
        let serving = tokio::spawn(async move {
            // They end with this task: a node that is killed hangs up.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accepted");
                connections.spawn(answer(stream, info.clone(), Arc::clone(&list)));
            }
        });
        Self { address: address.to_string(), disk, serving }
    }

    fn member(&self, incarnation: u64) -> Member {
        Member {
            node: self.disk,
            incarnation,
            advertise: self.address.clone(),
            shards: vec![MemberShard { disk: self.disk, port: 1 }],
            ..Member::default()
        }
    }

    fn replica(&self, zone: &str) -> ReplicaRef {
        ReplicaRef { disk: self.disk, address: self.address.clone(), zone: zone.to_owned() }
    }
}

/// Answers until the other end hangs up.
async fn answer(mut stream: TcpStream, info: NodeInfo, list: List) {
    let mut header = [0; FRAME_HEADER_BYTES];
    while stream.read_exact(&mut header).await.is_ok() {
        let header = FrameHeader::decode(&header).expect("a frame");
        let mut body = vec![0; header.body_bytes as usize];
        stream.read_exact(&mut body).await.expect("its body");
        let reply = match Request::decode(&body).expect("a request") {
            Request::Hello { .. } => Reply::Hello(info.clone()),
            Request::Members { .. } => {
                Reply::Members { members: list.lock().expect("free").clone(), version: 1, more: false }
            }
            other => panic!("{other:?}"),
        };
        let body = reply.encode();
        let disk = info.shards[0].disk;
        let head = FrameHeader::control(FrameKind::Reply, header.request_id, disk, &body).encode();
        stream.write_all(&[&head[..], &body].concat()).await.expect("sent");
    }
}

fn cluster(seeds: &[&Node]) -> NodeCluster {
    NodeCluster::new("oak".into(), seeds.iter().map(|seed| seed.address.clone()).collect())
}

async fn zones(cluster: &NodeCluster, replicas: usize) -> Result<Vec<String>, PlaceError> {
    let placed = cluster.place(PlaceRequest::new(LOG, replicas, &[])).await?;
    let mut zones: Vec<String> = placed.replicas.into_iter().map(|replica| replica.zone).collect();
    zones.sort_unstable();
    Ok(zones)
}

#[tokio::test]
async fn one_seed_leads_to_the_whole_cluster_and_changes_are_followed() {
    let list = List::default();
    let one = Node::start(1, "a", &list).await;
    let two = Node::start(2, "b", &list).await;
    let three = Node::start(3, "c", &list).await;
    *list.lock().expect("free") = vec![one.member(1), two.member(1), three.member(1)];
    let cluster = cluster(&[&one]);
    assert_eq!(zones(&cluster, 3).await.expect("placed"), ["a", "b", "c"]);
    assert_eq!(cluster.members().len(), 3);
    // One leaves, another joins.
    three.serving.abort();
    let four = Node::start(4, "d", &list).await;
    let gone = Member { liveness: Liveness::Down, ..three.member(1) };
    *list.lock().expect("free") = vec![one.member(1), two.member(1), gone, four.member(1)];
    assert_eq!(zones(&cluster, 3).await.expect("placed"), ["a", "b", "d"]);
    let too_many = zones(&cluster, 4).await.expect_err("three zones are left");
    assert!(too_many.to_string().contains("4 replicas need as many zones, 3 found"), "{too_many}");
}

/// Nodes that gossip with nobody: what is listed is the cluster.
#[tokio::test]
async fn a_static_list_is_enough() {
    let nodes = [("a", 1), ("b", 2), ("c", 3)];
    let mut started = Vec::new();
    for (zone, number) in nodes {
        let list = List::default();
        let node = Node::start(number, zone, &list).await;
        *list.lock().expect("free") = vec![node.member(1)];
        started.push(node);
    }
    let cluster = cluster(&[&started[0], &started[1], &started[2]]);
    assert_eq!(zones(&cluster, 3).await.expect("placed"), ["a", "b", "c"]);
    assert!(!lock(&cluster.learned).gossips());
    let asked: Vec<String> = cluster.survey().await.into_iter().map(|answer| answer.address).collect();
    assert_eq!(asked, started.iter().map(|node| node.address.clone()).collect::<Vec<_>>());
}

/// A node that lies about its zone: a record says otherwise, and neither name is placed on.
#[tokio::test]
async fn a_node_in_another_zone_than_its_record_says_is_not_placed_on() {
    let list = List::default();
    let one = Node::start(1, "a", &list).await;
    let liar = Node::start(2, "c", &list).await;
    let cluster = cluster(&[&one, &liar]);
    let known = [one.replica("a"), liar.replica("b")];
    let refused = cluster.place(PlaceRequest::new(LOG, 2, &known)).await.expect_err("one zone is left");
    let why = refused.to_string();
    assert_eq!(refused.zones, ["a"]);
    for part in [liar.address.as_str(), "claims zone \"c\"", "zone \"b\"", &liar.disk.to_string()] {
        assert!(why.contains(part), "{part:?} is not in {why}");
    }
    let placed = cluster.place(PlaceRequest::new(LOG, 1, &known)).await.expect("one is enough");
    assert_eq!(placed.replicas, [one.replica("a")]);
}

/// Two nodes with one identity, as the others tell of it.
#[tokio::test]
async fn a_troubled_node_is_not_placed_on() {
    let list = List::default();
    let one = Node::start(1, "a", &list).await;
    let twin = Node::start(2, "b", &list).await;
    let trouble = "two processes use this identity".to_owned();
    *list.lock().expect("free") = vec![one.member(1), Member { trouble: trouble.clone(), ..twin.member(1) }];
    let cluster = cluster(&[&one, &twin]);
    let refused = cluster.place(PlaceRequest::new(LOG, 2, &[twin.replica("b")])).await.expect_err("one is left");
    assert!(refused.to_string().contains(&trouble) && refused.zones == ["a"], "{refused}");
}

/// A record keeps a node's old address for as long as it names its disk.
#[tokio::test]
async fn a_link_finds_a_disk_that_moved() {
    let list = List::default();
    let one = Node::start(1, "a", &list).await;
    let before = Node::start(2, "b", &list).await;
    let old = before.replica("b");
    *list.lock().expect("free") = vec![one.member(1), before.member(1)];
    let cluster = cluster(&[&one]);
    cluster.survey().await;
    before.serving.abort();
    let after = Node::start(2, "b", &list).await;
    *list.lock().expect("free") = vec![one.member(1), after.member(2)];
    cluster.survey().await;
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let link = cluster.link(&old);
    let _listening = link.subscribe(LOG, SegmentId { epoch: Epoch(1), index: 0 }, 0, sender);
    loop {
        match events.recv().await.expect("the link lives") {
            (_, LinkEvent::Up) => break,
            (_, LinkEvent::Down(why)) => assert!(!why.contains("disk replaced"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}
