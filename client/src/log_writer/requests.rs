//! What a rotation asks of the cluster and the register, as futures. Each is bounded in time.

use crate::cluster::{Cluster, PlaceError, PlaceRequest};
use crate::open::{placed_in_time, read_found, swap_record};
use crate::quorum_store::Parts;
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::rotation::{RotationEffect, RotationEvent};
use std::sync::Arc;

/// What a rotation asks for.
pub(super) struct Asked {
    /// Where new segments are placed.
    pub(super) tier: Arc<dyn Cluster>,
    /// Replicas that the log has, or had, there: a move to a tier can do without those that are away just now.
    pub(super) known: Vec<ReplicaRef>,
    pub(super) effect: RotationEffect,
}

/// Does what a rotation asks for, and brings its answer.
pub(super) async fn perform(parts: Arc<Parts>, asked: Asked) -> RotationEvent {
    let Asked { tier, known, effect } = asked;
    match effect {
        RotationEffect::Place { request, log, replicas, keep, avoid, moving: _ } => {
            let wanted = PlaceRequest { log, replicas, known: &known, keep: &keep, avoid: &avoid };
            let placed = async {
                let placement = tier.place(wanted).await?;
                // A segment that most of its replicas are away from would only stall the appends.
                let missing = || vec![format!("{} of {replicas} replicas answer", placement.live)];
                let zones = || placement.replicas.iter().map(|replica| replica.zone.clone()).collect();
                if 2 * placement.live > replicas {
                    Ok(placement)
                } else {
                    Err(PlaceError { wanted: replicas, zones: zones(), missing: missing() })
                }
            };
            RotationEvent::Placed { request, result: placed_in_time(placed).await }
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
