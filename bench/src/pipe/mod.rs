//! The bare pipe: what replicating chunks costs with nothing of Quarry around it. One sender, some processes that only
//! receive, checksum and write durably; the sender goes on when a quorum of them has. No framing beyond a fixed size, no
//! order, no index, no recovery, nothing to read back.
//!
//! ```text
//!  sender ──chunk──► receiver ─► checksum ─► queue ─► writers: O_DIRECT|O_DSYNC, all that waits in one call
//!    ▲                                                   │
//!    └───────────── counts of durable chunks ◄───────────┘
//! ```
//! It batches as a node does, so that what a node costs more than this is what the node does more.

mod receiver;
mod sender;
#[cfg(test)]
mod tests;

pub use receiver::{PipeReceiver, ReceiverPlan};
pub use sender::{Pipe, PipePlan};

use std::io;

/// Bytes of an answer: how many more chunks are durable.
const ANSWER_BYTES: usize = 4;

/// Why the pipe could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// The receiver's file.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
    /// A connection, a process or a write.
    #[error("bare pipe: {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What was asked for makes no sense.
    #[error("bare pipe: {0}")]
    Plan(String),
}

fn system(what: &'static str) -> impl Fn(io::Error) -> PipeError {
    move |source| PipeError::System { what, source }
}
