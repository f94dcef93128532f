//! What all clients of a drill share: a ledger per log, counts, and every violation found.

use super::ledger::{Checked, Ledger};
use super::payload::Sizes;
use super::stalls::Stalls;
use serde::Serialize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many violations are kept: one is enough, a few may show a pattern.
const VIOLATIONS_MAX: usize = 20;

/// What the clients did, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Appends acknowledged.
    pub acknowledged: u64,
    /// Payload bytes of them.
    pub acknowledged_bytes: u64,
    /// Appends that failed and are never stored.
    pub never_stored: u64,
    /// Appends of a fate that nobody was told.
    pub unknown: u64,
    /// Opens that succeeded.
    pub opens: u64,
    /// Opens that failed, and were tried again.
    pub opens_failed: u64,
    /// Writers that were fenced while they had something to append.
    pub takeovers: u64,
    /// Writers that stopped for want of a quorum.
    pub writers_stopped: u64,
    /// Segments that writers ended by themselves.
    pub rotations: u64,
    /// Segments that a client asked to be ended, and were.
    pub rotations_asked: u64,
    /// Trims that were confirmed.
    pub trims: u64,
    /// Trims that failed, and were tried again.
    pub trims_failed: u64,
    /// Streams that were read from, some of them following the tail.
    pub reads: u64,
    /// Streams that failed, and were tried again.
    pub reads_failed: u64,
    /// Chunks read and compared.
    pub chunks_read: u64,
    /// Repairs of a log that came to an end.
    pub repairs: u64,
    /// Repairs that were broken off.
    pub repairs_interrupted: u64,
    /// Chunks that repairs copied.
    pub chunks_repaired: u64,
    /// Copies that no record needed and that were freed.
    pub orphans_freed: u64,
    /// Copies of sealed segments that were read from their own holders at last, and were whole.
    pub copies_whole: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) seed: u64,
    ledgers: Vec<Mutex<Ledger>>,
    counts: Mutex<Counts>,
    pub(super) stalls: Stalls,
    violations: watch::Sender<Vec<String>>,
}

impl Checker {
    /// A checker of as many logs as there are sizes, the hog's among them.
    pub(super) fn new(seed: u64, logs: &[Sizes]) -> Self {
        let ledgers = logs.iter().enumerate().map(|(log, sizes)| Mutex::new(Ledger::new(seed, log, *sizes)));
        Self {
            seed,
            ledgers: ledgers.collect(),
            counts: Mutex::default(),
            // The hog, which comes last, is after having to wait.
            stalls: Stalls::new(logs.len() - 1),
            violations: watch::Sender::new(Vec::new()),
        }
    }

    /// How many logs.
    pub(super) fn logs(&self) -> usize {
        self.ledgers.len()
    }

    /// The ledger of a log. Held for a moment, never while anything is awaited.
    pub(super) fn ledger(&self, log: usize) -> MutexGuard<'_, Ledger> {
        self.ledgers[log].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts something.
    pub(super) fn count(&self, what: impl FnOnce(&mut Counts)) {
        what(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What was counted.
    pub(super) fn counts(&self) -> Counts {
        let counts = *self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        Counts { unknown: (0..self.logs()).map(|log| self.ledger(log).unknown()).sum(), ..counts }
    }

    /// Takes a violation down. True if there was none.
    pub(super) fn check(&self, log: usize, who: &str, checked: Checked) -> bool {
        match checked {
            Ok(()) => true,
            Err(why) => {
                self.violated(format!("log {:?}, {who}: {why}", log_name(log)));
                false
            }
        }
    }

    /// Takes a violation down.
    pub(super) fn violated(&self, why: String) {
        self.violations.send_modify(|violations| {
            if violations.len() < VIOLATIONS_MAX {
                violations.push(why);
            }
        });
    }

    /// What was violated so far.
    pub(super) fn violations(&self) -> Vec<String> {
        self.violations.borrow().clone()
    }

    /// Resolves once something is violated.
    pub(super) async fn first_violation(&self) {
        let mut receiver = self.violations.subscribe();
        // The sender lives as long as this checker.
        let _ = receiver.wait_for(|violations| !violations.is_empty()).await;
    }
}

/// The name of a log.
pub(super) fn log_name(log: usize) -> String {
    format!("drilled-{log}")
}
