//! The raw device: what a durable write costs with nothing of Quarry around it. `O_DIRECT | O_DSYNC` overwrites of
//! a file that was written full before, through `io_uring`, a fixed number in flight (closed loop).
#![allow(
    unsafe_code,
    reason = "io_uring takes raw pointers, O_DIRECT takes aligned buffers; each use says why it is sound"
)]

mod buffers;
mod file;
mod ring;
#[cfg(test)]
mod tests;

pub use file::{DeviceFile, probe_direct_writes};
pub use ring::probe_io_uring;

use std::io;
use std::path::PathBuf;

/// One part of a round on the raw device.
#[derive(Clone, Copy, Debug)]
pub struct DeviceWork {
    /// Bytes of each write; rounded up to whole blocks of 4 KiB.
    pub write_bytes: u32,
    /// Writes in flight at any time.
    pub in_flight: usize,
}

impl DeviceWork {
    /// Bytes that each write really has.
    #[must_use]
    pub const fn block_bytes(&self) -> u32 {
        self.write_bytes.next_multiple_of(quarry_protocol::limits::BLOCK_BYTES)
    }
}

/// Why the raw device could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// A file operation failed.
    #[error("{what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The ring could not be made or used.
    #[error("io_uring {what}: {source}: see `quarry doctor`")]
    Ring {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A write failed or was short.
    #[error("durable write of {bytes} bytes at {position}: {why}")]
    Write {
        /// Its size.
        bytes: u32,
        /// Where in the file.
        position: u64,
        /// What happened.
        why: String,
    },
    /// The work does not fit the file.
    #[error("{why}")]
    Work {
        /// What does not fit.
        why: String,
    },
}
