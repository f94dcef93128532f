//! A whole node on real files, as a client that holds every byte in its own hands sees it.

mod client;
mod running;
mod serving;
