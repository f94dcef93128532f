//! How fast a repair copies: a token bucket that yields when replicas have trouble keeping up.

use crate::time::Micros;

/// Bytes a repair copies in a second when nothing else is asked for.
pub const REPAIR_BYTES_PER_S_DEFAULT: u64 = 64 << 20;
/// A copy that takes longer than this says that its replica is busy, in microseconds.
pub(super) const SLOW_COPY_US: u64 = 500_000;
/// How many parts of its rate a repair may use: all of them, down to one while replicas are full or slow.
const SHARES: u64 = 16;
/// How long nothing may go wrong before one more part is used, in microseconds.
const CALM_US: u64 = 250_000;
/// How much of a second's bytes may be saved up.
const BURST_US: u64 = 125_000;
const US_PER_S: u64 = 1_000_000;

/// Bytes that may be copied now. A chunk's size is known only once it is read, so the last one may overdraw.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    bytes_per_s: u64,
    shares: u64,
    tokens: i64,
    filled_at: Micros,
    calm_since: Micros,
}

impl Budget {
    pub(super) fn new(bytes_per_s: u64, now: Micros) -> Self {
        let bytes_per_s = bytes_per_s.max(1);
        Self { bytes_per_s, shares: SHARES, tokens: 1, filled_at: now, calm_since: now }
    }

    /// Bytes a second that are used now.
    pub(super) fn rate(&self) -> u64 {
        (self.bytes_per_s * self.shares / SHARES).max(1)
    }

    /// A replica is full or slow: half as fast from here.
    pub(super) fn yields(&mut self, now: Micros) {
        self.fill(now);
        self.shares = (self.shares / 2).max(1);
        self.calm_since = now;
    }

    pub(super) fn spend(&mut self, bytes: u64) {
        self.tokens = self.tokens.saturating_sub_unsigned(bytes);
    }

    /// Whether something may be copied now.
    pub(super) fn has_some(&mut self, now: Micros) -> bool {
        self.fill(now);
        self.tokens > 0
    }

    /// When there will be some again.
    pub(super) fn wakes_at(&self) -> Micros {
        let short = self.tokens.min(0).unsigned_abs() + 1;
        self.filled_at.plus(short.saturating_mul(US_PER_S).div_ceil(self.rate()))
    }

    fn fill(&mut self, now: Micros) {
        let calm = now.since(self.calm_since) / CALM_US;
        if calm > 0 {
            self.shares = (self.shares + calm).min(SHARES);
            self.calm_since = now;
        }
        let most = (self.rate() * BURST_US / US_PER_S).max(1);
        let come = u128::from(self.rate()) * u128::from(now.since(self.filled_at)) / u128::from(US_PER_S);
        if come > 0 {
            let come = u64::try_from(come).unwrap_or(u64::MAX);
            self.tokens = self.tokens.saturating_add_unsigned(come).min(most.cast_signed());
            self.filled_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies as fast as it may for ten seconds; the bytes that went through.
    fn copied(budget: &mut Budget, chunk: u64, from: Micros, us: u64) -> u64 {
        let (mut now, mut bytes) = (from, 0);
        while now < from.plus(us) {
            while budget.has_some(now) {
                budget.spend(chunk);
                bytes += chunk;
            }
            assert!(budget.wakes_at() > now, "a wait that is over at once");
            now = budget.wakes_at();
        }
        bytes
    }

    #[test]
    fn the_rate_is_kept_whatever_the_size_of_the_chunks() {
        for chunk in [1000, 64 << 10, 4 << 20] {
            let mut budget = Budget::new(1 << 20, Micros(0));
            let bytes = copied(&mut budget, chunk, Micros(0), 10 * US_PER_S);
            let most = (10 << 20) + (1 << 17) + chunk;
            assert!(bytes <= most && bytes + chunk + (1 << 17) >= 10 << 20, "{bytes} bytes of {chunk}");
        }
    }

    #[test]
    fn trouble_halves_the_rate_and_calm_brings_it_back() {
        let mut budget = Budget::new(1 << 20, Micros(0));
        budget.yields(Micros(0));
        budget.yields(Micros(0));
        assert_eq!(budget.rate(), 1 << 18);
        for _ in 0..10 {
            budget.yields(Micros(0));
        }
        assert_eq!(budget.rate(), 1 << 16, "it never stops wholly");
        assert!(budget.has_some(Micros(20 * CALM_US)));
        assert_eq!(budget.rate(), 1 << 20);
    }
}
