//! What the writer's machine wants done.

use super::shared::{Aftermath, Shared, State};
use crate::actions;
use crate::error::{AppendError, Fate};
use quarry_protocol::writer::{StopReason, WriterEffect};

impl Shared {
    /// Does everything the machine asks for. Puts go out here, under the lock; telling people is left for afterwards.
    pub(super) fn do_effects(&self, state: &mut State, after: &mut Aftermath) {
        actions::report(|| state.machine.poll_action());
        while let Some(effect) = state.machine.poll_effect() {
            match effect {
                WriterEffect::Put { replica, header, payload } => {
                    self.links[replica].put(header, payload);
                    after.touched.insert(replica);
                }
                WriterEffect::Committed { token, seq } => after.settled.push(state.settling.committed(token, seq)),
                WriterEffect::Failed { token, seq: _, fate, why } => {
                    let error = self.failure(fate.into(), &why.to_string(), state.stopped.as_ref());
                    after.settled.push(state.settling.failed(token, error));
                }
                WriterEffect::Stopped { why } => {
                    let error = self.stop(why);
                    tracing::warn!(log = %self.name, segment = %self.segment, "the writer stopped: {error}");
                    state.stopped = Some(error);
                    after.ended = true;
                }
                WriterEffect::LeftBehind { replica, why } => {
                    tracing::warn!(log = %self.name, segment = %self.segment, "{} is left behind: {why}", self.who(replica));
                }
                WriterEffect::Rejoined { replica, lacks_from, lacks_to } => {
                    let who = self.who(replica);
                    tracing::info!(log = %self.name, segment = %self.segment, "{who} is back, without {lacks_from}..{lacks_to}");
                }
            }
        }
    }

    fn failure(&self, fate: Fate, why: &str, stopped: Option<&AppendError>) -> AppendError {
        match stopped {
            Some(stopped) => stopped.with_fate(fate),
            None => AppendError::Stopped { log: self.name.to_string(), why: why.to_owned(), fate },
        }
    }

    fn stop(&self, why: StopReason) -> AppendError {
        let (log, fate) = (self.name.to_string(), Fate::NeverStored);
        match why {
            StopReason::Fenced { mine, by } => AppendError::Fenced { log, epoch: mine, by, fate },
            StopReason::Deleted { at } => AppendError::LogDeleted { log, by: at, fate },
            StopReason::NoQuorum { needed, troubles, .. } => {
                let why: Vec<_> = troubles.iter().map(|t| format!("{}: {}", self.who(t.replica), t.why)).collect();
                AppendError::NoQuorum { log, deadline: self.append_deadline, needed, why: why.join("; "), fate }
            }
            broken @ StopReason::Broken { .. } => AppendError::Stopped { log, why: broken.to_string(), fate },
        }
    }

    fn who(&self, replica: usize) -> String {
        let replica = self.links[replica].replica();
        format!("{} (zone {})", replica.address, replica.zone)
    }
}
