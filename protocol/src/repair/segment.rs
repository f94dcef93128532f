//! The segment in hand: what its holders' answers make of it.

use super::party::{Party, Stock, held_by_nobody};
use super::report::{Lacking, SegmentOutcome, SegmentReport};
use super::{ATTEMPTS_MAX, Phase, Repair, RepairEffect};
use crate::ids::{ChunkSeq, SegmentId};
use crate::planted;
use crate::record::{ReplicaRef, Segment};
use crate::recovery::RequestNo;
use crate::time::Micros;
use alloc::string::String;
use alloc::vec::Vec;

/// A segment, and everybody who takes part in its repair.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) segment: Segment,
    /// The first seq that is kept, and one past the last.
    pub(super) from: ChunkSeq,
    pub(super) to: ChunkSeq,
    /// Its holders, in the record's order, then those that are to be holders.
    pub(super) parties: Vec<Party>,
    pub(super) attempts: u32,
    /// Holders that were put in the place of others in this run.
    pub(super) replaced: Vec<(ReplicaRef, ReplicaRef)>,
    /// What stood in the way of a better outcome.
    pub(super) trouble: Option<String>,
}

impl Job {
    pub(super) fn invariants(&self) {
        for party in self.parties.iter().filter(|party| party.replaces.is_some()) {
            let disk = party.at.disk;
            let holder = self.segment.replicas.iter().any(|holder| holder.disk == disk);
            assert!(!holder, "pitfall 14: {disk} is to replace a holder and is one");
        }
    }

    fn holders(&self) -> impl Iterator<Item = (usize, &Party)> {
        self.parties.iter().enumerate().filter(|(_, party)| party.replaces.is_none())
    }

    /// Who lacks something, and why.
    fn lacking(&self) -> Vec<Lacking> {
        let lacking = self.holders().map(|(_, party)| Lacking {
            replica: party.at.clone(),
            seqs: party.lacks(self.from, self.to),
            why: party.why(),
        });
        lacking.filter(|lacking| !lacking.seqs.is_empty()).collect()
    }
}

impl Repair {
    /// Asks every holder of a segment what it has of it.
    pub(super) fn survey_segment(
        &mut self,
        now: Micros,
        id: SegmentId,
        attempts: u32,
        replaced: Vec<(ReplicaRef, ReplicaRef)>,
    ) {
        let (_, record) = self.found.as_ref().expect("a survey follows a read");
        let Some(segment) = record.segments.iter().find(|segment| segment.id == id).cloned() else {
            return self.next_segment(now);
        };
        self.one_source &= attempts > 0;
        let from = segment.base.max(record.floor);
        let to = segment.end_seq().unwrap_or(from);
        let parties = segment.replicas.iter().map(|holder| Party::new(holder.clone(), None)).collect();
        self.job = Some(Job { segment, from, to, parties, attempts, replaced, trouble: None });
        if from >= to {
            return self.end_segment(now, SegmentOutcome::Whole);
        }
        self.phase = Phase::Surveying;
        for party in 0..self.job.as_ref().map_or(0, |job| job.parties.len()) {
            self.ask_inventory(party, from);
        }
    }

    /// Every holder has answered, or will not: what follows?
    pub(super) fn judge(&mut self, now: Micros) {
        let job = self.job.as_ref().expect("judged with a segment in hand");
        let (from, to) = (job.from, job.to);
        let lost = held_by_nobody(&job.parties, from, to);
        let someone_is_silent = job.holders().any(|(_, party)| matches!(party.stock, Stock::Silent(_)));
        let leaving: Vec<usize> = job.holders().filter(|(_, p)| self.has_to_go(now, p)).map(|(at, _)| at).collect();
        let heals = job.holders().filter(|(at, party)| {
            party.stock == Stock::Known
                && !party.lacks(from, to).is_empty()
                && !leaving.contains(at)
                && !self.unfit.contains(&party.at.disk)
        });
        let heals: Vec<usize> = heals.map(|(at, _)| at).collect();
        let exhausted = job.attempts >= ATTEMPTS_MAX;
        let job = self.job.as_mut().expect("judged with a segment in hand");
        for at in heals.iter().copied() {
            let mut missing = job.parties[at].lacks(from, to);
            super::party::subtract(&mut missing, &lost);
            job.parties[at].missing = missing;
        }
        let can_heal = heals.iter().any(|at| !job.parties[*at].missing.is_empty());
        if !exhausted && lost.is_empty() && !leaving.is_empty() && job.trouble.is_none() {
            return self.ask_place(&leaving);
        }
        if !exhausted && can_heal {
            return self.pin_targets(now);
        }
        let lacking = job.lacking();
        let trouble = job.trouble.clone();
        let outcome = if lacking.is_empty() && leaving.is_empty() {
            SegmentOutcome::Whole
        } else if !lost.is_empty() && !someone_is_silent {
            // Who does not answer has lost nothing (P8): only what every holder says that it lacks is lost.
            SegmentOutcome::Lost { seqs: lost, lacking }
        } else {
            let why = trouble.unwrap_or_else(|| {
                let silent = "a holder does not answer, and may come back";
                let tried = "it was tried as often as it may be in one run";
                if someone_is_silent { silent } else { tried }.into()
            });
            SegmentOutcome::Short { lacking, why }
        };
        let wait = someone_is_silent && !exhausted && outcome != SegmentOutcome::Whole && self.may_wait(now);
        if wait {
            self.postponed.insert(self.job.as_ref().expect("judged with a segment in hand").segment.id);
        }
        self.end_segment(now, outcome);
    }

