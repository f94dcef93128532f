//! The demo: the main job on a real file, with everything that must not go wrong going wrong on the way.
//!
//! ```text
//!  0 %                50 %            65 %           80 %                    100 %
//!  first writer ──────┬───────────────┬──────────────┬── "fenced"
//!                     SIGKILL node 2  start it again second writer ──────────┘ read back, compare SHA-256
//! ```

mod input;
mod report;
mod story;
mod takeover;
mod writing;

use crate::args::DemoArgs;
use crate::dev::StopSignals;
use crate::exit::{Failure, Health};
use crate::output::{self, Output};
use input::Input;
use quarry_bench::device::probe_direct_writes;
use quarry_bench::local_cluster::{LocalCluster, LocalClusterPlan};
use report::DemoReport;
use std::env;
use std::path::Path;

/// How many nodes.
const NODES: usize = 3;
/// Bytes of each chunk.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes of a node's chunk files beyond what the file needs: recycled by the latency rounds.
const SPARE_BYTES: u64 = 3 << 30;

pub(crate) async fn run(args: DemoArgs, output: Output) -> Result<Health, Failure> {
    let mut stop = StopSignals::new()?;
    let outcome = tokio::select! {
        () = stop.recv() => Err(Failure::new("interrupted")),
        outcome = demo(&args) => outcome,
    };
    match outcome {
        Ok(report) => {
            output.print(&report, report::text);
            // What was shown to be right is not needed any more; what went wrong stays to be looked at.
            let _ = std::fs::remove_dir_all(args.dir.join("cluster"));
            Ok(Health::Good)
        }
        Err(failure) => {
            if !output.json {
                output.line(&format!("\nDEMO FAILED: {}", failure.message()));
            }
            Err(failure)
        }
    }
}

async fn demo(args: &DemoArgs) -> Result<DemoReport, Failure> {
    prepare(&args.dir)?;
    let input = Input::prepare(args)?;
    room_for(&args.dir, &input)?;
    say(&format!("{}: {} bytes, SHA-256 {}", input.path.display(), input.bytes, input.sha256));
    let mut cluster = LocalCluster::start(plan(args, &input)?).await?;
    for node in cluster.nodes() {
        let pid = node.process_id().map_or_else(|| "gone".to_owned(), |pid| pid.to_string());
        say(&format!("node {} serves: pid {pid}, {}, {}", node.number(), node.zone(), node.address()));
    }
    let told = story::tell(args, &input, &mut cluster).await;
    // The nodes stop whatever happened; what happened comes first.
    let stopped = cluster.stop().await;
    let report = told?;
    stopped?;
    Ok(report)
}

fn plan(args: &DemoArgs, input: &Input) -> Result<LocalClusterPlan, Failure> {
    let binary = env::current_exe().map_err(|why| Failure::new(format!("where is this program? {why}")))?;
    let capacity = capacity(input).to_string();
    let format_arguments = ["--capacity", &capacity, "--file-size", "64MiB"].map(str::to_owned).to_vec();
    let (dir, cluster) = (args.dir.join("cluster"), "demo".to_owned());
    Ok(LocalClusterPlan {
        binary,
        dir,
        nodes: NODES,
        zones: NODES,
        advertised: Vec::new(),
        cluster,
        format_arguments,
        start_arguments: Vec::new(),
        gossip: false,
    })
}

const fn capacity(input: &Input) -> u64 {
    input.bytes + input.bytes / 2 + SPARE_BYTES
}

/// Makes the directory, and removes what an earlier demo left in it.
fn prepare(dir: &Path) -> Result<(), Failure> {
    let failed = |why| Failure::new(format!("--dir {}: {why}: choose another", dir.display()));
    std::fs::create_dir_all(dir).map_err(failed)?;
    let cluster = dir.join("cluster");
    if cluster.exists() {
        std::fs::remove_dir_all(&cluster).map_err(failed)?;
    }
    probe_direct_writes(dir).map_err(|why| {
        let dir = dir.display();
        Failure::new(format!(
            "{dir} takes no direct writes: {why}: give --dir on a disk, see `quarry doctor --data {dir}`"
        ))
    })
}

fn room_for(dir: &Path, input: &Input) -> Result<(), Failure> {
    let space = rustix::fs::statvfs(dir).map_err(|why| Failure::new(format!("{}: {why}", dir.display())))?;
    let (free, needed) = (space.f_bavail.saturating_mul(space.f_frsize), NODES as u64 * capacity(input));
    if free < needed {
        let dir = dir.display();
        return Err(Failure::new(format!(
            "{dir} has {free} bytes free, the demo may need {needed}: give --dir elsewhere"
        )));
    }
    Ok(())
}

/// A line of the story, as it happens.
fn say(line: &str) {
    output::say(&format!("demo: {line}"));
}
