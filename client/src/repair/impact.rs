//! What would be lost if nodes went away, and what still lies on a node.

use super::orphans::every_record;
use crate::quorum_store::Parts;
use futures::future::join_all;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::message::{Answer, Reply, Request};
use quarry_protocol::ranges::SeqRanges;
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment};
use quarry_protocol::repair::impact::{Impact, impact};

/// What would happen to a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogImpact {
    /// Its name.
    pub name: String,
    /// The worst of its segments.
    pub impact: Impact,
    /// The segments that would be hit, and how.
    pub segments: Vec<(SegmentId, Impact)>,
}

/// Every log on record, with what would happen to it without the replicas that `goes` names.
pub(crate) async fn without(
    parts: &Parts,
    goes: &(dyn Fn(&ReplicaRef) -> bool + Sync),
) -> Result<Vec<LogImpact>, String> {
    let mut impacts = Vec::new();
    for record in every_record(parts).await?.into_iter().filter(|record| !record.deleted) {
        let mut segments = Vec::new();
        for segment in record.segments.iter().filter(|segment| segment.replicas.iter().any(goes)) {
            let held = join_all(segment.replicas.iter().map(|at| stock(parts, at, record.log, segment))).await;
            segments.push((segment.id, impact(segment, record.floor, &held, goes)));
        }
        let worst = segments.iter().map(|(_, impact)| *impact).max().unwrap_or_default();
        impacts.push(LogImpact { name: record.name, impact: worst, segments });
    }
    impacts.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(impacts)
}

/// The records that name a replica, and in them the segments that do.
pub(crate) async fn naming(
    parts: &Parts,
    named: &(dyn Fn(&ReplicaRef) -> bool + Sync),
) -> Result<Vec<LogRecord>, String> {
    let records = every_record(parts).await?.into_iter().filter(|record| !record.deleted);
    let only = |record: LogRecord| {
        let hit = |segment: &Segment| segment.replicas.iter().any(named);
        LogRecord { segments: record.segments.iter().filter(|segment| hit(segment)).cloned().collect(), ..record }
    };
    Ok(records.map(only).filter(|record| !record.segments.is_empty()).collect())
}

/// What a replica says that it holds of a segment; nothing if it does not answer.
async fn stock(parts: &Parts, at: &ReplicaRef, log: LogId, segment: &Segment) -> Option<SeqRanges> {
    let (link, mut held) = (parts.cluster.link(at), SeqRanges::new());
    let (mut from, to) = (segment.base, segment.end_seq().unwrap_or(ChunkSeq(u64::MAX)));
    while from < to {
        let asked = link.call(Request::Inventory { log, segment: segment.id, from, to }).await;
        let Ok(Reply::Inventory { runs, next }) = asked else { return None };
        for run in runs.iter().filter(|run| run.answer == Answer::Have) {
            held.insert(run.from, run.to);
        }
        if next <= from {
            return None;
        }
        from = next;
    }
    Some(held)
}
