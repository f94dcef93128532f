//! Recovery: how a log changes hands (P7).
//!
//! A pure machine. Whoever drives it calls [`Recovery::handle`] with what happened, then does every effect of
//! [`Recovery::poll_effect`] until there is none, and calls again with [`RecoveryEvent::Tick`] no later than
//! [`Recovery::poll_timeout`]. The last effect is [`RecoveryEffect::Finished`].

mod config;
mod effect;
mod error;
mod event;
mod report;

pub use config::{OpenMode, Purpose, RECOVERY_DEADLINE_US_DEFAULT, RecoveryConfig};
pub use effect::RecoveryEffect;
pub use error::{Doing, RecoveryError};
pub use event::{FetchFailure, RecoveryEvent, RegisterFailure, RequestNo, SwapOutcome};
pub use report::{MissingReplica, RecoveryReport, SegmentSettled, Timings};
