//! The clock of the open loop: tells when each operation is due, from a thread of its own, because an async timer
//! rounds to milliseconds and a busy runtime would delay the very ticks that measure it.

use super::open::{DRAIN_MIN, DRAIN_PARTS};
use crate::measured::Until;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long the thread sleeps before it looks whether anybody still listens.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// When each operation is due: computed from its number, so that errors do not add up and a backlog takes no memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    begun_at: Instant,
    per_second: f64,
    operations: u64,
}

impl Schedule {
    pub(super) fn new(begun_at: Instant, per_second: f64, until: Until) -> Self {
        #[allow(
            clippy::cast_sign_loss,
            reason = "neither a time nor a rate is negative; what is too large becomes the largest"
        )]
        let fit = (until.elapsed_max.as_secs_f64() * per_second).ceil() as u64;
        Self { begun_at, per_second, operations: fit.min(until.operations_max) }
    }

    /// How many there are.
    pub(super) const fn operations(&self) -> u64 {
        self.operations
    }

    /// When operation `number` is due.
    pub(super) fn due_at(&self, number: u64) -> Instant {
        self.begun_at + offset_of(number, self.per_second)
    }

    /// When all are due.
    pub(super) fn end_at(&self) -> Instant {
        self.due_at(self.operations)
    }

    /// When nothing more is handed over.
    pub(super) fn cut_at(&self) -> Instant {
        let length = self.end_at() - self.begun_at;
        self.end_at() + (length * DRAIN_PARTS).max(DRAIN_MIN)
    }
}

fn offset_of(number: u64, per_second: f64) -> Duration {
    Duration::try_from_secs_f64(number as f64 / per_second).unwrap_or(Duration::MAX)
}

/// Gives each lane a permit whenever an operation of its own is due. Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Pacer {
    permits: Arc<Vec<Semaphore>>,
}

impl Pacer {
    /// Starts ticking.
    pub(super) fn start(schedule: Schedule, lanes: usize) -> Self {
        let permits: Arc<Vec<_>> = Arc::new((0..lanes).map(|_| Semaphore::new(0)).collect());
        let listeners = Arc::downgrade(&permits);
        std::thread::spawn(move || {
            (0..schedule.operations()).all(|number| tick(schedule.due_at(number), number, &listeners));
        });
        Self { permits }
    }

    /// One for each lane.
    pub(super) fn permits(&self) -> std::slice::Iter<'_, Semaphore> {
        self.permits.iter()
    }
}

/// Sleeps until operation `number` is due and says so. False if nobody listens any more.
fn tick(due_at: Instant, number: u64, listeners: &Weak<Vec<Semaphore>>) -> bool {
    loop {
        let Some(permits) = listeners.upgrade() else { return false };
        let left = due_at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            permits[(number % permits.len() as u64) as usize].add_permits(1);
            return true;
        }
        drop(permits);
        std::thread::sleep(left.min(SLEEP_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_evenly_spaced_from_the_start_and_bounded() {
        assert_eq!(offset_of(0, 1000.0), Duration::ZERO);
        assert_eq!(offset_of(1_000_000, 1000.0), Duration::from_secs(1000));
        let now = Instant::now();
        let schedule = Schedule::new(now, 10_000.0, Until::operations(5));
        assert_eq!(schedule.operations(), 5);
        let due: Vec<_> = (0..5).map(|number| schedule.due_at(number) - now).collect();
        assert_eq!(due, [0, 100, 200, 300, 400].map(Duration::from_micros));
        let timed = Schedule::new(now, 1000.0, Until::elapsed(Duration::from_millis(20)));
        assert_eq!((timed.operations(), timed.end_at() - now), (20, Duration::from_millis(20)));
        assert_eq!(timed.cut_at() - now, Duration::from_millis(20) + DRAIN_MIN);
        let long = Schedule::new(now, 1.0, Until::elapsed(Duration::from_mins(1)));
        assert_eq!(long.cut_at() - now, Duration::from_mins(2));
    }

    /// Every lane gets its own operations, none before it is due, and none too many.
    #[test]
    fn each_lane_gets_a_permit_for_each_of_its_operations() {
        let schedule = Schedule::new(Instant::now(), 1000.0, Until::operations(11));
        let pacer = Pacer::start(schedule, 3);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        for (lane, operations) in [4, 4, 3].into_iter().enumerate() {
            for turn in 0..operations {
                runtime.block_on(pacer.permits[lane].acquire()).expect("is open").forget();
                assert!(Instant::now() >= schedule.due_at(turn * 3 + lane as u64));
            }
        }
        std::thread::sleep(Duration::from_millis(20));
        assert!(pacer.permits().all(|permits| permits.available_permits() == 0), "{pacer:?}");
    }
}
