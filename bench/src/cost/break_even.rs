//! The chunk size at which one tier becomes cheaper than another.

use super::prices::Tier;
use super::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, whole};
use serde::Serialize;

/// Sizes looked at for each doubling: curves bend at a free quota at most, far less often.
const STEPS_PER_DOUBLING: u32 = 16;
/// Halvings of such a step: far below a byte.
const HALVINGS: u32 = 40;

/// Two tiers, and where their curves cross.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BreakEven {
    /// The one that is cheaper for the smallest chunks; with equal costs, the one named first.
    pub cheaper_when_small: String,
    /// The other.
    pub other: String,
    /// Chunk sizes at which the cheaper one changes, rising; none if it never does.
    pub chunk_bytes: Vec<u64>,
}

/// Of two tiers, over every chunk size.
pub(super) fn break_even(a: &Tier, b: &Tier, hours: f64) -> BreakEven {
    let more = |chunk_bytes: f64| a.cost(chunk_bytes, hours).total_usd() - b.cost(chunk_bytes, hours).total_usd();
    let mut chunk_bytes = Vec::new();
    let (mut below, mut sign) = (CHUNK_BYTES_MIN as f64, 0.0);
    let mut first = 0.0;
    for size in sizes(STEPS_PER_DOUBLING) {
        let now = more(size);
        if now != 0.0 {
            if sign * now < 0.0 {
                chunk_bytes.push(whole(root(&more, below, size)));
            }
            if first == 0.0 {
                first = now;
            }
            sign = now;
            below = size;
        }
    }
    let (small, other) = if first > 0.0 { (b, a) } else { (a, b) };
    BreakEven { cheaper_when_small: small.name.clone(), other: other.name.clone(), chunk_bytes }
}

/// Chunk sizes from the smallest to the greatest, evenly spread over doublings.
pub(super) fn sizes(steps_per_doubling: u32) -> impl Iterator<Item = f64> {
    let doublings = (CHUNK_BYTES_MAX / CHUNK_BYTES_MIN).ilog2();
    (0..=doublings * steps_per_doubling).map(move |step| {
        let doublings = f64::from(step) / f64::from(steps_per_doubling);
        CHUNK_BYTES_MIN as f64 * doublings.exp2()
    })
}

fn root(more: &impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let sign = more(low);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if sign * more(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}
