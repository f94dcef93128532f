//! Trim: how a prefix of a log is dropped (P12). The floor goes on record first, then the replicas are told.
//!
//! A pure machine. Whoever drives it calls [`Trim::handle`] with what happened, then does every effect of
//! [`Trim::poll_effect`] until there is none, and calls again with [`TrimEvent::Tick`] no later than
//! [`Trim::poll_timeout`]. [`TrimEffect::Finished`] is the outcome, [`TrimEffect::Over`] the last effect.
//!
//! ```text
//!            TailSearch                            Finished                      Over
//! Reading ──► Finding ──► Raising: swap the floor ──►  │  Telling ──► Dropping ──► │
//! record      tail         ▲    │ conflict, no answer  │  the floor   segments     │
//!                          └────┘ read back (raise.rs)    (telling.rs) below it
//! ```
//! No owner is compared, unlike in a takeover: whoever trims holds nothing. A floor that was committed stays so whoever
//! takes the log over meanwhile, so it goes into their record as well as into the one that was read first.

mod effect;
mod event;
mod failure;
mod raise;
mod record;
mod tell;

pub use effect::TrimEffect;
pub use event::TrimEvent;
pub use failure::TrimFailure;

use crate::action::{Action, Actions};
use crate::ids::ChunkSeq;
use crate::planted;
use crate::record::{LogRecord, Version, check_log_name};
use crate::recovery::{MissingReplica, RegisterFailure, RequestNo, SwapOutcome};
use crate::tail::{TailEffect, TailEvent, TailSearch};
use crate::telling::{Telling, TellingEvent};
use crate::time::Micros;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use raise::Raising;

/// How often a floor is tried to be put on record while others change the record, or while the register does not say what
/// it did.
pub const TRIM_ATTEMPTS_MAX: u32 = 16;
/// How long a trim tries to put its floor on record when nothing else is asked for, in microseconds.
pub const TRIM_DEADLINE_US_DEFAULT: u64 = 15_000_000;
/// How long the register may take to drop segments from the record, in microseconds; nobody needs it done.
pub const DROPPING_US_MAX: u64 = 10_000_000;

/// What to trim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrimConfig {
    /// The log's name.
    pub name: String,
    /// The floors asked for, by callers who wait together. Those above the tail are refused, the highest of the others is
    /// put on record.
    pub wanted: Vec<ChunkSeq>,
    /// How long it may take until the floor is on record, in microseconds.
    pub deadline_us: u64,
}

/// Where a trim stands.
#[derive(Clone, Debug)]
enum Phase {
    Reading(RequestNo),
    Finding(TailSearch),
    Raising(Raising),
    Telling(Telling),
    Dropping { request: RequestNo, untold: Vec<MissingReplica>, until: Micros },
    Over,
}

/// One round of trimming one log.
#[derive(Clone, Debug)]
pub struct Trim {
    config: TrimConfig,
    ends_at: Micros,
    phase: Phase,
    next_request: RequestNo,
    /// The record as last read or changed.
    found: Option<(Version, LogRecord)>,
    /// What was known to be committed when the record was first read.
    tail: Option<ChunkSeq>,
    /// Whether the outcome was told.
    finished: bool,
    effects: VecDeque<TrimEffect>,
    actions: Actions,
}

impl Trim {
    /// Starts a trim.
    #[must_use]
    pub fn new(config: TrimConfig, now: Micros) -> Self {
        let mut trim = Self {
            ends_at: now.plus(config.deadline_us),
            config,
            phase: Phase::Over,
            next_request: 1,
            found: None,
            tail: None,
            finished: false,
            effects: VecDeque::new(),
            actions: Actions::default(),
        };
        match check_log_name(&trim.config.name) {
            Ok(()) => trim.phase = Phase::Reading(trim.read_record()),
            Err(why) => trim.fail(&TrimFailure::BadName { why }),
        }
        trim
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Micros, event: TrimEvent) {
        match event {
            TrimEvent::RecordRead { request, result } => self.record_read(now, request, result),
            TrimEvent::Swapped { request, outcome } => self.swapped(now, request, outcome),
            TrimEvent::Replied { request, result } => match &mut self.phase {
                Phase::Finding(search) => search.handle(now, TailEvent::Replied { request, result }),
                Phase::Telling(telling) => telling.handle(now, TellingEvent::Replied { request, result }),
                _ => {}
            },
            TrimEvent::Tick => match &mut self.phase {
                Phase::Finding(search) => search.handle(now, TailEvent::Tick),
                Phase::Telling(telling) => telling.handle(now, TellingEvent::Tick),
                _ => {}
            },
        }
        self.advance(now);
        self.invariants();
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<TrimEffect> {
        self.effects.pop_front()
    }

    /// Has every step noted from now on, for [`Self::poll_action`].
    pub fn record_actions(&mut self) {
        self.actions.record();
    }

    /// The next step noted, until none is left.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.poll()
    }

