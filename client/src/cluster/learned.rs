//! What a client has learned of its cluster: which nodes there are, where each disk is, and in which zone. Pure.

use super::Surveyed;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::MEMBERS_MAX;
use quarry_protocol::member::{Liveness, Member};
use quarry_protocol::message::NodeInfo;
use quarry_protocol::record::ReplicaRef;
use std::collections::BTreeMap;

/// Most disks whose zones are remembered. Beyond, only those that records name.
const ZONES_MAX: usize = 64 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// As nodes tell of each other, by [`Member::node`].
    members: BTreeMap<DiskId, Member>,
    /// What each address last answered: a node that is away now can still be placed on.
    heard: BTreeMap<String, NodeInfo>,
    /// Where each disk answered last, retired identities included.
    places: BTreeMap<DiskId, String>,
    /// The zone of each disk: as a record names it, or as first heard. It is fixed when a disk is formatted.
    zones: BTreeMap<DiskId, String>,
    /// Whether some node knew of another one.
    gossips: bool,
}

impl Learned {
    /// Addresses to ask besides `seeds`: nodes that live, as far as anybody knows, and are not reached by a seed already.
    pub(super) fn further(&self, seeds: &[String]) -> Vec<String> {
        let reached: Vec<&String> =
            seeds.iter().filter_map(|seed| self.heard.get(seed)).map(|info| &info.advertise).collect();
        let living = self.members.values().filter(|member| member.liveness != Liveness::Down);
        let further = living.map(|member| &member.advertise);
        further.filter(|address| !seeds.contains(address) && !reached.contains(address)).cloned().collect()
    }

    /// Whether the nodes gossip: then what they know changes by itself.
    pub(super) const fn gossips(&self) -> bool {
        self.gossips
    }

    /// Where a disk was found last.
    pub(super) fn place_of(&self, disk: DiskId) -> Option<String> {
        let told = || self.members.values().find(|member| member.shards.iter().any(|shard| shard.disk == disk));
        self.places.get(&disk).cloned().or_else(|| told().map(|member| member.advertise.clone()))
    }

    /// What the node at `address` answered last.
    pub(super) fn heard_at(&self, address: &str) -> Option<&NodeInfo> {
        self.heard.get(address)
    }

    /// Takes over the zones that a record names. The register is the last word.
    pub(super) fn read_record(&mut self, replicas: &[ReplicaRef]) {
        for replica in replicas {
            self.zones.insert(replica.disk, replica.zone.clone());
        }
    }

    /// Takes in what one round of questions brought: `lists` are what each node that answered knows of the cluster, with the
    /// disk of its first shard.
    pub(super) fn take_in(&mut self, answers: &[Surveyed], lists: &[(DiskId, Vec<Member>)]) {
        for answer in answers {
            let Ok(info) = &answer.info else { continue };
            self.heard.insert(answer.address.clone(), info.clone());
            for shard in &info.shards {
                for disk in shard.retired.iter().chain([&shard.disk]) {
                    self.places.insert(*disk, answer.address.clone());
                }
                if self.zones.len() < ZONES_MAX {
                    self.zones.entry(shard.disk).or_insert_with(|| info.zone.clone());
                }
            }
        }
        if !lists.is_empty() {
            self.gossips = lists.iter().any(|(_, members)| members.len() > 1);
            self.members = merged(lists);
            // What moved is looked for where it is now.
            let members = &self.members;
            self.heard.retain(|address, info| {
                let moved = |m: &Member| m.advertise != info.advertise && m.shards.iter().any(|s| has(info, s.disk));
                answers.iter().any(|answer| answer.address == *address) || !members.values().any(moved)
            });
        }
    }

    /// Why a node that answered must not be used, if so.
    pub(super) fn objection(&self, info: &NodeInfo) -> Option<String> {
        for disk in info.shards.iter().map(|shard| shard.disk) {
            if let Some(zone) = self.zones.get(&disk).filter(|zone| **zone != info.zone) {
                return Some(format!(
                    "it claims zone {:?} for disk {disk}, which is on record in zone {zone:?}: zones are fixed by `quarry format`, \
                     correct that node or remove it",
                    info.zone
                ));
            }
        }
        self.member_of(info).map(|member| member.trouble.clone()).filter(|trouble| !trouble.is_empty())
    }

    /// What is known of a node that answered.
    pub(super) fn member_of(&self, info: &NodeInfo) -> Option<&Member> {
        self.members.values().find(|member| member.shards.iter().any(|shard| has(info, shard.disk)))
    }

    /// The disks of nodes that are being drained. Every writer asks every second, so nothing else is copied.
    pub(super) fn draining(&self) -> Vec<DiskId> {
        let draining = self.members.values().filter(|member| member.draining);
        draining.flat_map(|member| &member.shards).map(|shard| shard.disk).collect()
    }

    /// Every node, in order.
    pub(super) fn members(&self) -> Vec<Member> {
        self.members.values().cloned().collect()
    }
}

fn has(info: &NodeInfo, disk: DiskId) -> bool {
    info.shards.iter().any(|shard| shard.disk == disk || shard.retired.contains(&disk))
}

/// One list of several: a later start of a node wins, and what it says of itself over what others heard. A node that anybody
/// warns of is warned of.
fn merged(lists: &[(DiskId, Vec<Member>)]) -> BTreeMap<DiskId, Member> {
    let mut members: BTreeMap<DiskId, (bool, Member)> = BTreeMap::new();
    for (teller, list) in lists {
        for member in list {
            let own = member.shards.first().is_some_and(|shard| shard.disk == *teller);
            if members.len() >= MEMBERS_MAX && !members.contains_key(&member.node) {
                continue;
            }
            let (held_own, held) = members.entry(member.node).or_insert_with(|| (own, member.clone()));
            let trouble = [&held.trouble, &member.trouble].into_iter().find(|t| !t.is_empty()).cloned();
            if (member.incarnation, own) > (held.incarnation, *held_own) {
                (*held_own, *held) = (own, member.clone());
            }
            held.trouble = trouble.unwrap_or_default();
        }
    }
    members.into_iter().map(|(node, (_, member))| (node, member)).collect()
}

#[cfg(test)]
mod tests;
