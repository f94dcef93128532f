//! Choosing the replica set of a new segment: distinct zones, live nodes first, spread by hash. Pure.

use super::static_nodes::Surveyed;
use super::{PlaceError, PlaceRequest, Placement};
use quarry_protocol::ids::LogId;
use quarry_protocol::message::{NodeInfo, shard_of};
use quarry_protocol::record::ReplicaRef;
use std::collections::BTreeMap;

/// The replica that a log has at a node, whose shards must not be empty.
pub(super) fn replica_at(info: &NodeInfo, log: LogId) -> ReplicaRef {
    let shard = &info.shards[shard_of(log, info.shards.len())];
    ReplicaRef { disk: shard.disk, address: info.advertise.clone(), zone: info.zone.clone() }
}

/// Chooses replicas among the nodes that answered and, in zones where none did, `away`.
pub(super) fn choose(
    request: &PlaceRequest<'_>,
    answers: &[Surveyed],
    away: &[ReplicaRef],
) -> Result<Placement, PlaceError> {
    let (log, wanted) = (request.log, request.replicas);
    let answered: Vec<ReplicaRef> =
        answers.iter().filter_map(|answer| answer.info.as_ref().ok()).map(|info| replica_at(info, log)).collect();
    let allowed = |replica: &&ReplicaRef| !request.avoid.contains(&replica.disk);
    let mut live = one_per_zone(log, answered.iter().filter(allowed).filter(|replica| is_kept(request, replica)));
    let others = answered.iter().filter(allowed).filter(|replica| live.iter().all(|kept| kept.zone != replica.zone));
    let others = one_per_zone(log, others);
    live.extend(others);
    // A replica at an address that answers is live under its present disk, or it is gone for good (P14).
    let silent = away.iter().filter(allowed).filter(|away| answered.iter().all(|live| live.address != away.address));
    let dead = one_per_zone(log, silent.filter(|replica| live.iter().all(|live| live.zone != replica.zone)));
    let zones: Vec<String> = live.iter().chain(&dead).map(|replica| replica.zone.clone()).collect();
    if zones.len() < wanted {
        let missing = answers
            .iter()
            .filter_map(|answer| answer.info.as_ref().err().map(|why| format!("{}: {why}", answer.address)))
            .collect();
        return Err(PlaceError { wanted, zones, missing });
    }
    let count = live.len().min(wanted);
    Ok(Placement { replicas: live.into_iter().chain(dead).take(wanted).collect(), live: count })
}

/// By its disk: the node may have another address by now.
fn is_kept(request: &PlaceRequest<'_>, replica: &ReplicaRef) -> bool {
    request.keep.iter().any(|kept| kept.disk == replica.disk && kept.zone == replica.zone)
}

/// The best replica of each zone, the best zone first. What is best differs from log to log, so that logs spread.
fn one_per_zone<'a>(log: LogId, replicas: impl Iterator<Item = &'a ReplicaRef>) -> Vec<ReplicaRef> {
    let mut best: BTreeMap<&str, &ReplicaRef> = BTreeMap::new();
    for replica in replicas {
        let held = best.entry(&replica.zone).or_insert(replica);
        if score(log, replica) > score(log, held) {
            *held = replica;
        }
    }
    let mut chosen: Vec<ReplicaRef> = best.into_values().cloned().collect();
    chosen.sort_by(|one, other| score(log, other).cmp(&score(log, one)));
    chosen
}

fn score(log: LogId, replica: &ReplicaRef) -> (u32, &ReplicaRef) {
    // A second pass, because a checksum alone is linear: its order would be the same for every log.
    let first = crc32c::crc32c_append(crc32c::crc32c(&log.0), &replica.disk.0);
    (first.wrapping_mul(0x9E37_79B1).rotate_left(15).wrapping_mul(0x85EB_CA77), replica)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_protocol::ids::DiskId;
    use quarry_protocol::message::ShardAddress;

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
        Surveyed { address: advertise, info: Ok(info) }
    }

    fn down(number: u8) -> Surveyed {
        Surveyed { address: format!("node{number}:1"), info: Err("connect: refused".into()) }
    }

    fn log(number: u8) -> LogId {
        LogId([number; 16])
    }

    fn three() -> PlaceRequest<'static> {
        PlaceRequest::new(log(1), 3, &[])
    }

    fn live(node: &Surveyed) -> ReplicaRef {
        replica_at(node.info.as_ref().unwrap(), log(1))
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
        let mut used = BTreeMap::new();
        for number in 0..=255 {
            for replica in choose(&PlaceRequest::new(log(number), 2, &[]), &nodes, &[]).unwrap().replicas {
                *used.entry(replica.address).or_insert(0) += 1;
            }
        }
        assert!(used.len() == 5 && used.values().all(|count| *count > 40), "{used:?}");
    }

    #[test]
    fn live_nodes_come_first_and_known_ones_fill_up() {
        let Ok(info) = node(2, "b").info else { unreachable!() };
        let known = replica_at(&info, log(1));
        let placed = choose(&three(), &[node(1, "a"), down(2), node(3, "c")], std::slice::from_ref(&known)).unwrap();
        assert_eq!((placed.live, &placed.replicas[2]), (2, &known));
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
}
