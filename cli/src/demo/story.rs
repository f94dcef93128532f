//! What happens, in order, and every comparison on the way.

use super::input::{Input, hex};
use super::report::{DemoReport, StoryReport};
use super::takeover::{self, TakenOver};
use super::{CHUNK_BYTES, say, writing};
use crate::args::DemoArgs;
use crate::exit::Failure;
use crate::progress;
use futures::TryStreamExt;
use quarry_bench::append::Load;
use quarry_bench::latencies::LatencySummary;
use quarry_bench::local_cluster::LocalCluster;
use quarry_bench::measurement::Measurement;
use quarry_bench::report::AppendReport;
use quarry_client::{ChunkStore, CreateMode, OpenOptions, ReadOptions, ReadRange, connect};
use quarry_protocol::quorum::Quorum;
use sha2::{Digest, Sha256};
use std::env;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The log.
pub(super) const LOG: &str = "demo";
/// Which node is killed.
pub(super) const VICTIM: usize = 1;
/// Rounds of each latency measurement.
const ROUNDS: usize = 7;
/// Depths of the latency measurements.
const DEPTHS: [usize; 2] = [1, 16];

pub(super) async fn tell(args: &DemoArgs, input: &Input, cluster: &mut LocalCluster) -> Result<DemoReport, Failure> {
    let url = cluster.url();
    // Two clients, as two processes would be: nothing is shared but the nodes and the register.
    let (first, second) = (connect(&url).await?, connect(&url).await?);
    let begun_at = Instant::now();
    let writer = first.open(LOG, OpenOptions::with_create(CreateMode::MustBeNew)).await?.writer;
    let taken = takeover::run(input, cluster, &writer, &*second).await?;
    let told = told(&taken)?;
    drop(writer);
    let latency = finish(input, taken).await?;
    let append_seconds = begun_at.elapsed().as_secs_f64();
    let begun_at = Instant::now();
    let sha256 = read_back(input, &*first).await?;
    let read_seconds = begun_at.elapsed().as_secs_f64();
    if sha256 != input.sha256 {
        return Err(Failure::new(format!("DIFFERENCE: SHA-256 {sha256} was read back, {} was stored", input.sha256)));
    }
    say("every byte was read back: the SHA-256 is the same");
    first.delete(LOG).await?;
    let mut latencies = Vec::new();
    for depth in DEPTHS {
        latencies.push(measure(args, &*first, depth).await?);
    }
    let mib = input.bytes as f64 / f64::from(1 << 20);
    let story = StoryReport {
        input: input.path.clone(),
        bytes: input.bytes,
        chunks: input.chunks(),
        sha256,
        acknowledged_by_first: told.acknowledged,
        second_began_at: told.second_began_at,
        first_was_told: told.message,
        append_mib_per_second: mib / append_seconds,
        read_mib_per_second: mib / read_seconds,
        latency,
    };
    Ok(DemoReport { verdict: "OK", story, latencies })
}

struct Told {
    acknowledged: u64,
    second_began_at: u64,
    message: String,
}

/// The first writer must have been told that it is fenced, and nothing it was acknowledged may be missing.
fn told(taken: &TakenOver) -> Result<Told, Failure> {
    let (first, report) = (&taken.first, &taken.second.report);
    let Some(why) = first.ended.as_ref().filter(|why| why.is_fenced()) else {
        return Err(Failure::new(format!("the first writer was not told that it is fenced, but: {:?}", first.ended)));
    };
    let (acknowledged, next) = (first.acknowledged, report.next_seq.0);
    say(&format!("the first writer was told: {why}"));
    say(&format!(
        "the second writer (epoch {}) took over in {:.1?}: it begins at seq {next}, {} chunks of unknown fate were kept, {} of them copied",
        report.epoch, report.took, report.kept, report.copied
    ));
    if next < acknowledged {
        return Err(Failure::new(format!(
            "ACKNOWLEDGED CHUNKS ARE LOST: the first writer was acknowledged seqs below {acknowledged}, the log ends at {next}"
        )));
    }
    Ok(Told { acknowledged, second_began_at: next, message: why.to_string() })
}

/// The second writer appends the rest of the file. Gives the latency of all appends of the story.
async fn finish(input: &Input, taken: TakenOver) -> Result<LatencySummary, Failure> {
    let (sender, _receiver) = watch::channel(0);
    let from = taken.second.report.next_seq.0;
    let written = writing::write(&taken.second.writer, input, from, &sender).await?;
    if let Some(why) = written.ended {
        return Err(Failure::new(format!("the second writer ended: {why}")));
    }
    if written.acknowledged != input.chunks() {
        let (got, wanted) = (written.acknowledged, input.chunks());
        return Err(Failure::new(format!("{got} chunks were acknowledged of {wanted}")));
    }
    say(&format!("the second writer appended the rest: {} chunks in all", written.acknowledged));
    let mut latencies = taken.first.latencies;
    latencies.merge(&written.latencies);
    Ok(latencies.summary())
}

async fn read_back(input: &Input, store: &dyn ChunkStore) -> Result<String, Failure> {
    let bar = progress::of_bytes(Some(input.bytes), "read back");
    let (mut hash, mut seq) = (Sha256::new(), 0);
    let mut chunks = store.read(LOG, ReadRange::all(), ReadOptions::default()).await?;
    while let Some(chunk) = chunks.try_next().await? {
        if chunk.seq.0 != seq {
            return Err(Failure::new(format!("DIFFERENCE: seq {} was read where {seq} was next", chunk.seq)));
        }
        seq += 1;
        hash.update(&chunk.payload);
        bar.inc(chunk.payload.len() as u64);
    }
    bar.finish_and_clear();
    if seq != input.chunks() {
        return Err(Failure::new(format!("DIFFERENCE: {seq} chunks were read back of {}", input.chunks())));
    }
    Ok(hex(hash))
}

async fn measure(args: &DemoArgs, store: &dyn ChunkStore, depth: usize) -> Result<AppendReport, Failure> {
    let measurement = Measurement {
        chunk_bytes: CHUNK_BYTES as u32,
        load: Load::Closed { depth },
        quorum: Quorum::majority(super::NODES)?,
        rounds: ROUNDS,
        part: Duration::from_secs_f64(args.part_seconds),
        dir: args.dir.clone(),
        device_file_bytes: 256 << 20,
        warm_up_bytes: 0,
        cluster: "the demo's three nodes, processes of this binary".to_owned(),
        command: env::args().collect(),
        pipe: None,
        nodes: Vec::new(),
    };
    let bar = progress::of_steps(ROUNDS as u64, &format!("latency at depth {depth}"));
    let report = measurement.run(store, |number, _| bar.set_position(number as u64)).await;
    bar.finish_and_clear();
    Ok(report?)
}
