//! Foca's timers, in order.

use super::identity::GossipId;
use foca::Timer;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Timers {
    /// By when they are due, and in which order they were set.
    waiting: BTreeMap<(Instant, u64), Timer<GossipId>>,
    set: u64,
}

impl Timers {
    pub(super) fn set(&mut self, now: Instant, after: Duration, timer: Timer<GossipId>) {
        self.set += 1;
        self.waiting.insert((now + after, self.set), timer);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    /// The next one that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Timer<GossipId>> {
        let entry = self.waiting.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}
