//! Reading chunks of the old segments: those to be copied, and those whose digest a seal needs.

use super::effect::RecoveryEffect;
use super::event::{FetchFailure, RequestNo};
use super::{Phase, Recovery};
use crate::backoff::Backoff;
use crate::chunk::ChunkHeader;
use crate::ids::ChunkSeq;
use crate::message::Answer;
use crate::time::Micros;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;

/// Most chunks that are being read, or read and not yet copied on. Times the largest chunk, this is the memory it takes.
pub(super) const FETCHES_MAX: usize = 16;

/// How often all that may have a chunk are asked for it until their word is not believed any more.
const FETCH_ROUNDS_MAX: u32 = 3;

/// A chunk of an unsealed segment, which is named by its index.
pub(super) type Wanted = (usize, ChunkSeq);

/// The reads under way, and what they brought.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    wants: BTreeMap<Wanted, Want>,
    /// Verified chunks; immutable, so they outlive a change of plan.
    pub(super) got: BTreeMap<Wanted, Got>,
}

/// A chunk that was read.
#[derive(Clone, Debug)]
pub(super) struct Got {
    pub(super) header: ChunkHeader,
    pub(super) payload: Bytes,
    /// The witness it came from.
    from: usize,
}

#[derive(Clone, Debug)]
struct Want {
    request: Option<(RequestNo, usize)>,
    /// The witnesses asked in this round.
    asked: Vec<usize>,
    /// Rounds in which nobody gave it.
    rounds: u32,
    retry_at: Micros,
    backoff: Backoff,
}

impl Fetcher {
    pub(super) const fn new() -> Self {
        Self { wants: BTreeMap::new(), got: BTreeMap::new() }
    }

    pub(super) fn wakes_at(&self) -> Option<Micros> {
        self.wants.values().filter(|want| want.request.is_none()).map(|want| want.retry_at).min()
    }

    /// Forgets what the plan does not want any more.
    pub(super) fn keep_only(&mut self, wanted: impl Fn(&Wanted) -> bool) {
        self.wants.retain(|key, _| wanted(key));
        self.got.retain(|key, _| wanted(key));
    }

    /// The first chunk that is wanted and not here.
    pub(super) fn first_wanted(&self) -> Option<Wanted> {
        self.wants.keys().next().copied()
    }

    fn len(&self) -> usize {
        self.wants.len() + self.got.len()
    }
}

impl Recovery {
    /// Sees to it that `wanted` is read, if it is not here. Nothing is read ahead beyond [`FETCHES_MAX`].
    pub(super) fn fetch(&mut self, now: Micros, wanted: Wanted) {
        if self.fetcher.got.contains_key(&wanted) {
            return;
        }
        if !self.fetcher.wants.contains_key(&wanted) {
            if self.fetcher.len() >= FETCHES_MAX {
                return;
            }
            let want = Want { request: None, asked: Vec::new(), rounds: 0, retry_at: now, backoff: Backoff::new() };
            self.fetcher.wants.insert(wanted, want);
        }
        let candidates = self.candidates(wanted);
        let request = self.next_request;
        let want = self.fetcher.wants.get_mut(&wanted).expect("just put there");
        if want.request.is_some() || now < want.retry_at {
            return;
        }
        let Some(witness) = candidates.into_iter().find(|witness| !want.asked.contains(witness)) else {
            // Once round all that may have it: again, after a pause.
            let asked = core::mem::take(&mut want.asked);
            want.rounds += 1;
            want.retry_at = want.backoff.after(now);
            if want.rounds.is_multiple_of(FETCH_ROUNDS_MAX) {
                self.nobody_gives(now, wanted, &asked);
            }
            return;
        };
        want.asked.push(witness);
        want.request = Some((request, witness));
        self.next_request += 1;
        let claimed = self.claimed.as_ref().expect("fetched after the claim");
        let (from, (open, seq)) = (self.witnesses[witness].replica.clone(), wanted);
        let (log, segment) = (claimed.record.log, claimed.open[open].id);
        self.effects.push_back(RecoveryEffect::Fetch { request, from, log, segment, seq });
    }

