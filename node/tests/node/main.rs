//! A whole node on real files, as a client that holds every byte in its own hands sees it.
// A test touches the world; the lists of what must not be touched are for `shard` and `store`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod client;
mod control;
mod files;
mod full;
mod hostile;
mod members;
#[cfg(planted)]
mod planted;
mod rot;
mod running;
mod serving;
mod starting;
