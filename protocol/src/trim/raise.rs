//! Putting the floor on record, and what to do when the register does not say what it did (pitfall 15).

use super::record::with_floor;
use super::{Phase, TRIM_ATTEMPTS_MAX, Trim, TrimEffect, TrimFailure};
use crate::backoff::Backoff;
use crate::ids::ChunkSeq;
use crate::record::{LogRecord, Version};
use crate::recovery::{RegisterFailure, RequestNo, SwapOutcome};
use crate::time::Micros;
use alloc::boxed::Box;
use alloc::string::String;

/// The longest pause between two attempts, in microseconds. A caller waits for them.
const PAUSE_US_MAX: u64 = 100_000;

/// A floor on its way into the record.
#[derive(Clone, Debug)]
pub(super) struct Raising {
    pub(super) target: ChunkSeq,
    step: Step,
    /// Changes asked for, and looks at the register that brought nothing.
    attempts: u32,
    /// Set while a change may take place that this trim does not know of: what the register said.
    doubt: Option<String>,
    backoff: Backoff,
}

/// One request at a time is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Swapping(RequestNo),
    Pausing(Micros),
    ReadingBack(RequestNo),
}

impl Raising {
    pub(super) const fn wakes_at(&self) -> Option<Micros> {
        match self.step {
            Step::Pausing(until) => Some(until),
            Step::Swapping(_) | Step::ReadingBack(_) => None,
        }
    }

    pub(super) fn invariants(&self) {
        assert!(self.attempts <= TRIM_ATTEMPTS_MAX, "{} attempts", self.attempts);
    }

    /// Why it is given up.
    pub(super) fn failure(&self) -> TrimFailure {
        let why = || self.doubt.clone().unwrap_or_else(|| "it did not answer in time".into());
        match self.step {
            Step::Swapping(_) => TrimFailure::Register { why: why(), may_have_happened: true },
            _ if self.may_have_happened() => TrimFailure::Register { why: why(), may_have_happened: true },
            Step::ReadingBack(_) => TrimFailure::Register { why: why(), may_have_happened: false },
            Step::Pausing(_) => TrimFailure::Contended { attempts: self.attempts },
        }
    }

    const fn may_have_happened(&self) -> bool {
        self.doubt.is_some()
    }
}

impl Trim {
    /// Raises the floor on record to `target`, if it is not there.
    pub(super) fn raise(&mut self, now: Micros, target: ChunkSeq) {
        let (step, backoff) = (Step::Pausing(now), Backoff::at_most(PAUSE_US_MAX));
        self.phase = Phase::Raising(Raising { target, step, attempts: 0, doubt: None, backoff });
        self.try_swap(now);
    }

    /// Swaps the floor in, comparing the record as read. Whatever else it says stays as it is, whoever holds the log now.
    fn try_swap(&mut self, now: Micros) {
        let request = self.new_request();
        let Phase::Raising(raising) = &mut self.phase else { unreachable!("raised") };
        let (version, record) = self.found.as_ref().expect("a floor is raised in a record");
        if record.floor >= raising.target {
            return self.landed(now);
        }
        if raising.attempts == TRIM_ATTEMPTS_MAX {
            raising.step = Step::Pausing(now);
            let failure = raising.failure();
            return self.fail(&failure);
        }
        raising.attempts += 1;
        raising.step = Step::Swapping(request);
        let (expected, record) = (version.clone(), Box::new(with_floor(record, raising.target)));
        self.effects.push_back(TrimEffect::Swap { request, expected, record });
    }

    /// What became of the change.
    pub(super) fn raised(&mut self, now: Micros, request: RequestNo, outcome: SwapOutcome) {
        let Phase::Raising(raising) = &mut self.phase else { unreachable!("raised") };
        if raising.step != Step::Swapping(request) {
            return;
        }
        match outcome {
            SwapOutcome::Done(version) => {
                let (_, record) = self.found.as_ref().expect("a floor is raised in a record");
                self.found = Some((version, with_floor(record, raising.target)));
                self.landed(now);
            }
            SwapOutcome::Conflict => raising.step = Step::Pausing(raising.backoff.after(now)),
            SwapOutcome::Ambiguous(why) => {
                raising.doubt = Some(why);
                raising.step = Step::Pausing(raising.backoff.after(now));
            }
            SwapOutcome::Failed(why) => {
                let may_have_happened = raising.may_have_happened();
                self.fail(&TrimFailure::Register { why, may_have_happened });
            }
        }
    }

    /// Reads back after the pause.
    pub(super) fn drive_raising(&mut self, now: Micros) {
        let Phase::Raising(raising) = &self.phase else { unreachable!("raised") };
        if raising.wakes_at().is_some_and(|at| now >= at) {
            let request = self.read_record();
            let Phase::Raising(raising) = &mut self.phase else { unreachable!("raised") };
            raising.step = Step::ReadingBack(request);
        }
    }

    /// The record after a change that did not take place, or may not have: it is looked at for the floor, not for who
    /// raised it. Anybody's floor at or above the target does what was asked for.
    pub(super) fn read_back(
        &mut self,
        now: Micros,
        request: RequestNo,
        result: Result<Option<(Version, LogRecord)>, RegisterFailure>,
    ) {
        let Phase::Raising(raising) = &mut self.phase else { unreachable!("raised") };
        if raising.step != Step::ReadingBack(request) {
            return;
        }
        let (was, before) = self.found.as_ref().expect("a floor is raised in a record");
        match result {
            // Deleted, and perhaps made anew: what was to be trimmed is gone.
            Ok(None) => self.fail(&TrimFailure::NotFound),
            Ok(Some((_, record))) if record.deleted || record.log != before.log => self.fail(&TrimFailure::NotFound),
            Ok(Some((version, record))) => {
                if version != *was {
                    // Whatever is still on its way compares a version that is gone for ever.
                    raising.doubt = None;
                }
                // At the same version the same change is asked for again: at most one of the two takes place.
                self.found = Some((version, record));
                self.try_swap(now);
            }
            Err(RegisterFailure::Unavailable(_))
                if raising.may_have_happened() && raising.attempts < TRIM_ATTEMPTS_MAX =>
            {
                raising.attempts += 1;
                raising.step = Step::Pausing(raising.backoff.after(now));
            }
            Err(RegisterFailure::Unusable(why)) if !raising.may_have_happened() => {
                self.fail(&TrimFailure::Record { why });
            }
            Err(RegisterFailure::Unavailable(why) | RegisterFailure::Unusable(why)) => {
                let may_have_happened = raising.may_have_happened();
                self.fail(&TrimFailure::Register { why, may_have_happened });
            }
        }
    }
}
