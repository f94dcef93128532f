//! `quarry bench append --phase`: appends while something is wrong.

use super::{describe, load, own_cluster, quorum};
use crate::args::BenchAppendArgs;
use crate::exit::Failure;
use crate::{doctor, progress};
use quarry_bench::append::{Appends, Load};
use quarry_bench::local_cluster::LocalCluster;
use quarry_bench::phases::{
    Beside, BesideReport, KillReport, Killable, Kills, Phase, PhaseError, PhaseSetup, Side, ratios,
};
use quarry_bench::ratios::Spread;
use quarry_bench::report::DURABILITY;
use quarry_client::{ChunkStore, CreateMode, OpenOptions, Opened, connect};
use quarry_protocol::chunk::check_length;
use quarry_protocol::limits::{WINDOW_BYTES_MAX, WINDOW_CHUNKS_MAX};
use std::sync::Arc;
use std::time::Duration;

/// The log that is written.
pub(super) const LOG: &str = "bench-phase";

/// One replica of three is paused for the whole run, in a cluster beside a healthy one.
pub(super) async fn paused(args: &BenchAppendArgs) -> Result<BesideReport, Failure> {
    let nodes = usize::from(args.replicas);
    let (healthy, healthy_dir) = own_cluster(args, "healthy", nodes).await?;
    let (mut hurt, hurt_dir) = own_cluster(args, "paused", nodes).await?;
    let measured = async {
        let (store, opened) = open(args, &healthy).await?;
        let (hurt_store, hurt_opened) = open(args, &hurt).await?;
        hurt.pause(nodes - 1)?;
        let beside = Beside {
            healthy: Side { store: &*store, name: LOG, writer: &opened.writer },
            hurt: Side { store: &*hurt_store, name: LOG, writer: &hurt_opened.writer },
            appends: Appends::new(args.chunk.0 as usize),
            load: load(args),
            part: Duration::from_secs_f64(args.part_seconds),
            disturb: None,
        };
        let bar = progress::of_steps(u64::from(args.rounds), "rounds");
        let rounds = beside.measure(args.rounds as usize, |number, _| bar.set_position(number as u64)).await;
        bar.finish_and_clear();
        rounds.map_err(|why| Failure::of(matches!(why, PhaseError::ChunkSize(_)), why))
    };
    let rounds = measured.await;
    // Only a process that runs hears that it is to stop.
    let _ = hurt.resume(nodes - 1);
    healthy.stop().await?;
    hurt.stop().await?;
    let rounds = rounds?;
    let _ = (std::fs::remove_dir_all(&healthy_dir), std::fs::remove_dir_all(&hurt_dir));
    Ok(BesideReport {
        workload: "append",
        phase: Phase::Paused,
        p50: ratios(&rounds, |part| part.latency.p50_us),
        p99: ratios(&rounds, |part| part.latency.p99_us),
        setup: setup(args, load(args), &format!("two clusters, each of {}", describe(args, nodes)))?,
        environment: doctor::environment(&args.dir),
        rounds,
        done_meanwhile: None,
    })
}

/// A node of four is killed in each round; three hold the log.
pub(super) async fn killed(args: &BenchAppendArgs) -> Result<KillReport, Failure> {
    let (depth, nodes) = (args.depth as usize, usize::from(args.replicas) + 1);
    if args.rate.is_some() {
        return Err(Failure::usage(
            "--phase killed looks at the time between acknowledgements: give it --depth, not --rate",
        ));
    }
    let (cluster, dir) = own_cluster(args, "killed", nodes).await?;
    let mut nodes_of = Nodes { cluster, killed: None };
    let store = connect(&nodes_of.cluster.url()).await?;
    let kills = Kills {
        store: &*store,
        name: LOG,
        options: options(args, CreateMode::IfMissing)?,
        appends: Appends::new(args.chunk.0 as usize),
        depth,
        part: Duration::from_secs_f64(args.part_seconds),
    };
    let bar = progress::of_steps(u64::from(args.rounds), "rounds");
    let rounds = kills.measure(&mut nodes_of, args.rounds as usize, |number, _| bar.set_position(number as u64)).await;
    bar.finish_and_clear();
    nodes_of.cluster.stop().await?;
    let rounds = rounds.map_err(|why| Failure::of(false, why))?;
    let _ = std::fs::remove_dir_all(&dir);
    let spread = |figure: fn(&quarry_bench::phases::KillRound) -> f64| Spread::of(rounds.iter().map(figure).collect());
    Ok(KillReport {
        workload: "append",
        phase: Phase::Killed,
        stall_us: spread(|round| round.stall_us),
        healthy_us: spread(|round| round.healthy_us),
        replaced_us: spread(|round| round.replaced_us),
        setup: setup(args, Load::Closed { depth }, &describe(args, nodes))?,
        environment: doctor::environment(&args.dir),
        rounds,
    })
}

pub(super) fn setup(args: &BenchAppendArgs, load: Load, cluster: &str) -> Result<PhaseSetup, Failure> {
    let (loop_kind, depth, appends_per_second) = PhaseSetup::of_load(load);
    let quorum = quorum(args).map_err(Failure::usage)?;
    Ok(PhaseSetup {
        chunk_bytes: u32::try_from(args.chunk.0).map_err(Failure::usage)?,
        loop_kind,
        depth,
        appends_per_second,
        replicas: quorum.replicas(),
        ack_quorum: quorum.ack(),
        durability: DURABILITY,
        replica_patience_us: args.replica_patience_ms * 1000,
        rounds: args.rounds as usize,
        part_seconds: args.part_seconds,
        cluster: cluster.to_owned(),
        command: std::env::args().collect(),
    })
}

pub(super) fn options(args: &BenchAppendArgs, create: CreateMode) -> Result<OpenOptions, Failure> {
    check_length(args.chunk.0).map_err(Failure::usage)?;
    let quorum = quorum(args).map_err(Failure::usage)?;
    let mut options = OpenOptions {
        create,
        replicas: Some(quorum.replicas()),
        ack_quorum: Some(quorum.ack()),
        window_chunks: Some(WINDOW_CHUNKS_MAX),
        window_bytes: Some(WINDOW_BYTES_MAX),
        ..OpenOptions::default()
    };
    options.rotation.replica_patience = Duration::from_millis(args.replica_patience_ms);
    Ok(options)
}

async fn open(args: &BenchAppendArgs, cluster: &LocalCluster) -> Result<(Arc<dyn ChunkStore>, Opened), Failure> {
    let store = connect(&cluster.url()).await?;
    let opened = store.open(LOG, options(args, CreateMode::MustBeNew)?).await?;
    Ok((store, opened))
}

/// A cluster of which one node at a time is dead.
struct Nodes {
    cluster: LocalCluster,
    killed: Option<usize>,
}

impl Killable for Nodes {
    async fn kill(&mut self, address: &str) -> Result<(), String> {
        let index = self.cluster.nodes().iter().position(|node| node.address() == address);
        let index = index.ok_or_else(|| format!("no node of this cluster has the address {address}"))?;
        self.killed = Some(index);
        self.cluster.kill(index).await.map(drop).map_err(|why| why.to_string())
    }

    async fn restart(&mut self) -> Result<(), String> {
        let Some(index) = self.killed.take() else { return Ok(()) };
        self.cluster.restart(index).await.map_err(|why| why.to_string())
    }
}
