//! Time as the machines see it: microseconds since an arbitrary start, passed in by whoever drives them.

/// A point in time, in microseconds since the driver's own start. Only differences mean anything, and no
/// safety rule depends on them (DESIGN section 6: no clock is used for safety).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

impl Micros {
    /// The time `micros` later, saturating.
    #[must_use]
    pub const fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// How many microseconds lie between `earlier` and `self`; 0 if `earlier` is later (a clock that
    /// jumped back costs patience, never correctness).
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
