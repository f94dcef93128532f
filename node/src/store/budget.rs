//! The one budget that preparation, copying forward and catch-up reads share, so that appends keep the disk (D2,
//! pitfall 35).

use super::pace::{BACKGROUND_BURST_BYTES, BACKGROUND_BYTES_PER_SECOND};
use quarry_protocol::time::Micros;

const MICROS_PER_SECOND: u64 = 1_000_000;
const BURST: i64 = BACKGROUND_BURST_BYTES.cast_signed();

/// A token bucket that may be overdrawn by its last taker, who so may take any amount; the next one waits longer.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// Bytes left; below zero after a large take.
    bytes: i64,
    counted_at: Micros,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { bytes: BURST, counted_at: Micros(0) }
    }

    /// Takes `bytes`, or says when there will be some.
    pub(super) fn take(&mut self, now: Micros, bytes: u64) -> Result<(), Micros> {
        self.refill(now);
        if self.bytes <= 0 {
            let missing = self.bytes.unsigned_abs() + 1;
            return Err(now.plus((missing * MICROS_PER_SECOND).div_ceil(BACKGROUND_BYTES_PER_SECOND).max(1)));
        }
        self.spend(bytes);
        Ok(())
    }

    /// Counts bytes that were taken without asking: what runs free now is paid back before others go on.
    pub(super) fn spend(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub_unsigned(bytes).max(-4 * BURST);
    }

    fn refill(&mut self, now: Micros) {
        let micros = now.since(self.counted_at).min(MICROS_PER_SECOND);
        let gained = micros * BACKGROUND_BYTES_PER_SECOND / MICROS_PER_SECOND;
        if gained > 0 {
            self.bytes = self.bytes.saturating_add_unsigned(gained).min(BURST);
            self.counted_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_taking_gets_a_seconds_worth() {
        let (mut budget, mut now, mut taken) = (Budget::new(), Micros(0), 0);
        while now < Micros(MICROS_PER_SECOND) {
            match budget.take(now, 1 << 20) {
                Ok(()) => taken += 1 << 20,
                Err(at) => {
                    assert!(at > now, "asked to come back at {at:?} at {now:?}");
                    now = at;
                }
            }
        }
        let allowed = BACKGROUND_BYTES_PER_SECOND + BACKGROUND_BURST_BYTES + (1 << 20);
        assert!(taken <= allowed && taken * 10 >= BACKGROUND_BYTES_PER_SECOND * 9, "took {taken} of {allowed}");
    }

    #[test]
    fn a_clock_that_jumps_back_costs_patience_only() {
        let mut budget = Budget::new();
        budget.take(Micros(5_000_000), BACKGROUND_BURST_BYTES).expect("the burst is there");
        let at = budget.take(Micros(10), 1).expect_err("nothing is left");
        assert!(at > Micros(10));
        budget.take(Micros(5_100_000), 1).expect("time went on");
    }
}
