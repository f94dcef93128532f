//! Latencies as others published them. Nobody publishes a whole distribution of a whole service, so each figure below says
//! whose it is, and the points in between are ours; absolute figures that come of them are emulations and nothing more.
//!
//! | figure | whose, when |
//! |---|---|
//! | S3 Express One Zone: "consistent single-digit millisecond" first byte, reads and writes | AWS, S3 User Guide, page on S3 Express performance, November 2026 |
//! | S3 Express One Zone: 90 % within 5 ms | Quickwit, "S3 Express speculations", November 2023 |
//! | S3 Standard: median of requests below 512 KB in the tens of ms, reads and writes | AWS whitepaper "Optimizing Amazon S3 Performance", on timeouts |
//! | S3 Standard: 30 ms to the first byte usually, 90 % within 50 ms, 80 ms not rare | Quickwit, the same |
//! | S3 Standard: small objects within 100 to 200 ms | AWS, S3 User Guide, design patterns for performance, November 2026 |
//!
//! From these: Express has a median of 4 ms (ours, below the 5 ms that hold for nine of ten) and stays below 10 ms but for one request in
//! a thousand (ours); Standard has the 30, 50 and 80 ms above, and 200 ms at one in a hundred. Neither has the seconds that happen
//! on any bad day.

use super::latency::{Latency, Shape};

/// A directory bucket, asked from its own zone.
const EXPRESS: Latency =
    Latency { quantiles: &[(0.0, 2_500), (0.5, 4_000), (0.9, 5_000), (0.99, 8_000), (0.999, 10_000), (1.0, 50_000)] };
/// A general purpose bucket, asked from its own region.
const STANDARD: Latency = Latency {
    quantiles: &[(0.0, 15_000), (0.5, 30_000), (0.9, 50_000), (0.95, 80_000), (0.99, 200_000), (1.0, 500_000)],
};

/// S3 Express One Zone, emulated.
pub const S3_EXPRESS: Shape =
    Shape { name: "S3 Express (emulated)", put: EXPRESS, get: EXPRESS, delete: EXPRESS, list: EXPRESS };
/// S3 Standard, emulated.
pub const S3_STANDARD: Shape =
    Shape { name: "S3 Standard (emulated)", put: STANDARD, get: STANDARD, delete: STANDARD, list: STANDARD };
