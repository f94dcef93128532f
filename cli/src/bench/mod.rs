//! `quarry bench`.

mod cmp;
mod cost;
mod outputs;
mod pipe;
mod result_text;
mod run;
mod run_args;
pub(crate) mod text;
mod tiers;

pub(crate) use run_args::BenchRunArgs;

use crate::args::{BenchAppendArgs, BenchCommand, BenchTiersArgs};
use crate::dev::StopSignals;
use crate::doctor;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::progress;
use crate::store;
use quarry_bench::append::Load;
use quarry_bench::local_cluster::{LocalCluster, LocalClusterPlan, LocalNode};
use quarry_bench::measurement::{Measurement, MeasurementError};
use quarry_bench::report::AppendReport;
use quarry_bench::scratch::Scratch;
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
            let scratch = scratch(&args.dir)?;
            let args = BenchTiersArgs { dir: scratch.path().to_path_buf(), ..args };
            let report = tokio::select! {
                () = stop.recv() => return Err(Failure::new("interrupted")),
                report = tiers::run(&args) => report?,
            };
            output.print(&report, tiers::text);
            return Ok(Health::Good);
        }
    };
    let scratch = scratch(&args.dir)?;
    let args = BenchAppendArgs { dir: scratch.path().to_path_buf(), ..args };
    let measured = async {
        let Some(url) = store else { return append_to_own_cluster(&args).await };
        store::check_register(&url).map_err(Failure::new)?;
        append(&args, &url, ("given with --store".to_owned(), Vec::new()), 0).await
    };
    let report = tokio::select! {
        () = stop.recv() => return Err(Failure::new("interrupted")),
        report = measured => report?,
    };
    output.print(&report, text::report);
    Ok(Health::Good)
}

/// A directory below `dir` that goes when the command ends, whatever ends it: dropped after everything that has files in it.
fn scratch(dir: &Path) -> Result<Scratch, Failure> {
    make_directory(dir)?;
    Scratch::make(dir).map_err(|why| Failure::new(format!("--dir {}: {why}: choose another", dir.display())))
}

fn make_directory(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|why| Failure::new(format!("--dir {}: {why}: choose another", dir.display())))
}

/// Starts as many nodes as there are replicas, measures, and stops them.
async fn append_to_own_cluster(args: &BenchAppendArgs) -> Result<AppendReport, Failure> {
    let nodes = usize::from(args.replicas);
    let cluster = start_cluster(args.dir.join("cluster"), args.spin_us, nodes).await?;
    let processes = cluster.nodes().iter().filter_map(LocalNode::process_id).collect();
    let described = (describe(args, nodes), processes);
    let report = append(args, &cluster.url(), described, CAPACITY.0).await;
    cluster.stop().await?;
    report
}

/// A cluster of this binary's nodes.
async fn start_cluster(dir: PathBuf, spin_us: u64, nodes: usize) -> Result<LocalCluster, Failure> {
    let binary = this_program()?;
    let strings = |strings: &[&str]| strings.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let plan = LocalClusterPlan {
        binary,
        dir,
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
    Ok(cluster)
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
