//! Ending the open segment on demand.

use crate::error::AppendError;
use quarry_protocol::ids::{ChunkSeq, SegmentId};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::rotation::RotationReason;
use tokio::sync::oneshot;

/// A rotation that was asked for took place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The segment that was sealed.
    pub sealed: SegmentId,
    /// One past its last seq.
    pub at: ChunkSeq,
    /// The segment that takes appends since.
    pub opened: SegmentId,
    /// Its replicas.
    pub replicas: Vec<ReplicaRef>,
}

/// Why a rotation that was asked for did not take place. Appends go on as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotateError {
    /// The register could not be changed.
    #[error("log {log:?}: its segment was not ended: {why}: try again")]
    NotPlanned {
        /// The log.
        log: String,
        /// What the register said.
        why: String,
    },
    /// The writer stopped.
    #[error(transparent)]
    Stopped(AppendError),
}

/// Who waits for a rotation.
#[derive(Default)]
pub(super) struct Rotations {
    waiting: Vec<oneshot::Sender<Result<Rotated, RotateError>>>,
    planned: Option<(SegmentId, Vec<ReplicaRef>)>,
}

impl Rotations {
    pub(super) fn wait(&mut self) -> oneshot::Receiver<Result<Rotated, RotateError>> {
        let (sender, receiver) = oneshot::channel();
        // Whoever stopped waiting is forgotten here at the latest.
        self.waiting.retain(|waiting| !waiting.is_closed());
        self.waiting.push(sender);
        receiver
    }

    pub(super) fn planned(&mut self, next: SegmentId, replicas: Vec<ReplicaRef>) {
        self.planned = Some((next, replicas));
    }

    pub(super) fn sealed(&mut self, sealed: SegmentId, at: ChunkSeq) {
        let Some((opened, replicas)) = self.planned.take() else { return };
        let rotated = Rotated { sealed, at, opened, replicas };
        self.tell(&Ok(rotated));
    }

    pub(super) fn unrotated(&mut self, log: &str, reason: &RotationReason, why: &str) {
        if *reason == RotationReason::Asked {
            self.tell(&Err(RotateError::NotPlanned { log: log.to_owned(), why: why.to_owned() }));
        }
    }

    pub(super) fn stopped(&mut self, why: &AppendError) {
        self.tell(&Err(RotateError::Stopped(why.clone())));
    }

    fn tell(&mut self, outcome: &Result<Rotated, RotateError>) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(outcome.clone());
        }
    }
}
