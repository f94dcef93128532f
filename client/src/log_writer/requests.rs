//! What a rotation asks of the cluster and the register, as futures. Each is bounded in time.

use crate::cluster::{Cluster, PlaceRequest};
use crate::open::{placed_in_time, read_found, swap_record};
use crate::quorum_store::Parts;
use quarry_protocol::rotation::{RotationEffect, RotationEvent};
use std::sync::Arc;

/// Does what a rotation asks for, and brings its answer.
pub(super) async fn perform(parts: Arc<Parts>, tier: Arc<dyn Cluster>, effect: RotationEffect) -> RotationEvent {
    match effect {
        RotationEffect::Place { request, log, replicas, keep, avoid, moving: _ } => {
            let wanted = PlaceRequest { log, replicas, known: &[], keep: &keep, avoid: &avoid };
            RotationEvent::Placed { request, result: placed_in_time(tier.place(wanted)).await }
        }
        RotationEffect::ReadRecord { request, name } => {
            RotationEvent::RecordRead { request, result: read_found(&parts, &name).await }
        }
        RotationEffect::Swap { request, expected, record } => {
            RotationEvent::Swapped { request, outcome: swap_record(&parts, Some(&expected), &record).await }
        }
        other => unreachable!("{other:?} asks nobody anything"),
    }
}
