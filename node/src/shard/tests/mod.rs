//! The real shard, replica and store around a disk in memory.

mod allocations;
mod fake;
mod faults;
mod random;
mod reads;
mod requests;
