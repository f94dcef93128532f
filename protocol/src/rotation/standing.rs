//! Which replicas are not to be chosen, and when the next replacement may be tried: flapping nodes must not make a storm (P10).

use crate::ids::DiskId;
use crate::time::Micros;
use alloc::vec::Vec;

/// How long a replica that was replaced is not chosen again at first, in microseconds. Doubles each time.
pub const COOL_DOWN_US_MIN: u64 = 60_000_000;
/// How long it is not chosen at most, in microseconds.
pub const COOL_DOWN_US_MAX: u64 = 3_600_000_000;
/// Most replicas that are remembered as replaced; the one that may be chosen soonest is forgotten first.
pub const COOLING_MAX: usize = 32;
/// How long after a replacement, or after one that found no spare zone, the next one is tried, in microseconds. Doubles each
/// time that they follow each other closely.
pub const REPLACE_PAUSE_US_MIN: u64 = 2_000_000;
/// How long it takes at most, in microseconds.
pub const REPLACE_PAUSE_US_MAX: u64 = 60_000_000;

/// A replica that was replaced.
#[derive(Clone, Copy, Debug)]
struct Cooling {
    disk: DiskId,
    until: Micros,
    /// How long it will be left alone if it has to be replaced again.
    next_us: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    cooling: Vec<Cooling>,
    /// Disks that are to hold nothing new.
    unwanted: Vec<DiskId>,
    replace_after: Micros,
    pause_us: u64,
}

impl Standing {
    pub(super) const fn new(now: Micros) -> Self {
        Self { cooling: Vec::new(), unwanted: Vec::new(), replace_after: now, pause_us: REPLACE_PAUSE_US_MIN }
    }

    pub(super) fn want_not(&mut self, disks: Vec<DiskId>) {
        self.unwanted = disks;
    }

    pub(super) fn is_unwanted(&self, disk: DiskId) -> bool {
        self.unwanted.contains(&disk)
    }

    /// Who is not to be chosen now.
    pub(super) fn avoided(&self, now: Micros) -> impl Iterator<Item = DiskId> + '_ {
        let cooling = self.cooling.iter().filter(move |cooling| now < cooling.until).map(|cooling| cooling.disk);
        cooling.chain(self.unwanted.iter().copied())
    }

    /// When the next replacement may be tried.
    pub(super) const fn replace_after(&self) -> Micros {
        self.replace_after
    }

    /// A replacement was tried, successfully or not: the next one waits.
    pub(super) fn tried(&mut self, now: Micros) {
        let quiet_us = now.since(self.replace_after);
        self.pause_us = if quiet_us > 2 * self.pause_us { REPLACE_PAUSE_US_MIN } else { self.pause_us };
        self.replace_after = now.plus(self.pause_us);
        self.pause_us = (2 * self.pause_us).min(REPLACE_PAUSE_US_MAX);
    }

    /// This replica was replaced: it is left alone for a while.
    pub(super) fn replaced(&mut self, now: Micros, disk: DiskId) {
        let known = self.cooling.iter_mut().find(|cooling| cooling.disk == disk);
        if let Some(cooling) = known {
            cooling.until = now.plus(cooling.next_us);
            cooling.next_us = (2 * cooling.next_us).min(COOL_DOWN_US_MAX);
            return;
        }
        if self.cooling.len() == COOLING_MAX {
            self.cooling.sort_by_key(|cooling| cooling.until);
            self.cooling.remove(0);
        }
        let (until, next_us) = (now.plus(COOL_DOWN_US_MIN), 2 * COOL_DOWN_US_MIN);
        self.cooling.push(Cooling { disk, until, next_us });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_flapping_replica_is_left_alone_for_longer_each_time() {
        let mut standing = Standing::new(Micros(0));
        let disk = DiskId([1; 16]);
        standing.replaced(Micros(0), disk);
        let avoided = |standing: &Standing, at: u64| standing.avoided(Micros(at * SECOND)).any(|found| found == disk);
        assert!(avoided(&standing, 59) && !avoided(&standing, 60));
        standing.replaced(Micros(100 * SECOND), disk);
        assert!(avoided(&standing, 219) && !avoided(&standing, 220));
        for _ in 0..20 {
            standing.replaced(Micros(0), disk);
        }
        assert!(avoided(&standing, 3599) && !avoided(&standing, 3600));
    }

    #[test]
    fn replacements_that_follow_each_other_wait_longer_each_time() {
        let mut standing = Standing::new(Micros(0));
        let mut waits = Vec::new();
        let mut now = Micros(0);
        for _ in 0..8 {
            standing.tried(now);
            waits.push(standing.replace_after().since(now) / SECOND);
            now = standing.replace_after();
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
        now = now.plus(1000 * SECOND);
        standing.tried(now);
        assert_eq!(standing.replace_after().since(now), REPLACE_PAUSE_US_MIN, "after a quiet time it is a first one");
    }

    #[test]
    fn only_so_many_are_remembered() {
        let mut standing = Standing::new(Micros(0));
        for i in 0..=COOLING_MAX {
            standing.replaced(Micros(i as u64), DiskId([i as u8 + 1; 16]));
        }
        assert_eq!(standing.cooling.len(), COOLING_MAX);
        assert!(standing.avoided(Micros(100)).all(|disk| disk != DiskId([1; 16])), "the oldest is forgotten");
    }
}
