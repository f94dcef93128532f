//! What a recovery is asked to do.

use crate::ids::{LogId, OwnerId};
use crate::record::Window;
use alloc::string::String;

/// How long a recovery waits for replicas and for the register, in microseconds, when nothing else is asked for.
pub const RECOVERY_DEADLINE_US_DEFAULT: u64 = 30_000_000;

/// What to take over, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryConfig {
    /// The log's name.
    pub name: String,
    /// What to do if it exists, or does not.
    pub mode: OpenMode,
    /// Fresh and random for every recovery: an ambiguous claim is recognised by it.
    pub owner: OwnerId,
    /// What the takeover is for.
    pub purpose: Purpose,
    /// How long it may take, in microseconds.
    pub deadline_us: u64,
}

/// Whether the log has to exist. `log` is a fresh random id, used if the log is created; a deleted log does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Take it over, or create it.
    CreateIfMissing {
        /// The new log's id.
        log: LogId,
    },
    /// Fail if it does not exist.
    MustExist,
    /// Fail if it exists.
    MustNotExist {
        /// The new log's id.
        log: LogId,
    },
}

/// What the takeover ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A new open segment, for a writer.
    Write {
        /// `N` of the new segment.
        replicas: usize,
        /// `Qa` of the new segment.
        ack_quorum: usize,
        /// The new writer's window.
        window: Window,
    },
    /// A tombstone (P13). Whoever drives the recovery then tells every replica, with a [`crate::telling::Telling`].
    Delete,
}
