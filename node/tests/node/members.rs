//! Gossip among whole nodes: what clients are told at the data port, and what an operator tells a node.

use crate::client::Client;
use crate::running::{CLUSTER, directory, format, options, settings};
use quarry_node::config::GossipSettings;
use quarry_node::control::proto::admin_client::AdminClient;
use quarry_node::control::proto::{DrainRequest, MembersRequest, StatusRequest, UndrainRequest};
use quarry_node::{ClusterKey, FormatOptions, Node};
use quarry_protocol::member::{Health, Member};
use quarry_protocol::message::{Reply, Request};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tonic::transport::Channel;

/// Nothing here takes nearly as long.
const PATIENCE: Duration = Duration::from_mins(1);

fn start(data: &Path, key_file: &Path, seeds: &[&Node]) -> Node {
    let gossip = GossipSettings {
        key_file: Some(key_file.to_owned()),
        listen: Some("127.0.0.1:0".into()),
        advertise: None,
        seeds: Some(seeds.iter().map(|seed| seed.addresses().gossip.expect("it gossips").to_string()).collect()),
    };
    let settings = quarry_node::config::Settings { gossip, rack: Some("r1".into()), ..settings(data) };
    quarry_node::start(&settings.check().expect("good settings")).expect("started")
}

fn key(directory: &Path) -> PathBuf {
    let path = directory.join("key");
    std::fs::write(&path, ClusterKey::random().expect("random").digits()).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("changed");
    path
}

fn members(node: &Node) -> Vec<Member> {
    match Client::connect(node.addresses().shards[0], CLUSTER).ask(&Request::Members { after: None }) {
        Reply::Members { members, more: false, .. } => members,
        other => panic!("{other:?}"),
    }
}

fn eventually(node: &Node, what: &str, wanted: impl Fn(&[Member]) -> bool) -> Vec<Member> {
    let start = Instant::now();
    loop {
        let members = members(node);
        if wanted(&members) {
            return members;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: {members:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn admin(node: &Node) -> AdminClient<Channel> {
    AdminClient::connect(format!("http://{}", node.addresses().control)).await.expect("reached")
}

#[tokio::test]
async fn nodes_tell_clients_of_each_other_and_of_draining() {
    let directory = directory();
    let (first, second) = (directory.path().join("one"), directory.path().join("two"));
    format(&first);
    let other = FormatOptions { zone: "b".into(), ..options(&second) };
    quarry_node::format(&other, |_, _| ()).expect("formatted");
    let key_file = key(directory.path());
    let one = start(&first, &key_file, &[]);
    let two = start(&second, &key_file, &[&one]);
    for node in [&one, &two] {
        let seen = eventually(node, "both", |members| {
            members.len() == 2 && members.iter().all(|member| member.capacity_bytes > 0)
        });
        let mut zones: Vec<&str> = seen.iter().map(|member| member.zone.as_str()).collect();
        zones.sort_unstable();
        assert_eq!(zones, ["a", "b"]);
        for member in &seen {
            assert_eq!((member.rack.as_str(), member.health, member.trouble.as_str()), ("r1", Health::Serving, ""));
            assert_eq!(member.shards.len(), 1);
        }
    }
    let mut operator = admin(&two).await;
    operator.drain(DrainRequest {}).await.expect("told");
    let drained = |members: &[Member]| members.iter().any(|member| member.zone == "b" && member.draining);
    eventually(&one, "it is being emptied", drained);
    let before = members(&one);
    two.stop();
    two.wait();
    let two = start(&second, &key_file, &[&one]);
    let again = eventually(&one, "it started again, and is still being emptied", |members| {
        drained(members) && members.iter().zip(&before).any(|(now, then)| now.incarnation > then.incarnation)
    });
    assert!(again.iter().all(|member| member.trouble.is_empty()), "{again:?}");
    let mut operator = admin(&two).await;
    let status = operator.status(StatusRequest {}).await.expect("answered").into_inner();
    assert!(status.draining && status.rack == "r1" && !status.gossip.is_empty() && status.trouble.is_empty());
    operator.undrain(UndrainRequest {}).await.expect("told");
    eventually(&one, "it stays", |members| members.len() == 2 && !drained(members));
    let listed = admin(&one).await.members(MembersRequest {}).await.expect("answered").into_inner().members;
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|member| member.liveness == "alive" && !member.disks[0].is_empty()), "{listed:?}");
    for node in [one, two] {
        node.stop();
        node.wait();
    }
}

/// Without gossip a node answers with itself alone, its space included.
#[test]
fn a_node_without_gossip_knows_itself() {
    let directory = directory();
    let data = directory.path().join("data");
    format(&data);
    let node = crate::running::try_start(&data).expect("started");
    assert_eq!(node.addresses().gossip, None);
    let seen = eventually(&node, "itself", |members| members.iter().any(|member| member.capacity_bytes > 0));
    assert_eq!((seen.len(), &seen[0].advertise), (1, &node.addresses().advertise));
    node.stop();
    node.wait();
}
