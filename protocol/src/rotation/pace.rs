//! How fast chunks are appended: how far ahead a boundary has to be planned.

use crate::time::Micros;

/// How long the register may take to answer until appends reach a boundary that was planned meanwhile, in microseconds.
pub const AHEAD_US: u64 = 1_000_000;
/// Most chunks that a boundary is planned ahead.
pub const AHEAD_CHUNKS_MAX: u64 = 1 << 16;

/// Appends in this stretch of [`AHEAD_US`] and in the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    begun: Micros,
    now: u64,
    before: u64,
}

impl Pace {
    pub(super) const fn new(now: Micros) -> Self {
        Self { begun: now, now: 0, before: 0 }
    }

    pub(super) fn note(&mut self, now: Micros) {
        self.roll(now);
        self.now += 1;
    }

    /// How many chunks may be appended until the register has answered. 0 while nothing is appended: then a boundary right at the
    /// next seq stops nobody.
    pub(super) fn ahead(&mut self, now: Micros) -> u64 {
        self.roll(now);
        self.now.max(self.before).min(AHEAD_CHUNKS_MAX)
    }

    fn roll(&mut self, now: Micros) {
        let passed = now.since(self.begun) / AHEAD_US;
        if passed > 0 {
            self.before = if passed == 1 { self.now } else { 0 };
            (self.now, self.begun) = (0, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_lies_as_far_ahead_as_appends_get_in_a_second() {
        let mut pace = Pace::new(Micros(0));
        assert_eq!(pace.ahead(Micros(0)), 0);
        for i in 0..100 {
            pace.note(Micros(i * 10_000));
        }
        assert_eq!(pace.ahead(Micros(999_999)), 100);
        pace.note(Micros(AHEAD_US + 5));
        assert_eq!(pace.ahead(Micros(AHEAD_US + 10)), 100, "the stretch before counts");
        assert_eq!(pace.ahead(Micros(10 * AHEAD_US)), 0, "an idle log has no pace");
        for _ in 0..=AHEAD_CHUNKS_MAX {
            pace.note(Micros(20 * AHEAD_US));
        }
        assert_eq!(pace.ahead(Micros(20 * AHEAD_US)), AHEAD_CHUNKS_MAX);
    }
}
