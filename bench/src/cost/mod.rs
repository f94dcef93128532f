//! What a GiB costs on each tier, by chunk size, and from which chunk size one tier is cheaper than another.
//!
//! Counted is what grows with the bytes written: requests and their fees for every replica, storage for as long as chunks
//! are kept, the share of machines, traffic between zones. Not counted: reads, the client, and people.

mod break_even;
mod curve;
mod prices;
#[cfg(test)]
mod tests;

pub use break_even::BreakEven;
pub use curve::Cost;
pub use prices::{Bucket, Machine, Prices, PricesError, Source, Tier};

use quarry_protocol::limits::CHUNK_PAYLOAD_BYTES_MAX;
use serde::Serialize;

/// Smallest chunk that is looked at: below, requests dwarf all else.
pub const CHUNK_BYTES_MIN: u64 = 1 << 10;
/// Greatest chunk there is.
pub const CHUNK_BYTES_MAX: u64 = CHUNK_PAYLOAD_BYTES_MAX as u64;
/// How long chunks are kept where nobody says otherwise, in hours.
pub const RETENTION_HOURS: f64 = 24.0;

/// A chunk size in whole bytes.
#[allow(clippy::cast_sign_loss, reason = "sizes are between the two bounds above")]
pub(crate) fn whole(chunk_bytes: f64) -> u64 {
    chunk_bytes.round() as u64
}

/// Every tier's curve, and where they cross.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostReport {
    /// How long chunks are kept.
    pub retention_hours: f64,
    /// The prices that it was computed from.
    pub prices: Prices,
    /// Tier by tier, as in the prices.
    pub curves: Vec<CostCurve>,
    /// Every two tiers.
    pub break_evens: Vec<BreakEven>,
}

/// One tier's costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostCurve {
    /// The tier's name.
    pub tier: String,
    /// For each doubling of the chunk size.
    pub points: Vec<CostPoint>,
}

/// One chunk size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CostPoint {
    /// Bytes of a chunk.
    pub chunk_bytes: u64,
    /// What makes up the cost of a GiB.
    pub parts: Cost,
    /// All of it.
    pub usd_per_gib: f64,
}

impl CostReport {
    /// Of all tiers, with chunks kept for `retention_hours`.
    #[must_use]
    pub fn of(prices: Prices, retention_hours: f64) -> Self {
        let point = |tier: &Tier, chunk_bytes: f64| {
            let parts = tier.cost(chunk_bytes, retention_hours);
            CostPoint { chunk_bytes: whole(chunk_bytes), parts, usd_per_gib: parts.total_usd() }
        };
        let curve = |tier: &Tier| CostCurve {
            tier: tier.name.clone(),
            points: break_even::sizes(1).map(|chunk_bytes| point(tier, chunk_bytes)).collect(),
        };
        let curves = prices.tiers.iter().map(curve).collect();
        let pairs =
            prices.tiers.iter().enumerate().flat_map(|(i, a)| prices.tiers[i + 1..].iter().map(move |b| (a, b)));
        let break_evens = pairs.map(|(a, b)| break_even::break_even(a, b, retention_hours)).collect();
        Self { retention_hours, prices, curves, break_evens }
    }
}
