//! What the writer's machine wants done.

use super::segments::SegmentLinks;
use super::shared::{Aftermath, Shared, State};
use crate::actions;
use crate::error::{AppendError, Fate};
use quarry_protocol::rotation::{RotationEffect, RotationReason};
use quarry_protocol::writer::StopReason;
use std::sync::Arc;

impl Shared {
    /// Does everything the machine asks for. Puts go out here, under the lock; telling people is left for afterwards.
    pub(super) fn do_effects(&self, state: &mut State, after: &mut Aftermath) {
        actions::report(|| state.machine.poll_action());
        while let Some(effect) = state.machine.poll_effect() {
            match effect {
                RotationEffect::Put { segment, replica, header, payload } => {
                    if let Some(segment) = state.segments.of(segment) {
                        if state.attribution.is_some() {
                            segment.link(replica).put_timed(header, payload);
                        } else {
                            segment.link(replica).put(header, payload);
                        }
                        state.unflushed.note(segment, replica);
                    }
                }
                RotationEffect::Committed { token, seq } => {
                    let times = state.attribution.as_mut().and_then(|attribution| attribution.settled(seq));
                    after.settled.push(state.settling.committed(token, seq, times));
                }
                RotationEffect::Failed { token, seq: _, fate, why } => {
                    let error = self.failure(fate.into(), &why.to_string(), state.stopped.as_ref());
                    after.settled.push(state.settling.failed(token, error));
                }
                RotationEffect::Stopped { segment, why } => {
                    let error = self.stop(why, state.segments.of(segment));
                    tracing::warn!(log = %self.name, %segment, "the writer stopped: {error}");
                    state.rotations.stopped(&error);
                    state.stopped = Some(error);
                    after.ended = true;
                }
                RotationEffect::Attach { segment, replicas } => state.segments.attach(segment, &replicas),
                RotationEffect::Detach { segment } => state.segments.detach(segment),
                asks @ (RotationEffect::Place { .. }
                | RotationEffect::ReadRecord { .. }
                | RotationEffect::Swap { .. }) => {
                    state.requests.push(asks);
                    after.wake = true;
                }
                told => self.tell_of(state, told),
            }
        }
    }

    /// What is only worth a word, to the log and to those who wait for a rotation.
    fn tell_of(&self, state: &mut State, effect: RotationEffect) {
        let log = &self.name;
        let who = |segment, replica| state.segments.of(segment).map_or_else(String::new, |links| links.who(replica));
        match effect {
            RotationEffect::LeftBehind { segment, replica, why } => {
                tracing::warn!(%log, %segment, "{} is left behind: {why}", who(segment, replica));
            }
            RotationEffect::Rejoined { segment, replica, lacks_from, lacks_to } => {
                tracing::info!(%log, %segment, "{} is back, without {lacks_from}..{lacks_to}", who(segment, replica));
            }
            RotationEffect::Planned { ends, at, next, replicas, why } => {
                let names: Vec<_> = replicas.iter().map(crate::open::who).collect();
                tracing::info!(%log, "segment {ends} ends at {at}, {next} follows on {}: {why}", names.join(", "));
                state.rotations.planned(next, replicas, &why);
                if let RotationReason::Moved { .. } = why {
                    state.placing.moved();
                }
            }
            RotationEffect::Sealed { segment, at } => {
                tracing::debug!(%log, "segment {segment} is sealed at {at}");
                state.rotations.sealed(segment, at);
            }
            RotationEffect::Unrotated { reason, why } => {
                tracing::warn!(%log, "no new segment, although {reason}: {why}");
                state.rotations.unrotated(log, &reason, &why);
            }
            RotationEffect::Stalled { at, why } => tracing::warn!(%log, "appends wait at {at}: {why}"),
            performed => unreachable!("{performed:?} is performed"),
        }
    }

    fn failure(&self, fate: Fate, why: &str, stopped: Option<&AppendError>) -> AppendError {
        match stopped {
            Some(stopped) => stopped.with_fate(fate),
            None => AppendError::Stopped { log: self.name.to_string(), why: why.to_owned(), fate },
        }
    }

    fn stop(&self, why: StopReason, links: Option<&Arc<SegmentLinks>>) -> AppendError {
        let (log, fate) = (self.name.to_string(), Fate::NeverStored);
        match why {
            StopReason::Fenced { mine, by } => AppendError::Fenced { log, epoch: mine, by, fate },
            StopReason::Deleted { at } => AppendError::LogDeleted { log, by: at, fate },
            StopReason::NoQuorum { needed, troubles, .. } => {
                let who = |replica| links.map_or_else(String::new, |links| links.who(replica));
                let why: Vec<_> = troubles.iter().map(|t| format!("{}: {}", who(t.replica), t.why)).collect();
                AppendError::NoQuorum { log, deadline: self.append_deadline, needed, why: why.join("; "), fate }
            }
            broken @ StopReason::Broken { .. } => AppendError::Stopped { log, why: broken.to_string(), fate },
        }
    }
}
