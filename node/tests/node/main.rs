//! A whole node on real files, as a client that holds every byte in its own hands sees it.

mod client;
mod control;
mod files;
mod full;
mod hostile;
mod running;
mod serving;
mod starting;
