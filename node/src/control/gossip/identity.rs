//! Who takes part in gossip: a start of a node, at an address. For foca a member is its address: a node that starts again
//! there replaces its older self at once. That one node lives at two addresses is for the [roster](super::roster) to find.

use foca::Identity;
use quarry_protocol::ids::DiskId;
use std::net::SocketAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GossipId {
    /// The node's first disk as formatted.
    pub(super) node: DiskId,
    /// Rises with every start. No safety rests on it: it only tells old news from new ones.
    pub(super) incarnation: u64,
    /// Where it gossips.
    pub(super) address: SocketAddr,
}

impl GossipId {
    /// Somebody at an address, of whom nothing else is known: enough to ask to be let in.
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { node: DiskId::ZERO, incarnation: 0, address }
    }
}

impl Identity for GossipId {
    type Addr = SocketAddr;

    /// Somebody took this node for dead: it goes on as a new incarnation.
    fn renew(&self) -> Option<Self> {
        Some(Self { incarnation: self.incarnation.checked_add(1)?, ..*self })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        (self.incarnation, self.node) > (other.incarnation, other.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_start_wins_an_address() {
        let old = GossipId { node: DiskId([1; 16]), incarnation: 5, address: ([127, 0, 0, 1], 1).into() };
        let new = GossipId { incarnation: 6, ..old };
        assert!(new.win_addr_conflict(&old) && !old.win_addr_conflict(&new));
        assert!(old.win_addr_conflict(&GossipId::at(old.address)), "a seed's address alone wins nothing");
        assert!(old.renew().expect("renewed").win_addr_conflict(&old));
        let other = GossipId { node: DiskId([2; 16]), ..old };
        assert_ne!(other.win_addr_conflict(&old), old.win_addr_conflict(&other), "exactly one is kept");
    }
}
