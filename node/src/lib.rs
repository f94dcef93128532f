//! The storage node of Quarry.
//!
//! ```text
//!   sockets ── io::net ──► shard (pure) ──► store (pure) ──► io::disk ── chunk files
//!                 ▲            │ replica: what may be answered
//!                 └────────────┘ effects: replies, "stored", reads
//! ```
//! One shard is one thread with one glommio executor, its own port, logs, index, files and buffers; nothing is shared.
//! [`shard`] and [`store`] decide and never touch the world; [`io`] touches the world and decides nothing. [`control`]
//! runs on a Tokio thread of its own and asks shards through a mailbox.

// `shard` and `store` are pure: clippy.toml lists what they must not touch. The rest is what touches the world.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod config;
pub mod control;
mod directory;
mod format;
pub mod io;
mod kept;
mod layout;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod shard;
mod start;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod store;
mod verify;

pub use control::{ClusterKey, KeyError};
pub use directory::DirectoryError;
pub use format::{FormatError, FormatOptions, Formatted, format};
pub use start::{Addresses, Node, StartError, Stopper, start};
pub use verify::{VerifyError, VerifyReport, verify};
