//! What clients make of what nodes say of themselves and of each other.

use super::*;
use quarry_protocol::member::MemberShard;
use quarry_protocol::message::ShardAddress;

fn disk(number: u8) -> DiskId {
    DiskId([number; 16])
}

fn info(number: u8, zone: &str, advertise: &str) -> NodeInfo {
    let shard = ShardAddress { disk: disk(number), retired: vec![disk(100 + number)], port: 1 };
    NodeInfo { cluster: "c".into(), zone: zone.into(), advertise: advertise.into(), shards: vec![shard], shard: 0 }
}

fn answer(address: &str, info: NodeInfo) -> Surveyed {
    Surveyed { address: address.into(), info: Ok(info), member: None }
}

fn member(number: u8, incarnation: u64, advertise: &str) -> Member {
    let shards = vec![MemberShard { disk: disk(number), port: 1 }];
    Member { node: disk(number), incarnation, advertise: advertise.into(), shards, ..Member::default() }
}

fn replica(number: u8, zone: &str) -> ReplicaRef {
    ReplicaRef { disk: disk(number), address: "old:1".into(), zone: zone.into() }
}

#[test]
fn nodes_are_learned_from_a_seed_followed_and_forgotten() {
    let seeds = ["s:1".to_owned()];
    let mut learned = Learned::default();
    assert!(learned.further(&seeds).is_empty() && !learned.gossips());
    let seed = answer("s:1", info(1, "a", "one:1"));
    let down = Member { liveness: Liveness::Down, ..member(3, 1, "three:1") };
    let list = vec![member(1, 1, "one:1"), member(2, 1, "two:1"), down];
    learned.take_in(std::slice::from_ref(&seed), &[(disk(1), list)]);
    assert!(learned.gossips());
    assert_eq!(learned.further(&seeds), ["two:1"], "not the seed by its other name, not who is down");
    assert_eq!(learned.place_of(disk(2)).as_deref(), Some("two:1"));
    assert_eq!(learned.place_of(disk(101)).as_deref(), Some("s:1"), "a retired identity, where it answered");
    // It moves, and is heard of before it is asked.
    learned.take_in(std::slice::from_ref(&seed), &[(disk(1), vec![member(1, 1, "one:1"), member(2, 2, "moved:1")])]);
    assert_eq!(
        (learned.further(&seeds), learned.place_of(disk(2)).as_deref()),
        (vec!["moved:1".into()], Some("moved:1"))
    );
    // Nobody answers: nothing is forgotten.
    learned.take_in(&[], &[]);
    assert_eq!(learned.further(&seeds), ["moved:1"]);
    learned.take_in(std::slice::from_ref(&seed), &[(disk(1), vec![member(1, 1, "one:1")])]);
    assert!(learned.further(&seeds).is_empty() && !learned.gossips());
}

#[test]
fn a_later_start_wins_then_a_nodes_own_words_and_every_warning_counts() {
    let loaded = |load: u64, number: u8, incarnation: u64| Member {
        load_bytes_per_s: load,
        ..member(number, incarnation, "n:1")
    };
    let warned = Member { trouble: "twins".into(), ..loaded(3, 2, 4) };
    let lists = [(disk(1), vec![loaded(1, 2, 5)]), (disk(2), vec![loaded(2, 2, 5)]), (disk(3), vec![warned])];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let lists: Vec<_> = order.iter().map(|index: &usize| lists[*index].clone()).collect();
        let merged = merged(&lists);
        let node = &merged[&disk(2)];
        assert_eq!((node.incarnation, node.load_bytes_per_s, node.trouble.as_str()), (5, 2, "twins"), "{order:?}");
    }
}

/// A node that lies about its zone: against what was heard first, and against what a record says.
#[test]
fn another_zone_than_on_record_is_an_objection() {
    let mut learned = Learned::default();
    learned.take_in(&[answer("n:1", info(1, "a", "n:1"))], &[]);
    assert_eq!(learned.objection(&info(1, "a", "n:1")), None);
    let why = learned.objection(&info(1, "b", "n:1")).expect("it lies");
    assert!(why.contains("\"b\"") && why.contains("\"a\"") && why.contains(&disk(1).to_string()), "{why}");
    // The register knows better than whoever spoke first.
    learned.read_record(&[replica(1, "b")]);
    assert_eq!(learned.objection(&info(1, "b", "n:1")), None);
    assert!(learned.objection(&info(1, "a", "n:1")).is_some());
}

#[test]
fn a_troubled_member_is_an_objection() {
    let mut learned = Learned::default();
    let troubled = Member { trouble: "two processes use this identity".into(), ..member(1, 1, "n:1") };
    learned.take_in(&[], &[(disk(2), vec![troubled, member(2, 1, "m:1")])]);
    assert!(learned.objection(&info(1, "a", "n:1")).expect("it is warned of").contains("two processes"));
    assert_eq!(learned.objection(&info(2, "b", "m:1")), None);
}
