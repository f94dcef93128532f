//! The search for the highest rate that holds: rising until one does not, then halving the gap. Pure: it is told how each rate
//! went and says which is next.

use crate::result::PartResult;
use crate::suite::LadderSpec;

/// How much of what was offered must have been done.
const DONE_MIN: f64 = 0.98;

/// A search under way.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    spec: LadderSpec,
    steps: usize,
    halvings: usize,
    /// The highest rate that held, with none below it that did not.
    held: Option<f64>,
    /// The lowest rate that did not.
    broke: Option<f64>,
}

impl Ladder {
    pub(super) const fn new(spec: LadderSpec) -> Self {
        Self { spec, steps: 0, halvings: 0, held: None, broke: None }
    }

    /// The next rate; `None` at the end.
    pub(super) fn next(&self) -> Option<f64> {
        if self.steps == self.spec.steps_max {
            return None;
        }
        match (self.held, self.broke) {
            (None, None) => Some(self.spec.first_per_second),
            (Some(held), None) => Some(held * self.spec.factor),
            (held, Some(broke)) => {
                (self.halvings < self.spec.halvings).then(|| f64::midpoint(held.unwrap_or(0.0), broke))
            }
        }
    }

    /// Takes in how the rate that [`Self::next`] gave went.
    ///
    /// # Panics
    /// If it gave none.
    pub(super) fn note(&mut self, held: bool) {
        let rate = self.next().expect("a rate was tried");
        self.steps += 1;
        self.halvings += usize::from(self.broke.is_some());
        if held {
            self.held = Some(rate);
        } else {
            self.broke = Some(rate);
        }
    }

    /// The highest rate that held.
    pub(super) const fn highest(&self) -> Option<f64> {
        self.held
    }
}

/// Whether a part in which operations were due for `due_seconds` held: p99 from due time within the bound, and all but a little of
/// what was offered done by the end, or by the bound after it.
pub(super) fn holds(part: &PartResult, per_second: f64, due_seconds: f64, p99_us_max: f64) -> bool {
    let in_seconds = due_seconds.max(part.seconds - p99_us_max / 1e6);
    let done_per_second = part.operations as f64 / in_seconds;
    part.from_due.latencies().quantile_us(0.99) <= p99_us_max && done_per_second >= DONE_MIN * per_second
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latencies::Latencies;
    use crate::result::Samples;
    use std::time::Duration;

    const SPEC: LadderSpec =
        LadderSpec { p99_us_max: 1000.0, first_per_second: 100.0, factor: 2.0, halvings: 4, steps_max: 30 };

    /// Every rate tried on a store that holds up to `capacity`, and what was found.
    fn climb(spec: LadderSpec, capacity: f64) -> (Vec<f64>, Option<f64>) {
        let (mut ladder, mut tried) = (Ladder::new(spec), Vec::new());
        while let Some(rate) = ladder.next() {
            tried.push(rate);
            ladder.note(rate <= capacity);
        }
        (tried, ladder.highest())
    }

    #[test]
    fn a_known_capacity_is_found_from_below() {
        let (tried, highest) = climb(SPEC, 1010.0);
        assert_eq!(tried, [100.0, 200.0, 400.0, 800.0, 1600.0, 1200.0, 1000.0, 1100.0, 1050.0]);
        assert_eq!(highest, Some(1000.0));
        for capacity in [100.0, 130.0, 777.0, 5000.0, 123_456.0] {
            let (tried, highest) = climb(SPEC, capacity);
            let found = highest.expect("the first holds");
            assert!(found <= capacity, "{capacity}: {tried:?}");
            // Four halvings of a gap that is as wide as what held below it.
            assert!(capacity - found <= found / 16.0, "{capacity}: {found} of {tried:?}");
        }
    }

    #[test]
    fn a_first_rate_that_is_too_high_is_gone_below() {
        assert_eq!(climb(SPEC, 30.0), (vec![100.0, 50.0, 25.0, 37.5, 31.25], Some(25.0)));
        assert_eq!(climb(SPEC, 0.0).1, None);
    }

    #[test]
    fn a_store_without_a_limit_ends_at_the_bound_of_steps() {
        let (tried, highest) = climb(LadderSpec { steps_max: 3, ..SPEC }, f64::MAX);
        assert_eq!((tried, highest), (vec![100.0, 200.0, 400.0], Some(400.0)));
        let (tried, highest) = climb(LadderSpec { halvings: 0, ..SPEC }, 500.0);
        assert_eq!((tried, highest), (vec![100.0, 200.0, 400.0, 800.0], Some(400.0)));
    }

    fn part(operations: u64, us: u64, seconds: f64) -> PartResult {
        let mut latencies = Latencies::new();
        latencies.record_many(Duration::from_micros(us), operations);
        PartResult { from_due: Samples::from(&latencies), operations, seconds, ..PartResult::default() }
    }

    #[test]
    fn a_rate_holds_if_it_is_fast_and_done() {
        let held = |part: PartResult| holds(&part, 1000.0, 1.0, 5000.0);
        assert!(held(part(1000, 900, 1.0009)));
        assert!(held(part(1000, 4900, 1.0049)));
        assert!(!held(part(1000, 5100, 1.0051)), "too slow");
        assert!(!held(part(970, 900, 1.0)), "not done");
        assert!(!held(part(1000, 900, 1.2)), "not done in time");
        assert!(!held(PartResult::default()), "nothing at all");
        let mut unsent = part(990, 900, 1.0);
        unsent.from_due.0.push((900_000_000, 15));
        assert!(!held(unsent), "what was never handed over is in the p99");
    }
}
