//! What replicas say of the segments they hold, without fencing anybody.

use crate::inspection::ReplicaView;
use crate::open::who;
use crate::quorum_store::Parts;
use quarry_protocol::ids::{LogId, SegmentId};
use quarry_protocol::limits::SEGMENTS_PER_REQUEST_MAX;
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::record::ReplicaRef;

/// What `replica` says of each of `segments`, in order; or who it is and why it says nothing.
pub(crate) async fn views(
    parts: &Parts,
    log: LogId,
    replica: &ReplicaRef,
    segments: &[SegmentId],
) -> Result<Vec<ReplicaView>, String> {
    let mut said = Vec::with_capacity(segments.len());
    for asked in segments.chunks(SEGMENTS_PER_REQUEST_MAX) {
        let views = some_views(parts, log, replica, asked).await;
        said.extend(views.map_err(|why| format!("{}: {why}", who(replica)))?);
    }
    Ok(said)
}

async fn some_views(
    parts: &Parts,
    log: LogId,
    replica: &ReplicaRef,
    asked: &[SegmentId],
) -> Result<Vec<ReplicaView>, String> {
    let request = Request::Inspect { log, segments: asked.to_vec() };
    let reply = parts.cluster.link(replica).call(request).await.map_err(|error| error.to_string())?;
    match reply {
        Reply::Inspected { fence, floor, segments } if segments.iter().map(|view| &view.segment).eq(asked) => {
            Ok(segments.into_iter().map(|view| ReplicaView { fence, floor, view }).collect())
        }
        Reply::Refused(refusal) => Err(refusal.to_string()),
        other => Err(format!("it answered an inspect request with {other:?}")),
    }
}
