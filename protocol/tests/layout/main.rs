//! The bytes: golden vectors, which were computed by another program from the layouts in the README (those of rkyv messages
//! were made by this crate, and pin it), and what becomes of damaged, truncated and random ones.

mod batch;
mod chunk;
mod frame;
mod message;
mod record;
mod samples;
