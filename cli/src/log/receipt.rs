//! `quarry log inspect --receipt`: who holds each range, since when, and when it was verified last.

use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::table::table;
use crate::units::utc;
use quarry_client::receipt::{HolderReceipt, SegmentReceipt};
use quarry_client::{DurabilityReceipt, InspectError, QuorumStore};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::message::ProvenanceRun;
use serde_json::{Value, json};
use std::fmt::Write;

pub(super) async fn run(store: &QuorumStore, log: &str, output: Output) -> Result<Health, Failure> {
    let receipt = store.receipt(log).await;
    let receipt = receipt.map_err(|why| Failure::of(matches!(why, InspectError::BadName { .. }), why))?;
    if output.json {
        output.print(&value(&receipt), |_| String::new());
    } else {
        output.line(&text(&receipt));
    }
    Ok(health(&receipt))
}

fn health(receipt: &DurabilityReceipt) -> Health {
    let whole = receipt.segments.iter().all(SegmentReceipt::is_whole);
    if whole && receipt.tail.is_some() { Health::Good } else { Health::Warning }
}

fn value(receipt: &DurabilityReceipt) -> Value {
    let segments: Vec<_> = receipt.segments.iter().map(segment_value).collect();
    json!({ "log": receipt.log, "id": receipt.id, "tail": receipt.tail, "segments": segments })
}

fn segment_value(receipt: &SegmentReceipt) -> Value {
    let holders: Vec<_> = receipt.holders.iter().map(|holder| holder_value(receipt, holder)).collect();
    let copies = receipt.copies();
    let copies: Vec<_> =
        copies.iter().map(|range| json!({ "from": range.from, "to": range.to, "copies": range.copies })).collect();
    json!({
        "segment": receipt.segment.id.to_string(),
        "from": receipt.from,
        "to": receipt.end,
        "replicas": receipt.segment.replicas.len(),
        "holders": holders,
        "copies": copies,
    })
}

fn holder_value(receipt: &SegmentReceipt, holder: &HolderReceipt) -> Value {
    let run = |run: &ProvenanceRun| {
        json!({
            "from": run.from,
            "to": run.to,
            "stored_from_s": Some(run.stored_from_s).filter(|at| *at > 0),
            "stored_to_s": run.stored_to_s,
            "verified_at_s": run.verified_at_s,
        })
    };
    let runs = holder.answer.as_ref().ok();
    json!({
        "zone": holder.replica.zone,
        "address": holder.replica.address,
        "disk": holder.replica.disk.to_string(),
        "runs": runs.map(|runs| runs.iter().map(run).collect::<Vec<_>>()),
        "missing": runs.map(|runs| receipt.missing(runs)),
        "error": holder.answer.as_ref().err(),
    })
}

fn text(receipt: &DurabilityReceipt) -> String {
    let tail = receipt.tail.map_or_else(|| "unknown".to_owned(), |tail| tail.to_string());
    let mut text = format!("log {:?}  id {}  tail {tail}", receipt.log, receipt.id);
    for segment in &receipt.segments {
        let _ = write!(text, "\n\nsegment {}\n", segment.segment.id);
        if segment.from == segment.end {
            text.push_str("nothing is in it");
            continue;
        }
        let mut rows: Vec<_> = segment.holders.iter().flat_map(|holder| rows(segment, holder)).collect();
        rows.sort_by_key(|(from, _)| *from);
        let rows = rows.into_iter().map(|(_, row)| row);
        text.push_str(&table(["RANGE", "ZONE", "NODE", "STORED", "VERIFIED"], rows));
        let (copies, replicas) = (segment.copies(), segment.segment.replicas.len());
        let copies = copies.iter().map(|held| format!("{}: {} of {replicas}", range(held.from, held.to), held.copies));
        let _ = write!(text, "\ncopies, at least: {}", copies.collect::<Vec<_>>().join(", "));
    }
    text
}

