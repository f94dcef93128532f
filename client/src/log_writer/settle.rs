//! Whom to tell what became of an append. Appends are settled in the order in which they were made.

use super::attribution::AppendTimes;
use super::pending::Receipt;
use crate::error::{AppendError, Fate};
use quarry_protocol::ids::{ChunkSeq, Epoch};
use quarry_protocol::writer::AppendToken;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::oneshot;

/// How an append ended.
pub(super) type Outcome = Result<Receipt, AppendError>;

/// The appends that are not settled.
pub(super) struct Settling {
    epoch: Epoch,
    /// The token of the first one; tokens are dense.
    first: AppendToken,
    waiting: VecDeque<Settled>,
    unknown_left: bool,
}

/// Everybody who waits for one append, and, once it is known, what became of it.
pub(super) struct Settled {
    append: Option<oneshot::Sender<Outcome>>,
    flushes: Vec<oneshot::Sender<Outcome>>,
    outcome: Option<Outcome>,
}

impl Settling {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { epoch, first: 0, waiting: VecDeque::new(), unknown_left: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A new append; its outcome goes to `append`.
    pub(super) fn add(&mut self, append: oneshot::Sender<Outcome>) -> AppendToken {
        let token = self.first + self.waiting.len() as u64;
        self.waiting.push_back(Settled { append: Some(append), flushes: Vec::new(), outcome: None });
        token
    }

    /// Resolves when the newest append does; none if everything is settled.
    pub(super) fn when_settled(&mut self) -> Option<oneshot::Receiver<Outcome>> {
        let last = self.waiting.back_mut()?;
        let (sender, receiver) = oneshot::channel();
        last.flushes.push(sender);
        Some(receiver)
    }

    pub(super) fn committed(&mut self, token: AppendToken, seq: ChunkSeq, times: Option<Arc<AppendTimes>>) -> Settled {
        let epoch = self.epoch;
        self.settle(token, Ok(Receipt { seq, epoch, times }))
    }

    pub(super) fn failed(&mut self, token: AppendToken, why: AppendError) -> Settled {
        self.unknown_left |= why.fate() == Fate::Unknown;
        self.settle(token, Err(why))
    }

    /// Whether any append was left in doubt.
    pub(super) fn worst_fate(&self) -> Fate {
        if self.unknown_left { Fate::Unknown } else { Fate::NeverStored }
    }

    /// Nobody will settle anything any more: who waits hears so by the loss of the sender.
    pub(super) fn abandon(&mut self) {
        self.unknown_left |= !self.waiting.is_empty();
        self.first += self.waiting.len() as u64;
        self.waiting.clear();
    }

    fn settle(&mut self, token: AppendToken, outcome: Outcome) -> Settled {
        assert!(token == self.first, "append {token} is settled, {} is the oldest one", self.first);
        let mut settled = self.waiting.pop_front().expect("an append that is settled was waiting");
        self.first += 1;
        settled.outcome = Some(outcome);
        settled
    }
}

impl Settled {
    /// Tells everybody who still listens.
    pub(super) fn tell(self) {
        let outcome = self.outcome.expect("only a settled append is told of");
        for flush in self.flushes {
            let _ = flush.send(outcome.clone());
        }
        if let Some(append) = self.append {
            let _ = append.send(outcome);
        }
    }
}
