//! The command line.

mod bench;
mod bench_outputs;

pub(crate) use bench::{BenchAppendArgs, BenchCommand, BenchTiersArgs, PipeReceiverArgs};
pub(crate) use bench_outputs::{BenchCmpArgs, BenchCostArgs, BenchReportArgs};

use clap::{Args, Parser, Subcommand};
use quarry_bench::size::Size;
use std::path::PathBuf;

/// Quarry: a chunk store. Logs of chunks, replicated to a quorum of storage nodes.
#[derive(Debug, Parser)]
#[command(name = "quarry", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Print JSON on standard output instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The store
    #[arg(long, global = true, long_help = STORE_URL, env = "QUARRY_STORE", value_name = "URL")]
    pub(crate) store: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const STORE_URL: &str = "The store, such as\n\
  quarry://host:port,host:port,host:port/CLUSTER?register=dir:/path\n\
  memory://NAME";
const EXIT_CODES: &str =
    "Exit codes: 0 ok, 1 warning, 2 unhealthy or failed, 3 wrong usage, 4 acknowledged chunks lost (bench).";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a data directory for a new storage node
    Format(FormatArgs),
    /// Run a storage node on a formatted data directory
    Start(StartArgs),
    /// Check and describe the files of a stopped node, without changing anything
    Verify(VerifyArgs),
    /// Run a local cluster of node processes until Ctrl-C or SIGTERM
    Dev(DevArgs),
    /// What all nodes of a cluster share
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Append to, read and look after logs
    #[command(subcommand)]
    Log(LogCommand),
    /// Whether the store is healthy, and what it can still lose
    Status(StatusArgs),
    /// What would be lost if nodes went away: nothing, redundancy, availability or data
    CheckImpact(CheckImpactArgs),
    /// Look after storage nodes
    #[command(subcommand)]
    Node(NodeCommand),
    /// Make the copies of sealed segments whole again, and free those that no record needs
    Repair(RepairArgs),
    /// Whether this machine and disk are fit for a storage node
    Doctor(DoctorArgs),
    /// Measure against what this machine's device and network can do
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Show the main job on real files: append, kill a node, take over, read back, compare
    Demo(DemoArgs),
    /// Treat a cluster of its own badly while clients use it, and say whether anything was lost
    Drill(DrillArgs),
}

#[derive(Debug, Args)]
pub(crate) struct FormatArgs {
    /// The data directory; made if missing, must be empty
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The cluster that the node will belong to
    #[arg(long, value_name = "ID")]
    pub(crate) cluster: String,
    /// The failure domain that the node stands in: a segment has at most one replica in each
    #[arg(long)]
    pub(crate) zone: String,
    /// How many shards, each with a thread of its own; never changes later
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) shards: u16,
    /// How many bytes the chunk files of all shards may take (default: 90 % of what is free)
    #[arg(long, value_name = "SIZE")]
    pub(crate) capacity: Option<Size>,
    /// Bytes of each chunk file (default: 256MiB, or less for a small capacity)
    #[arg(long, value_name = "SIZE")]
    pub(crate) file_size: Option<Size>,
}

