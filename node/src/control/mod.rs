//! The control plane: what operators and their tools ask a node. It runs on one Tokio thread of its own, on one port:
//! gRPC [`Admin`](proto::admin_server::Admin) and health services, and Prometheus' `/metrics`; beside it, gossip with other
//! nodes. It reaches shards through
//! their mailboxes only, so that nothing it does can hold up an append for longer than answering one letter takes.

mod admin;
mod draining;
mod gossip;
mod health;
mod metrics;
mod own;
mod publishing;
mod shards;
mod thread;

/// The interface, for clients of it.
#[allow(missing_docs, clippy::pedantic, reason = "generated; documented in proto/admin.proto")]
pub mod proto {
    tonic::include_proto!("quarry.admin.v1");
}

pub use gossip::{ClusterKey, KeyError};
pub(crate) use shards::{Facts, Shards};
pub(crate) use thread::{ControlThread, GossipSocket};
