//! What `quarry bench` is told.

use super::{BenchCmpArgs, BenchCostArgs, BenchReportArgs, positive};
use crate::bench::BenchRunArgs;
use clap::{Args, Subcommand};
use quarry_bench::size::Size;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Quorum appends beside the raw device and a loopback round trip, in alternating rounds
    Append(BenchAppendArgs),
    /// A suite of loads and phases on stores side by side, beside the raw device, with a verdict on what was acknowledged
    Run(Box<BenchRunArgs>),
    /// Appends to storage nodes, to object stores with published latencies (emulated) and to any other store, in one table
    Tiers(BenchTiersArgs),
    /// Make the reports of a result again: table, HTML page, percentile files
    Report(BenchReportArgs),
    /// What differs between runs and other runs beyond their spread; refused if they measure different things
    Cmp(BenchCmpArgs),
    /// What a GiB costs on each tier by chunk size, and where tiers break even
    Cost(BenchCostArgs),
    /// A process of the bare pipe, started by the others
    #[command(hide = true)]
    PipeReceiver(PipeReceiverArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BenchTiersArgs {
    /// A store to measure besides, as its URL; may be given again and again
    #[arg(long, value_name = "URL")]
    pub(crate) target: Vec<String>,
    /// Bytes of each chunk (default: what each store prefers)
    #[arg(long, value_name = "SIZE")]
    pub(crate) chunk: Option<Size>,
    /// Appends in flight
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) depth: u32,
    /// Rounds that count
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How long each turn of a store takes
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = positive)]
    pub(crate) part_seconds: f64,
    /// Where the storage nodes' files lie
    #[arg(long, default_value = "quarry-bench")]
    pub(crate) dir: PathBuf,
    /// Leave out the storage nodes
    #[arg(long)]
    pub(crate) no_nodes: bool,
    /// Leave out the emulated object stores
    #[arg(long)]
    pub(crate) no_emulated: bool,
    /// What the emulated latencies are sampled from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Passed on to `quarry start`
    #[arg(long, value_name = "US", default_value_t = 0)]
    pub(crate) spin_us: u64,
}

#[derive(Debug, Args)]
pub(crate) struct BenchAppendArgs {
    /// Bytes of each chunk
    #[arg(long, value_name = "SIZE", default_value = "64KiB")]
    pub(crate) chunk: Size,
    /// Appends in flight (closed loop)
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) depth: u32,
    /// Open loop instead: appends per second; latency counts from when each was due
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "depth", value_parser = positive)]
    pub(crate) rate: Option<f64>,
    /// Replicas of each chunk
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub(crate) replicas: u8,
    /// Replicas that must have stored a chunk before it is acknowledged (default: a majority)
    #[arg(long, value_name = "COUNT")]
    pub(crate) ack: Option<u8>,
    /// Rounds that count
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(7..))]
    pub(crate) rounds: u32,
    /// How long each of a round's three parts takes
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = positive)]
    pub(crate) part_seconds: f64,
    /// Where a cluster of its own and the raw device's file lie. With --store, the raw device's file only: then it must be
    /// on the nodes' file system
    #[arg(long, default_value = "quarry-bench")]
    pub(crate) dir: PathBuf,
    /// Bytes of the raw device's pre-written file
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub(crate) device_file: Size,
    /// Payload bytes appended and trimmed before the first round (default: 2GiB for a cluster of its own, which fills its
    /// files once; 0 with --store)
    #[arg(long, value_name = "SIZE")]
    pub(crate) warm_up: Option<Size>,
    /// Passed on to `quarry start` of a cluster of its own
    #[arg(long, value_name = "US", default_value_t = 0)]
    pub(crate) spin_us: u64,
    /// Leave out the bare pipe: processes that only receive, checksum and write durably
    #[arg(long)]
    pub(crate) no_pipe: bool,
}

/// What a process of the bare pipe is told.
#[derive(Debug, Args)]
pub(crate) struct PipeReceiverArgs {
    /// Its file
    #[arg(long)]
    pub(crate) file: PathBuf,
    /// Bytes of it
    #[arg(long)]
    pub(crate) file_bytes: u64,
    /// Bytes of each chunk
    #[arg(long)]
    pub(crate) chunk: usize,
    /// The process to end with
    #[arg(long)]
    pub(crate) stop_with_parent: u32,
}
