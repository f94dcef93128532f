//! `quarry repair` after disks that are gone, damaged or full.

use crate::ledger::Ledger;
use crate::rot::{chunk_files, damage};
use crate::zones::{NODES, Zones, unreadable};
use futures::TryStreamExt;
use quarry_client::{ChunkStore, OpenOptions, ReadOptions, ReadRange};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::record::Segment;
use serde_json::Value;
use std::time::Duration;

const LOG: &str = "mended";
const SEGMENTS: usize = 4;
const CHUNKS: usize = 60;
/// Chunks of a MiB that a node of 80 MiB cannot hold.
const LARGE_CHUNKS: usize = 96;

/// The first sealed segment, and which nodes hold it.
async fn first_segment(zones: &Zones) -> (Segment, Vec<usize>) {
    let segment = zones.record(LOG).await.segments[0].clone();
    assert!(segment.is_sealed(), "{segment:?}");
    let holders = segment.replicas.iter().map(|replica| zones.node_of(replica)).collect();
    (segment, holders)
}

/// Reads everything that is sealed with a client of its own, and compares.
async fn check_sealed(zones: &Zones, ledger: &Ledger) {
    let store = zones.store().await;
    let record = store.inspect(LOG).await.expect("the log is there").record;
    let end = record.segments.iter().rev().find(|segment| segment.is_sealed()).and_then(Segment::end_seq);
    let range = ReadRange::between(ChunkSeq(0), end.expect("something is sealed"));
    let chunks = store.read(LOG, range, ReadOptions::default()).await.expect("a reader");
    let chunks: Vec<_> = chunks.try_collect().await.expect("every chunk can be read");
    assert_eq!(chunks.len(), ledger.len());
    assert!(chunks.iter().all(|chunk| ledger.get(chunk.seq.0) == Some(&chunk.payload)), "with its own bytes");
}

fn outcomes(report: &Value) -> Vec<&str> {
    let segments = report["logs"][0]["segments"].as_array().expect("segments");
    segments.iter().map(|segment| segment["outcome"].as_str().expect("an outcome")).collect()
}

/// P16: what a wiped disk held is held by three again, the reader does with any one of them, and there is nothing more to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_wiped_disk_held_is_held_by_three_again() {
    let mut zones = Zones::start(false).await;
    let mut ledger = Ledger::default();
    zones.fill(&mut ledger, LOG, SEGMENTS, CHUNKS).await;
    let (_, holders) = first_segment(&zones).await;
    let gone = holders[0];
    zones.cluster.kill(gone).await.expect("killed");
    zones.cluster.wipe(gone).await.expect("wiped");
    zones.cluster.restart(gone).await.expect("starts");

    let (code, report) = zones.run(&["repair", "--patience", "1"]).await;
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(outcomes(&report), vec!["whole"; SEGMENTS], "{report}");
    assert!(report["logs"][0]["copied_chunks"].as_u64() >= Some(CHUNKS as u64), "{report}");
    assert_eq!(zones.check_copies(&ledger, LOG).await, 3 * SEGMENTS);

    let (code, again) = zones.run(&["repair", "--patience", "1"]).await;
    assert_eq!((code, &again["logs"][0]["copied_chunks"]), (Some(0), &0.into()), "{again}");
    assert_eq!(outcomes(&again), vec!["whole"; SEGMENTS], "{again}");

    // Anybody else may go now.
    zones.cluster.kill(holders[1]).await.expect("killed");
    check_sealed(&zones, &ledger).await;
}

/// A node that is gone for good and never comes back: after the patience its copies are made elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_held_moves_after_the_patience() {
    let mut zones = Zones::start(false).await;
    let mut ledger = Ledger::default();
    zones.fill(&mut ledger, LOG, SEGMENTS, CHUNKS).await;
    let (_, holders) = first_segment(&zones).await;
    zones.cluster.kill(holders[0]).await.expect("killed");
    let (code, report) = zones.run(&["repair", "--patience", "1"]).await;
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(zones.check_copies(&ledger, LOG).await, 3 * SEGMENTS);
    let (_, impact) = zones.run(&["check-impact", "--without", &zones.address(holders[0])]).await;
    let named = impact["logs"][0]["segments"].as_array().expect("segments");
    assert_eq!(named.len(), 1, "only what is open is still there: {impact}");
    zones.cluster.kill(holders[1]).await.expect("killed");
    check_sealed(&zones, &ledger).await;
}

/// D3, D7: no holder has it. That is said, with the seqs and exit code 2; nothing is deleted or renamed because of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_without_a_copy_is_reported_as_lost() {
    let mut zones = Zones::start(false).await;
    let mut ledger = Ledger::default();
    zones.fill(&mut ledger, LOG, 2, CHUNKS).await;
    let (segment, holders) = first_segment(&zones).await;
    for holder in &holders {
        zones.cluster.kill(*holder).await.expect("killed");
        zones.cluster.wipe(*holder).await.expect("wiped");
        zones.cluster.restart(*holder).await.expect("starts");
    }
    let before = zones.record(LOG).await;
    let (code, report) = zones.run(&["repair", "--patience", "1", "--grace", "0"]).await;
    assert_eq!(code, Some(2), "{report}");
    let lost = &report["logs"][0]["segments"][0];
    assert_eq!(lost["outcome"], "lost", "{report}");
    let end = segment.end_seq().expect("sealed").0;
    assert_eq!(lost["lost"], serde_json::json!([[segment.base.0, end]]), "{report}");
    let after = zones.record(LOG).await;
    assert_eq!(after.segments[0], before.segments[0], "the record still says where it was");
}

