//! The store against a disk in memory.

mod batching;
mod copying;
mod driver;
mod failing;
mod random;
mod rollover;
mod space;

use driver::{Driver, End, key, log};
