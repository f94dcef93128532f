//! The simulated register: linearizable, one record per log, changed by compare-and-swap of the whole record.
//!
//! Fault model. A call takes effect once, at one moment, or never. It may get lost on its way (the caller hears of a
//! timeout), its answer may get lost (it took place and the caller does not know), it may take place long after the
//! caller was told that nobody knows, and it may certainly fail. For a while the register may be out of reach.

use crate::core::{ClientId, Core, Event};
use quarry_protocol::ids::LogId;
use quarry_protocol::record::{LogRecord, Version};
use quarry_protocol::recovery::{RegisterFailure, RequestNo, SwapOutcome};
use std::collections::BTreeMap;

/// How long a client waits for the register: as in `client/src/open/effects.rs`.
const REGISTER_TIMEOUT_US: u64 = 5_000_000;

/// A record by its name, as bytes: what is equal is the same version.
#[derive(Debug, Default)]
pub(crate) struct Register {
    records: BTreeMap<String, (u64, LogRecord)>,
    versions: u64,
    /// Out of reach until then.
    pub(crate) away_until: u64,
}

/// What a client wants of the register.
#[derive(Debug)]
pub(crate) enum Wanted {
    Read { name: String },
    Swap { expected: Option<Version>, record: Box<LogRecord> },
}

/// A call on its way.
#[derive(Debug)]
pub(crate) struct RegisterCall {
    client: ClientId,
    request: RequestNo,
    wanted: Wanted,
    /// Whether the client hears what came of it.
    heard: bool,
}

/// What a client hears.
#[derive(Debug)]
pub(crate) enum RegisterNews {
    Read {
        request: RequestNo,
        result: Result<Option<(Version, LogRecord)>, RegisterFailure>,
    },
    /// With the record that is in the register now, if the swap is known to have put it there.
    Swapped {
        request: RequestNo,
        outcome: SwapOutcome,
        record: Option<Box<LogRecord>>,
    },
}

impl RegisterNews {
    /// The record that this shows, if it shows one.
    pub(crate) fn record(&self) -> Option<&LogRecord> {
        match self {
            Self::Read { result: Ok(Some((_, record))), .. } => Some(record),
            Self::Read { .. } => None,
            Self::Swapped { record, .. } => record.as_deref(),
        }
    }
}

fn version_of(version: u64) -> Version {
    Version(version.to_le_bytes().to_vec())
}

impl Register {
    pub(crate) fn record(&self, name: &str) -> Option<&LogRecord> {
        self.records.get(name).map(|(_, record)| record)
    }

    /// The record of the log of this very id.
    pub(crate) fn of(&self, log: LogId) -> Option<&LogRecord> {
        self.records.values().map(|(_, record)| record).find(|record| record.log == log)
    }

    fn read(&self, name: &str) -> Option<(Version, LogRecord)> {
        self.records.get(name).map(|(version, record)| (version_of(*version), record.clone()))
    }
}

impl Core {
    pub(crate) fn call_register(&mut self, client: ClientId, request: RequestNo, wanted: Wanted) {
        let faults = self.options.operations;
        let is_swap = matches!(wanted, Wanted::Swap { .. });
        let typical = if self.healed { self.options.register_us.min(5_000) } else { self.options.register_us };
        let (arrives, impatience) = (self.numbers.delay(typical), self.numbers.between(typical, REGISTER_TIMEOUT_US));
        let away = self.register.away_until > self.now;
        if away || self.happens(faults.register_lost, "register call lost") {
            return self.no_word(client, request, is_swap, impatience);
        }
        if self.happens(faults.register_failed, "register call failed") {
            let news = if is_swap {
                RegisterNews::Swapped { request, outcome: SwapOutcome::Failed("no quorum there".into()), record: None }
            } else {
                RegisterNews::Read { request, result: Err(RegisterFailure::Unavailable("no quorum there".into())) }
            };
            return self.tell_later(client, arrives, news);
        }
        let unheard = self.happens(faults.register_unheard, "register answer lost");
        let delayed = is_swap && !unheard && self.happens(faults.register_delayed, "register call delayed");
        if unheard || delayed {
            self.no_word(client, request, is_swap, impatience);
        }
        let late = if delayed { impatience + self.numbers.delay(1_000_000) } else { 0 };
        let call = Box::new(RegisterCall { client, request, wanted, heard: !unheard && !delayed });
        self.after(arrives + late, Event::Register { call });
    }

    /// The client gives up waiting.
    fn no_word(&mut self, client: ClientId, request: RequestNo, is_swap: bool, after: u64) {
        let why = "no answer in time".to_owned();
        let news = if is_swap {
            RegisterNews::Swapped { request, outcome: SwapOutcome::Ambiguous(why), record: None }
        } else {
            RegisterNews::Read { request, result: Err(RegisterFailure::Unavailable(why)) }
        };
        self.tell_later(client, after, news);
    }

    fn tell_later(&mut self, client: ClientId, delay: u64, news: RegisterNews) {
        let news = Box::new(crate::client::News::Register(news));
        self.after(delay, Event::ClientNews { client, news });
    }

    /// A call arrives: it takes effect now.
    pub(crate) fn register_takes(&mut self, call: RegisterCall) {
        let RegisterCall { client, request, wanted, heard } = call;
        let news = match wanted {
            Wanted::Read { name } => {
                self.step("register read", [u64::from(client), request, 0, 0]);
                RegisterNews::Read { request, result: Ok(self.register.read(&name)) }
            }
            Wanted::Swap { expected, record } => {
                let outcome = self.swap(client, expected.as_ref(), &record);
                let done = matches!(outcome, SwapOutcome::Done(_));
                RegisterNews::Swapped { request, outcome, record: done.then_some(record) }
            }
        };
        if heard {
            let delay = self.numbers.delay(self.options.register_us.min(50_000) / 2 + 1);
            self.tell_later(client, delay, news);
        }
    }

    fn swap(&mut self, client: ClientId, expected: Option<&Version>, record: &LogRecord) -> SwapOutcome {
        let current = self.register.records.get(&record.name).map(|(version, _)| version_of(*version));
        let fits = current.as_ref() == expected;
        self.step("register swap", [u64::from(client), u64::from(fits), record.epoch.0, record.segments.len() as u64]);
        if !fits {
            return SwapOutcome::Conflict;
        }
        // The bytes are what a register stores.
        let json = record.encode().unwrap_or_else(|why| panic!("a client stores a record that cannot be read: {why}"));
        let record = LogRecord::decode(&record.name, &json).unwrap_or_else(|why| panic!("{why}"));
        let before = self.register.records.get(&record.name).map(|(_, before)| before);
        self.oracle.registered(before, &record);
        self.register.versions += 1;
        let version = self.register.versions;
        self.register.records.insert(record.name.clone(), (version, record));
        SwapOutcome::Done(version_of(version))
    }
}