/// Every option may also stand in the file given with --config, or in the environment as `QUARRY_` and its name.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// A TOML file with any of the options below; flags and environment win over it
    #[arg(long, env = "QUARRY_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory, made by `quarry format`
    #[arg(long, env = "QUARRY_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// `host:port` of the first shard; shard n listens on port + n. Port 0 lets the system choose each
    #[arg(long, env = "QUARRY_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// `host` or `host:port` that clients are told, if not the address listened on
    #[arg(long, env = "QUARRY_ADVERTISE", value_name = "ADDR")]
    pub(crate) advertise: Option<String>,
    /// `host:port` of the control plane, Admin and health (gRPC) and /metrics (default: port of --listen + 64)
    #[arg(long, env = "QUARRY_CONTROL", value_name = "ADDR")]
    pub(crate) control: Option<String>,
    /// The cluster that the data directory must belong to (default: not checked)
    #[arg(long, env = "QUARRY_CLUSTER", value_name = "ID")]
    pub(crate) cluster: Option<String>,
    /// The rack that the node stands in: copies go to different racks where zones permit
    #[arg(long, env = "QUARRY_RACK", value_name = "ID")]
    pub(crate) rack: Option<String>,
    /// The cluster's key, made by `quarry cluster key`: turns gossip with other nodes on
    #[arg(long, env = "QUARRY_GOSSIP_KEY_FILE", value_name = "FILE")]
    pub(crate) gossip_key_file: Option<PathBuf>,
    /// `host:port` (UDP) to gossip at (default: the host of --control and its port + 1)
    #[arg(long, env = "QUARRY_GOSSIP_LISTEN", value_name = "ADDR")]
    pub(crate) gossip_listen: Option<String>,
    /// `host` or `host:port` that other nodes are told (default: the host of --advertise)
    #[arg(long, env = "QUARRY_GOSSIP_ADVERTISE", value_name = "ADDR")]
    pub(crate) gossip_advertise: Option<String>,
    /// `host:port` of other nodes' gossip, to begin with; separated by commas
    #[arg(long, env = "QUARRY_GOSSIP_SEEDS", value_name = "ADDR", value_delimiter = ',')]
    pub(crate) gossip_seeds: Vec<String>,
    /// Bind each shard's thread to a processor of its own: only where the node has the machine to itself
    #[arg(long, env = "QUARRY_PIN", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(crate) pin: Option<bool>,
    /// Microseconds that an idle shard spins before it sleeps: buys latency on dedicated processors, 0 where shared
    #[arg(long, env = "QUARRY_SPIN_US", value_name = "US")]
    pub(crate) spin_us: Option<u64>,
    /// Be killed when this process, which must be the parent, ends
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) stop_with_parent: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The data directory of a node that does not run
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// How many nodes, each in a zone of its own
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub(crate) nodes: u8,
    /// Where everything lies; kept, and used again by the next run
    #[arg(long, default_value = "quarry-dev")]
    pub(crate) dir: PathBuf,
    /// How many bytes each new node's chunk files may take
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    pub(crate) capacity: Size,
    /// Bytes of each chunk file of a new node
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(crate) file_size: Size,
    /// How many shards each new node has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) shards: u16,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Print a new key, which seals the gossip among nodes: `umask 077; quarry cluster key > FILE`
    Key,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Take the log over and append standard input to it, cut into chunks
    Append(AppendArgs),
    /// Write chunks' bytes to standard output; with --json, a line about each chunk instead
    Read(ReadArgs),
    /// Where the log begins and ends, without disturbing its writer
    Tail(LogName),
    /// Drop everything below a seq, for good
    Trim(TrimArgs),
    /// List logs
    Ls(LsArgs),
    /// Delete a log and everything in it, for good
    Rm(LogName),
    /// Segments, epochs, and which replica holds which seq
    Inspect(InspectArgs),
    /// Take the log over onto another tier: further chunks lie there, older ones stay where they are, or are copied
    Move(MoveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The log's name
    pub(crate) log: String,
    /// The tier, as the URL of a store, without a register: the log's record stays where it is. Writers that use the log next
    /// have to name this tier in their store's URL, or the log moves back
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// Copy what was appended before there, too. Can be stopped and run again: what is copied is kept
    #[arg(long)]
    pub(crate) copy: bool,
    /// MiB to copy in a second, at most
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) budget: u64,
}

