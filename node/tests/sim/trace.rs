//! The steps that the machines took, of all parties in the order in which they happened: what a run is held against the
//! specification with (`tla/TraceCheck.tla`). Collected only if asked for.

use quarry_protocol::action::{Action, Step};
use quarry_protocol::ids::LogId;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Whether anybody wants to know.
    pub(crate) wanted: bool,
    actions: Vec<Action>,
}

impl Trace {
    /// Takes what a machine noted.
    pub(crate) fn take(&mut self, mut poll: impl FnMut() -> Option<Action>) {
        while let Some(action) = poll() {
            self.actions.push(action);
        }
    }

    /// What no machine can see, because it happens to it.
    pub(crate) fn note(&mut self, log: LogId, step: impl FnOnce() -> Step) {
        if self.wanted {
            self.actions.push(Action { log, step: step() });
        }
    }

    /// The steps that concern one log, as the module that the specification reads.
    pub(crate) fn module(&self, log: LogId, window_chunks: u32) -> String {
        let lines: Vec<String> =
            self.actions.iter().filter(|action| action.log == log).map(|action| format!("  {action}")).collect();
        let lines = lines.join(",\n");
        format!(
            "---- MODULE TraceData ----\nEXTENDS Integers\nWindow == {window_chunks}\nTrace == <<\n{lines}\n>>\n====\n"
        )
    }
}
