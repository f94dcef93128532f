//! Telling every replica of a log what the register says: the shell of the shipped telling.

use super::{Answered, Ask, Links, Outcome};
use crate::core::Core;
use quarry_protocol::message::Request;
use quarry_protocol::record::LogRecord;
use quarry_protocol::telling::{Telling, TellingEffect, TellingEvent};

impl Links {
    pub(super) fn tell<'a>(&mut self, core: &mut Core, what: Request, records: impl Iterator<Item = &'a LogRecord>) {
        self.telling = Some(Telling::new(what, records, 1, core.micros()));
        self.drive_telling(core);
    }

    pub(super) const fn is_telling(&self) -> bool {
        self.telling.is_some()
    }

    /// Takes out what only the telling waits for.
    pub(super) fn take_told(&mut self, core: &mut Core, outcome: Outcome) -> Option<Outcome> {
        let Outcome::Answered { ask: Ask::Tell(request), result } = outcome else { return Some(outcome) };
        let result = result.and_then(|answered| match answered {
            Answered::Reply(reply) => Ok(reply),
            _ => Err("chunks".to_owned()),
        });
        if let Some(telling) = &mut self.telling {
            telling.handle(core.micros(), TellingEvent::Replied { request, result });
            self.drive_telling(core);
        }
        None
    }

    pub(super) fn tick_telling(&mut self, core: &mut Core) {
        if let Some(telling) = &mut self.telling
            && telling.poll_timeout().is_some_and(|due| due.0 <= core.now)
        {
            telling.handle(core.micros(), TellingEvent::Tick);
            self.drive_telling(core);
        }
    }

    fn drive_telling(&mut self, core: &mut Core) {
        while let Some(effect) = self.telling.as_mut().and_then(Telling::poll_effect) {
            match effect {
                TellingEffect::Call { request, to, what } => self.call(core, &to, what, Ask::Tell(request)),
                TellingEffect::Finished(_) => self.telling = None,
            }
        }
    }
}
