//! The store against a disk in memory.

mod batching;
mod copying;
mod driver;
mod failing;
mod provenance;
mod random;
mod rollover;
mod scrub;
mod space;

use driver::{Driver, End, WALL_CLOCK_S, key, log};