    /// Whether a holder is to be replaced: it is to go, its disk is gone, it takes no copies, or it was silent for too long.
    fn has_to_go(&self, now: Micros, party: &Party) -> bool {
        let disk = party.at.disk;
        let silent_us = self.silent_since.get(&disk).map_or(0, |since| now.since(*since));
        let job = self.job.as_ref().expect("judged with a segment in hand");
        match party.stock {
            _ if self.config.leaving.contains(&disk) => true,
            Stock::Gone(_) => true,
            Stock::Silent(_) => silent_us >= self.config.patience_us,
            _ => self.unfit.contains(&disk) && !party.lacks(job.from, job.to).is_empty(),
        }
    }

    /// Whether somebody who is silent has some time left.
    fn may_wait(&self, now: Micros) -> bool {
        let job = self.job.as_ref().expect("judged with a segment in hand");
        let waits = |disk| {
            let since = self.silent_since.get(disk);
            since.is_some_and(|since| now.since(*since) < self.config.patience_us)
        };
        job.parties.iter().any(|party| matches!(party.stock, Stock::Silent(_)) && waits(&party.at.disk))
    }

    fn ask_place(&mut self, leaving: &[usize]) {
        let request = self.new_request();
        let (_, record) = self.found.as_ref().expect("placed with a record");
        let job = self.job.as_mut().expect("placed with a segment in hand");
        let (mut keep, mut avoid) = (Vec::new(), Vec::new());
        for (at, party) in job.parties.iter().enumerate() {
            if leaving.contains(&at) { avoid.push(party.at.disk) } else { keep.push(party.at.clone()) }
        }
        avoid.extend(self.unfit.iter().chain(&self.config.leaving).copied());
        let (log, replicas) = (record.log, leaving.len());
        job.parties.iter_mut().for_each(|party| party.failed = None);
        self.phase = Phase::Placing(request);
        self.effects.push_back(RepairEffect::Place { request, log, replicas, keep, avoid });
    }

    pub(super) fn placed(&mut self, now: Micros, request: RequestNo, result: Result<Vec<ReplicaRef>, String>) {
        if !matches!(self.phase, Phase::Placing(asked) if asked == request) {
            return;
        }
        let job = self.job.as_ref().expect("placed with a segment in hand");
        let leaving: Vec<usize> = job.holders().filter(|(_, p)| self.has_to_go(now, p)).map(|(at, _)| at).collect();
        let stays = |zone: &str| job.holders().any(|(at, p)| p.at.zone == zone && !leaving.contains(&at));
        let is_holder = |found: &ReplicaRef| job.holders().any(|(_, p)| p.at.disk == found.disk);
        let (found, why) = match result {
            Ok(found) => (found, "no other zone has a node that takes it: start one, or wait for one".into()),
            Err(why) => (Vec::new(), why),
        };
        let mut new: Vec<ReplicaRef> = Vec::new();
        for at in found {
            let taken = stays(&at.zone) || new.iter().any(|other| other.zone == at.zone) || is_holder(&at);
            if !taken && new.len() < leaving.len() {
                new.push(at);
            }
        }
        let short = new.len() < leaving.len();
        let job = self.job.as_mut().expect("placed with a segment in hand");
        let replaced: Vec<_> = leaving.iter().map(|at| job.parties[*at].at.disk).collect();
        job.parties.extend(new.into_iter().zip(replaced).map(|(at, from)| Party::new(at, Some(from))));
        if short {
            job.trouble = Some(why);
        }
        let targets = job.parties.iter().any(|party| party.replaces.is_some() || !party.missing.is_empty());
        if targets { self.pin_targets(now) } else { self.judge(now) }
    }

    /// Ends the work on the segment in hand, for now, with holders that lack something.
    pub(super) fn give_up(&mut self, now: Micros, why: String) {
        let job = self.job.as_ref().expect("given up with a segment in hand");
        let lacking = job.lacking();
        self.end_segment(now, SegmentOutcome::Short { lacking, why });
    }

    fn end_segment(&mut self, now: Micros, outcome: SegmentOutcome) {
        let Some(job) = self.job.take() else { return };
        let (segment, from, to) = (job.segment.id, job.from, job.to);
        let report = SegmentReport { segment, from, to, replaced: job.replaced, outcome };
        self.outcomes.insert(segment, report);
        self.next_segment(now);
    }

    /// Asks the holders again, and goes on from their answers: some replica failed, or everything was copied.
    pub(super) fn ask_again(&mut self, now: Micros) {
        let job = self.job.take().expect("asked again with a segment in hand");
        let attempts = job.attempts + 1;
        if planted!(RepairSwapsFirst) && attempts > ATTEMPTS_MAX {
            return self.next_segment(now);
        }
        self.survey_segment(now, job.segment.id, attempts, job.replaced);
    }
}
