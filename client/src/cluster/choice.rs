//! Choosing the replica set of a new segment: distinct zones and racks, fit nodes first, spread by hash in proportion to room.
//! Pure: the same answers give the same choice, on every client.

use super::weight::Weights;
use super::{PlaceError, PlaceRequest, Placement, Surveyed};
use quarry_protocol::ids::LogId;
use quarry_protocol::member::{Health, Member};
use quarry_protocol::message::{NodeInfo, shard_of};
use quarry_protocol::record::ReplicaRef;

/// The replica that a log has at a node, whose shards must not be empty.
pub(super) fn replica_at(info: &NodeInfo, log: LogId) -> ReplicaRef {
    let shard = &info.shards[shard_of(log, info.shards.len())];
    ReplicaRef { disk: shard.disk, address: info.advertise.clone(), zone: info.zone.clone() }
}

/// How gladly a replica is chosen. Those further down only if their zone has no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fitness {
    /// It was asked to be kept, and is as fit as the next ones.
    Kept,
    /// It takes puts.
    Fit,
    /// It takes puts, and is being emptied.
    Draining,
    /// It does not answer; perhaps it will.
    Away,
    /// It answers, and refuses puts until something is trimmed.
    Full,
    /// It answers, and refuses puts.
    Failed,
}

struct Candidate {
    replica: ReplicaRef,
    rack: String,
    fitness: Fitness,
    score: f64,
}

impl Candidate {
    fn at(request: &PlaceRequest<'_>, weights: &Weights, info: &NodeInfo, member: Option<&Member>) -> Self {
        let replica = replica_at(info, request.log);
        // By its disk: the node may have another address by now.
        let kept = request.keep.iter().any(|kept| kept.disk == replica.disk && kept.zone == replica.zone);
        let fitness = match member {
            Some(member) if member.health == Health::Failed => Fitness::Failed,
            Some(member) if member.health == Health::Full => Fitness::Full,
            Some(member) if member.draining => Fitness::Draining,
            _ if kept => Fitness::Kept,
            _ => Fitness::Fit,
        };
        let score = weights.score(request.log, replica.disk, member);
        Self { rack: member.map(|member| member.rack.clone()).unwrap_or_default(), replica, fitness, score }
    }
}

/// Chooses replicas among the nodes that answered and, in zones where none did, `away`.
pub(super) fn choose(
    request: &PlaceRequest<'_>,
    answers: &[Surveyed],
    away: &[ReplicaRef],
) -> Result<Placement, PlaceError> {
    let mut candidates = candidates(request, answers, away);
    candidates.sort_by(|one, other| {
        let by_score = other.score.total_cmp(&one.score);
        one.fitness.cmp(&other.fitness).then(by_score).then(one.replica.disk.cmp(&other.replica.disk))
    });
    let mut chosen: Vec<&Candidate> = Vec::new();
    for class in candidates.chunk_by(|one, other| one.fitness == other.fitness) {
        // Another rack if there is one: zones first, all the same.
        for new_rack in [true, false] {
            for candidate in class {
                let zone = chosen.iter().any(|other| other.replica.zone == candidate.replica.zone);
                let rack = !candidate.rack.is_empty() && chosen.iter().any(|other| other.rack == candidate.rack);
                if !(zone || rack && new_rack) {
                    chosen.push(candidate);
                }
            }
        }
    }
    if chosen.len() < request.replicas {
        let zones = chosen.iter().map(|candidate| candidate.replica.zone.clone()).collect();
        let missing = answers
            .iter()
            .filter_map(|answer| answer.info.as_ref().err().map(|why| format!("{}: {why}", answer.address)))
            .collect();
        return Err(PlaceError { wanted: request.replicas, zones, missing });
    }
    chosen.truncate(request.replicas);
    spread_over_racks(&mut chosen, &candidates);
    let live = chosen.iter().filter(|candidate| candidate.fitness <= Fitness::Draining).count();
    Ok(Placement { replicas: chosen.into_iter().map(|candidate| candidate.replica.clone()).collect(), live })
}

/// Exchanges what shares a rack with another for one of its own zone, as fit, that does not: the best of one zone may have
/// taken the rack that another zone has only.
fn spread_over_racks<'a>(chosen: &mut [&'a Candidate], candidates: &'a [Candidate]) {
    for index in 0..chosen.len() {
        let (now, others) = (chosen[index], &*chosen);
        let is_shared = |rack: &str| {
            let mut others = others.iter().enumerate().filter(|(other, _)| *other != index);
            !rack.is_empty() && others.any(|(_, other)| other.rack == rack)
        };
        let same = |other: &&Candidate| other.replica.zone == now.replica.zone && other.fitness == now.fitness;
        if now.fitness != Fitness::Kept && is_shared(&now.rack) {
            let other = candidates.iter().filter(same).find(|other| !is_shared(&other.rack));
            chosen[index] = other.unwrap_or(now);
        }
    }
}

fn candidates(request: &PlaceRequest<'_>, answers: &[Surveyed], away: &[ReplicaRef]) -> Vec<Candidate> {
    let answered = || answers.iter().filter_map(|answer| Some((answer.info.as_ref().ok()?, answer.member.as_ref())));
    let weights = Weights::of(answered().map(|(_, member)| member));
    let mut candidates: Vec<Candidate> =
        answered().map(|(info, member)| Candidate::at(request, &weights, info, member)).collect();
    // A replica at an address that answers is live under its present disk, or it is gone for good (P14).
    let is_silent = |replica: &&ReplicaRef| {
        answered().all(|(info, _)| info.advertise != replica.address)
            && answers.iter().all(|answer| answer.info.is_err() || answer.address != replica.address)
    };
    candidates.extend(away.iter().filter(is_silent).map(|replica| Candidate {
        replica: replica.clone(),
        rack: String::new(),
        fitness: Fitness::Away,
        score: weights.score(request.log, replica.disk, None),
    }));
    candidates.retain(|candidate| !request.avoid.contains(&candidate.replica.disk));
    candidates
}

#[cfg(test)]
mod tests;
