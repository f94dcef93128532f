//! What a rotation asks of the cluster and the register, as futures. Each is bounded in time.

use crate::cluster::PlaceRequest;
use crate::open::{PLACE_TIMEOUT, REGISTER_TIMEOUT, register_failure, swap_record};
use crate::quorum_store::Parts;
use quarry_protocol::recovery::RegisterFailure;
use quarry_protocol::rotation::{RotationEffect, RotationEvent};
use std::sync::Arc;
use tokio::time::timeout;

/// Does what a rotation asks for, and brings its answer.
pub(super) async fn perform(parts: Arc<Parts>, effect: RotationEffect) -> RotationEvent {
    match effect {
        RotationEffect::Place { request, log, replicas, keep, avoid } => {
            let wanted = PlaceRequest { log, replicas, known: &[], keep: &keep, avoid: &avoid };
            let result = match timeout(PLACE_TIMEOUT, parts.cluster.place(wanted)).await {
                Ok(Ok(placement)) => Ok(placement.replicas),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("no answer within {PLACE_TIMEOUT:?}")),
            };
            RotationEvent::Placed { request, result }
        }
        RotationEffect::ReadRecord { request, name } => {
            let result = match timeout(REGISTER_TIMEOUT, parts.register.read(&name)).await {
                Ok(Ok(found)) => Ok(found),
                Ok(Err(error)) => Err(register_failure(&error)),
                Err(_) => Err(RegisterFailure::Unavailable(format!("no answer within {REGISTER_TIMEOUT:?}"))),
            };
            RotationEvent::RecordRead { request, result }
        }
        RotationEffect::Swap { request, expected, record } => {
            RotationEvent::Swapped { request, outcome: swap_record(&parts, Some(&expected), &record).await }
        }
        other => unreachable!("{other:?} asks nobody anything"),
    }
}
