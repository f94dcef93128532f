//! Who has what of the segment that is being looked at.

use crate::ids::{ChunkSeq, DiskId};
use crate::message::{Answer, Run};
use crate::ranges::SeqRanges;
use crate::record::ReplicaRef;
use crate::recovery::RequestNo;
use alloc::string::String;
use alloc::vec::Vec;

/// A holder of the segment, or a replica that is going to be one.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) at: ReplicaRef,
    /// The holder in whose place it comes; none for a holder.
    pub(super) replaces: Option<DiskId>,
    pub(super) stock: Stock,
    /// What it said it holds. Sources are taken from here.
    pub(super) held: SeqRanges,
    /// What it does not need: its floor is higher than the one that was read.
    pub(super) trimmed: SeqRanges,
    /// The pin that is under way.
    pub(super) pinning: Option<RequestNo>,
    /// What is to be copied to it in this round.
    pub(super) missing: SeqRanges,
    /// Why nothing more is copied to it in this round.
    pub(super) failed: Option<String>,
}

/// What is known of a party's inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stock {
    NotAsked,
    Asking(RequestNo),
    Known,
    /// It does not answer: unknown (P8).
    Silent(String),
    /// Another disk is where it was.
    Gone(String),
}

impl Party {
    pub(super) const fn new(at: ReplicaRef, replaces: Option<DiskId>) -> Self {
        Self {
            at,
            replaces,
            stock: Stock::NotAsked,
            held: SeqRanges::new(),
            trimmed: SeqRanges::new(),
            pinning: None,
            missing: SeqRanges::new(),
            failed: None,
        }
    }

    pub(super) fn hear(&mut self, runs: &[Run]) {
        for run in runs {
            match run.answer {
                Answer::Have => self.held.insert(run.from, run.to),
                Answer::Trimmed => self.trimmed.insert(run.from, run.to),
                Answer::Never | Answer::Unknown => {}
            }
        }
    }

    /// What it lacks of `from..to`, by what it said.
    pub(super) fn lacks(&self, from: ChunkSeq, to: ChunkSeq) -> SeqRanges {
        let mut lacks = SeqRanges::new();
        lacks.insert(from, to);
        if self.stock == Stock::Known {
            subtract(&mut lacks, &self.held);
            subtract(&mut lacks, &self.trimmed);
        }
        lacks
    }

    /// Why it lacks something.
    pub(super) fn why(&self) -> String {
        match (&self.stock, &self.failed) {
            (Stock::Silent(why), _) => alloc::format!("it does not answer: {why}"),
            (Stock::Gone(why), _) => alloc::format!("its disk is not there any more: {why}"),
            (_, Some(why)) => why.clone(),
            _ => "it never had it, or cannot read it".into(),
        }
    }
}

pub(super) fn subtract(from: &mut SeqRanges, what: &SeqRanges) {
    what.iter().for_each(|(first, end)| from.remove(first, end));
}

/// What of `from..to` none of them holds.
pub(super) fn held_by_nobody(parties: &[Party], from: ChunkSeq, to: ChunkSeq) -> SeqRanges {
    let mut nobody = SeqRanges::new();
    nobody.insert(from, to);
    for party in parties.iter().filter(|party| party.stock == Stock::Known) {
        subtract(&mut nobody, &party.held);
        subtract(&mut nobody, &party.trimmed);
    }
    nobody
}

/// What at least one of these is missing.
pub(super) fn missing_of(parties: &[Party]) -> SeqRanges {
    let mut all = SeqRanges::new();
    for (from, to) in parties.iter().flat_map(|party| party.missing.iter().collect::<Vec<_>>()) {
        all.insert(from, to);
    }
    all
}
