//! Where new segments go.

use super::*;
use quarry_protocol::ids::DiskId;
use quarry_protocol::member::MemberShard;
use quarry_protocol::message::ShardAddress;
use std::collections::BTreeMap;

const GIB: u64 = 1 << 30;

fn node(number: u8, zone: &str) -> Surveyed {
    let shard = |s: u8| ShardAddress { disk: DiskId([16 * number + s; 16]), retired: Vec::new(), port: 1 };
    let advertise = format!("node{number}:1");
    let info = NodeInfo {
        cluster: "c".into(),
        zone: zone.into(),
        advertise: advertise.clone(),
        shards: vec![shard(1), shard(2)],
        shard: 0,
    };
    Surveyed { address: advertise, info: Ok(info), member: None }
}

/// A node of which more is known.
fn known(number: u8, zone: &str, free_bytes: u64, change: impl FnOnce(&mut Member)) -> Surveyed {
    let mut surveyed = node(number, zone);
    let shards = surveyed.info.as_ref().unwrap().shards.iter();
    let mut member = Member {
        shards: shards.map(|shard| MemberShard { disk: shard.disk, port: shard.port }).collect(),
        capacity_bytes: 100 * GIB,
        live_bytes: 100 * GIB - free_bytes,
        ..Member::default()
    };
    change(&mut member);
    surveyed.member = Some(member);
    surveyed
}

fn down(number: u8) -> Surveyed {
    Surveyed { address: format!("node{number}:1"), info: Err("connect: refused".into()), member: None }
}

fn log(number: u16) -> LogId {
    let mut id = [7; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    LogId(id)
}

fn three() -> PlaceRequest<'static> {
    PlaceRequest::new(log(1), 3, &[])
}

fn live(node: &Surveyed) -> ReplicaRef {
    replica_at(node.info.as_ref().unwrap(), log(1))
}

/// How often each address is chosen by so many logs.
fn shares(nodes: &[Surveyed], replicas: usize, logs: u16) -> BTreeMap<String, u32> {
    let mut used = BTreeMap::new();
    for number in 0..logs {
        for replica in choose(&PlaceRequest::new(log(number), replicas, &[]), nodes, &[]).unwrap().replicas {
            *used.entry(replica.address).or_insert(0) += 1;
        }
    }
    used
}

#[test]
fn a_zone_holds_one_replica_on_the_shard_of_the_log() {
    let nodes = [node(1, "a"), node(2, "a"), node(3, "b"), node(4, "c"), node(5, "d")];
    for number in 1..50 {
        let placed = choose(&PlaceRequest::new(log(number), 3, &[]), &nodes, &[]).unwrap();
        let mut zones: Vec<&str> = placed.replicas.iter().map(|r| r.zone.as_str()).collect();
        zones.sort_unstable();
        zones.dedup();
        assert_eq!((zones.len(), placed.live), (3, 3));
        let shard = shard_of(log(number), 2) as u8 + 1;
        assert!(placed.replicas.iter().all(|r| r.disk.0[0] % 16 == shard));
    }
}

#[test]
fn logs_spread_over_nodes() {
    let nodes = [node(1, "a"), node(2, "a"), node(3, "b"), node(4, "c"), node(5, "d")];
    let used = shares(&nodes, 2, 1000);
    // Five nodes for two thousand replicas; the two of one zone stand in each other's way.
    assert!(used.len() == 5 && used.values().all(|count| (200..600).contains(count)), "{used:?}");
}

/// In proportion to the room: among the nodes of a zone, and among zones.
#[test]
fn logs_spread_in_proportion_to_free_space() {
    let plain = |_: &mut Member| ();
    let nodes = [known(1, "a", 60 * GIB, plain), known(2, "a", 20 * GIB, plain), known(3, "b", 40 * GIB, plain)];
    let within_zones = shares(&nodes, 2, 8000);
    assert!((5700..=6300).contains(&within_zones["node1:1"]), "{within_zones:?}");
    assert!((1700..=2300).contains(&within_zones["node2:1"]), "{within_zones:?}");
    let among_zones = shares(&nodes, 1, 8000);
    for (address, expected) in [("node1:1", 4000), ("node2:1", 1333), ("node3:1", 2667)] {
        assert!(among_zones[address].abs_diff(expected) < 250, "{address}: {among_zones:?}");
    }
}

#[test]
fn a_busy_node_gets_less_and_an_unknown_one_as_much_as_an_average_one() {
    let load = |load: u64| move |member: &mut Member| member.load_bytes_per_s = load << 20;
    let nodes = [known(1, "a", 50 * GIB, load(300)), known(2, "a", 50 * GIB, load(0)), node(3, "a")];
    let used = shares(&nodes, 1, 6000);
    assert!(used["node2:1"] > 2 * used["node1:1"] && used["node1:1"] > 500, "{used:?}");
    assert!(used["node3:1"] > used["node1:1"] && used["node3:1"] < used["node2:1"], "{used:?}");
}

#[test]
fn live_nodes_come_first_and_known_ones_fill_up() {
    let known = live(&node(2, "b"));
    let placed = choose(&three(), &[node(1, "a"), down(2), node(3, "c")], std::slice::from_ref(&known)).unwrap();
    assert_eq!((placed.live, &placed.replicas[2]), (2, &known));
}

