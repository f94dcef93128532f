//! The one writer of a log: hands out seqs, keeps a window of appends in flight, and says what became of each.
//!
//! ```text
//!  append ─► room? ─► machine (behind a lock) ─► puts to every replica's link
//!    │                   ▲        │
//!    ▼                   │        ▼
//!  PendingAppend ◄── committed  task: what the links report, and time
//! ```
//! An append goes from its caller to the links without a task in between: the only wakeups of a committed append are the
//! links', the task's when the quorum answers, and the caller's.
//!
//! # A replica that lags
//!
//! Appends go at the speed of the ack quorum. What a slower replica has not stored yet is kept for it beside the window, at
//! most [`STRAGGLER_CHUNKS_MAX`] committed chunks and [`STRAGGLER_BYTES_MAX`] of them (P10). Each bound holds a largest window:
//! a burst that fits in the window costs no replica its place, however late that answers. A longer burst does if a replica
//! falls back further than the bounds, and whether it is ill or merely slower is not asked: to keep more would be memory
//! without a bound, to wait for it would let the slowest replica set the pace.
//!
//! A replica that was left behind is put nothing until it has stored what was on its way to it; then it takes part again from
//! what is committed by that time. The chunks between it lacks; they are on an ack quorum.

mod attribution;
mod effects;
#[cfg(test)]
mod lagging_tests;
mod pending;
mod placing;
mod requests;
mod rotate;
mod segments;
mod settle;
mod shared;
mod task;
#[cfg(test)]
mod tests;

pub use attribution::{AppendTimes, ReplicaTimes};
pub use pending::{PendingAppend, Receipt};
pub use rotate::{MoveError, RotateError, Rotated};

use crate::connect::connect_to_tier;
use crate::error::AppendError;
use crate::quorum_store::Parts;
use bytes::Bytes;
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use quarry_protocol::limits::{STRAGGLER_BYTES_MAX, STRAGGLER_CHUNKS_MAX, WINDOW_BYTES_MAX, WINDOW_CHUNKS_MAX};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::rotation::RotationConfig;
use shared::Shared;
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;

// What the module says of bursts.
const _: () = assert!(STRAGGLER_CHUNKS_MAX >= WINDOW_CHUNKS_MAX && STRAGGLER_BYTES_MAX >= WINDOW_BYTES_MAX);

/// The one writer of a log, until another open takes the log over; from [`crate::ChunkStore::open`].
///
/// May be shared between tasks by reference or in an `Arc`; seqs are handed out in the order in which the appends got
/// room, which is the order of the calls.
///
/// Dropping the writer ends it: it takes no more appends, but those already made go on until each is settled, and their
/// [`PendingAppend`]s resolve as usual. It does not give the log up to anybody; the next open takes it over all the same.
/// If the runtime is shut down first, appends in flight are of unknown fate.
pub struct LogWriter {
    shared: Arc<Shared>,
}

impl LogWriter {
    /// The writer of a log whose open segment the register holds (P5). Must be called inside a Tokio runtime.
    pub(crate) fn start(parts: Arc<Parts>, config: RotationConfig, attribution: bool) -> Self {
        let (sender, mut events) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(parts, config, sender, attribution));
        // Each link has said by now whether it is up: the first append does not have to wait for the task to hear it.
        let mut first = Vec::new();
        while let Ok(event) = events.try_recv() {
            first.push(event);
        }
        shared.take_events(&mut first);
        tokio::spawn(task::run(task::AbandonOnDrop(Arc::clone(&shared)), events));
        Self { shared }
    }

    /// The log's name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The log's identity.
    pub fn log(&self) -> LogId {
        self.shared.log
    }

    /// This writer's epoch.
    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    /// The segment that takes appends now.
    pub fn segment(&self) -> SegmentId {
        self.shared.segment()
    }

    /// The replicas of that segment.
    pub fn replicas(&self) -> Vec<ReplicaRef> {
        self.shared.replicas()
    }

    /// Ends the open segment: what is appended from then on lies in a new one, on replicas chosen anew. It ends right at the next
    /// chunk, so appends wait for one answer of the register. Resolves once the segment that was open at the time of the
    /// call is sealed. A segment that holds nothing ends after its next chunk.
    ///
    /// A writer does this by itself when a segment has grown to its size, has come of age, or has a replica that failed
    /// ([`crate::RotationOptions`]).
    pub async fn rotate(&self) -> Result<Rotated, RotateError> {
        self.shared.rotate().await
    }

    /// Moves the log to the tier that `url` names: what is appended after the segment that is open now lies there, with as many
    /// replicas and the window that the URL asks for. Numbering goes on, and readers need not know; what was
    /// appended before stays where it is. Ends and resolves as [`Self::rotate`] does. `url` names no register: the log's
    /// record stays in the store's own.
    ///
    /// The move lasts as long as this writer. Whoever opens the log next puts its segments on the tier of its own store's URL.
    pub async fn move_to(&self, url: &str) -> Result<Rotated, MoveError> {
        let reached = connect_to_tier(self.shared.parts.cluster.as_ref(), url).await?;
        let shape = reached.shape;
        Ok(self.shared.move_to(reached.cluster(), shape).await?)
    }

    /// Where appends wait, and why, if they do: the register has not said whether the planned end of the segment is on record (P11).
    /// They go on by themselves once it does.
    pub fn stalled_at(&self) -> Option<(ChunkSeq, String)> {
        self.shared.stalled_at()
    }

    /// What the next append will get, if the writer is still good.
    pub fn next_seq(&self) -> ChunkSeq {
        self.shared.next_seq()
    }

    /// The first seq that is not committed, as far as this writer has been acknowledged.
    pub fn tail(&self) -> ChunkSeq {
        self.shared.tail()
    }

    /// Appends a chunk. Waits until the window has room for it, then hands out its seq, sends it to every replica and
    /// returns; the append is committed when the returned future resolves.
    ///
    /// While other appends are in flight, the chunk goes out as soon as the caller waits for anything: chunks that are appended in a
    /// row share system calls. A caller that does something long in between without waiting holds it up.
    ///
    /// Dropping this future before it resolves appends nothing. The payload is not copied; it is held until every replica
    /// has it or has been left behind.
    pub async fn append(&self, payload: Bytes) -> Result<PendingAppend, AppendError> {
        self.shared.append(payload).await
    }

    /// Appends a chunk if the window has room for it now and no other task is appending or waiting for room; else fails
    /// with [`AppendError::NoRoom`].
    #[allow(clippy::needless_pass_by_value, reason = "an append takes its chunk, whether it waits or not")]
    pub fn try_append(&self, payload: Bytes) -> Result<PendingAppend, AppendError> {
        self.shared.try_append(&payload)
    }

    /// Waits until everything appended before this call is settled. Returns the tail, or why one of these appends failed.
    pub async fn flush(&self) -> Result<ChunkSeq, AppendError> {
        self.shared.flush().await
    }

    /// Takes no more appends, flushes, and ends the writer. The log stays as it is until the next open.
    pub async fn close(self) -> Result<ChunkSeq, AppendError> {
        self.shared.flush().await
    }

    /// Waits until this writer is finished, and says why: it was fenced, lost its quorum, or the log was deleted. An idle
    /// writer is told nothing by the replicas, so it finds out with its next append.
    pub async fn stopped(&self) -> AppendError {
        self.shared.stopped().await
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogWriter")
            .field("name", &self.name())
            .field("log", &self.log())
            .field("segment", &self.segment())
            .field("next_seq", &self.next_seq())
            .field("tail", &self.tail())
            .finish_non_exhaustive()
    }
}
