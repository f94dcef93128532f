//! `quarry bench append --phase repair`: appends while a copy of older data is made anew.

use super::phases::{LOG, options, setup};
use super::{CAPACITY, describe, load, own_cluster};
use crate::args::BenchAppendArgs;
use crate::exit::Failure;
use crate::{doctor, progress, units};
use quarry_bench::append::Appends;
use quarry_bench::local_cluster::LocalCluster;
use quarry_bench::phases::{Beside, BesideReport, BesideRound, Phase, PhaseError, Side, ratios};
use quarry_client::{ChunkStore, CreateMode, QuorumStore, RepairOptions, connect_to_quorum};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// The log whose copies are lost.
const OLDER: &str = "bench-older";
/// Bytes of its chunks.
const OLDER_CHUNK_BYTES: usize = 1 << 20;
/// How many of them are in flight.
const OLDER_DEPTH: usize = 8;

/// What the repair has done so far.
#[derive(Debug, Default)]
struct Done {
    bytes: AtomicU64,
    over: AtomicBool,
}

/// Two clusters with a zone more than there are replicas. In one of them a disk was lost that held older data. That is repaired
/// while the appends of this one are measured, and not while those of the other one are: both share this machine.
pub(super) async fn measure(args: &BenchAppendArgs) -> Result<BesideReport, Failure> {
    let nodes = usize::from(args.replicas) + 1;
    if args.older.0 > CAPACITY.0 / 2 {
        return Err(Failure::usage(format!("--older {}: the most is half of a node's {CAPACITY}", args.older)));
    }
    let (healthy, healthy_dir) = own_cluster(args, "healthy", nodes).await?;
    let (mut hurt, hurt_dir) = own_cluster(args, "repair", nodes).await?;
    let measured = side_by_side(args, &healthy, &mut hurt).await;
    healthy.stop().await?;
    hurt.stop().await?;
    let (rounds, copied) = measured?;
    let _ = (std::fs::remove_dir_all(&healthy_dir), std::fs::remove_dir_all(&hurt_dir));
    Ok(BesideReport {
        workload: "append",
        phase: Phase::Repair,
        p50: ratios(&rounds, |part| part.latency.p50_us),
        p99: ratios(&rounds, |part| part.latency.p99_us),
        setup: setup(args, load(args), &format!("two clusters, each of {}", describe(args, nodes)))?,
        environment: doctor::environment(&args.dir),
        rounds,
        done_meanwhile: Some(format!(
            "{} of {} of older data were copied to another holder, in every part that counts",
            units::bytes(copied),
            units::bytes(args.older.0)
        )),
    })
}

async fn side_by_side(
    args: &BenchAppendArgs,
    healthy: &LocalCluster,
    hurt: &mut LocalCluster,
) -> Result<(Vec<BesideRound>, u64), Failure> {
    let healthy_store = connect_to_quorum(&healthy.url()).await?;
    let store = connect_to_quorum(&hurt.url()).await?;
    lose_a_copy(args, hurt, &store).await?;
    let opened = healthy_store.open(LOG, options(args, CreateMode::MustBeNew)?).await?;
    let hurt_opened = store.open(LOG, options(args, CreateMode::MustBeNew)?).await?;
    let (disturb, told) = watch::channel(false);
    let done = Arc::new(Done::default());
    let repairing = tokio::spawn(repair_when_told(store.clone(), told, Arc::clone(&done)));
    let beside = Beside {
        healthy: Side { store: &healthy_store, name: LOG, writer: &opened.writer },
        hurt: Side { store: &store, name: LOG, writer: &hurt_opened.writer },
        appends: Appends::new(args.chunk.0 as usize),
        load: load(args),
        part: Duration::from_secs_f64(args.part_seconds),
        disturb: Some(disturb),
    };
    let bar = progress::of_steps(u64::from(args.rounds), "rounds");
    let (mut before, mut idle) = (0, None);
    let rounds = beside.measure(args.rounds as usize, |number, _| {
        bar.set_position(number as u64);
        let bytes = done.bytes.load(Ordering::Relaxed);
        if bytes == before || done.over.load(Ordering::Relaxed) {
            idle.get_or_insert(number);
        }
        before = bytes;
    });
    let rounds = rounds.await;
    bar.finish_and_clear();
    repairing.abort();
    let rounds = rounds.map_err(|why| Failure::of(matches!(why, PhaseError::ChunkSize(_)), why))?;
    match idle {
        Some(round) => Err(Failure::new(format!(
            "round {round} was not measured during a repair ({} were copied by then): give it a larger --older, or fewer or \
             shorter rounds",
            units::bytes(before)
        ))),
        None => Ok((rounds, before)),
    }
}

/// Writes and seals the older data, and replaces the disk of one of its holders.
async fn lose_a_copy(args: &BenchAppendArgs, cluster: &mut LocalCluster, store: &QuorumStore) -> Result<(), Failure> {
    let mut wanted = options(args, CreateMode::IfMissing)?;
    wanted.repair = false;
    let writer = store.open(OLDER, wanted.clone()).await?.writer;
    let appends = Appends::new(OLDER_CHUNK_BYTES);
    let bar = progress::of_steps(1, "writing older data");
    let mut in_flight = VecDeque::with_capacity(OLDER_DEPTH);
    for number in 0..args.older.0.div_ceil(OLDER_CHUNK_BYTES as u64) {
        if in_flight.len() == OLDER_DEPTH {
            settle(in_flight.pop_front()).await?;
        }
        in_flight.push_back(writer.append(appends.payload(number)).await?);
    }
    for pending in in_flight {
        settle(Some(pending)).await?;
    }
    let holder = writer.replicas().pop().ok_or_else(|| Failure::new("the older data has no holders"))?;
    drop(writer);
    // Whoever comes next seals it.
    drop(store.open(OLDER, wanted).await?);
    bar.finish_and_clear();
    let lost = cluster.nodes().iter().position(|node| node.address() == holder.address);
    let lost = lost.ok_or_else(|| Failure::new(format!("no node of this cluster is at {}", holder.address)))?;
    cluster.kill(lost).await?;
    cluster.wipe(lost).await?;
    cluster.restart(lost).await?;
    Ok(())
}

async fn settle(pending: Option<quarry_client::PendingAppend>) -> Result<(), Failure> {
    if let Some(pending) = pending {
        pending.await?;
    }
    Ok(())
}

/// Repairs at the default budget while it is told to; each time it goes on from what is there.
async fn repair_when_told(store: QuorumStore, mut told: watch::Receiver<bool>, done: Arc<Done>) {
    while told.wait_for(|goes_on| *goes_on).await.is_ok() {
        let before = done.bytes.load(Ordering::Relaxed);
        let mut note = |progress: quarry_protocol::repair::RepairProgress| {
            done.bytes.store(before + progress.bytes, Ordering::Relaxed);
        };
        let options = RepairOptions::default();
        tokio::select! {
            _ = store.repair(OLDER, &options, &mut note) => {
                done.over.store(true, Ordering::Relaxed);
                return;
            }
            _ = told.wait_for(|goes_on| !*goes_on) => {}
        }
    }
}
