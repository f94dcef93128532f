//! `quarry verify`: check and describe the files of a stopped node.

use crate::args::VerifyArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::table::table;
use crate::{progress, units};
use quarry_node::VerifyReport;

pub(crate) fn run(args: &VerifyArgs, output: Output) -> Result<Health, Failure> {
    let bar = progress::of_bytes(None, "verify");
    let report = quarry_node::verify(&args.data, |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let report = report?;
    output.print(&report, text);
    Ok(health(&report))
}

/// A node that would not start, or that lost something, is broken; what a start mends or works around is a warning.
fn health(report: &VerifyReport) -> Health {
    let broken = report.shards.iter().any(|shard| shard.refused.is_some() || shard.lost_chunks > 0);
    match (broken, report.problem_count) {
        (true, _) => Health::Unhealthy,
        (false, 0) => Health::Good,
        (false, _) => Health::Warning,
    }
}

fn text(report: &VerifyReport) -> String {
    let verdict = match health(report) {
        Health::Good => "SOUND",
        Health::Warning => "DAMAGED, nothing stored is lost",
        Health::Unhealthy => "BROKEN",
    };
    let mut blocks = vec![format!(
        "{verdict}: {} problems\ncluster {:?}, zone {:?}, {} shards, up to {} chunk files of {} each",
        report.problem_count,
        report.cluster,
        report.zone,
        report.shards.len(),
        report.files_per_shard,
        units::bytes(report.file_bytes),
    )];
    if let Some(copy) = report.superblock_damaged {
        blocks.push(format!("copy {copy} of the superblock is damaged: the next start mends it from the other"));
    }
    for number in 0..report.shards.len() {
        blocks.extend(shard_text(report, number));
    }
    blocks.join("\n\n")
}

fn shard_text(report: &VerifyReport, number: usize) -> Vec<String> {
    let shard = &report.shards[number];
    if let Some(why) = &shard.refused {
        return vec![format!("shard {number}, disk {}: it would not start: {why}", shard.disk)];
    }
    let mut blocks = vec![format!(
        "shard {number}, disk {}, identity {}: last batch {}, {} chunks lost, {} problems",
        shard.disk, shard.identity, shard.last_batch, shard.lost_chunks, shard.problem_count
    )];
    let files = shard.files.iter().map(|file| {
        let used_as = format!("{:?}", file.used_as).to_lowercase();
        let batches = file.batches.map_or_else(String::new, |(first, last)| format!("{first}..{last}"));
        let (chunks, live) = (file.chunks.to_string(), file.live_chunks.to_string());
        let (bytes, problems) = (units::bytes(file.live_bytes), file.problem_count.to_string());
        [file.number.to_string(), used_as, batches, chunks, live, bytes, problems]
    });
    blocks.push(table(["FILE", "USE", "BATCHES", "CHUNKS", "LIVE", "LIVE BYTES", "PROBLEMS"], files));
    let problems = shard
        .files
        .iter()
        .flat_map(|file| file.problems.iter().map(move |problem| format!("file {}: {problem}", file.number)));
    let problems: Vec<_> = problems.collect();
    if !problems.is_empty() {
        blocks.push(problems.join("\n"));
    }
    let logs = shard.logs.iter().map(|log| {
        let segments: Vec<_> = log.segments.iter().map(|segment| segment.segment.to_string()).collect();
        let deleted = if log.deleted.0 == 0 { String::new() } else { format!("at epoch {}", log.deleted) };
        [log.log.to_string(), log.fence.to_string(), log.floor.to_string(), deleted, segments.join(", ")]
    });
    blocks.push(table(["LOG", "FENCE", "FLOOR", "DELETED", "SEGMENTS"], logs));
    blocks
}
