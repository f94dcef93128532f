//! What is done to the nodes, and the rule of what may be done at once.
//!
//! # The rule
//!
//! A chunk is acknowledged when two of three replicas have it, in three zones. So:
//!
//! - **Loss in one zone only.** A disk is wiped, or a bit flipped, only on nodes of one zone, chosen from the seed. A segment
//!   has one replica in a zone, so of the two that an acknowledged chunk has at least, one is outside and whole. Nothing
//!   acknowledged may be lost, however often it happens there and whatever else goes on: that needs no repair.
//! - **Outages anywhere, of at most two nodes at once.** A node that is killed, stopped, paused or cut off loses nothing; it
//!   costs the log its quorum at most until it is back. Two in two zones may stop appends and takeovers, never undo them; two in
//!   one zone, or one, must not even stop them for longer than it takes to notice, so their stalls are worth a look.
//! - **Rot where a mark has passed.** A bit that is flipped in the very last batch that a node wrote before a crash cannot be
//!   told from a torn write: that is a stated limit of Quarry. So bits are flipped on a node that was stopped cleanly, which
//!   leaves a mark behind everything, or, while it runs, in files that it has finished writing.
//!
//! A full disk loses nothing and may hit every node.

pub(super) mod injury;
pub(super) mod rot;
pub(super) mod schedule;

use serde::Serialize;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// SIGKILL, and later a start.
    Kill,
    /// SIGSTOP, and later SIGCONT.
    Pause,
    /// SIGTERM, and later a start.
    Restart,
    /// SIGTERM, bits flipped in chunk files, and later a start.
    RotStopped,
    /// Bits flipped in chunk files of a running node.
    RotRunning,
    /// SIGKILL, the disk replaced by an empty one, a start.
    Wipe,
    /// Nothing gets through between clients and a node.
    Cut,
    /// Nothing gets from clients to a node.
    CutToNode,
    /// Nothing gets from a node to clients.
    CutToClients,
    /// Everything between clients and a node takes much longer.
    SlowLink,
    /// All disks are filled, and later there is room again.
    FullDisk,
}

impl FaultKind {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Kill,
        Self::Pause,
        Self::Restart,
        Self::RotStopped,
        Self::RotRunning,
        Self::Wipe,
        Self::Cut,
        Self::CutToNode,
        Self::CutToClients,
        Self::SlowLink,
        Self::FullDisk,
    ];

    /// As people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Restart => "restart",
            Self::RotStopped => "rot, stopped",
            Self::RotRunning => "rot, running",
            Self::Wipe => "wiped disk",
            Self::Cut => "cut both ways",
            Self::CutToNode => "cut to node",
            Self::CutToClients => "cut to clients",
            Self::SlowLink => "slow link",
            Self::FullDisk => "full disk",
        }
    }

    /// Whether something that was stored is lost.
    const fn loses(self) -> bool {
        matches!(self, Self::RotStopped | Self::RotRunning | Self::Wipe)
    }
}
