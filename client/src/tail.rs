//! What is committed, without fencing anybody (P15).

use crate::chunk_store::Tail;
use crate::error::TailError;
use crate::lookup::lookup;
use crate::quorum_store::Parts;
use crate::views::views;
use futures::stream::{FuturesUnordered, StreamExt};
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::message::SegmentView;
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment, SegmentEnd};
use quarry_protocol::tail::committed_tail;
use std::time::Duration;
use tokio::time::Instant;

/// How much longer the last replicas are waited for once a read quorum has answered. The bound they would raise is only
/// a lower one anyway.
const STRAGGLER_GRACE: Duration = Duration::from_millis(250);

pub(crate) async fn tail(parts: &Parts, name: &str) -> Result<Tail, TailError> {
    let (_, record) = lookup(parts, name).await.map_err(|none| none.tail_error(name))?;
    let tail = committed(parts, &record).await.map_err(|why| TailError::Unavailable { name: name.to_owned(), why })?;
    Ok(Tail { log: record.log, floor: record.floor, tail })
}

/// The first seq of the log that is not known to be committed; or which replicas are missing.
pub(crate) async fn committed(parts: &Parts, record: &LogRecord) -> Result<ChunkSeq, String> {
    let mut tail = record.floor;
    for segment in &record.segments {
        let at = match segment.end {
            SegmentEnd::Sealed { at, .. } => at,
            SegmentEnd::Open | SegmentEnd::Boundary { .. } => committed_in(parts, record, segment).await?,
        };
        tail = tail.max(at);
        if segment.end_seq() != Some(at) {
            break;
        }
    }
    Ok(tail)
}

async fn committed_in(parts: &Parts, record: &LogRecord, segment: &Segment) -> Result<ChunkSeq, String> {
    let quorum = segment.quorum().map_err(|why| why.to_string())?;
    let asked = segment.replicas.iter().enumerate();
    let mut asked: FuturesUnordered<_> =
        asked.map(|(i, replica)| view(parts, record.log, segment.id, i, replica)).collect();
    let (mut views, mut silent) = (Vec::new(), Vec::new());
    let mut patience = None;
    loop {
        let answer = match patience {
            None => asked.next().await,
            Some(until) => tokio::time::timeout_at(until, asked.next()).await.unwrap_or(None),
        };
        match answer {
            None => break,
            Some((i, Ok(view))) => views.push((i, view)),
            Some((_, Err(why))) => silent.push(why),
        }
        if views.len() >= quorum.read() && patience.is_none() {
            patience = Some(Instant::now() + STRAGGLER_GRACE);
        }
    }
    if views.len() < quorum.read() {
        let (got, needed) = (views.len(), quorum.read());
        return Err(format!("{got} of the {needed} replicas needed answered: {}", silent.join("; ")));
    }
    Ok(committed_tail(segment, record.floor, &views))
}

/// What one replica says of one segment, with the replica's index.
async fn view(
    parts: &Parts,
    log: LogId,
    segment: SegmentId,
    index: usize,
    replica: &ReplicaRef,
) -> (usize, Result<SegmentView, String>) {
    let views = views(parts, log, replica, &[segment]).await;
    (index, views.map(|mut views| views.remove(0).view))
}
