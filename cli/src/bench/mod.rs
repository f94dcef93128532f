//! `quarry bench`.

mod cmp;
mod cost;
mod outputs;
mod phases;
mod pipe;
mod repairing;
mod result_text;
mod run;
mod run_args;
pub(crate) mod text;
mod tiers;

pub(crate) use run_args::BenchRunArgs;

use crate::args::{BenchAppendArgs, BenchCommand, PhaseArg};
use crate::dev::StopSignals;
use crate::doctor;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::progress;
use crate::store;
use quarry_bench::append::Load;
use quarry_bench::local_cluster::{LocalCluster, LocalClusterPlan, LocalNode};
use quarry_bench::measurement::{Measurement, MeasurementError};
use quarry_bench::phases::{BesideReport, KillReport};
use quarry_bench::report::AppendReport;
use quarry_bench::size::Size;
use quarry_client::connect;
use quarry_protocol::quorum::{Quorum, QuorumError};
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Capacity of a node that is started here.
const CAPACITY: Size = Size(2 << 30);
/// Chunk file of a node that is started here.
const FILE_SIZE: Size = Size(128 << 20);

pub(crate) async fn run(command: BenchCommand, store: Option<String>, output: Output) -> Result<Health, Failure> {
    let mut stop = StopSignals::new()?;
    let args = match command {
        BenchCommand::Append(args) => args,
        BenchCommand::Run(args) => {
            return tokio::select! {
                () = stop.recv() => Err(Failure::new("interrupted")),
                health = run::run(&args, store, output) => health,
            };
        }
        BenchCommand::PipeReceiver(args) => return pipe::receive(&args),
        BenchCommand::Report(args) => return outputs::again(&args, output),
        BenchCommand::Cmp(args) => return cmp::run(&args, output),
        BenchCommand::Cost(args) => return cost::run(&args, output),
        BenchCommand::Tiers(args) => {
            make_directory(&args.dir)?;
            let report = tokio::select! {
                () = stop.recv() => return Err(Failure::new("interrupted")),
                report = tiers::run(&args) => report?,
            };
            output.print(&report, tiers::text);
            return Ok(Health::Good);
        }
    };
    make_directory(&args.dir)?;
    let measured = async {
        match (args.phase, store) {
            (Some(_), Some(_)) => Err(Failure::usage("--phase hurts nodes, so it starts its own: leave --store away")),
            (Some(PhaseArg::Paused), None) => phases::paused(&args).await.map(Report::Beside),
            (Some(PhaseArg::Repair), None) => repairing::measure(&args).await.map(Report::Beside),
            (Some(PhaseArg::Killed), None) => phases::killed(&args).await.map(Report::Kills),
            (None, Some(url)) => {
                store::check_register(&url).map_err(Failure::new)?;
                append(&args, &url, ("given with --store".to_owned(), Vec::new()), 0).await.map(Report::Append)
            }
            (None, None) => append_to_own_cluster(&args).await.map(Report::Append),
        }
    };
    let report = tokio::select! {
        () = stop.recv() => return Err(Failure::new("interrupted")),
        report = measured => report?,
    };
    match report {
        Report::Append(report) => output.print(&report, text::report),
        Report::Beside(report) => output.print(&report, text::beside),
        Report::Kills(report) => output.print(&report, text::kills),
    };
    Ok(Health::Good)
}

fn make_directory(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|why| Failure::new(format!("--dir {}: {why}: choose another", dir.display())))
}

/// What a run ends with.
enum Report {
    Append(AppendReport),
    Beside(BesideReport),
    Kills(KillReport),
}

