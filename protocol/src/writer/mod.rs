//! The writer: from append to committed (P2, P6, P9, P10).
//!
//! A pure machine over one open segment. Whoever drives it calls [`Writer::handle`] with what happened, then does
//! every effect of [`Writer::poll_effect`] until there is none, and calls again with [`WriterEvent::Tick`] no later
//! than [`Writer::poll_timeout`].

mod config;
mod effect;
mod error;
mod event;

pub use config::{Carried, WRITER_DEADLINE_US_DEFAULT, WriterConfig};
pub use effect::WriterEffect;
pub use error::{AppendFailure, Fate, LeftBehindReason, StopReason, Trouble};
pub use event::{AppendToken, WriterEvent};
