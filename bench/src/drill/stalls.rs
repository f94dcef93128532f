//! The longest times without an acknowledgement, by what was being done to the nodes meanwhile.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What went on while nothing was being done to any node.
const QUIET: &str = "no fault";

/// How long a wait must be to be noted where and when it happened.
const WORTH_A_LINE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Waiting {
    /// When somebody began to wait for an acknowledgement of this log, with what going on.
    since: Option<(Instant, String)>,
    /// How many wait.
    wanted: usize,
}

#[derive(Debug)]
struct State {
    now: String,
    logs: Vec<Waiting>,
    longest: BTreeMap<String, Duration>,
}

/// See the module. A log waits from when a client wants something appended until one is told that something was, takeovers
/// and opens that fail included.
#[derive(Debug)]
pub(super) struct Stalls(Mutex<State>);

impl Stalls {
    /// Of the first `logs` logs; others do not count.
    pub(super) fn new(logs: usize) -> Self {
        let logs = (0..logs).map(|_| Waiting { since: None, wanted: 0 }).collect();
        Self(Mutex::new(State { now: QUIET.to_owned(), logs, longest: BTreeMap::new() }))
    }

    /// What goes on from now on; none for nothing.
    pub(super) fn now(&self, what: Option<&str>) {
        what.unwrap_or(QUIET).clone_into(&mut self.lock().now);
    }

    /// A client wants something of a log.
    pub(super) fn wanted(&self, log: usize) {
        let mut state = self.lock();
        let now = state.now.clone();
        let Some(waiting) = state.logs.get_mut(log) else { return };
        waiting.wanted += 1;
        waiting.since.get_or_insert_with(|| (Instant::now(), now));
    }

    /// It was told that it did not get it. The wait goes on: it will try again.
    pub(super) fn failed(&self, log: usize) {
        if let Some(waiting) = self.lock().logs.get_mut(log) {
            waiting.wanted -= 1;
        }
    }

    /// An append was acknowledged.
    pub(super) fn acknowledged(&self, log: usize) {
        let mut state = self.lock();
        let now = state.now.clone();
        let Some(waiting) = state.logs.get_mut(log) else { return };
        waiting.wanted -= 1;
        let next = (waiting.wanted > 0).then(|| (Instant::now(), now.clone()));
        let Some((since, then)) = std::mem::replace(&mut waiting.since, next) else { return };
        // A wait that began in one fault is that one's, though the next has begun when it ends.
        let whose = if then == QUIET { now } else { then };
        if since.elapsed() > WORTH_A_LINE {
            tracing::info!(log, during = %whose, "nothing was acknowledged for {} ms", since.elapsed().as_millis());
        }
        let longest = state.longest.entry(whose).or_default();
        *longest = since.elapsed().max(*longest);
    }

    /// The longest waits, in milliseconds.
    pub(super) fn longest_ms(&self) -> BTreeMap<String, u64> {
        self.lock().longest.iter().map(|(what, longest)| (what.clone(), longest.as_millis() as u64)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_belongs_to_the_fault_that_it_met() {
        let stalls = Stalls::new(1);
        stalls.wanted(0);
        stalls.now(Some("kill"));
        stalls.wanted(0);
        stalls.failed(0);
        std::thread::sleep(Duration::from_millis(3));
        stalls.now(None);
        stalls.acknowledged(0);
        assert!(stalls.longest_ms()[QUIET] >= 3, "it began, and ended, without one");
        stalls.now(Some("kill"));
        stalls.wanted(0);
        std::thread::sleep(Duration::from_millis(2));
        stalls.acknowledged(0);
        assert!(stalls.longest_ms()["kill"] >= 2);
        stalls.wanted(0);
        stalls.now(Some("pause"));
        stalls.acknowledged(0);
        assert_eq!(stalls.longest_ms().len(), 2, "it began in a kill");
        stalls.wanted(1);
        stalls.now(Some("full disk"));
        stalls.acknowledged(1);
        assert_eq!(stalls.longest_ms().len(), 2, "the second log does not count");
    }
}
