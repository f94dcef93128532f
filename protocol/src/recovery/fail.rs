//! Giving up, and saying why.

use super::effect::RecoveryEffect;
use super::error::{Doing, RecoveryError};
use super::report::MissingReplica;
use super::walk::Walked;
use super::{Phase, Purpose, Recovery};
use crate::action::Step;
use crate::ids::{ChunkSeq, SegmentId};
use crate::message::Answer;
use crate::time::Micros;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

impl Recovery {
    /// Ends the recovery.
    pub(super) fn fail(&mut self, why: RecoveryError) {
        self.phase = Phase::Finished;
        let client = self.config.owner;
        self.note(|_| Step::Abandon { client });
        self.effects.push_back(RecoveryEffect::Finished(Box::new(Err(why))));
    }

    /// The deadline passed: name what is missing (P7.3).
    pub(super) fn fail_at_deadline(&mut self, now: Micros) {
        let waited_us = now.since(self.started);
        let register_failed = self.register.is_busy() && self.register.trouble.is_some();
        let error = match self.phase {
            Phase::Claiming if self.register.tried() => self.register_error(Doing::Claiming, waited_us),
            Phase::Claiming | Phase::Finished => self.register_error(Doing::Reading, waited_us),
            Phase::Registering => self.register_error(Doing::Registering, waited_us),
            Phase::Settling | Phase::Copying if register_failed => self.register_error(Doing::Reading, waited_us),
            Phase::Settling => self.settling_error(waited_us),
            Phase::Copying => self.copying_error(waited_us),
        };
        self.fail(error);
    }

    fn register_error(&self, doing: Doing, waited_us: u64) -> RecoveryError {
        RecoveryError::Register {
            name: self.config.name.clone(),
            doing,
            waited_us,
            why: self.register.trouble.clone().unwrap_or_else(|| "no answer".into()),
            may_have_happened: self.claimed.is_some() || self.register.may_change(),
        }
    }

    fn settling_error(&self, waited_us: u64) -> RecoveryError {
        let claimed = self.claimed.as_ref().expect("settling after the claim");
        let id = |segment: usize| Some(claimed.open[segment].id);
        let deletes = self.config.purpose == Purpose::Delete;
        let growing = if deletes { self.still_growing() } else { None };
        match (self.walk(), growing) {
            (Walked::NeedsFences { segment }, _) => {
                let missing = self.missing_of(segment, None);
                self.replicas_error(Doing::Settling, waited_us, id(segment), None, missing)
            }
            (_, Some((segment, seq)))
            | (Walked::NeedsAnswers { segment, seq } | Walked::NeedsFloor { segment, seq }, None) => {
                let missing = self.missing_of(segment, Some(seq));
                self.replicas_error(Doing::Settling, waited_us, id(segment), Some(seq), missing)
            }
            (Walked::Settled(_), None) => RecoveryError::Placement {
                name: self.config.name.clone(),
                waited_us,
                why: self.placing.trouble.clone().unwrap_or_else(|| "no answer".into()),
            },
        }
    }

    /// Either a chunk of an old segment could not be read, or the new one's replicas do not store the copies.
    fn copying_error(&self, waited_us: u64) -> RecoveryError {
        let claimed = self.claimed.as_ref().expect("copying after the claim");
        let copying = self.copying.as_ref().expect("copying");
        if let Some((open, seq)) = self.fetcher.first_wanted() {
            let missing = self.missing_of(open, Some(seq));
            return self.replicas_error(Doing::Copying, waited_us, Some(claimed.open[open].id), Some(seq), missing);
        }
        let replicas = copying.plan.replicas.iter().enumerate();
        let missing = replicas
            .filter_map(|(i, replica)| {
                Some(MissingReplica { replica: replica.clone(), why: copying.writer.trouble(i)? })
            })
            .collect();
        self.replicas_error(Doing::Copying, waited_us, Some(copying.segment), Some(copying.writer.committed()), missing)
    }

    fn replicas_error(
        &self,
        doing: Doing,
        waited_us: u64,
        segment: Option<SegmentId>,
        seq: Option<ChunkSeq>,
        missing: Vec<MissingReplica>,
    ) -> RecoveryError {
        let name: String = self.config.name.clone();
        RecoveryError::Replicas { name, doing, waited_us, segment, seq, missing }
    }

    /// The replicas of an unsealed segment whose word is missed: on `seq`, or at all.
    fn missing_of(&self, open: usize, seq: Option<ChunkSeq>) -> Vec<MissingReplica> {
        let mut missing = Vec::new();
        for witness in &self.witnesses {
            let Some(testimony) = &witness.testimonies[open] else { continue };
            let answer = seq.and_then(|seq| testimony.answers.get(&seq));
            let helps = witness.fenced && matches!(answer, Some(Answer::Have | Answer::Never));
            let said_enough = if seq.is_none() { witness.fenced } else { helps && witness.trouble.is_none() };
            if !said_enough {
                missing.push(MissingReplica { replica: witness.replica.clone(), why: witness.excuse() });
            }
        }
        missing
    }

    /// How many replicas of an unsealed segment are fenced.
    pub(super) fn fenced_of(&self, open: usize) -> usize {
        self.witnesses.iter().filter(|witness| witness.fenced && witness.testimonies[open].is_some()).count()
    }
}
