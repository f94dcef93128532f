//! Ending the open segment on demand.

use crate::error::{AppendError, ConnectError};
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

/// Why a log did not move to another tier. Appends go on where they went.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// The other tier cannot be used.
    #[error(transparent)]
    Tier(#[from] ConnectError),
    /// The segment was not ended, or the writer stopped.
    #[error(transparent)]
    Rotate(#[from] RotateError),
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

/// What somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The end of the open segment.
    Rotate,
    /// Another tier.
    Move,
}

/// Who waits for a rotation.
#[derive(Default)]
pub(super) struct Rotations {
    waiting: Vec<(Wish, oneshot::Sender<Result<Rotated, RotateError>>)>,
    planned: Option<Planned>,
}

struct Planned {
    next: SegmentId,
    replicas: Vec<ReplicaRef>,
    moves: bool,
}

impl Rotations {
    pub(super) fn wait(&mut self, wish: Wish) -> oneshot::Receiver<Result<Rotated, RotateError>> {
        let (sender, receiver) = oneshot::channel();
        // Whoever stopped waiting is forgotten here at the latest.
        self.waiting.retain(|(_, waiting)| !waiting.is_closed());
        self.waiting.push((wish, sender));
        receiver
    }

    pub(super) fn planned(&mut self, next: SegmentId, replicas: Vec<ReplicaRef>, why: &RotationReason) {
        let moves = matches!(why, RotationReason::Moved { .. });
        self.planned = Some(Planned { next, replicas, moves });
    }

    pub(super) fn sealed(&mut self, sealed: SegmentId, at: ChunkSeq) {
        let Some(Planned { next: opened, replicas, moves }) = self.planned.take() else { return };
        let rotated = Rotated { sealed, at, opened, replicas };
        self.tell(&Ok(rotated), |wish| moves || wish == Wish::Rotate);
    }

    pub(super) fn unrotated(&mut self, log: &str, reason: &RotationReason, why: &str) {
        let wished = match reason {
            RotationReason::Asked => Wish::Rotate,
            RotationReason::Moved { .. } => Wish::Move,
            _ => return,
        };
        let outcome = Err(RotateError::NotPlanned { log: log.to_owned(), why: why.to_owned() });
        self.tell(&outcome, |wish| wish == wished);
    }

    pub(super) fn stopped(&mut self, why: &AppendError) {
        self.tell(&Err(RotateError::Stopped(why.clone())), |_| true);
    }

    fn tell(&mut self, outcome: &Result<Rotated, RotateError>, concerns: impl Fn(Wish) -> bool) {
        let concerned = self.waiting.extract_if(.., |(wish, _)| concerns(*wish));
        for (_, waiting) in concerned {
            let _ = waiting.send(outcome.clone());
        }
    }
}
