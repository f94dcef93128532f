//! Why a recovery failed.

use super::report::MissingReplica;
use crate::ids::{ChunkSeq, Epoch, OwnerId, SegmentId};
use crate::record::RecordError;
use alloc::string::String;
use alloc::vec::Vec;

/// Why a recovery failed. Whatever it was: nothing acknowledged is lost, and it may be tried again unless stated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// The caller asks for what cannot be.
    #[error("{why}")]
    Config {
        /// What is wrong.
        why: String,
    },
    /// The log does not exist, or was deleted.
    #[error("log {name:?} does not exist: create it by opening it to write, or check its name")]
    NotFound {
        /// The name.
        name: String,
    },
    /// The log exists already.
    #[error("log {name:?} exists already: open it, or choose another name")]
    Exists {
        /// The name.
        name: String,
    },
    /// Somebody else took the log over meanwhile. They hold it; opening again takes it from them.
    #[error("epoch {by} ({owner}) took log {name:?} over while epoch {mine} was recovering it")]
    Superseded {
        /// The log's name.
        name: String,
        /// The epoch this recovery claimed.
        mine: Epoch,
        /// The epoch in the register.
        by: Epoch,
        /// Its owner.
        owner: OwnerId,
    },
    /// A replica was told of a higher epoch than the register knows: the register lost writes.
    #[error(
        "a replica of log {name:?} is fenced at epoch {fence}, the register knows only {epoch}: the register was rolled back, restore its newest copy"
    )]
    RegisterBehind {
        /// The log's name.
        name: String,
        /// The replica's fence.
        fence: Epoch,
        /// The register's epoch.
        epoch: Epoch,
    },
    /// A replica of the new segment holds another chunk under a name that only this recovery may use.
    #[error("recovering log {name:?}: {refusal}: report this, its cause is not known")]
    Broken {
        /// The log's name.
        name: String,
        /// What the replica said.
        refusal: crate::message::Refusal,
    },
    /// The log's chain has no room for the segment that a takeover opens. Nothing was changed: if it has a writer, that goes
    /// on.
    #[error(
        "log {name:?} has {segments} segments, the most is {max}, so no other can be opened: trim the log, to seq {trim_to} at least, then open it again; nothing was changed"
    )]
    Full {
        /// The log's name.
        name: String,
        /// How many segments a takeover would have to keep, the unsealed ones included.
        segments: usize,
        /// The bound.
        max: usize,
        /// The lowest floor that makes room for one.
        trim_to: ChunkSeq,
    },
    /// The record cannot be used, or would grow past its bounds.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The register answered with something that is not a usable record.
    #[error("the register's record of log {name:?} cannot be used: {why}")]
    RecordUnusable {
        /// The log's name.
        name: String,
        /// Why.
        why: String,
    },
    /// The register did not answer within the deadline.
    #[error("the register did not answer within {waited_us} us while {doing} log {name:?}: {why}")]
    Register {
        /// The log's name.
        name: String,
        /// What for.
        doing: Doing,
        /// How long the recovery took, in microseconds.
        waited_us: u64,
        /// The last thing it said.
        why: String,
        /// Whether a change of this recovery may take place all the same.
        may_have_happened: bool,
    },
    /// No replicas were found for the new segment within the deadline.
    #[error("no replicas were found for a new segment of log {name:?} within {waited_us} us: {why}")]
    Placement {
        /// The log's name.
        name: String,
        /// How long the recovery took, in microseconds.
        waited_us: u64,
        /// The last thing that was wrong.
        why: String,
    },
    /// Too few replicas answered within the deadline to know where the log ends, or to hold the new segment.
    #[error("{doing} log {name:?} did not finish within {waited_us} us{}; {}: bring replicas back, then open the log again",
        Place(*.segment, *.seq), Missing(.missing))]
    Replicas {
        /// The log's name.
        name: String,
        /// What for.
        doing: Doing,
        /// How long the recovery took, in microseconds.
        waited_us: u64,
        /// The segment that could not be settled.
        segment: Option<SegmentId>,
        /// The seq whose fate is not known.
        seq: Option<ChunkSeq>,
        /// Every replica that is missed, and why.
        missing: Vec<MissingReplica>,
    },
}

/// What a recovery was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Reading the record.
    Reading,
    /// Claiming the epoch.
    Claiming,
    /// Fencing and freezing.
    Settling,
    /// Copying.
    Copying,
    /// Sealing and registering.
    Registering,
}

impl core::fmt::Display for Doing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Reading => "reading",
            Self::Claiming => "claiming",
            Self::Settling => "settling the end of",
            Self::Copying => "copying the end of",
            Self::Registering => "registering a new segment of",
        })
    }
}

struct Place(Option<SegmentId>, Option<ChunkSeq>);

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.0, self.1) {
            (Some(segment), Some(seq)) => write!(f, " at seq {seq} of segment {segment}"),
            (Some(segment), None) => write!(f, " at segment {segment}"),
            _ => Ok(()),
        }
    }
}

struct Missing<'a>(&'a [MissingReplica]);

impl core::fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (i, missing) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            let replica = &missing.replica;
            write!(
                f,
                "{separator}disk {} at {} (zone {}): {}",
                replica.disk, replica.address, replica.zone, missing.why
            )?;
        }
        Ok(())
    }
}

impl RecoveryError {
    /// Whether trying again, unchanged, may succeed.
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Superseded { .. } | Self::Register { .. } | Self::Placement { .. } | Self::Replicas { .. })
    }

    /// Whether a change of this recovery to the register may have taken place, or may yet.
    pub fn may_have_happened(&self) -> bool {
        match self {
            // A record that cannot be used, or read, may be what became of an ambiguous change.
            Self::RecordUnusable { .. }
            | Self::Superseded { .. }
            | Self::RegisterBehind { .. }
            | Self::Broken { .. }
            | Self::Placement { .. }
            | Self::Replicas { .. } => true,
            Self::Register { may_have_happened, .. } => *may_have_happened,
            _ => false,
        }
    }
}
