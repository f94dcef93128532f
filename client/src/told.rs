//! Telling every replica of a log what the register already says.

use crate::quorum_store::Parts;
use futures::future::join_all;
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::record::{LogRecord, ReplicaRef};
use std::collections::BTreeMap;

/// Sends `request` to every replica that `records` name, once each, and says who did as told.
pub(crate) async fn tell<'a>(
    parts: &Parts,
    records: impl Iterator<Item = &'a LogRecord>,
    request: &Request,
    done: impl Fn(&Reply) -> bool,
) -> Vec<(ReplicaRef, Result<(), String>)> {
    let replicas = records.flat_map(|record| &record.segments).flat_map(|segment| &segment.replicas);
    // The same disk may be on record under an old and a new address; the newest one counts.
    let replicas: BTreeMap<_, _> = replicas.map(|replica| (replica.disk, replica.clone())).collect();
    let done = &done;
    join_all(replicas.into_values().map(|replica| async move {
        let said = match parts.cluster.link(&replica).call(request.clone()).await {
            Ok(reply) if done(&reply) => Ok(()),
            Ok(Reply::Refused(refusal)) => Err(refusal.to_string()),
            Ok(other) => Err(format!("it answered with {other:?}")),
            Err(error) => Err(error.to_string()),
        };
        (replica, said)
    }))
    .await
}
