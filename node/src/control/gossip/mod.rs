//! Gossip: how nodes learn of each other, over UDP and sealed with the cluster's key. Foca (SWIM) finds out who lives; what
//! each node says of itself travels along.
//!
//! ```text
//! socket ─► guard ─► seal ─► foca ─► passing ─► roster ─► shards, metrics, admin
//!            flood    key     codec   announcements
//! ```
//! Nothing that is stored rests on it: a replica is known by its disk (P14), and a client that is told nonsense places a segment
//! badly at worst.

mod announcement;
mod bytes_in;
mod codec;
mod counters;
mod guard;
mod identity;
mod key;
mod pace;
mod passing;
mod roster;
mod seal;
mod seeds;
mod task;
#[cfg(test)]
mod tests;
mod timers;

pub(crate) use counters::Counters;
pub use key::{ClusterKey, KeyError};
pub(super) use task::{Gossip, GossipStart};
