//! Coalescing: trims of one log that wait while a round is under way go together in the next one (P12).

use crate::error::TrimError;
use quarry_protocol::ids::ChunkSeq;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as FairMutex, oneshot};

/// The trims under way, by log name.
#[derive(Default)]
pub(crate) struct Trims {
    by_name: Mutex<BTreeMap<String, Arc<Queue>>>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Vec<Waiting>>,
    /// Held during a round.
    round: FairMutex<()>,
}

struct Waiting {
    below: ChunkSeq,
    outcome: oneshot::Sender<Result<ChunkSeq, TrimError>>,
}

impl Trims {
    /// Waits for the round that takes `below` in. Whoever gets to it first runs it, for all that wait by then.
    pub(crate) async fn trim<R>(
        &self,
        name: &str,
        below: ChunkSeq,
        round: impl Fn(Vec<ChunkSeq>) -> R,
    ) -> Result<ChunkSeq, TrimError>
    where
        R: Future<Output = Vec<Result<ChunkSeq, TrimError>>>,
    {
        let queue = Arc::clone(lock(&self.by_name).entry(name.to_owned()).or_default());
        let joined = Joined { trims: self, name, queue };
        joined.queue.trim(below, round).await
    }
}

/// Takes the queue off the map when its last trim leaves, finished or dropped.
struct Joined<'a> {
    trims: &'a Trims,
    name: &'a str,
    queue: Arc<Queue>,
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let mut by_name = lock(&self.trims.by_name);
        // Two owners: the map and this trim. Nobody joins while the map is locked.
        if Arc::strong_count(&self.queue) == 2 {
            by_name.remove(self.name);
        }
    }
}

impl Queue {
    async fn trim<R>(&self, below: ChunkSeq, round: impl Fn(Vec<ChunkSeq>) -> R) -> Result<ChunkSeq, TrimError>
    where
        R: Future<Output = Vec<Result<ChunkSeq, TrimError>>>,
    {
        loop {
            let (sender, mut outcome) = oneshot::channel();
            lock(&self.waiting).push(Waiting { below, outcome: sender });
            let turn = tokio::select! {
                biased;
                told = &mut outcome => match told {
                    Ok(told) => return told,
                    // Whoever ran the round was dropped in the middle: again.
                    Err(_) => continue,
                },
                turn = self.round.lock() => turn,
            };
            let batch = std::mem::take(&mut *lock(&self.waiting));
            let outcomes = round(batch.iter().map(|waiting| waiting.below).collect()).await;
            assert!(outcomes.len() == batch.len(), "{} outcomes of {} trims", outcomes.len(), batch.len());
            for (waiting, told) in batch.into_iter().zip(outcomes) {
                let _ = waiting.outcome.send(told);
            }
            drop(turn);
            if let Ok(told) = outcome.try_recv() {
                return told;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