    /// Whom to ask for a chunk, best first: who said they have it, then who was not asked about it.
    fn candidates(&self, (open, seq): Wanted) -> Vec<usize> {
        let rank = |witness: &super::witness::Witness| {
            let testimony = witness.testimonies[open].as_ref()?;
            match testimony.answers.get(&seq) {
                Some(Answer::Have) => Some(0),
                None if witness.fenced => Some(1),
                None => Some(2),
                Some(Answer::Unknown) => Some(3),
                Some(Answer::Never | Answer::Trimmed) => None,
            }
        };
        let mut ranked: Vec<(u8, usize)> =
            self.witnesses.iter().enumerate().filter_map(|(i, witness)| Some((rank(witness)?, i))).collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, witness)| witness).collect()
    }

    pub(super) fn fetched(
        &mut self,
        now: Micros,
        request: RequestNo,
        result: Result<(ChunkHeader, Bytes), FetchFailure>,
    ) {
        let asked = |want: &Want| want.request.is_some_and(|(number, _)| number == request);
        let Some(wanted) = self.fetcher.wants.iter().find(|(_, want)| asked(want)).map(|(wanted, _)| *wanted) else {
            return;
        };
        let result = result.and_then(|(header, payload)| self.verified(wanted, header, payload));
        let want = self.fetcher.wants.get_mut(&wanted).expect("just found");
        let (_, witness) = want.request.take().expect("just found by its request");
        match result {
            Ok((header, payload)) => {
                self.fetcher.wants.remove(&wanted);
                self.fetcher.got.insert(wanted, Got { header, payload, from: witness });
            }
            Err(failure) => self.fetch_failed(now, wanted, witness, failure),
        }
    }

    /// A chunk was read that cannot be what was written: forget it, and do not believe that witness about it.
    pub(super) fn fetch_is_damaged(&mut self, now: Micros, wanted: Wanted) {
        if let Some(got) = self.fetcher.got.remove(&wanted) {
            self.fetch_failed(now, wanted, got.from, FetchFailure::Answer(Answer::Unknown));
        }
    }

    fn fetch_failed(&mut self, now: Micros, (open, seq): Wanted, witness: usize, failure: FetchFailure) {
        match failure {
            FetchFailure::Unreachable(why) => self.witnesses[witness].trouble = Some(why),
            FetchFailure::Answer(answer) => {
                if answer == Answer::Trimmed {
                    self.read_later(now);
                }
                // Whatever it says now: it said that it had the chunk, and it does not give it.
                let answer = if answer == Answer::Trimmed { answer } else { Answer::Unknown };
                let witness = &mut self.witnesses[witness];
                witness.trouble = Some("does not give a chunk it holds, or gives a damaged one".to_owned());
                if let Some(testimony) = &mut witness.testimonies[open] {
                    testimony.take_back(seq, answer, now);
                }
                if self.phase == Phase::Copying {
                    self.enter(now, Phase::Settling);
                }
            }
        }
    }

    /// Whoever said that it has this chunk cannot be reached any more: that word is worth as much as no answer (P8), and the
    /// others may know the end without it. Otherwise a replica that spoke and died would hold up a takeover for which a
    /// quorum is there.
    fn nobody_gives(&mut self, now: Micros, (open, seq): Wanted, asked: &[usize]) {
        for &witness in asked {
            if let Some(testimony) = &mut self.witnesses[witness].testimonies[open] {
                testimony.take_back(seq, Answer::Unknown, now);
            }
        }
        if !asked.is_empty() && self.phase == Phase::Copying {
            self.enter(now, Phase::Settling);
        }
    }

    /// A chunk that does not verify, or is another one, is as good as none (P8).
    fn verified(
        &self,
        (open, seq): Wanted,
        header: ChunkHeader,
        payload: Bytes,
    ) -> Result<(ChunkHeader, Bytes), FetchFailure> {
        let claimed = self.claimed.as_ref().expect("fetched after the claim");
        let named = header.log == claimed.record.log && header.segment == claimed.open[open].id && header.seq == seq;
        if named && header.verify_payload(&payload).is_ok() {
            Ok((header, payload))
        } else {
            Err(FetchFailure::Answer(Answer::Unknown))
        }
    }
}
