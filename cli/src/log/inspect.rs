//! `quarry log inspect`: what the register and each replica say.

use super::matrix::{self, MatrixRow};
use crate::exit::{Failure, Health};
use crate::orphans::{self, OrphanLine};
use crate::output::Output;
use crate::table::table;
use quarry_client::inspection::SegmentInspection;
use quarry_client::{ChunkStore, InspectError, Inspection, QuorumStore};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;

pub(super) async fn run(store: &QuorumStore, log: &str, output: Output) -> Result<Health, Failure> {
    let inspection =
        store.inspect(log).await.map_err(|why| Failure::of(matches!(why, InspectError::BadName { .. }), why))?;
    let orphans = orphans_of(store, &inspection).await;
    if output.json {
        output.print(&value(&inspection, &orphans), |_| String::new());
    } else {
        output.line(&(text(&inspection) + &orphans_text(&orphans)));
    }
    let silent =
        inspection.segments.iter().flat_map(|segment| &segment.replicas).any(|replica| replica.answer.is_err());
    Ok(if silent || inspection.tail.is_none() { Health::Warning } else { Health::Good })
}

/// Copies of this log that its record does not need.
async fn orphans_of(store: &QuorumStore, inspection: &Inspection) -> Result<Vec<OrphanLine>, String> {
    let mut orphans = orphans::look(store).await?;
    orphans.retain(|orphan| orphan.log == inspection.record.log);
    Ok(orphans.into_iter().map(OrphanLine::new).collect())
}

fn orphans_text(orphans: &Result<Vec<OrphanLine>, String>) -> String {
    match orphans {
        Ok(orphans) if orphans.is_empty() => String::new(),
        Ok(orphans) => format!("\n\n{}", orphans.iter().map(OrphanLine::text).collect::<Vec<_>>().join("\n")),
        Err(why) => format!("\n\norphans are not known: {why}"),
    }
}

#[derive(Serialize)]
struct ReplicaValue<'a> {
    zone: &'a str,
    address: &'a str,
    disk: String,
    fence: Option<u64>,
    floor: Option<u64>,
    watermark: Option<u64>,
    newest: Option<u64>,
    error: Option<&'a str>,
}

fn value(inspection: &Inspection, orphans: &Result<Vec<OrphanLine>, String>) -> Value {
    let record = &inspection.record;
    let segments: Vec<_> = inspection.segments.iter().map(segment_value).collect();
    json!({
        "log": record.name,
        "id": record.log,
        "epoch": record.epoch,
        "owner": record.owner,
        "floor": record.floor,
        "tail": inspection.tail,
        "segments": segments,
        "orphans": orphans.as_ref().ok(),
        "orphans_error": orphans.as_ref().err(),
    })
}

fn segment_value(inspected: &SegmentInspection) -> Value {
    let segment = &inspected.segment;
    let replicas: Vec<_> = inspected
        .replicas
        .iter()
        .map(|replica| {
            let view = replica.answer.as_ref().ok();
            ReplicaValue {
                zone: &replica.replica.zone,
                address: &replica.replica.address,
                disk: replica.replica.disk.to_string(),
                fence: view.map(|view| view.fence.0),
                floor: view.map(|view| view.floor.0),
                watermark: view.map(|view| view.view.watermark.0),
                newest: view.and_then(|view| view.view.newest).map(|seq| seq.0),
                error: replica.answer.as_ref().err().map(String::as_str),
            }
        })
        .collect();
    json!({
        "segment": segment.id.to_string(),
        "epoch": segment.id.epoch,
        "base": segment.base,
        "end": segment.end,
        "ack_quorum": segment.ack_quorum,
        "window": segment.window,
        "replicas": replicas,
        "matrix": matrix::rows(inspected),
    })
}

fn text(inspection: &Inspection) -> String {
    let record = &inspection.record;
    let tail = inspection.tail.map_or_else(|| "unknown".to_owned(), |tail| tail.to_string());
    let mut text = format!(
        "log {:?}  id {}  epoch {}  owner {}  floor {}  tail {tail}\n\n",
        record.name, record.log, record.epoch, record.owner, record.floor
    );
    let rows = inspection.segments.iter().map(|inspected| {
        let segment = &inspected.segment;
        let quorum = format!("{} of {}", segment.ack_quorum, segment.replicas.len());
        let replicas: Vec<_> = segment.replicas.iter().map(|r| format!("{} ({})", r.zone, r.address)).collect();
        let (epoch, base) = (segment.id.epoch.to_string(), segment.base.to_string());
        [segment.id.to_string(), epoch, base, inspected.end_text(), quorum, replicas.join(", ")]
    });
    text.push_str(&table(["SEGMENT", "EPOCH", "BASE", "END", "QUORUM", "REPLICAS"], rows));
    for inspected in &inspection.segments {
        let _ = write!(text, "\n\nsegment {}\n{}", inspected.segment.id, matrix_text(inspected));
    }
    text
}

fn matrix_text(inspected: &SegmentInspection) -> String {
    let zones = inspected.replicas.iter().map(|replica| replica.replica.zone.clone());
    let mut table = vec![std::iter::once("SEQ".to_owned()).chain(zones).collect::<Vec<_>>()];
    table.extend(matrix::rows(inspected).iter().map(row_text));
    let widths: Vec<_> =
        (0..table[0].len()).map(|column| table.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let mut lines: Vec<_> = table
        .iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:width$} "));
            cells.collect::<String>().trim_end().to_owned()
        })
        .collect();
    for replica in &inspected.replicas {
        lines.push(match &replica.answer {
            Ok(view) => format!(" {}: fence {}, watermark {}", replica.replica.zone, view.fence, view.view.watermark),
            Err(why) => format!(" {}: no answer: {why}", replica.replica.zone),
        });
    }
    lines.join("\n")
}

fn row_text(row: &MatrixRow) -> Vec<String> {
    let seqs = if row.from + 1 == row.to { row.from.to_string() } else { format!("{}..{}", row.from, row.to - 1) };
    std::iter::once(seqs).chain(row.replicas.iter().map(|cell| (*cell).to_owned())).collect()
}
