//! An append on its way.

use super::attribution::AppendTimes;
use crate::error::{AppendError, Fate};
use quarry_protocol::ids::{ChunkSeq, Epoch};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;

/// The proof that a chunk is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The chunk's number in the log.
    pub seq: ChunkSeq,
    /// The writer's epoch.
    pub epoch: Epoch,
    /// Where the time went, of a writer opened with [`crate::OpenOptions::attribution`].
    pub times: Option<Arc<AppendTimes>>,
}

/// An append on its way: a future that resolves when the chunk is committed, or when its fate is decided otherwise.
/// Dropping it stops the waiting, not the append.
#[must_use = "the chunk is not committed before this resolves"]
#[derive(Debug)]
pub struct PendingAppend {
    seq: ChunkSeq,
    log: Arc<str>,
    outcome: oneshot::Receiver<Result<Receipt, AppendError>>,
}

impl PendingAppend {
    pub(super) fn new(seq: ChunkSeq, log: Arc<str>, outcome: oneshot::Receiver<Result<Receipt, AppendError>>) -> Self {
        Self { seq, log, outcome }
    }

    /// The seq that the chunk will have if it is committed. If it never is, a later writer may give this seq to another chunk.
    pub const fn seq(&self) -> ChunkSeq {
        self.seq
    }
}

impl Future for PendingAppend {
    type Output = Result<Receipt, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.outcome).poll(cx));
        Poll::Ready(outcome.unwrap_or_else(|_| {
            Err(AppendError::Stopped {
                log: self.log.to_string(),
                why: "its runtime was shut down".to_owned(),
                fate: Fate::Unknown,
            })
        }))
    }
}
