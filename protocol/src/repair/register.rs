//! Reading the record, and putting new holders into it (P16), also when the register does not say what it did (pitfall 15).

use super::party::Party;
use super::{Phase, Repair, RepairEffect, RepairFailure};
use crate::backoff::Backoff;
use crate::limits::SEGMENTS_PER_LOG_MAX;
use crate::planted;
use crate::record::{LogRecord, Version};
use crate::recovery::{RegisterFailure, RequestNo, SwapOutcome};
use crate::time::Micros;
use alloc::boxed::Box;
use alloc::string::String;

/// How often the register may fail to answer, one time after the other, before the repair is given up.
const REGISTER_TRIES_MAX: u32 = 12;

/// At most one request is under way.
#[derive(Clone, Debug)]
pub(super) struct Register {
    step: Step,
    /// The change that was asked for, and what it compared.
    change: Option<(Version, Box<LogRecord>)>,
    tries: u32,
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    ReadAt(Micros),
    Reading(RequestNo),
    Swapping(RequestNo),
}

impl Register {
    pub(super) const fn wakes_at(&self) -> Option<Micros> {
        match self.step {
            Step::ReadAt(at) => Some(at),
            Step::Reading(_) | Step::Swapping(_) => None,
        }
    }
}

impl Repair {
    /// Has the record read; the segment in hand is begun anew with it.
    pub(super) fn read_record(&mut self, now: Micros) {
        self.phase =
            Phase::Register(Register { step: Step::ReadAt(now), change: None, tries: 0, backoff: Backoff::new() });
    }

    pub(super) fn drive_register(&mut self, now: Micros) {
        let request = self.next_request;
        let Phase::Register(register) = &mut self.phase else { return };
        if register.wakes_at().is_none_or(|at| now < at) {
            return;
        }
        register.step = Step::Reading(request);
        self.next_request += 1;
        let name = self.config.name.clone();
        self.effects.push_back(RepairEffect::ReadRecord { request, name });
    }

    /// Names the new holders: one change, one number further, comparing the record whose holders were asked.
    pub(super) fn swap_holders(&mut self, now: Micros) {
        let (version, record) = self.found.as_ref().expect("a swap follows a read");
        let job = self.job.as_mut().expect("a swap is of a segment");
        let mut changed = record.changed();
        let segment = changed.segments.iter_mut().find(|segment| segment.id == job.segment.id);
        let segment = segment.expect("the job's segment is on record");
        for Party { at, replaces, .. } in job.parties.iter().filter(|party| party.failed.is_none()) {
            let Some(replaced) = replaces else { continue };
            let place = segment.replicas.iter_mut().find(|holder| holder.disk == *replaced);
            *place.expect("who is replaced is on record") = at.clone();
        }
        if let Err(why) = changed.check(SEGMENTS_PER_LOG_MAX) {
            return self.give_up(now, alloc::format!("the new holders cannot be put on record: {why}"));
        }
        let change = Some((version.clone(), Box::new(changed)));
        let (step, backoff) = (Step::ReadAt(now), Backoff::new());
        self.phase = Phase::Register(Register { step, change, tries: 0, backoff });
        self.ask_swap();
    }

    fn ask_swap(&mut self) {
        let request = self.new_request();
        let Phase::Register(register) = &mut self.phase else { unreachable!("asked for in this phase") };
        let (expected, record) = register.change.clone().expect("a swap has a change");
        register.step = Step::Swapping(request);
        self.effects.push_back(RepairEffect::Swap { request, expected, record });
    }

    pub(super) fn swapped(&mut self, now: Micros, request: RequestNo, outcome: SwapOutcome) {
        let Phase::Register(register) = &mut self.phase else { return };
        if register.step != Step::Swapping(request) {
            return;
        }
        match outcome {
            SwapOutcome::Done(version) => {
                let (_, record) = register.change.take().expect("a swap has a change");
                self.found = Some((version, *record));
                self.note_replaced();
                // P16: the holders are verified again, the new ones too.
                self.begin(now);
            }
            SwapOutcome::Conflict if planted!(RepairNeverRedone) => register.step = Step::Swapping(RequestNo::MAX),
            SwapOutcome::Conflict => register.step = Step::ReadAt(now),
            SwapOutcome::Ambiguous(why) | SwapOutcome::Failed(why) => self.register_failed(now, why),
        }
    }

    fn note_replaced(&mut self) {
        let Some(job) = &mut self.job else { return };
        for party in job.parties.iter().filter(|party| party.failed.is_none()) {
            let Some(replaced) = party.replaces else { continue };
            let was = job.segment.replicas.iter().find(|holder| holder.disk == replaced);
            job.replaced.push((was.expect("who was replaced was on record").clone(), party.at.clone()));
        }
    }

    /// Looks again after a pause, a bounded number of times.
    fn register_failed(&mut self, now: Micros, why: String) {
        let Phase::Register(register) = &mut self.phase else { unreachable!("it failed in this phase") };
        register.tries += 1;
        if register.tries >= REGISTER_TRIES_MAX {
            let name = self.config.name.clone();
            return self.finish(Err(RepairFailure::Register { name, why }));
        }
        register.step = Step::ReadAt(register.backoff.after(now));
    }

    pub(super) fn record_read(
        &mut self,
        now: Micros,
        request: RequestNo,
        result: Result<Option<(Version, LogRecord)>, RegisterFailure>,
    ) {
        let Phase::Register(register) = &mut self.phase else { return };
        if register.step != Step::Reading(request) {
            return;
        }
        match result {
            Err(RegisterFailure::Unavailable(why)) => self.register_failed(now, why),
            Err(RegisterFailure::Unusable(why)) => self.fail_record(why),
            Ok(None) => self.finish(Err(RepairFailure::NotFound { name: self.config.name.clone() })),
            Ok(Some((_, record))) if record.deleted || self.is_another_log(&record) => {
                self.finish(Err(RepairFailure::NotFound { name: self.config.name.clone() }));
            }
            Ok(Some((version, record))) => {
                let Phase::Register(register) = &mut self.phase else { unreachable!("read in this phase") };
                let waits = register.change.as_ref().is_some_and(|(expected, _)| *expected == version);
                if waits {
                    // The change may still be on its way. The very same one, comparing the same version, does no harm: at most
                    // one of them takes place.
                    return self.ask_swap();
                }
                // Whatever is on its way compares a version that is gone for ever. Whether it took place does not matter: the
                // holders that are on record now are asked.
                let made = register.change.as_ref().is_some_and(|(_, change)| **change == record);
                self.found = Some((version, record));
                if made {
                    self.note_replaced();
                }
                self.begin(now);
            }
        }
    }

    /// Deleted and made anew under the same name: what was to be repaired is gone.
    fn is_another_log(&self, record: &LogRecord) -> bool {
        self.found.as_ref().is_some_and(|(_, before)| before.log != record.log)
    }
}
