//! The real shard, replica and store around a disk in memory.

mod fake;
mod faults;
mod random;
mod reads;
mod requests;