#[derive(Debug, Args)]
pub(crate) struct LogName {
    /// The log's name
    pub(crate) log: String,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The log's name
    pub(crate) log: String,
    /// Say instead who holds each range, stored when and last verified when
    #[arg(long)]
    pub(crate) receipt: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AppendArgs {
    /// The log's name
    pub(crate) log: String,
    /// Bytes of each chunk, up to 4MiB; the last one may be shorter (default: what the store prefers)
    #[arg(long, value_name = "SIZE")]
    pub(crate) chunk_size: Option<Size>,
    /// Fail unless the log is there already
    #[arg(long)]
    pub(crate) must_exist: bool,
    /// Most chunks in flight
    #[arg(long, value_name = "CHUNKS")]
    pub(crate) window: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// The log's name
    pub(crate) log: String,
    /// First seq (default: where the log begins)
    #[arg(long, value_name = "SEQ")]
    pub(crate) from: Option<u64>,
    /// One past the last seq (default: the tail)
    #[arg(long, value_name = "SEQ")]
    pub(crate) to: Option<u64>,
    /// At the tail, wait for more
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrimArgs {
    /// The log's name
    pub(crate) log: String,
    /// The first seq to keep
    #[arg(long, value_name = "SEQ")]
    pub(crate) below: u64,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only logs whose names begin so
    #[arg(default_value = "")]
    pub(crate) prefix: String,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Also ask the replicas about every log, up to so many
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub(crate) logs_max: usize,
    /// `host:port` of a node's control plane, once for each node in the order of the URL (default: its port + 64). Nodes that those
    /// tell of are asked where they say
    #[arg(long, value_name = "ADDR")]
    pub(crate) control: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckImpactArgs {
    /// `host:port` of a node as records name it, or a zone
    #[arg(long, value_name = "NODE", required = true, num_args = 1..)]
    pub(crate) without: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Move everything off a node while it serves, and say when it may be removed
    Drain(DrainArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    /// `host:port` of the node's first shard, as clients know it
    pub(crate) node: String,
    /// MiB to copy in a second, at most
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) budget: u64,
    /// `host:port` of the node's control plane (default: as the nodes tell, or its port + 64)
    #[arg(long, value_name = "ADDR")]
    pub(crate) control: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// The logs to repair (default: all)
    pub(crate) logs: Vec<String>,
    /// Go on for ever: look again every minute
    #[arg(long)]
    pub(crate) watch: bool,
    /// MiB to copy in a second, at most
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) budget: u64,
    /// Seconds that a holder may not answer before another one is made in its place
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) patience: u64,
    /// Seconds that nothing of a copy which no record needs was stored before it is freed
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) grace: u64,
    /// Leave copies that no record needs where they are
    #[arg(long)]
    pub(crate) keep_orphans: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The directory that holds, or will hold, a node's data
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where everything lies; emptied first. Must be on a disk that takes direct writes
    #[arg(long, default_value = "target/demo")]
    pub(crate) dir: PathBuf,
    /// The file to store (default: one is made)
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Bytes of the file that is made
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) size: Size,
    /// Time for each part of the latency rounds
    #[arg(long, value_name = "SECONDS", default_value_t = 0.4, value_parser = positive)]
    pub(crate) part_seconds: f64,
}

#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// Where everything lies; emptied first. Must be on a disk that takes direct writes
    #[arg(long, default_value = "target/drill")]
    pub(crate) dir: PathBuf,
    /// How long faults go on, at least: each kind happens once
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: u32,
    /// Which faults hit which nodes when (default: a random one, which is said)
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many nodes
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(3..=8))]
    pub(crate) nodes: u8,
    /// In how many zones they stand
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=8))]
    pub(crate) zones: u8,
    /// Make the record that decides wrong at the end: the drill must fail
    #[arg(long, hide = true)]
    pub(crate) plant_wrong_record: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("must be a number above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn pin_is_a_flag_that_may_be_given_a_value() {
        let pin = |arguments: &[&str]| match Cli::try_parse_from(arguments).expect("parses").command {
            Command::Start(start) => start.pin,
            other => panic!("{other:?}"),
        };
        assert_eq!(pin(&["quarry", "start"]), None);
        assert_eq!(pin(&["quarry", "start", "--pin"]), Some(true));
        assert_eq!(pin(&["quarry", "start", "--pin=false"]), Some(false));
    }
}
