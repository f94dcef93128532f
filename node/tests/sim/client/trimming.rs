//! Trimming: the shell of the shipped trim, as `client/src/trim`.

use super::{Answered, Ask, Links, Outcome};
use crate::core::Core;
use crate::register::{RegisterNews, Wanted};
use quarry_protocol::ids::{ChunkSeq, LogId};
use quarry_protocol::trim::{TRIM_DEADLINE_US_DEFAULT, Trim, TrimConfig, TrimEffect, TrimEvent, TrimFailure};

/// How far below the last acknowledged chunk a trim of everything tries, if less than that is known to be committed.
const BELOW_LAST: u64 = 40;

#[derive(Debug)]
pub(crate) struct Trimming {
    machine: Trim,
    name: String,
    /// The log of that name when it began.
    log: LogId,
    pub(crate) over: Option<bool>,
}

impl Trimming {
    /// Trims somewhere, or everything that may be trimmed.
    pub(crate) fn new(core: &mut Core, name: String, all: bool) -> Self {
        let record = core.register.record(&name);
        let (log, floor) = record.map_or((LogId::ZERO, 0), |record| (record.log, record.floor.0));
        let last = core.oracle.last(log).map_or(floor, |last| last.0);
        let wanted = if all {
            (last.saturating_sub(BELOW_LAST).max(floor)..=last + 1).map(ChunkSeq).collect()
        } else {
            let count = core.numbers.between(1, 3);
            (0..count).map(|_| ChunkSeq(core.numbers.between(floor, last.max(floor) + 2))).collect()
        };
        let config = TrimConfig { name: name.clone(), wanted, deadline_us: TRIM_DEADLINE_US_DEFAULT };
        let mut machine = Trim::new(config, core.micros());
        if core.trace.wanted {
            machine.record_actions();
        }
        Self { machine, name, log, over: None }
    }

    pub(super) fn due(&self) -> Option<u64> {
        self.machine.poll_timeout().map(|due| due.0)
    }

    pub(super) fn tick(&mut self, core: &mut Core, links: &mut Links) {
        if self.machine.poll_timeout().is_some_and(|due| due.0 <= core.now) {
            self.machine.handle(core.micros(), TrimEvent::Tick);
        }
        self.perform(core, links);
    }

    pub(super) fn hear(&mut self, core: &mut Core, links: &mut Links, news: RegisterNews) {
        let event = match news {
            RegisterNews::Read { request, result } => TrimEvent::RecordRead { request, result },
            RegisterNews::Swapped { request, outcome, .. } => TrimEvent::Swapped { request, outcome },
        };
        self.machine.handle(core.micros(), event);
        self.perform(core, links);
    }

    pub(super) fn take(&mut self, core: &mut Core, links: &mut Links, outcome: Outcome) {
        let Outcome::Answered { ask: Ask::Trim(request), result } = outcome else { return };
        let result = result.and_then(|answered| match answered {
            Answered::Reply(reply) => Ok(reply),
            _ => Err("chunks".to_owned()),
        });
        self.machine.handle(core.micros(), TrimEvent::Replied { request, result });
        self.perform(core, links);
    }

    fn perform(&mut self, core: &mut Core, links: &mut Links) {
        core.trace.take(|| self.machine.poll_action());
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                TrimEffect::ReadRecord { request, name } => {
                    core.call_register(links.client, request, Wanted::Read { name });
                }
                TrimEffect::Swap { request, expected, record } => {
                    let wanted = Wanted::Swap { expected: Some(expected), record };
                    core.call_register(links.client, request, wanted);
                }
                TrimEffect::Call { request, to, what } => links.call(core, &to, what, Ask::Trim(request)),
                TrimEffect::Finished(outcomes) => self.finished(core, links, &outcomes),
                TrimEffect::Over { .. } => self.over = Some(self.over.unwrap_or(true)),
            }
        }
    }

    /// P12: what was said to be trimmed is on record, and what was not may be tried again.
    fn finished(&mut self, core: &mut Core, links: &Links, outcomes: &[Result<ChunkSeq, TrimFailure>]) {
        let record = core.register.record(&self.name).filter(|record| record.log == self.log && !record.deleted);
        let floor = record.map(|record| record.floor);
        for outcome in outcomes {
            match outcome {
                Ok(raised) => {
                    core.oracle.counts.trims += 1;
                    core.effect("trimmed", [u64::from(links.client), raised.0, 0, 0]);
                    if let Some(floor) = floor {
                        let log = self.log;
                        core.oracle.trim_finished(log, *raised, floor);
                    }
                }
                // The log is not there, or less of it is known to be committed than was asked for.
                Err(TrimFailure::NotFound | TrimFailure::AboveTail { .. }) => {}
                Err(_) => self.over = Some(false),
            }
        }
    }
}
