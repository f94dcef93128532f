//! How long to wait before something is tried again.

use crate::time::Micros;

/// The first wait, in microseconds.
const BACKOFF_US_MIN: u64 = 20_000;
/// The longest wait, in microseconds.
const BACKOFF_US_MAX: u64 = 1_000_000;

/// Waits that double up to a bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    next_us: u64,
    us_max: u64,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self::at_most(BACKOFF_US_MAX)
    }

    /// Waits that double up to `us_max` microseconds, for somebody who has less time.
    pub(crate) const fn at_most(us_max: u64) -> Self {
        assert!(us_max >= BACKOFF_US_MIN, "waits begin at BACKOFF_US_MIN");
        Self { next_us: BACKOFF_US_MIN, us_max }
    }

    /// When to try again after a failure at `now`.
    pub(crate) fn after(&mut self, now: Micros) -> Micros {
        let at = now.plus(self.next_us);
        self.next_us = (self.next_us * 2).min(self.us_max);
        at
    }

    /// It worked: the next failure is a first one again.
    pub(crate) const fn reset(&mut self) {
        self.next_us = BACKOFF_US_MIN;
    }
}
