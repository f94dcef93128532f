//! `quarry status` while nodes die.

use crate::process::Dev;
use crate::running::{Ran, has_fields, quarry, quarry_fed};
use serde_json::Value;

fn status(url: &str) -> (Ran, Value) {
    let said = quarry(&["status", "--store", url]);
    let json = quarry(&["status", "--store", url, "--json"]);
    assert_eq!(said.code, json.code, "text and JSON agree");
    let value = json.json();
    (said, value)
}

#[test]
fn the_verdict_and_the_exit_code_follow_the_nodes() {
    let dev = Dev::start(3);
    quarry_fed(&["log", "append", "watched", "--store", &dev.url], &vec![7; 200_000]).ends_with(0);

    let (said, value) = status(&dev.url);
    assert!(said.ends_with(0).out().starts_with("HEALTHY: can lose 1 more node\n"));
    has_fields(&value, &["verdict", "can_lose_nodes", "reasons", "nodes", "logs", "orphans"]);
    assert_eq!(value["orphans"]["error"], serde_json::Value::Null, "{value}");
    assert_eq!((&value["verdict"], &value["can_lose_nodes"]), (&"HEALTHY".into(), &1.into()));
    assert_eq!((&value["logs"]["count"], &value["logs"]["asked"]), (&1.into(), &1.into()));
    for node in value["nodes"].as_array().expect("nodes") {
        has_fields(node, &["address", "control", "seen", "down", "troubles"]);
        let fields = [
            "zone",
            "node",
            "version",
            "uptime_us",
            "shards",
            "live_bytes",
            "capacity_bytes",
            "scrub",
            "rack",
            "draining",
        ];
        has_fields(&node["seen"], &fields);
        assert_eq!((&node["seen"]["scrub"]["on"], &node["seen"]["scrub"]["damaged"]), (&true.into(), &0.into()));
    }

    dev.kill(1);
    let address = value["nodes"][1]["address"].as_str().expect("an address");
    let (said, value) = status(&dev.url);
    let said = said.ends_with(1);
    assert!(said.out().starts_with("DEGRADED: can lose 0 more nodes\n"), "{}", said.out());
    assert!(said.out().contains(&format!("- node {address} is down: ")), "{}", said.out());
    let of_the_log = "- log \"watched\": 1 of a segment's replicas do not answer";
    assert!(said.out().contains(of_the_log), "{}", said.out());
    assert_eq!(value["verdict"], "DEGRADED");
    assert!(value["nodes"][1]["down"].is_string() && value["nodes"][0]["down"].is_null(), "{value}");

    dev.kill(0);
    let (said, value) = status(&dev.url);
    let said = said.ends_with(2);
    assert!(said.out().starts_with("UNAVAILABLE: what is down must come back first\n"), "{}", said.out());
    assert!(said.out().contains("- 1 zones have a working node, a quorum needs 2"), "{}", said.out());
    assert_eq!(value["verdict"], "UNAVAILABLE");

    dev.kill(2);
    let (said, value) = status(&dev.url);
    assert!(said.ends_with(2).out().contains("no node answered"));
    assert_eq!(value["verdict"], "UNAVAILABLE");
}

#[test]
fn nodes_of_another_cluster_count_as_down() {
    let dev = Dev::start(1);
    let name = dev.cluster();
    let (said, value) = status(&dev.url.replace(&format!("/{name}?"), "/other?"));
    let said = said.ends_with(2);
    assert!(
        said.out().contains(&format!("it belongs to cluster {name:?}, not \"other\": correct the store URL")),
        "{}",
        said.out()
    );
    assert_eq!(value["verdict"], "UNAVAILABLE");
}

/// Nodes gossip: one of them is enough to find, and to use, all of them.
#[test]
fn one_node_of_the_url_leads_to_all() {
    let dev = Dev::start(3);
    let (seed, _) = dev.url.split_once(',').expect("several nodes");
    let (_, rest) = dev.url.rsplit_once(&format!("/{}?", dev.cluster())).expect("a store of nodes");
    let url = format!("{seed}/{}?{rest}", dev.cluster());
    // Gossip takes a moment after the nodes serve.
    let found = (0..1000).map(|_| quarry(&["status", "--store", &url, "--json"]).json());
    let all = |value: &Value| value["nodes"].as_array().is_some_and(|nodes| nodes.len() == 3);
    let value = found.into_iter().find(all).expect("one node tells of the others");
    assert_eq!(value["verdict"], "HEALTHY", "{value}");
    let liveness: Vec<_> = value["nodes"].as_array().expect("nodes").iter().map(|n| &n["seen"]["liveness"]).collect();
    assert_eq!(liveness, ["alive"; 3]);
    quarry_fed(&["log", "append", "spread", "--store", &url], &vec![7; 200_000]).ends_with(0);
    let inspected = quarry(&["log", "inspect", "spread", "--store", &url, "--json"]).json().to_string();
    for zone in ["zone-1", "zone-2", "zone-3"] {
        assert!(inspected.contains(zone), "{zone} holds nothing: {inspected}");
    }
}
