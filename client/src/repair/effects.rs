//! Each effect of a repair as a future that ends in the event the machine waits for. Each is bounded in time.

use crate::cluster::PlaceRequest;
use crate::link::LinkError;
use crate::open::{fetch_chunk, placed_in_time, read_found, swap_record};
use crate::quorum_store::Parts;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::message::{Refusal, Request};
use quarry_protocol::record::{LogRecord, ReplicaRef, Version};
use quarry_protocol::recovery::RequestNo;
use quarry_protocol::repair::{CopyFailure, RepairEvent, Unanswered};

pub(super) async fn read_record(parts: &Parts, request: RequestNo, name: String) -> RepairEvent {
    RepairEvent::RecordRead { request, result: read_found(parts, &name).await }
}

pub(super) async fn swap(parts: &Parts, request: RequestNo, expected: Version, record: Box<LogRecord>) -> RepairEvent {
    RepairEvent::Swapped { request, outcome: swap_record(parts, Some(&expected), &record).await }
}

/// Those of a placement that are new. Fewer than wanted are better than none.
pub(super) async fn place(
    parts: &Parts,
    request: RequestNo,
    (log, wanted): (LogId, usize),
    keep: Vec<ReplicaRef>,
    avoid: Vec<DiskId>,
) -> RepairEvent {
    let asked = |replicas| PlaceRequest { keep: &keep, avoid: &avoid, ..PlaceRequest::new(log, replicas, &[]) };
    let placed = async {
        match parts.cluster.place(asked(keep.len() + wanted)).await {
            Err(error) if !error.zones.is_empty() => parts.cluster.place(asked(error.zones.len())).await,
            placed => placed,
        }
    };
    let is_new = |replica: &ReplicaRef| !keep.iter().any(|kept| kept.zone == replica.zone);
    let result = placed_in_time(placed).await;
    RepairEvent::Placed { request, result: result.map(|replicas| replicas.into_iter().filter(is_new).collect()) }
}

pub(super) async fn call(parts: &Parts, request: RequestNo, to: ReplicaRef, what: Request) -> RepairEvent {
    let result = match parts.cluster.link(&to).call(what).await {
        Ok(reply) => Ok(reply),
        // P14: whoever is at the address says that it is another disk.
        Err(LinkError::Refused { refusal: refusal @ Refusal::WrongDisk { .. }, .. }) => {
            Err(Unanswered::Gone(refusal.to_string()))
        }
        Err(error) => match parts.cluster.is_gone(&to).await {
            Some(why) => Err(Unanswered::Gone(why)),
            None => Err(Unanswered::Silent(error.to_string())),
        },
    };
    RepairEvent::Replied { request, result }
}

pub(super) async fn fetch(
    parts: &Parts,
    request: RequestNo,
    from: ReplicaRef,
    (log, segment): (LogId, SegmentId),
    seq: ChunkSeq,
) -> RepairEvent {
    RepairEvent::Fetched { request, result: fetch_chunk(parts, &from, (log, segment), seq).await }
}

pub(super) async fn copy(
    parts: &Parts,
    request: RequestNo,
    to: ReplicaRef,
    header: ChunkHeader,
    payload: Bytes,
) -> RepairEvent {
    let result = parts.cluster.link(&to).copy(header, payload).await.map_err(|error| match error {
        LinkError::Refused { refusal, .. } => CopyFailure::Refused(refusal),
        error => CopyFailure::Unreachable(error.to_string()),
    });
    RepairEvent::Copied { request, result }
}
