//! Which nodes the cluster has, as clients ask any shard for it. The control plane hands the list over whenever it changed.

use super::Shard;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::MEMBERS_PER_REPLY_MAX;
use quarry_protocol::member::{Member, MemberShard};
use quarry_protocol::message::{NodeInfo, Reply};

/// The nodes of the cluster, as this node knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberList {
    /// Changes whenever the list does.
    pub version: u64,
    /// In order of [`Member::node`].
    pub members: Vec<Member>,
}

impl MemberList {
    /// What a node knows before it has talked to anybody: itself.
    pub fn alone(node: &NodeInfo) -> Self {
        let shards: Vec<_> =
            node.shards.iter().map(|shard| MemberShard { disk: shard.disk, port: shard.port }).collect();
        let member = Member {
            node: shards.first().map_or(DiskId::ZERO, |shard| shard.disk),
            zone: node.zone.clone(),
            advertise: node.advertise.clone(),
            shards,
            ..Member::default()
        };
        Self { version: 0, members: vec![member] }
    }

    /// The page that follows the node `after`.
    fn page(&self, after: Option<DiskId>) -> Reply {
        let start = after.map_or(0, |after| self.members.partition_point(|member| member.node <= after));
        let rest = &self.members[start..];
        let members = rest[..rest.len().min(MEMBERS_PER_REPLY_MAX)].to_vec();
        Reply::Members { more: members.len() < rest.len(), members, version: self.version }
    }
}

impl Shard {
    pub(super) fn members(&self, after: Option<DiskId>) -> Reply {
        self.members.page(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_list_every_member_once_in_order() {
        let member = |number: usize| Member { node: DiskId([number as u8; 16]), ..Member::default() };
        for count in [0, 1, MEMBERS_PER_REPLY_MAX, MEMBERS_PER_REPLY_MAX + 1, 3 * MEMBERS_PER_REPLY_MAX] {
            let list = MemberList { version: 7, members: (0..count).map(member).collect() };
            let (mut got, mut after) = (Vec::new(), None);
            loop {
                let Reply::Members { members, version: 7, more } = list.page(after) else { panic!("another reply") };
                assert!(members.len() <= MEMBERS_PER_REPLY_MAX);
                after = members.last().map(|member| member.node);
                got.extend(members);
                if !more {
                    break;
                }
            }
            assert_eq!(got, list.members);
        }
    }
}
