//! What the register and each replica say of a log.

use crate::error::InspectError;
use crate::inspection::{Inspection, ReplicaInspection, ReplicaView, SegmentInspection};
use crate::lookup::lookup;
use crate::quorum_store::Parts;
use crate::tail::committed;
use crate::views::views;
use futures::future::join_all;
use quarry_protocol::ids::SegmentId;
use quarry_protocol::record::{LogRecord, ReplicaRef};
use std::collections::BTreeMap;

/// What each replica says of each segment it is to hold.
type Said = BTreeMap<(ReplicaRef, SegmentId), Result<ReplicaView, String>>;

pub(crate) async fn inspect(parts: &Parts, name: &str) -> Result<Inspection, InspectError> {
    let (_, record) = lookup(parts, name).await.map_err(|none| none.inspect_error(name))?;
    let (said, tail) = futures::join!(ask_everybody(parts, &record), committed(parts, &record));
    let segments = record.segments.iter().map(|segment| {
        let replicas = segment.replicas.iter().map(|replica| ReplicaInspection {
            replica: replica.clone(),
            answer: said[&(replica.clone(), segment.id)].clone(),
        });
        SegmentInspection { segment: segment.clone(), replicas: replicas.collect() }
    });
    Ok(Inspection { tail: tail.ok(), segments: segments.collect(), record })
}

/// Asks each replica once, for all its segments.
async fn ask_everybody(parts: &Parts, record: &LogRecord) -> Said {
    let mut holds: BTreeMap<&ReplicaRef, Vec<SegmentId>> = BTreeMap::new();
    for segment in &record.segments {
        for replica in &segment.replicas {
            holds.entry(replica).or_default().push(segment.id);
        }
    }
    let mut asked = Vec::new();
    for (replica, segments) in &holds {
        asked.push(views(parts, record.log, replica, segments));
    }
    let mut said = Said::new();
    for ((replica, segments), answers) in holds.iter().zip(join_all(asked).await) {
        for (i, segment) in segments.iter().enumerate() {
            let answer = answers.as_ref().map(|views| views[i].clone()).map_err(Clone::clone);
            said.insert(((*replica).clone(), *segment), answer);
        }
    }
    said
}
