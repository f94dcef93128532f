//! How long answers take, so that a local server feels like a distant one. What is measured through it is *emulated*, and
//! whoever prints such a figure says so.

use crate::random::Random;
use std::time::Duration;

/// A distribution of delays: its quantiles, straight lines between them. It ends at the last one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// Share of the requests that take at most so many microseconds; both rise, from 0.0 to 1.0.
    pub quantiles: &'static [(f64, u64)],
}

/// How long each kind of operation takes. Every request is delayed on its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// What it is called where figures are printed.
    pub name: &'static str,
    /// Puts.
    pub put: Latency,
    /// Gets of objects, and looks at what is known of them.
    pub get: Latency,
    /// Deletions of one object or many.
    pub delete: Latency,
    /// Listings, sessions and settings.
    pub list: Latency,
}

impl Latency {
    /// No delay.
    pub const NONE: Self = Self { quantiles: &[(0.0, 0), (1.0, 0)] };

    /// The delay at a quantile between 0 and 1.
    #[must_use]
    pub fn at(&self, quantile: f64) -> Duration {
        let mut below = self.quantiles.first().copied().unwrap_or((0.0, 0));
        for &(share, micros) in self.quantiles {
            if quantile <= share {
                let along = if share > below.0 { (quantile - below.0) / (share - below.0) } else { 1.0 };
                let micros = below.1 as f64 + along * micros.saturating_sub(below.1) as f64;
                return Duration::from_secs_f64(micros / 1e6);
            }
            below = (share, micros);
        }
        Duration::from_micros(below.1)
    }

    /// The delay of the next request.
    pub(super) fn sample(&self, random: &mut Random) -> Duration {
        // 53 bits: as many as a float of 64 bits holds exactly.
        self.at((random.next() >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

impl Shape {
    /// Answers at once.
    pub const IMMEDIATE: Self =
        Self { name: "immediate", put: Latency::NONE, get: Latency::NONE, delete: Latency::NONE, list: Latency::NONE };
}

#[cfg(test)]
mod tests {
    use super::super::published::{S3_EXPRESS, S3_STANDARD};
    use super::*;

    #[test]
    fn quantiles_are_met_and_rise_in_between() {
        let latency = Latency { quantiles: &[(0.0, 1000), (0.5, 3000), (1.0, 10_000)] };
        let micros = |quantile| latency.at(quantile).as_micros();
        assert_eq!(
            [micros(0.0), micros(0.25), micros(0.5), micros(0.75), micros(1.0)],
            [1000, 2000, 3000, 6500, 10_000]
        );
        for shape in [S3_EXPRESS, S3_STANDARD, Shape::IMMEDIATE] {
            for latency in [shape.put, shape.get, shape.delete, shape.list] {
                let rises = latency.quantiles.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
                let (first, last) = (latency.quantiles[0].0, latency.quantiles[latency.quantiles.len() - 1].0);
                assert!(rises && first <= 0.0 && last >= 1.0, "{}: {latency:?}", shape.name);
            }
        }
    }

    #[test]
    fn samples_follow_the_distribution_and_the_seed() {
        let samples = |seed| {
            let mut random = Random::new(seed, 0);
            let mut samples: Vec<_> = (0..10_000).map(|_| S3_EXPRESS.put.sample(&mut random)).collect();
            let in_order = samples.clone();
            samples.sort();
            (in_order, samples)
        };
        let (first, sorted) = samples(1);
        assert_eq!(first, samples(1).0, "the same seed, the same delays");
        assert_ne!(first, samples(2).0);
        for (quantile, place) in [(0.5, 5_000), (0.9, 9_000), (0.99, 9_900)] {
            let (expected, found) = (S3_EXPRESS.put.at(quantile), sorted[place]);
            let apart = expected.abs_diff(found);
            assert!(apart < expected / 10, "quantile {quantile}: {found:?} instead of {expected:?}");
        }
    }
}
