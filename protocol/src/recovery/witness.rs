//! A replica of an unsealed segment, and what it testified.

use super::event::RequestNo;
use crate::backoff::Backoff;
use crate::ids::{ChunkSeq, Epoch, SegmentId};
use crate::limits::WINDOW_CHUNKS_MAX;
use crate::message::{Answer, Run, SegmentView};
use crate::record::{ReplicaRef, Segment};
use crate::time::Micros;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// One replica, by its disk: if it holds two unsealed segments it is fenced once.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    pub(super) replica: ReplicaRef,
    /// Whether it confirmed the fence: only then does its testimony count (pitfall 1).
    pub(super) fenced: bool,
    /// The fence request under way.
    pub(super) fence: Option<RequestNo>,
    /// When to ask again after a failure.
    pub(super) retry_at: Micros,
    pub(super) backoff: Backoff,
    /// The last thing that went wrong.
    pub(super) trouble: Option<String>,
    /// Per unsealed segment; `None` where it is not a replica of it.
    pub(super) testimonies: Vec<Option<Testimony>>,
}

/// What a replica said of one segment.
#[derive(Clone, Debug)]
pub(super) struct Testimony {
    /// The highest watermark it heard, for this segment (pitfall 20d).
    pub(super) watermark: ChunkSeq,
    /// The newest seq it holds or lost.
    pub(super) newest: Option<ChunkSeq>,
    /// What it answered to freezes.
    pub(super) answers: BTreeMap<ChunkSeq, Answer>,
    /// The freeze request under way.
    pub(super) freeze: Option<RequestNo>,
    /// When to ask again after a failure, or after an *unknown*.
    pub(super) retry_at: Micros,
    pub(super) backoff: Backoff,
}

impl Testimony {
    pub(super) fn new() -> Self {
        Self {
            watermark: ChunkSeq(0),
            newest: None,
            answers: BTreeMap::new(),
            freeze: None,
            retry_at: Micros(0),
            backoff: Backoff::new(),
        }
    }

    /// Whether `seq` should be asked about now.
    pub(super) fn wants(&self, seq: ChunkSeq, now: Micros) -> bool {
        self.freeze.is_none() && now >= self.retry_at && self.is_open(seq)
    }

    /// Whether nothing that helps is known of `seq`.
    pub(super) fn is_open(&self, seq: ChunkSeq) -> bool {
        matches!(self.answers.get(&seq), None | Some(Answer::Unknown | Answer::Trimmed))
    }

    /// Takes the answer to a freeze that asked from `from`. False if it says nothing of that seq.
    pub(super) fn take_runs(&mut self, from: ChunkSeq, runs: &[Run], now: Micros) -> bool {
        let to_max = from.plus(u64::from(WINDOW_CHUNKS_MAX) + 1);
        for run in runs {
            let mut seq = run.from.max(from);
            while seq < run.to.min(to_max) {
                self.answers.insert(seq, run.answer);
                seq = seq.next();
            }
        }
        if self.is_open(from) {
            self.retry_at = self.backoff.after(now);
        }
        self.answers.contains_key(&from)
    }

    /// A chunk it said it has could not be read from it: it does not know (P8, pitfall 3).
    pub(super) fn take_back(&mut self, seq: ChunkSeq, answer: Answer, now: Micros) {
        if self.answers.contains_key(&seq) {
            self.answers.insert(seq, answer);
        }
        self.retry_at = self.backoff.after(now);
    }
}

impl Witness {
    /// One witness per disk of the unsealed segments.
    pub(super) fn of(open: &[Segment]) -> Vec<Self> {
        let mut witnesses: Vec<Self> = Vec::new();
        for (i, segment) in open.iter().enumerate() {
            for replica in &segment.replicas {
                let known = witnesses.iter().position(|witness| witness.replica.disk == replica.disk);
                let at = known.unwrap_or_else(|| {
                    witnesses.push(Self::new(replica.clone(), open.len()));
                    witnesses.len() - 1
                });
                witnesses[at].testimonies[i] = Some(Testimony::new());
            }
        }
        witnesses
    }

    fn new(replica: ReplicaRef, segments: usize) -> Self {
        Self {
            replica,
            fenced: false,
            fence: None,
            retry_at: Micros(0),
            backoff: Backoff::new(),
            trouble: None,
            testimonies: (0..segments).map(|_| None).collect(),
        }
    }

    /// The ids of the unsealed segments it holds.
    pub(super) fn segments(&self, open: &[Segment]) -> Vec<SegmentId> {
        let held = open.iter().zip(&self.testimonies).filter(|(_, testimony)| testimony.is_some());
        held.map(|(segment, _)| segment.id).collect()
    }

    /// Takes a confirmed fence. What it says has to be about exactly what was asked, or none of it counts.
    pub(super) fn take_fence(
        &mut self,
        asked: Epoch,
        fence: Epoch,
        open: &[Segment],
        views: &[SegmentView],
    ) -> Result<(), String> {
        let ids = self.segments(open);
        if fence != asked || views.len() != ids.len() || views.iter().zip(&ids).any(|(view, id)| view.segment != *id) {
            return Err(alloc::format!(
                "answered a fence at {asked} of {} segments with one at {fence} of others",
                ids.len()
            ));
        }
        for (view, testimony) in views.iter().zip(self.testimonies.iter_mut().flatten()) {
            testimony.watermark = view.watermark;
            testimony.newest = view.newest;
        }
        self.fenced = true;
        self.trouble = None;
        self.backoff.reset();
        Ok(())
    }

    /// Something went wrong: try again later.
    pub(super) fn failed(&mut self, now: Micros, why: String) {
        self.trouble = Some(why);
        self.retry_at = self.backoff.after(now);
    }

    /// What to say of it where its word is missed.
    pub(super) fn excuse(&self) -> String {
        match &self.trouble {
            Some(why) => why.clone(),
            None if self.fenced => "cannot say whether it ever held the chunk, or cannot read it".to_owned(),
            None => "has not answered".to_owned(),
        }
    }
}