/// Starts as many nodes as there are replicas, measures, stops them and removes their files.
async fn append_to_own_cluster(args: &BenchAppendArgs) -> Result<AppendReport, Failure> {
    let nodes = usize::from(args.replicas);
    let (cluster, dir) = own_cluster(args, "cluster", nodes).await?;
    let processes = cluster.nodes().iter().filter_map(LocalNode::process_id).collect();
    let described = (describe(args, nodes), processes);
    let report = append(args, &cluster.url(), described, CAPACITY.0).await;
    cluster.stop().await?;
    // Only what this run made; a failure leaves files behind, not wrong figures.
    let _ = std::fs::remove_dir_all(&dir);
    report
}

/// A cluster of this binary's nodes, and where its files lie.
async fn own_cluster(args: &BenchAppendArgs, name: &str, nodes: usize) -> Result<(LocalCluster, PathBuf), Failure> {
    start_cluster(args.dir.join(format!("{name}-{}", std::process::id())), args.spin_us, nodes).await
}

/// As [`own_cluster`], for `quarry bench tiers`.
async fn own_nodes(dir: &Path, spin_us: u64, nodes: usize) -> Result<(LocalCluster, PathBuf), Failure> {
    start_cluster(dir.join(format!("tiers-{}", std::process::id())), spin_us, nodes).await
}

async fn start_cluster(dir: PathBuf, spin_us: u64, nodes: usize) -> Result<(LocalCluster, PathBuf), Failure> {
    let binary = this_program()?;
    let strings = |strings: &[&str]| strings.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let plan = LocalClusterPlan {
        binary,
        dir: dir.clone(),
        nodes,
        zones: nodes,
        advertised: Vec::new(),
        cluster: "bench".to_owned(),
        format_arguments: strings(&["--capacity", &CAPACITY.to_string(), "--file-size", &FILE_SIZE.to_string()]),
        start_arguments: strings(&["--spin-us", &spin_us.to_string()]),
        gossip: false,
    };
    let starting = progress::of_steps(1, "starting nodes");
    let cluster = LocalCluster::start(plan).await?;
    starting.finish_and_clear();
    Ok((cluster, dir))
}

fn this_program() -> Result<PathBuf, Failure> {
    env::current_exe().map_err(|why| Failure::new(format!("where is this program? {why}")))
}

fn describe(args: &BenchAppendArgs, nodes: usize) -> String {
    format!("{nodes} processes of this binary, one shard each, spin {} us", args.spin_us)
}

fn load(args: &BenchAppendArgs) -> Load {
    args.rate.map_or(Load::Closed { depth: args.depth as usize }, |per_second| Load::Open { per_second })
}

async fn append(
    args: &BenchAppendArgs,
    url: &str,
    (cluster, nodes): (String, Vec<u32>),
    warm_up: u64,
) -> Result<AppendReport, Failure> {
    let store = connect(url).await?;
    let measurement = Measurement {
        chunk_bytes: u32::try_from(args.chunk.0).map_err(Failure::usage)?,
        load: load(args),
        quorum: quorum(args).map_err(Failure::usage)?,
        rounds: args.rounds as usize,
        part: Duration::from_secs_f64(args.part_seconds),
        dir: args.dir.clone(),
        device_file_bytes: args.device_file.0,
        warm_up_bytes: args.warm_up.map_or(warm_up, |size| size.0),
        cluster,
        command: env::args().collect(),
        pipe: if args.no_pipe { None } else { Some(this_program()?) },
        nodes,
    };
    let bar = progress::of_steps(u64::from(args.rounds), "rounds");
    let report = measurement.run(&*store, |number, _| bar.set_position(number as u64)).await;
    bar.finish_and_clear();
    let report = report.map_err(|why| Failure::of(matches!(why, MeasurementError::ChunkSize(_)), why))?;
    Ok(AppendReport { environment: doctor::environment(&args.dir), ..report })
}

fn quorum(args: &BenchAppendArgs) -> Result<Quorum, QuorumError> {
    let replicas = usize::from(args.replicas);
    args.ack.map_or_else(|| Quorum::majority(replicas), |ack| Quorum::new(replicas, usize::from(ack)))
}