    /// When [`TrimEvent::Tick`] is wanted next, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Micros> {
        let deadline = Some(self.ends_at).filter(|_| !self.finished);
        let step = match &self.phase {
            Phase::Reading(_) | Phase::Over => None,
            Phase::Finding(search) => search.poll_timeout(),
            Phase::Raising(raising) => raising.wakes_at(),
            Phase::Telling(telling) => telling.poll_timeout(),
            Phase::Dropping { until, .. } => Some(*until),
        };
        [deadline, step].into_iter().flatten().min()
    }

    /// Checks what must hold between any two events.
    ///
    /// # Panics
    /// If it does not.
    pub fn invariants(&self) {
        let floor = self.found.as_ref().map(|(_, record)| record.floor);
        match &self.phase {
            Phase::Reading(_) => assert!(floor.is_none() && !self.finished, "reading with a record: {self:?}"),
            Phase::Finding(search) => {
                assert!(floor.is_some() && !self.finished, "a tail without a record: {self:?}");
                search.invariants();
            }
            Phase::Raising(raising) => {
                assert!(!self.finished, "raising what is done: {self:?}");
                // P12: a floor never exceeds the committed tail.
                assert!(Some(raising.target) <= self.tail, "target {} above {:?}", raising.target, self.tail);
                raising.invariants();
            }
            Phase::Telling(telling) => {
                assert!(self.finished, "replicas are told before the outcome is: {self:?}");
                telling.invariants();
            }
            Phase::Dropping { .. } => assert!(self.finished, "segments dropped before the outcome: {self:?}"),
            Phase::Over => assert!(self.finished, "over without an outcome: {self:?}"),
        }
    }

    /// Does everything that can be done now.
    fn advance(&mut self, now: Micros) {
        if !self.finished && now >= self.ends_at {
            return self.fail_at_deadline();
        }
        match &mut self.phase {
            Phase::Finding(_) => self.find_tail(now),
            Phase::Raising(_) => self.drive_raising(now),
            Phase::Telling(_) => self.tell(now),
            Phase::Dropping { .. } => self.bound_dropping(now),
            Phase::Reading(_) | Phase::Over => {}
        }
    }

    fn record_read(
        &mut self,
        now: Micros,
        request: RequestNo,
        result: Result<Option<(Version, LogRecord)>, RegisterFailure>,
    ) {
        match &self.phase {
            Phase::Reading(expected) if *expected == request => {}
            Phase::Raising(_) => return self.read_back(now, request, result),
            _ => return,
        }
        match result {
            Ok(Some((version, record))) if !record.deleted => {
                self.phase = Phase::Finding(TailSearch::new(&record, self.next_request));
                self.found = Some((version, record));
            }
            Ok(_) => self.fail(&TrimFailure::NotFound),
            Err(RegisterFailure::Unavailable(why)) => {
                self.fail(&TrimFailure::Register { why, may_have_happened: false });
            }
            Err(RegisterFailure::Unusable(why)) => self.fail(&TrimFailure::Record { why }),
        }
    }

    /// What is committed is known, or cannot be.
    fn find_tail(&mut self, now: Micros) {
        let Phase::Finding(search) = &mut self.phase else { unreachable!("looked for the tail") };
        let mut outcome = None;
        while let Some(effect) = search.poll_effect() {
            match effect {
                TailEffect::Call { request, to, what } => {
                    self.effects.push_back(TrimEffect::Call { request, to, what });
                }
                TailEffect::Finished(found) => outcome = Some(found),
            }
        }
        self.next_request = search.next_request();
        match outcome {
            None => {}
            Some(Err(why)) => self.fail(&why.into()),
            Some(Ok(tail)) => {
                self.tail = Some(tail);
                if let Some(target) =
                    self.config.wanted.iter().copied().filter(|below| *below <= tail || planted!(TrimAboveTail)).max()
                {
                    self.raise(now, target);
                } else {
                    // Everybody asked for more than is committed, and is told so: nothing is raised.
                    self.finish(&Ok(tail));
                    self.over(Vec::new(), None);
                }
            }
        }
    }

    fn swapped(&mut self, now: Micros, request: RequestNo, outcome: SwapOutcome) {
        match &self.phase {
            Phase::Raising(_) => self.raised(now, request, outcome),
            Phase::Dropping { .. } => self.dropped(request, outcome),
            _ => {}
        }
    }

    fn fail_at_deadline(&mut self) {
        let failure = match &self.phase {
            Phase::Finding(search) => search.failure().expect("a search that goes on waits for somebody").into(),
            Phase::Raising(raising) => raising.failure(),
            _ => TrimFailure::Register { why: "it did not answer in time".into(), may_have_happened: false },
        };
        self.fail(&failure);
    }

    fn fail(&mut self, why: &TrimFailure) {
        self.finish(&Err(why.clone()));
        self.over(Vec::new(), None);
    }

    /// Tells everybody who asked. Whoever asked for more than is committed is refused, whatever became of the others.
    fn finish(&mut self, raised: &Result<ChunkSeq, TrimFailure>) {
        assert!(!self.finished, "a trim has one outcome");
        self.finished = true;
        let tail = self.tail;
        let outcome = |below: &ChunkSeq| match tail {
            Some(tail) if *below > tail => Err(TrimFailure::AboveTail { below: *below, tail }),
            _ => raised.clone(),
        };
        let outcomes = self.config.wanted.iter().map(outcome).collect();
        self.effects.push_back(TrimEffect::Finished(outcomes));
    }

    fn over(&mut self, untold: Vec<MissingReplica>, kept: Option<String>) {
        self.phase = Phase::Over;
        self.effects.push_back(TrimEffect::Over { untold, kept });
    }

    fn read_record(&mut self) -> RequestNo {
        let (request, name) = (self.new_request(), self.config.name.clone());
        self.effects.push_back(TrimEffect::ReadRecord { request, name });
        request
    }

    const fn new_request(&mut self) -> RequestNo {
        self.next_request += 1;
        self.next_request - 1
    }
}
