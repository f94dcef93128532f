//! How often gossip does what. Not settings: two clusters that need different values have not been seen yet.

use super::seal::PLAIN_BYTES_MAX;
use foca::{Config, PeriodicParams};
use std::num::{NonZeroU8, NonZeroUsize};
use std::time::Duration;

/// Peers that each round of gossip goes to.
const PEERS: NonZeroUsize = NonZeroUsize::new(3).unwrap();
/// How often one piece of news is passed on by each node. Enough for a thousand nodes.
const PASSED_ON: NonZeroU8 = NonZeroU8::new(10).unwrap();

#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// One node is probed in each.
    pub(super) probe: Duration,
    /// How long a node that does not answer is given to say that it lives.
    pub(super) suspicion: Duration,
    /// News is sent this often while there is some.
    pub(super) gossip: Duration,
    /// A node says again what it is after so long at the latest.
    pub(super) announce: Duration,
    /// It does not do so more often than this.
    pub(super) announce_pause: Duration,
    /// Seeds that are not members are called this often.
    pub(super) seeds: Duration,
    /// See [`super::roster::Roster`].
    pub(super) twin_after: Duration,
    /// See [`super::roster::Roster`].
    pub(super) forget_after: Duration,
}

impl Pace {
    pub(super) const USUAL: Self = Self {
        probe: Duration::from_secs(1),
        suspicion: Duration::from_secs(3),
        gossip: Duration::from_millis(200),
        announce: Duration::from_secs(5),
        announce_pause: Duration::from_millis(500),
        seeds: Duration::from_secs(2),
        twin_after: Duration::from_secs(10),
        forget_after: Duration::from_hours(24),
    };

    pub(super) fn foca(&self) -> Config {
        let every = |frequency, num_members| Some(PeriodicParams { frequency, num_members });
        let one = NonZeroUsize::MIN;
        Config {
            probe_period: self.probe,
            probe_rtt: self.probe / 3,
            num_indirect_probes: PEERS,
            max_transmissions: PASSED_ON,
            suspect_to_down_after: self.suspicion,
            remove_down_after: Some(self.forget_after),
            max_packet_size: NonZeroUsize::new(PLAIN_BYTES_MAX).expect("a datagram holds something"),
            notify_down_members: true,
            periodic_announce: every(self.probe * 30, one),
            periodic_announce_to_down_members: every(self.probe * 10, one),
            periodic_gossip: every(self.gossip, PEERS),
        }
    }
}
