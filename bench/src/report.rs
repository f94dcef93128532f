//! The report of `quarry bench append`: every figure with everything needed to judge it.

use crate::environment::Environment;
use crate::ratios::{Ratios, Round};
use serde::Serialize;

/// What was measured, on what, and what came out.
#[derive(Clone, Debug, Serialize)]
pub struct AppendReport {
    /// Always `append`.
    pub workload: &'static str,
    /// Medians over the rounds.
    pub ratios: Ratios,
    /// What was asked for.
    pub setup: Setup,
    /// The machine, the file system and the build.
    pub environment: Environment,
    /// Every round that counts.
    pub rounds: Vec<Round>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Setup {
    /// Payload of a chunk, in bytes.
    pub chunk_bytes: u32,
    /// `closed` or `open`.
    pub loop_kind: &'static str,
    /// Appends in flight (closed loop).
    pub depth: Option<usize>,
    /// Appends due per second (open loop); latency counts from when each was due.
    pub appends_per_second: Option<f64>,
    /// Replicas of each chunk, all on this machine's one device.
    pub replicas: usize,
    /// Replicas that must have stored a chunk before it is acknowledged.
    pub ack_quorum: usize,
    /// What an acknowledgement promises, and what the raw device's writes do.
    pub durability: &'static str,
    /// Bytes of each write to the raw device.
    pub device_write_bytes: u32,
    /// Writes to the raw device in flight.
    pub device_writes_in_flight: usize,
    /// Bytes of the raw device's pre-written file.
    pub device_file_bytes: u64,
    /// Payload bytes appended and trimmed before the first round.
    pub warm_up_bytes: u64,
    /// What the loopback round trip is.
    pub loopback: &'static str,
    /// Rounds that count; one more before them does not.
    pub rounds: usize,
    /// Each part of a round begins operations for so long.
    pub part_seconds: f64,
    /// The nodes: who started them, and how.
    pub cluster: String,
    /// The whole command line.
    pub command: Vec<String>,
}

/// What [`Setup::durability`] says.
pub const DURABILITY: &str = "appends are acknowledged once written with O_DIRECT|O_DSYNC by the ack quorum; the raw \
                              device writes with O_DIRECT|O_DSYNC over a pre-written file";
/// What [`Setup::loopback`] says.
pub const LOOPBACK: &str =
    "chunk-sized message to a second thread over TCP on 127.0.0.1, 64 bytes back, blocking sockets, one at a time";