/// Nodes that are being emptied, full or failed are chosen only where nothing else is.
#[test]
fn unfit_nodes_are_chosen_only_without_others() {
    let draining = |member: &mut Member| member.draining = true;
    let full = |member: &mut Member| member.health = Health::Full;
    let failed = |member: &mut Member| member.health = Health::Failed;
    let changes: [fn(&mut Member); 3] = [draining, full, failed];
    for (index, change) in changes.into_iter().enumerate() {
        let nodes = [known(1, "a", GIB, change), known(2, "a", GIB, |_| ()), node(3, "b"), node(4, "c")];
        for number in 0..200 {
            let placed = choose(&PlaceRequest::new(log(number), 3, &[]), &nodes, &[]).unwrap();
            assert!(placed.replicas.iter().all(|replica| replica.address != "node1:1"), "{index}");
        }
        // The fourth zone is better than the first.
        let nodes = [known(1, "a", GIB, change), node(3, "b"), node(4, "c"), node(5, "d")];
        let placed = choose(&three(), &nodes, &[]).unwrap();
        assert!(placed.live == 3 && placed.replicas.iter().all(|replica| replica.zone != "a"), "{index}");
        // Without it, it has to do; only a node that is being emptied counts as live.
        let placed = choose(&three(), &nodes[..3], &[]).unwrap();
        assert_eq!((placed.replicas[2].zone.as_str(), placed.live), ("a", if index == 0 { 3 } else { 2 }));
        // A kept one is replaced, too.
        let keep = [live(&nodes[0])];
        let placed = choose(&PlaceRequest { keep: &keep, ..three() }, &nodes, &[]).unwrap();
        assert!(placed.replicas.iter().all(|replica| replica.zone != "a"), "{index}");
    }
}

#[test]
fn racks_differ_where_zones_permit() {
    let rack = |rack: &'static str| move |member: &mut Member| rack.clone_into(&mut member.rack);
    let nodes = [
        known(1, "a", 90 * GIB, rack("r1")),
        known(2, "b", 90 * GIB, rack("r1")),
        known(3, "b", GIB, rack("r2")),
        known(4, "c", 90 * GIB, rack("")),
        known(5, "d", GIB, rack("r1")),
    ];
    for number in 0..100 {
        let placed = choose(&PlaceRequest::new(log(number), 3, &[]), &nodes, &[]).unwrap().replicas;
        let in_rack = placed.iter().filter(|replica| ["node1:1", "node2:1", "node5:1"].contains(&&*replica.address));
        assert!(in_rack.count() <= 1, "{placed:?}");
    }
    let placed = choose(&PlaceRequest { replicas: 4, ..three() }, &nodes, &[]).unwrap().replicas;
    assert_eq!(placed.len(), 4, "zones decide, racks only prefer");
}

/// Pitfall 33: a node that was wiped answers under its old address; its old disk is not placed on.
#[test]
fn a_wiped_node_is_placed_on_under_its_new_disk_only() {
    let old = ReplicaRef { disk: DiskId([99; 16]), address: "node2:1".into(), zone: "old".into() };
    let nodes = [node(1, "a"), node(2, "b"), node(3, "c")];
    let placed = choose(&three(), &nodes, std::slice::from_ref(&old)).unwrap();
    assert!(placed.live == 3 && placed.replicas.iter().all(|r| r.disk != old.disk));
    assert!(choose(&PlaceRequest { replicas: 4, ..three() }, &nodes, &[old]).is_err());
}

#[test]
fn too_few_zones_say_what_is_missing() {
    let error = choose(&three(), &[node(1, "a"), node(2, "a"), down(3)], &[]).unwrap_err();
    assert_eq!((error.wanted, error.zones.len(), error.missing.len()), (3, 1, 1));
    assert!(error.to_string().contains("node3:1: connect: refused"), "{error}");
    assert!(error.may_retry());
}

/// Rotation replaces one replica and keeps the others, whatever this log would prefer.
#[test]
fn kept_replicas_stay_and_avoided_ones_are_not_chosen() {
    let nodes = [node(1, "a"), node(2, "a"), node(3, "b"), node(4, "c"), node(5, "d"), node(6, "d")];
    for (kept, avoided) in [([0, 2], 3), ([1, 3], 2), ([4, 0], 2), ([5, 3], 0)] {
        let keep = kept.map(|at: usize| live(&nodes[at]));
        let avoid = [live(&nodes[avoided]).disk];
        let request = PlaceRequest { keep: &keep, avoid: &avoid, ..three() };
        let placed = choose(&request, &nodes, &[]).unwrap().replicas;
        assert!(keep.iter().all(|replica| placed[..2].contains(replica)), "{placed:?}");
        assert!(placed[2].disk != avoid[0] && keep.iter().all(|replica| replica.zone != placed[2].zone));
    }
}

#[test]
fn a_kept_replica_that_is_silent_or_avoided_is_replaced_or_missed() {
    let nodes = [node(1, "a"), node(3, "b"), node(4, "c"), down(5)];
    let gone = ReplicaRef { disk: DiskId([81; 16]), address: "node5:1".into(), zone: "d".into() };
    let keep = [gone.clone(), live(&nodes[0]), live(&nodes[1])];
    let placed = choose(&PlaceRequest { keep: &keep, ..three() }, &nodes, &[]).unwrap();
    assert!(placed.live == 3 && placed.replicas.contains(&live(&nodes[2])));
    let avoid = [live(&nodes[2]).disk, gone.disk];
    let none_left = choose(&PlaceRequest { keep: &keep, avoid: &avoid, ..three() }, &nodes, &[gone]).unwrap_err();
    let mut zones = none_left.zones;
    zones.sort_unstable();
    assert_eq!(zones, ["a", "b"]);
}
