//! The operations of a machine: what waits, what is under way, and what is tried again later. Each class has a bound of its own,
//! so that a sweep does not hold up puts.

use super::event::{BucketEffect, OperationNo, Outcome};
use super::operation::{Asking, Finding, Question, Step};
use super::requests::RequestNo;
use crate::ids::ChunkSeq;
use crate::limits::{BUCKET_CREATES_IN_FLIGHT_MAX, BUCKET_DELETES_IN_FLIGHT_MAX, BUCKET_LOOKS_IN_FLIGHT_MAX};
use crate::replica::Ticket;
use crate::time::Micros;
use alloc::collections::{BTreeMap, VecDeque};

/// Who wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Whoever waits for the identity.
    Identity,
    /// A put.
    Put(Ticket),
    /// A request: which part of it, and which slot.
    Request(RequestNo, usize, ChunkSeq),
    /// A request that is answered, if only the bucket still is the one it was asked of.
    Closing(RequestNo),
    /// The background deletion, of this slot.
    Sweep(ChunkSeq),
}

/// Questions by what bounds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Puts,
    Looks,
    Sweeps,
}

impl Class {
    const ALL: [Self; 3] = [Self::Puts, Self::Looks, Self::Sweeps];

    const fn of(owner: Owner) -> Self {
        match owner {
            Owner::Put(_) => Self::Puts,
            Owner::Identity | Owner::Request(..) | Owner::Closing(_) => Self::Looks,
            Owner::Sweep(_) => Self::Sweeps,
        }
    }

    const fn at_once_max(self) -> usize {
        match self {
            Self::Puts => BUCKET_CREATES_IN_FLIGHT_MAX,
            Self::Looks => BUCKET_LOOKS_IN_FLIGHT_MAX,
            Self::Sweeps => BUCKET_DELETES_IN_FLIGHT_MAX,
        }
    }
}

#[derive(Debug, Default)]
struct Line {
    /// In the order they were asked.
    waiting: VecDeque<(Owner, Asking)>,
    /// Under way, or to be tried again.
    active: usize,
}

/// The pool.
#[derive(Debug, Default)]
pub(super) struct Pool {
    lines: [Line; 3],
    under_way: BTreeMap<OperationNo, (Owner, Asking)>,
    later: BTreeMap<(Micros, OperationNo), (Owner, Asking)>,
    /// To go on at once.
    ready: VecDeque<(Owner, Asking)>,
    last: OperationNo,
}

impl Pool {
    pub(super) fn ask(&mut self, owner: Owner, question: Question) {
        self.lines[Class::of(owner) as usize].waiting.push_back((owner, Asking::new(question)));
    }

    /// Takes the outcome of an operation; the finding, if that answers its question.
    pub(super) fn done(&mut self, now: Micros, operation: OperationNo, outcome: Outcome) -> Option<(Owner, Finding)> {
        // An outcome that comes twice finds nothing.
        let (owner, mut asking) = self.under_way.remove(&operation)?;
        match asking.take(outcome) {
            Step::Done(finding) => {
                self.lines[Class::of(owner) as usize].active -= 1;
                return Some((owner, finding));
            }
            Step::Now => self.ready.push_back((owner, asking)),
            Step::Later(after_us) => {
                self.later.insert((now.plus(after_us), operation), (owner, asking));
            }
        }
        None
    }

    /// Starts whatever may start now.
    pub(super) fn pump(&mut self, now: Micros, effects: &mut VecDeque<BucketEffect>) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            self.ready.push_back(entry.remove());
        }
        for class in Class::ALL {
            let line = &mut self.lines[class as usize];
            while line.active < class.at_once_max()
                && let Some(next) = line.waiting.pop_front()
            {
                line.active += 1;
                self.ready.push_back(next);
            }
        }
        while let Some((owner, asking)) = self.ready.pop_front() {
            self.last += 1;
            effects.push_back(BucketEffect::Perform { operation: self.last, what: asking.operation() });
            self.under_way.insert(self.last, (owner, asking));
        }
    }

    pub(super) fn wakes_at(&self) -> Option<Micros> {
        self.later.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lines.iter().all(|line| line.active == 0 && line.waiting.is_empty())
    }

    /// Puts that wait or are under way.
    pub(super) fn puts(&self) -> usize {
        let line = &self.lines[Class::Puts as usize];
        line.active + line.waiting.len()
    }

    pub(super) fn invariants(&self) {
        let active: usize = self.lines.iter().map(|line| line.active).sum();
        let (under_way, later, ready) = (self.under_way.len(), self.later.len(), self.ready.len());
        assert!(ready == 0, "{ready} operations were not started");
        assert!(active == under_way + later, "{active} active, {under_way} under way and {later} for later");
        for class in Class::ALL {
            let (line, max) = (&self.lines[class as usize], class.at_once_max());
            assert!(line.active <= max, "{} operations of {class:?} at once, the most is {max}", line.active);
        }
    }
}
