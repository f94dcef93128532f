//! Each effect of a recovery as a future that ends in the event the machine waits for. Each is bounded in time.

use crate::cluster::{PlaceError, PlaceRequest, Placement};
use crate::link::LinkError;
use crate::quorum_store::Parts;
use crate::register::{RegisterError, SwapError};
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::limits::READ_BYTES_MAX;
use quarry_protocol::message::{Answer, Request};
use quarry_protocol::record::{LogRecord, ReplicaRef, Version};
use quarry_protocol::recovery::{FetchFailure, RecoveryEvent, RegisterFailure, RequestNo, SwapOutcome};
use std::time::Duration;
use tokio::time::timeout;

/// How long the register may take to answer before it counts as not answering.
pub(crate) const REGISTER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a placement may take.
const PLACE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn read_record(parts: &Parts, request: RequestNo, name: String) -> RecoveryEvent {
    RecoveryEvent::RecordRead { request, result: read_found(parts, &name).await }
}

/// Reads a record, if there is one, and says whether asking again may help.
pub(crate) async fn read_found(parts: &Parts, name: &str) -> Result<Option<(Version, LogRecord)>, RegisterFailure> {
    match timeout(REGISTER_TIMEOUT, parts.register.read(name)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(register_failure(&error)),
        Err(_) => Err(RegisterFailure::Unavailable(format!("no answer within {REGISTER_TIMEOUT:?}"))),
    }
}

fn register_failure(error: &RegisterError) -> RegisterFailure {
    if error.may_retry() {
        RegisterFailure::Unavailable(error.to_string())
    } else {
        RegisterFailure::Unusable(error.to_string())
    }
}

pub(super) async fn swap(
    parts: &Parts,
    request: RequestNo,
    expected: Option<Version>,
    record: Box<LogRecord>,
) -> RecoveryEvent {
    RecoveryEvent::Swapped { request, outcome: swap_record(parts, expected.as_ref(), &record).await }
}

/// Changes a record, and says what is known of that.
pub(crate) async fn swap_record(parts: &Parts, expected: Option<&Version>, record: &LogRecord) -> SwapOutcome {
    match timeout(REGISTER_TIMEOUT, parts.register.compare_and_swap(expected, record)).await {
        Ok(Ok(version)) => SwapOutcome::Done(version),
        Ok(Err(SwapError::Conflict)) => SwapOutcome::Conflict,
        Ok(Err(SwapError::Ambiguous { why })) => SwapOutcome::Ambiguous(why),
        Ok(Err(SwapError::Failed(why))) => SwapOutcome::Failed(why.to_string()),
        Err(_) => SwapOutcome::Ambiguous(format!("no answer within {REGISTER_TIMEOUT:?}")),
    }
}

pub(super) async fn place(
    parts: &Parts,
    request: RequestNo,
    log: LogId,
    (replicas, replicas_min): (usize, usize),
    known: Vec<ReplicaRef>,
) -> RecoveryEvent {
    let placed = async {
        match parts.cluster.place(PlaceRequest::new(log, replicas, &known)).await {
            // A node is away and nothing is known of its disk: a new log does not wait for it, as long as an ack quorum
            // finds a place. With every node there, too few zones are a mistake to be told of.
            Err(error) if !error.missing.is_empty() && error.zones.len() >= replicas_min => {
                tracing::warn!(%log, "placed on {} replicas instead of {replicas}: {error}", error.zones.len());
                parts.cluster.place(PlaceRequest::new(log, error.zones.len(), &known)).await
            }
            placed => placed,
        }
    };
    RecoveryEvent::Placed { request, result: placed_in_time(placed).await }
}

/// The replicas of a placement, if it comes in time.
pub(crate) async fn placed_in_time(
    placing: impl Future<Output = Result<Placement, PlaceError>>,
) -> Result<Vec<ReplicaRef>, String> {
    match timeout(PLACE_TIMEOUT, placing).await {
        Ok(Ok(placement)) => Ok(placement.replicas),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {PLACE_TIMEOUT:?}")),
    }
}

pub(super) async fn call(parts: &Parts, request: RequestNo, to: ReplicaRef, what: Request) -> RecoveryEvent {
    RecoveryEvent::Replied { request, result: crate::calls::call(parts, &to, what).await }
}

pub(super) async fn fetch(
    parts: &Parts,
    request: RequestNo,
    from: ReplicaRef,
    (log, segment): (LogId, SegmentId),
    seq: ChunkSeq,
) -> RecoveryEvent {
    RecoveryEvent::Fetched { request, result: fetch_chunk(parts, &from, (log, segment), seq).await }
}

/// Reads one chunk from one replica, verified.
pub(crate) async fn fetch_chunk(
    parts: &Parts,
    from: &ReplicaRef,
    (log, segment): (LogId, SegmentId),
    seq: ChunkSeq,
) -> Result<(ChunkHeader, Bytes), FetchFailure> {
    match parts.cluster.link(from).read(log, segment, seq, 1, READ_BYTES_MAX).await {
        Ok(answer) => match answer.chunks.into_iter().next() {
            Some(chunk) => Ok((chunk.header, chunk.payload)),
            None => Err(FetchFailure::Answer(answer.answer)),
        },
        // A chunk that does not verify is unknown, never absent (P8).
        Err(LinkError::Corrupt { .. }) => Err(FetchFailure::Answer(Answer::Unknown)),
        Err(error) => Err(FetchFailure::Unreachable(error.to_string())),
    }
}
