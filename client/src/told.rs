//! Telling every replica of a log what the register already says: the shell of [`Telling`].

use crate::calls::Calls;
use crate::quorum_store::Parts;
use quarry_protocol::message::Request;
use quarry_protocol::record::LogRecord;
use quarry_protocol::telling::{Telling, TellingEffect, TellingEvent, Told};

/// Sends `what` to every replica that `records` name, oldest record first, and says who knows.
pub(crate) async fn tell(parts: &Parts, what: Request, records: impl IntoIterator<Item = &LogRecord>) -> Vec<Told> {
    let mut calls = Calls::new(parts);
    let mut telling = Telling::new(what, records, 1, calls.now());
    loop {
        while let Some(effect) = telling.poll_effect() {
            match effect {
                TellingEffect::Call { request, to, what } => calls.ask(request, to, what),
                TellingEffect::Finished(told) => return told,
            }
        }
        let event = match calls.next(telling.poll_timeout()).await {
            Some((request, result)) => TellingEvent::Replied { request, result },
            None => TellingEvent::Tick,
        };
        telling.handle(calls.now(), event);
    }
}
