//! The protocol's steps as trace events: with `quarry::action=trace` in the log filter, every step that a machine takes is one
//! event whose message is a line of a trace (see [`quarry_protocol::action`]). Each is reported before its effects are
//! performed, so on one machine the order of the timestamps is an order in which it all may have happened.

use quarry_protocol::action::Action;

/// Whether anybody wants to know.
pub(crate) fn are_wanted() -> bool {
    tracing::enabled!(target: "quarry::action", tracing::Level::TRACE)
}

/// Reports what was noted.
pub(crate) fn report(mut poll: impl FnMut() -> Option<Action>) {
    while let Some(action) = poll() {
        tracing::trace!(target: "quarry::action", "{action}");
    }
}