/// A repair that is killed in the middle leaves copies that the next one finds: it copies only what lacks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_was_killed_is_finished_by_the_next_one() {
    let mut zones = Zones::start(false).await;
    let mut ledger = Ledger::default();
    // As much as takes the smallest budget some seconds.
    zones.fill(&mut ledger, LOG, 3, 700).await;
    let (_, holders) = first_segment(&zones).await;
    let gone = holders[0];
    let record = zones.record(LOG).await;
    let was_there =
        |segment: &&Segment| segment.is_sealed() && segment.replicas.iter().any(|at| zones.node_of(at) == gone);
    let chunks = |segment: &Segment| segment.end_seq().expect("it is sealed").0 - segment.base.0;
    let lacks: u64 = record.segments.iter().filter(was_there).map(chunks).sum();
    zones.cluster.kill(gone).await.expect("killed");
    zones.cluster.wipe(gone).await.expect("wiped");
    zones.cluster.restart(gone).await.expect("starts");

    let mut first = zones.command(&["repair", "--patience", "1", "--budget", "1"]).spawn().expect("quarry runs");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(first.try_wait().expect("a child can be waited for").is_none(), "it was over before it was killed");
    first.kill().await.expect("killed");

    let (code, report) = zones.run(&["repair", "--patience", "1"]).await;
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(outcomes(&report), vec!["whole"; 3], "{report}");
    let copied = report["logs"][0]["copied_chunks"].as_u64().expect("a count");
    assert!(0 < copied && copied < lacks, "{copied} of {lacks} chunks were copied by the second one: {report}");
    assert_eq!(zones.check_copies(&ledger, LOG).await, 9);
}

/// D3: chunks that a holder cannot read any more are written anew, there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits_are_healed_in_place() {
    let mut zones = Zones::start(false).await;
    let mut ledger = Ledger::default();
    zones.fill(&mut ledger, LOG, 2, CHUNKS).await;
    let (segment, holders) = first_segment(&zones).await;
    let before = zones.record(LOG).await;
    zones.cluster.kill(holders[0]).await.expect("killed");
    let data = zones.cluster.nodes()[holders[0]].data().to_path_buf();
    let payload = format!("{LOG}:");
    let damaged: usize = chunk_files(&data).iter().map(|file| damage(file, payload.as_bytes())).sum();
    assert!(damaged >= CHUNKS, "{damaged} payloads were damaged");
    zones.cluster.restart(holders[0]).await.expect("starts");
    // A node learns of damage when it reads: for a client, or for its scrub.
    let found = unreadable(before.log, &segment, &segment.replicas[0]).await;
    assert_eq!(found, CHUNKS, "every payload of the segment was damaged");

    let (code, report) = zones.run(&["repair", "--patience", "1"]).await;
    assert_eq!(code, Some(0), "{report}");
    assert!(report["logs"][0]["copied_chunks"].as_u64() >= Some(CHUNKS as u64), "{report}");
    assert_eq!(unreadable(before.log, &segment, &segment.replicas[0]).await, 0);
    let holders_of_first = |record: &quarry_protocol::record::LogRecord| record.segments[0].replicas.clone();
    assert_eq!(holders_of_first(&zones.record(LOG).await), holders_of_first(&before), "nobody was replaced");
}

/// The only node that could take the copies fills up: that is said, nothing that is there suffers, and the holder that comes
/// back is used as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_full_is_passed_over() {
    let mut zones = Zones::start(false).await;
    let spare = NODES - 1;
    zones.cluster.kill(spare).await.expect("killed");
    let store = zones.store().await;
    let writer = store.open(LOG, OpenOptions::default()).await.expect("opened").writer;
    for chunk in 0..LARGE_CHUNKS {
        let pending = writer.append(vec![chunk as u8; 1 << 20].into()).await.expect("room");
        pending.await.expect("committed");
    }
    drop((writer, store));
    drop(zones.store().await.open(LOG, OpenOptions::default()).await.expect("opened"));
    zones.format_smaller(spare, "80MiB").await;
    zones.cluster.restart(spare).await.expect("starts");
    let (code, report) = zones.run(&["repair", LOG]).await;
    assert_eq!((code, outcomes(&report)), (Some(0), vec!["whole"]), "{report}");

    let (segment, holders) = first_segment(&zones).await;
    zones.cluster.kill(holders[0]).await.expect("killed");
    let (code, report) = zones.run(&["repair", LOG, "--patience", "1"]).await;
    assert_eq!((code, outcomes(&report)), (Some(1), vec!["short"]), "{report}");
    let why = report["logs"][0]["segments"][0]["why"].as_str().expect("a reason");
    assert!(why.contains("no other zone") || why.contains("full"), "{report}");
    assert_eq!(zones.record(LOG).await.segments[0].replicas, segment.replicas, "half a copy is nobody's place");

    zones.cluster.restart(holders[0]).await.expect("starts");
    let (code, report) = zones.run(&["repair", LOG, "--patience", "1"]).await;
    assert_eq!((code, outcomes(&report)), (Some(0), vec!["whole"]), "{report}");
    assert_eq!(report["logs"][0]["copied_chunks"], 0, "it has all of it: {report}");
}
