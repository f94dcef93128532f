//! The client library of Quarry: logs of chunks, replicated to a quorum.
//!
//! A caller needs [`connect`], [`ChunkStore`] (the contract, with a picture) and [`LogWriter`].
//!
//! A newcomer's route through the code, one append from caller to disk and back: [`log_writer`] (what an append does),
//! [`link`] (how a replica is talked to), [`cluster`] (which replicas there are), [`register`] (what is known of a log as
//! a whole), [`reader`] (how chunks come back, verified), [`store_url`] (how a store is named).
//!
//! What is right is decided in [`quarry_protocol`]: `open` is the shell of its recovery, [`log_writer`] of its writer, `trim`,
//! `tail` and `told` of the machines of those names, and [`reader`] asks its `reach` how far it may go. The shells perform
//! effects, bound them in time, and say in a caller's words what came of them.
#![forbid(unsafe_code)]

mod actions;
pub mod bucket;
mod calls;
pub mod capabilities;
pub mod chunk_store;
pub mod cluster;
pub mod conformance;
mod connect;
mod delete;
pub mod error;
mod gather;
mod inspect;
pub mod inspection;
pub mod link;
mod list;
pub mod log_writer;
mod lookup;
pub mod memory;
mod open;
pub mod quorum_store;
mod random;
pub mod reader;
pub mod receipt;
pub mod register;
pub mod repair;
pub mod store_url;
mod tail;
mod told;
mod trim;
mod views;

pub use capabilities::{Capabilities, LatencyClass, Tier};
pub use chunk_store::{
    ChunkStore, ChunkStream, CreateMode, Deleted, OpenOptions, Opened, ReadChunk, ReadOptions, ReadRange,
    RecoveryReport, RotationOptions, Tail,
};
pub use connect::{connect, connect_to_quorum};
pub use error::{
    AppendError, ConnectError, DeleteError, Fate, InspectError, ListError, OpenError, ReadError, TailError, TrimError,
};
pub use gather::{GatherError, Gathered};
pub use inspection::Inspection;
pub use log_writer::{AppendTimes, LogWriter, MoveError, PendingAppend, Receipt, ReplicaTimes, RotateError, Rotated};
pub use quorum_store::QuorumStore;
pub use receipt::DurabilityReceipt;
pub use repair::{LogImpact, Orphan, OrphanFate, RepairOptions};
