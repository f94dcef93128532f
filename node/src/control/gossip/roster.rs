//! Who is in the cluster, what each node says of itself, and what is wrong with what they say. Pure.
//!
//! Two rules guard against mistakes that would cost redundancy:
//! - A disk's zone is fixed when it is formatted. The first one heard for a disk is kept; a node that claims another is
//!   refused, and nothing is placed on it.
//! - A node lives at one address. If it goes on speaking from an old address after it was heard at a newer one, two
//!   processes use one identity: nothing is placed on either until one of them is gone.

use super::announcement::Announcement;
use super::identity::GossipId;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{MEMBERS_MAX, SHARDS_MAX, TROUBLE_BYTES_MAX};
use quarry_protocol::member::{Liveness, Member};
use quarry_protocol::time::Micros;
use std::collections::BTreeMap;

/// Most addresses that are remembered of one node.
const ADDRESSES_MAX: usize = 4;

/// Most disks whose zones are remembered: as many as a largest cluster has.
const ZONES_MAX: usize = MEMBERS_MAX * SHARDS_MAX;

/// What became of an announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// News: it should be passed on.
    New,
    /// Known already, or older than what is known.
    Old,
    /// Not believed; why.
    Refused(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Roster {
    nodes: BTreeMap<DiskId, Node>,
    /// The zone first heard for each disk.
    zones: BTreeMap<DiskId, String>,
    /// How long after a newer address was heard an older one that still speaks is a second process, in microseconds. Words that
    /// were on their way must have arrived by then.
    twin_after_us: u64,
    /// How long a node that is down stays on the list, in microseconds.
    forget_after_us: u64,
}

#[derive(Debug, Default)]
struct Node {
    /// One for each address, in order of incarnation.
    voices: Vec<Voice>,
    /// What it claimed and nobody believes.
    lie: Option<String>,
}

/// A node as heard from one address.
#[derive(Debug)]
struct Voice {
    said: Announcement,
    liveness: Liveness,
    /// When it was first heard in this incarnation.
    first: Micros,
    /// When it last said something new.
    last: Micros,
    down_since: Option<Micros>,
}

impl Roster {
    pub(super) const fn new(twin_after_us: u64, forget_after_us: u64) -> Self {
        Self { nodes: BTreeMap::new(), zones: BTreeMap::new(), twin_after_us, forget_after_us }
    }

    /// Takes in what a node says.
    pub(super) fn hear(&mut self, now: Micros, said: &Announcement) -> Heard {
        let id = said.id;
        if !self.nodes.contains_key(&id.node) && self.nodes.len() >= MEMBERS_MAX {
            return Heard::Refused(format!(
                "the cluster has {MEMBERS_MAX} nodes, the most it can: {} is one more",
                id.node
            ));
        }
        if let Some(pinned) = self.other_zone(&said.member) {
            let lie = format!(
                "it claims zone {:?}, its disk was first heard in zone {pinned:?}: zones are fixed by `quarry format`",
                said.member.zone
            );
            let told = format!("node {} at {}: {lie}", id.node, said.member.advertise);
            if let Some(node) = self.nodes.get_mut(&id.node) {
                node.lie = Some(lie);
            }
            return Heard::Refused(told);
        }
        let node = self.nodes.entry(id.node).or_default();
        let found = node.voices.iter_mut().find(|voice| voice.said.id.address == id.address);
        match found {
            Some(voice) if (voice.said.id.incarnation, voice.said.version) >= (id.incarnation, said.version) => {
                return Heard::Old;
            }
            Some(voice) => {
                if voice.said.id.incarnation != id.incarnation {
                    (voice.first, voice.liveness, voice.down_since) = (now, Liveness::Down, Some(now));
                }
                (voice.last, voice.said) = (now, said.clone());
            }
            None => {
                // Until foca says that it lives, it does not: these may be a dead node's last words, still going round.
                let down = Liveness::Down;
                let voice = Voice { said: said.clone(), liveness: down, first: now, last: now, down_since: Some(now) };
                node.voices.push(voice);
            }
        }
        node.lie = None;
        node.voices.sort_by_key(|voice| voice.said.id.incarnation);
        while node.voices.len() > ADDRESSES_MAX {
            let spare = node.voices.iter().position(|voice| voice.liveness == Liveness::Down).unwrap_or(0);
            node.voices.remove(spare);
        }
        for disk in disks(&said.member) {
            if self.zones.len() < ZONES_MAX {
                self.zones.entry(disk).or_insert_with(|| said.member.zone.clone());
            }
        }
        Heard::New
    }

    /// The zone that is on record for one of its disks, if that is another one than it says.
    fn other_zone(&self, member: &Member) -> Option<String> {
        disks(member).filter_map(|disk| self.zones.get(&disk)).find(|zone| **zone != member.zone).cloned()
    }

    /// Takes over from foca who lives. Whoever is not among `living` does not.
    pub(super) fn living(&mut self, now: Micros, living: &[(GossipId, Liveness)]) {
        for voice in self.nodes.values_mut().flat_map(|node| &mut node.voices) {
            let found = living.iter().find(|(id, _)| *id == voice.said.id);
            voice.liveness = found.map_or(Liveness::Down, |(_, liveness)| *liveness);
            match (voice.liveness, voice.down_since) {
                (Liveness::Down, None) => voice.down_since = Some(now),
                (Liveness::Alive | Liveness::Suspect, _) => voice.down_since = None,
                (Liveness::Down, Some(_)) => {}
            }
        }
        let forget_after_us = self.forget_after_us;
        self.nodes.retain(|_, node| {
            node.voices.retain(|voice| voice.down_since.is_none_or(|since| now.since(since) < forget_after_us));
            !node.voices.is_empty()
        });
    }

    /// Every node, in order, as clients are told.
    pub(super) fn members(&self) -> Vec<Member> {
        self.nodes.values().filter_map(|node| self.member(node)).collect()
    }

    fn member(&self, node: &Node) -> Option<Member> {
        // The newest that lives, or the newest.
        let living = node.voices.iter().rfind(|voice| voice.liveness != Liveness::Down);
        let voice = living.or(node.voices.last())?;
        let trouble = self.twins(node).or_else(|| node.lie.clone()).unwrap_or_default();
        Some(Member { liveness: voice.liveness, trouble: shortened(trouble), ..voice.said.member.clone() })
    }

    /// Whether two processes speak for the node, and where.
    fn twins(&self, node: &Node) -> Option<String> {
        let living: Vec<&Voice> = node.voices.iter().filter(|voice| voice.liveness != Liveness::Down).collect();
        let newest = living.last()?;
        let twin =
            living[..living.len() - 1].iter().find(|older| older.last >= newest.first.plus(self.twin_after_us))?;
        Some(format!(
            "two processes use this identity, at {} and at {}: stop one of them, and format a data directory of its own for it",
            twin.said.member.advertise, newest.said.member.advertise
        ))
    }
}

fn disks(member: &Member) -> impl Iterator<Item = DiskId> + '_ {
    std::iter::once(member.node).chain(member.shards.iter().map(|shard| shard.disk))
}

fn shortened(mut text: String) -> String {
    let end = (0..=TROUBLE_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

#[cfg(test)]
mod tests;
