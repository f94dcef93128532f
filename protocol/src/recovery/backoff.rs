//! How long to wait before something is tried again.

use crate::time::Micros;

/// The first wait, in microseconds.
const BACKOFF_US_MIN: u64 = 20_000;
/// The longest wait, in microseconds.
const BACKOFF_US_MAX: u64 = 1_000_000;

/// Waits that double up to a bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    next_us: u64,
}

impl Backoff {
    pub(super) const fn new() -> Self {
        Self { next_us: BACKOFF_US_MIN }
    }

    /// When to try again after a failure at `now`.
    pub(super) fn after(&mut self, now: Micros) -> Micros {
        let at = now.plus(self.next_us);
        self.next_us = (self.next_us * 2).min(BACKOFF_US_MAX);
        at
    }

    /// It worked: the next failure is a first one again.
    pub(super) const fn reset(&mut self) {
        self.next_us = BACKOFF_US_MIN;
    }
}
