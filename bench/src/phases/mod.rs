//! Appends while something is wrong, beside appends while nothing is: in one run, in alternating rounds.

mod beside;
mod killed;

pub use beside::{Beside, BesideRound, Side, ratios};
pub use killed::{KillRound, Killable, Kills};

use crate::append::Load;
use crate::environment::Environment;
use crate::ratios::Spread;
use crate::rounds::RoundsError;
use quarry_client::{AppendError, DeleteError, OpenError};
use quarry_protocol::chunk::ChunkError;
use serde::Serialize;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// One replica is stopped with SIGSTOP for the whole run.
    Paused,
    /// A node that holds a replica is killed with SIGKILL, once a round.
    Killed,
    /// A copy of older data is rebuilt on another node, with the default budget.
    Repair,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum PhaseError {
    /// No chunk has this size.
    #[error(transparent)]
    ChunkSize(#[from] ChunkError),
    /// The log of the measurement.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The appends.
    #[error("appends: {0}")]
    Append(#[from] AppendError),
    /// The log of the measurement, at its end.
    #[error(transparent)]
    Delete(#[from] DeleteError),
    /// A round.
    #[error(transparent)]
    Rounds(#[from] RoundsError),
    /// What makes the phase.
    #[error("phase: {0}")]
    Phase(String),
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseSetup {
    /// Payload of a chunk, in bytes.
    pub chunk_bytes: u32,
    /// `closed` or `open`.
    pub loop_kind: &'static str,
    /// Appends in flight (closed loop).
    pub depth: Option<usize>,
    /// Appends due per second (open loop).
    pub appends_per_second: Option<f64>,
    /// Replicas of each chunk, all on this machine's one device.
    pub replicas: usize,
    /// Replicas that must have stored a chunk before it is acknowledged.
    pub ack_quorum: usize,
    /// What an acknowledgement promises.
    pub durability: &'static str,
    /// The failure detection time, in microseconds.
    pub replica_patience_us: u64,
    /// Rounds.
    pub rounds: usize,
    /// Appends of each part of a round begin for so long.
    pub part_seconds: f64,
    /// The nodes: who started them, and how.
    pub cluster: String,
    /// The whole command line.
    pub command: Vec<String>,
}

impl PhaseSetup {
    /// The kind of loop, the depth, the rate.
    #[must_use]
    pub const fn of_load(load: Load) -> (&'static str, Option<usize>, Option<f64>) {
        match load {
            Load::Closed { depth } => ("closed", Some(depth), None),
            Load::Open { per_second } => ("open", None, Some(per_second)),
        }
    }
}

/// The report of a phase that is measured beside healthy appends.
#[derive(Clone, Debug, Serialize)]
pub struct BesideReport {
    /// Always `append`.
    pub workload: &'static str,
    /// What was wrong.
    pub phase: Phase,
    /// `phase p50 / healthy p50`, over the rounds.
    pub p50: Spread,
    /// `phase p99 / healthy p99`, over the rounds.
    pub p99: Spread,
    /// What was asked for.
    pub setup: PhaseSetup,
    /// The machine, the file system and the build.
    pub environment: Environment,
    /// Every round.
    pub rounds: Vec<BesideRound>,
    /// What the phase did meanwhile, if it counts something.
    pub done_meanwhile: Option<String>,
}

/// The report of kills.
#[derive(Clone, Debug, Serialize)]
pub struct KillReport {
    /// Always `append`.
    pub workload: &'static str,
    /// Always [`Phase::Killed`].
    pub phase: Phase,
    /// The longest time between two acknowledgements after a kill, in microseconds, over the rounds.
    pub stall_us: Spread,
    /// The same before the kill.
    pub healthy_us: Spread,
    /// From the kill until a segment without the dead node took appends, in microseconds.
    pub replaced_us: Spread,
    /// What was asked for.
    pub setup: PhaseSetup,
    /// The machine, the file system and the build.
    pub environment: Environment,
    /// Every round.
    pub rounds: Vec<KillRound>,
}
