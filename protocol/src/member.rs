//! What is known of one node of a cluster: what it says of itself, and what the others say of it.
#![allow(missing_docs, reason = "rkyv derives archived twins of the documented types below, undocumented")]

use crate::ids::DiskId;
use crate::limits::{ADDRESS_BYTES_MAX, SHARDS_MAX, TROUBLE_BYTES_MAX, ZONE_BYTES_MAX};
use alloc::string::String;
use alloc::vec::Vec;
use rkyv::{Archive, Deserialize, Serialize};

/// Whether a node's disks take puts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub enum Health {
    /// Every shard takes puts.
    #[default]
    Serving,
    /// A shard refuses puts for lack of space (D7).
    Full,
    /// A shard's disk failed (D6).
    Failed,
}

/// Whether a node lives, as far as the others can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub enum Liveness {
    /// It answers.
    #[default]
    Alive,
    /// It did not answer lately. Treated as alive until that lasts.
    Suspect,
    /// It does not answer, or said that it stops.
    Down,
}

/// One shard of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct MemberShard {
    /// The identity that takes puts.
    pub disk: DiskId,
    /// Its TCP port, on the host of the node's address.
    pub port: u16,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Member {
    /// The node: its first shard's disk as formatted.
    pub node: DiskId,
    /// Which start of it this is; rises with every start.
    pub incarnation: u64,
    /// The zone it was formatted for.
    pub zone: String,
    /// The rack it was told to stand in; empty if none.
    pub rack: String,
    /// `host:port` at which clients reach its first shard.
    pub advertise: String,
    /// `host:port` of its control plane.
    pub control: String,
    /// Every shard, in order.
    pub shards: Vec<MemberShard>,
    /// What live bytes are measured against, all shards together. 0 if not known.
    pub capacity_bytes: u64,
    /// Live bytes, all shards together.
    pub live_bytes: u64,
    /// Payload bytes put per second lately, all shards together.
    pub load_bytes_per_s: u64,
    /// Whether its disks take puts.
    pub health: Health,
    /// Whether it is being emptied: nothing new should be placed on it.
    pub draining: bool,
    /// Whether it lives.
    pub liveness: Liveness,
    /// Why nothing may be placed on it until an operator has looked at it; empty if nothing is wrong.
    pub trouble: String,
}

/// What a member has too much of, how much, and the most there may be.
pub(crate) type Excess = (&'static str, u64, u64);

impl Member {
    /// The first bound that it exceeds.
    pub(crate) fn excess(&self) -> Option<Excess> {
        let sizes = [
            ("zone name length", self.zone.len(), ZONE_BYTES_MAX),
            ("rack name length", self.rack.len(), ZONE_BYTES_MAX),
            ("address length", self.advertise.len(), ADDRESS_BYTES_MAX),
            ("control address length", self.control.len(), ADDRESS_BYTES_MAX),
            ("number of shards", self.shards.len(), SHARDS_MAX),
            ("trouble length", self.trouble.len(), TROUBLE_BYTES_MAX),
        ];
        let excess = sizes.into_iter().find(|(_, got, max)| got > max);
        excess.map(|(what, got, max)| (what, got as u64, max as u64))
    }

    /// Whether every size is within its bound.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.excess().is_none()
    }

    /// Bytes that could still be filled.
    #[must_use]
    pub const fn free_bytes(&self) -> u64 {
        self.capacity_bytes.saturating_sub(self.live_bytes)
    }
}
