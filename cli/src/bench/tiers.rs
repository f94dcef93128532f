//! `quarry bench tiers`: storage nodes, emulated object stores and any other store in one table.

use super::start_cluster;
use crate::args::BenchTiersArgs;
use crate::exit::Failure;
use crate::table::table;
use crate::{doctor, progress, store, units};
use quarry_bench::measured::MeasuredSummary;
use quarry_bench::ratios::Spread;
use quarry_bench::tiers::{Emulated, RawPuts, Target, TierReport, TierRound, TiersReport, measure};
use quarry_client::bucket::BucketPlace;
use quarry_client::store_url::{StorePlace, StoreUrl};
use quarry_client::{ChunkStore, connect};
use quarry_protocol::quorum::Quorum;
use std::sync::Arc;
use std::time::Duration;

/// What acknowledgements promise.
const OF_NODES: &str = "written with O_DIRECT|O_DSYNC by the ack quorum";
const EMULATED: &str = "none: in the memory of this process";
const OF_BUCKETS: &str = "the store's own, by the ack quorum";

pub(super) async fn run(args: &BenchTiersArgs) -> Result<TiersReport, Failure> {
    let mut emulated = Vec::new();
    if !args.no_emulated {
        emulated.push(Emulated::s3_express(args.seed).await.map_err(Failure::new)?);
        emulated.push(Emulated::s3_standard(args.seed).await.map_err(Failure::new)?);
        emulated.push(Emulated::immediate(args.seed).await.map_err(Failure::new)?);
    }
    let own = if args.no_nodes { None } else { Some(start_cluster(args.dir.join("tiers"), args.spin_us, 3).await?) };
    let mut stores: Vec<Arc<dyn ChunkStore>> = Vec::new();
    let mut others = Vec::new();
    if let Some(cluster) = &own {
        stores.push(connect(&cluster.url()).await?);
    }
    for url in &args.target {
        store::check_register(url).map_err(Failure::new)?;
        others.push((url, connect(url).await?));
    }
    let size = |store: &dyn ChunkStore| {
        args.chunk.map_or(store.capabilities().chunk_bytes_preferred as usize, |chunk| chunk.0 as usize)
    };
    let mut targets = Vec::new();
    for nodes in &stores {
        let (name, chunk_bytes) = ("storage nodes, 3 of this binary".to_owned(), size(nodes.as_ref()));
        let (store, durability) = (nodes.as_ref(), OF_NODES);
        targets.push(Target { name, emulated: false, durability, store, chunk_bytes, raw: None });
    }
    for emulated in &emulated {
        let raw = RawPuts::new(emulated.buckets.clone(), emulated.defaults.ack_quorum, "bench");
        let (store, chunk_bytes): (&dyn ChunkStore, _) = (&emulated.store, size(&emulated.store));
        let name = format!("{} on a local server", emulated.shape.name);
        targets.push(Target { name, emulated: true, durability: EMULATED, store, chunk_bytes, raw: Some(raw) });
    }
    for (url, store) in &others {
        let raw = raw_puts(url)?;
        let durability = if raw.is_some() { OF_BUCKETS } else { OF_NODES };
        let (name, chunk_bytes) = (without_parameters(url), size(store.as_ref()));
        targets.push(Target { name, emulated: false, durability, store: store.as_ref(), chunk_bytes, raw });
    }
    let bar = progress::of_steps(u64::from(args.rounds), "rounds");
    let part = Duration::from_secs_f64(args.part_seconds);
    let measured = measure(targets, args.depth as usize, args.rounds as usize, part, |number| {
        bar.set_position(number as u64);
    });
    let measured = measured.await;
    bar.finish_and_clear();
    if let Some(cluster) = own {
        cluster.stop().await?;
    }
    Ok(TiersReport {
        workload: "tiers",
        depth: args.depth as usize,
        part_seconds: args.part_seconds,
        environment: doctor::environment(&args.dir),
        targets: measured.map_err(Failure::new)?,
    })
}

/// Plain puts to the buckets of a store, if it is made of buckets.
fn raw_puts(url: &str) -> Result<Option<RawPuts>, Failure> {
    let parsed = StoreUrl::parse(url).map_err(Failure::usage)?;
    let StorePlace::Buckets { places, .. } = parsed.place else { return Ok(None) };
    let quorum: Quorum = parsed.quorum;
    let opened: Result<Vec<_>, _> = places.iter().map(BucketPlace::open).collect();
    let prefix = format!("{}-{}", std::process::id(), places[0].bucket);
    Ok(Some(RawPuts::new(opened.map_err(Failure::new)?, quorum.ack(), &prefix)))
}

fn without_parameters(url: &str) -> String {
    url.split('?').next().unwrap_or(url).to_owned()
}

/// The report as people read it.
pub(super) fn text(report: &TiersReport) -> String {
    let rows: Vec<_> = report.targets.iter().map(row).collect();
    let rounds = report.targets.first().map_or(0, |target| target.rounds.len());
    format!(
        "depth {}, chunks as each store prefers unless asked otherwise, medians of {rounds} rounds, side by side\n\n{}\n\nADDED and OF PLAIN \
         compare appends with plain puts of the same size to the same buckets, round by round, where the k-th answer counts (least to \
         most in brackets).\nWhat is emulated says nothing about the stores themselves.",
        report.depth,
        table(["STORE", "QUORUM", "CHUNK", "P50", "P99", "PAYLOAD", "ADDED AT P50", "OF PLAIN BANDWIDTH"], rows),
    )
}

fn row(target: &TierReport) -> [String; 8] {
    let median = |figure: fn(&MeasuredSummary) -> f64| {
        Spread::of(target.rounds.iter().map(|round: &TierRound| figure(&round.append)).collect()).median
    };
    let (p50, p99) = (median(|part| part.latency.p50_us), median(|part| part.latency.p99_us));
    let added = target.added_p50_us.map_or_else(String::new, |added| {
        let [median, least, most] = [added.median, added.min, added.max].map(|us| us / 1000.0);
        format!("{median:.2} ms ({least:.2} to {most:.2})")
    });
    let ratio = target
        .bandwidth_ratio
        .map_or_else(String::new, |ratio| format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.min, ratio.max));
    [
        target.name.clone(),
        format!("{} of {}", target.ack_quorum, target.replicas),
        units::bytes(target.chunk_bytes as u64),
        units::latency(p50),
        units::latency(p99),
        format!("{:.0} MiB/s", median(|part| part.mib_per_second)),
        added,
        ratio,
    ]
}