/// The lines of a holder, each with its first seq to sort by.
fn rows(segment: &SegmentReceipt, holder: &HolderReceipt) -> Vec<(ChunkSeq, [String; 5])> {
    let row = |from, to, stored: String, verified: String| {
        let (zone, address) = (holder.replica.zone.clone(), holder.replica.address.clone());
        (from, [range(from, to), zone, address, stored, verified])
    };
    let runs = match &holder.answer {
        Ok(runs) => runs,
        Err(why) => return vec![row(segment.from, segment.end, format!("no answer: {why}"), "-".to_owned())],
    };
    let held = runs.iter().map(|run| row(run.from, run.to, stored(run), run.verified_at_s.map_or("never".into(), utc)));
    let missing = segment.missing(runs).into_iter().map(|(from, to)| row(from, to, "MISSING".into(), "-".into()));
    held.chain(missing).collect()
}

fn stored(run: &ProvenanceRun) -> String {
    match run.stored_from_s {
        0 => format!("by {}", utc(run.stored_to_s)),
        from => format!("{} to {}", utc(from), utc(run.stored_to_s)),
    }
}

fn range(from: ChunkSeq, to: ChunkSeq) -> String {
    if from.next() == to { from.to_string() } else { format!("{from}..{}", to.0.saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_protocol::ids::{DiskId, Epoch, LogId, SegmentId};
    use quarry_protocol::record::{ReplicaRef, Segment, SegmentEnd, Window};

    fn receipt(answers: Vec<Result<Vec<ProvenanceRun>, String>>) -> DurabilityReceipt {
        let at = |i: usize| ReplicaRef { disk: DiskId([1; 16]), address: format!("n:{i}"), zone: format!("z{i}") };
        let segment = Segment {
            id: SegmentId { epoch: Epoch(1), index: 0 },
            base: ChunkSeq(0),
            end: SegmentEnd::Open,
            replicas: (0..answers.len()).map(at).collect(),
            ack_quorum: 2,
            window: Window { chunks: 4, bytes: 100 },
        };
        let holders = answers.into_iter().enumerate();
        let holders = holders.map(|(i, answer)| HolderReceipt { replica: at(i), answer }).collect();
        let segments = vec![SegmentReceipt { segment, from: ChunkSeq(0), end: ChunkSeq(9), holders }];
        DurabilityReceipt { log: "log".into(), id: LogId([1; 16]), tail: Some(ChunkSeq(9)), segments }
    }

    const fn run(from: u64, to: u64, stored_from_s: u64, verified_at_s: Option<u64>) -> ProvenanceRun {
        ProvenanceRun {
            from: ChunkSeq(from),
            to: ChunkSeq(to),
            stored_from_s,
            stored_to_s: 1_790_000_060,
            verified_at_s,
        }
    }

    #[test]
    fn each_range_names_its_holders_and_what_they_lack() {
        let whole = vec![run(0, 9, 1_790_000_000, Some(1_790_000_120))];
        let short = vec![run(0, 5, 0, None), run(6, 9, 1_790_000_000, None)];
        let whole_receipt = receipt(vec![Ok(whole.clone()); 3]);
        assert_eq!(health(&whole_receipt), Health::Good);
        assert_eq!(health(&DurabilityReceipt { tail: None, ..whole_receipt }), Health::Warning);

        let receipt = receipt(vec![Ok(whole), Ok(short), Err("away".into())]);
        assert_eq!(health(&receipt), Health::Warning);
        let text = text(&receipt);
        let lines: Vec<Vec<_>> = text.lines().skip(3).map(|line| line.split_whitespace().collect()).collect();
        let times = ["2026-09-21T14:13:20Z", "to", "2026-09-21T14:14:20Z"];
        assert_eq!(lines[1], [&["0..8", "z0", "n:0"], &times[..], &["2026-09-21T14:15:20Z"]].concat(), "{text}");
        assert_eq!(lines[2], ["0..4", "z1", "n:1", "by", times[2], "never"], "{text}");
        assert_eq!(lines[3], ["0..8", "z2", "n:2", "no", "answer:", "away", "-"], "{text}");
        assert_eq!(lines[4], ["5", "z1", "n:1", "MISSING", "-"], "{text}");
        assert_eq!(lines[5], [&["6..8", "z1", "n:1"], &times[..], &["never"]].concat(), "{text}");
        assert!(text.ends_with("copies, at least: 0..4: 2 of 3, 5: 1 of 3, 6..8: 2 of 3"), "{text}");
        assert_eq!(value(&receipt)["segments"][0]["holders"][1]["missing"], json!([[5, 6]]));
    }
}
