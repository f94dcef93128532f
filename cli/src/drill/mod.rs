//! `quarry drill`: a cluster that is treated badly, and a verdict.

mod text;

use crate::args::DrillArgs;
use crate::dev::StopSignals;
use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use quarry_bench::device::probe_direct_writes;
use quarry_bench::drill::{self, DrillPlan, DrillReport, ZONES_MIN};
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of disk that a node of a drill may take, with its log.
const NODE_BYTES: u64 = 192 << 20;

pub(crate) async fn run(args: DrillArgs, output: Output) -> Result<Health, Failure> {
    let plan = plan(&args)?;
    prepare(&args.dir, plan.nodes)?;
    let mut stop = StopSignals::new()?;
    say(&format!("seed {}: the same faults come again with --seed {}", plan.seed, plan.seed));
    let report = tokio::select! {
        () = stop.recv() => return Err(Failure::new("interrupted")),
        report = drill::run(&plan, &say) => report?,
    };
    output.print(&report, text::of);
    if !report.violations.is_empty() {
        return Err(Failure::new(failure(&report, &plan.dir)));
    }
    // What went wrong stays to be looked at; what did not is in the way of the next drill.
    let _ = std::fs::remove_dir_all(&plan.dir);
    Ok(Health::Good)
}

fn plan(args: &DrillArgs) -> Result<DrillPlan, Failure> {
    let (nodes, zones) = (usize::from(args.nodes), usize::from(args.zones));
    if zones > nodes {
        return Err(Failure::usage(format!(
            "{nodes} nodes cannot stand in {zones} zones: give at least as many --nodes as --zones, of which {ZONES_MIN} are enough"
        )));
    }
    let seed = match args.seed {
        Some(seed) => seed,
        None => u64::from(getrandom::u32().map_err(|why| Failure::new(format!("no random seed: {why}: give --seed")))?),
    };
    Ok(DrillPlan {
        binary: env::current_exe().map_err(|why| Failure::new(format!("where is this program? {why}")))?,
        dir: cluster_in(&args.dir),
        time: Duration::from_secs(u64::from(args.seconds)),
        seed,
        nodes,
        zones,
        plant_wrong_record: args.plant_wrong_record,
    })
}

fn cluster_in(dir: &Path) -> PathBuf {
    dir.join("cluster")
}

/// Makes the directory, and removes what an earlier drill left in it.
fn prepare(dir: &Path, nodes: usize) -> Result<(), Failure> {
    let failed = |why| Failure::new(format!("--dir {}: {why}: choose another", dir.display()));
    std::fs::create_dir_all(dir).map_err(failed)?;
    if cluster_in(dir).exists() {
        std::fs::remove_dir_all(cluster_in(dir)).map_err(failed)?;
    }
    let shown = dir.display();
    probe_direct_writes(dir).map_err(|why| {
        Failure::new(format!(
            "{shown} takes no direct writes: {why}: give --dir on a disk, see `quarry doctor --data {shown}`"
        ))
    })?;
    let space = rustix::fs::statvfs(dir).map_err(|why| Failure::new(format!("{shown}: {why}")))?;
    let (free, needed) = (space.f_bavail.saturating_mul(space.f_frsize), nodes as u64 * NODE_BYTES);
    if free < needed {
        return Err(Failure::new(format!(
            "{shown} has {free} bytes free, the drill may need {needed}: give --dir elsewhere"
        )));
    }
    Ok(())
}

fn failure(report: &DrillReport, dir: &Path) -> String {
    format!(
        "DRILL FAILED, seed {}: {}\nthe nodes' files, what they said and the register are in {}: keep them, and look there",
        report.seed,
        report.violations.join("\n  "),
        dir.display()
    )
}
