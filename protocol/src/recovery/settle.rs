//! P7.2 and P7.3: fence and freeze, until the walk knows where the log ends.

use super::effect::RecoveryEffect;
use super::event::RequestNo;
use super::plan::Plan;
use super::walk::{Walk, Walked, walk};
use super::witness::Testimony;
use super::{Phase, Purpose, Recovery};
use crate::action::Step;
use crate::ids::{ChunkSeq, Epoch};
use crate::limits::WINDOW_CHUNKS_MAX;
use crate::message::{Answer, Refusal, Reply, Request, Run, SegmentView};
use crate::time::Micros;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A request to a witness that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    request: RequestNo,
    witness: usize,
    what: AskedFor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedFor {
    Fence,
    Freeze { open: usize, from: ChunkSeq },
}

impl Recovery {
    /// One step; true if the phase changed.
    pub(super) fn settle(&mut self, now: Micros) -> bool {
        self.ask_fences(now);
        self.ask_place(now);
        if self.config.purpose == Purpose::Delete {
            return self.bury(now);
        }
        match self.walk() {
            Walked::NeedsFences { .. } => false,
            Walked::NeedsAnswers { segment, seq } => {
                self.ask_freezes(now, segment, seq);
                false
            }
            Walked::NeedsFloor { segment, seq } => {
                // Some may know more than the one that trimmed; the record says what the floor is.
                self.ask_freezes(now, segment, seq);
                self.read_later(now);
                false
            }
            Walked::Settled(settled) => {
                let Some(replicas) = self.placing.replicas.clone() else { return false };
                let claimed = self.claimed.as_ref().expect("settled after the claim");
                let plan = Plan::new(claimed.record.floor, &claimed.open, settled, replicas);
                self.start_copying(now, plan);
                true
            }
        }
    }

    /// A deletion needs no end, only that no writer can go on: fence, then the tombstone.
    fn bury(&mut self, now: Micros) -> bool {
        if !self.is_fenced() {
            return false;
        }
        if let Some((segment, seq)) = self.still_growing() {
            self.ask_freezes(now, segment, seq);
            return false;
        }
        if self.register.is_busy() {
            return false;
        }
        let claimed = self.claimed.as_ref().expect("settled after the claim");
        let (version, mut record) = (claimed.version.clone(), claimed.record.changed());
        record.deleted = true;
        self.enter(now, Phase::Registering);
        self.swap(Some(version), record);
        true
    }

    /// Whether a read quorum of every unsealed segment is fenced.
    fn is_fenced(&self) -> bool {
        let claimed = self.claimed.as_ref().expect("settled after the claim");
        let fenced = |(i, segment): (usize, &crate::record::Segment)| {
            segment.quorum().is_ok_and(|quorum| self.fenced_of(i) >= quorum.read())
        };
        claimed.open.iter().enumerate().all(fenced)
    }

    /// A segment of which no read quorum has yet said that the first seq which nobody holds stays so. A fenced node takes no more
    /// puts whatever it says. A bucket has no fence: what keeps a sleeping writer from being acknowledged after the
    /// deletion is one slot that is kept on a read quorum of buckets, the same one on each.
    pub(super) fn still_growing(&self) -> Option<(usize, ChunkSeq)> {
        let claimed = self.claimed.as_ref().expect("settled after the claim");
        claimed.open.iter().enumerate().find_map(|(i, segment)| {
            let testimonies = || self.witnesses.iter().filter(|w| w.fenced).filter_map(|w| w.testimonies[i].as_ref());
            let after =
                testimonies().filter_map(|testimony| testimony.newest).max().map_or(segment.base, ChunkSeq::next);
            let mut seq = after.max(segment.base).max(claimed.record.floor);
            while testimonies().any(|testimony| testimony.answers.get(&seq) == Some(&Answer::Have)) {
                seq = seq.next();
            }
            let answers = testimonies().filter(|testimony| testimony.answers.contains_key(&seq)).count();
            let is_at_end = segment.end_seq().is_some_and(|end| seq >= end);
            let settled = is_at_end || segment.quorum().is_ok_and(|quorum| answers >= quorum.read());
            (!settled).then_some((i, seq))
        })
    }

    pub(super) fn walk(&self) -> Walked {
        let claimed = self.claimed.as_ref().expect("walked after the claim");
        let testimonies = |i: usize| -> Vec<&Testimony> {
            self.witnesses.iter().filter(|w| w.fenced).filter_map(|w| w.testimonies[i].as_ref()).collect()
        };
        let segments: Vec<Walk<'_>> = claimed
            .open
            .iter()
            .enumerate()
            .map(|(i, segment)| Walk {
                segment,
                quorum: segment.quorum().expect("a record is checked when it is read"),
                testimonies: testimonies(i),
            })
            .collect();
        let record = &claimed.record;
        let tail = record.segments.last().and_then(crate::record::Segment::end_seq).unwrap_or(record.floor);
        walk(record.floor, tail, &segments)
    }

    fn ask_fences(&mut self, now: Micros) {
        let claimed = self.claimed.as_ref().expect("fenced after the claim");
        let (log, epoch) = (claimed.record.log, claimed.epoch);
        for (i, witness) in self.witnesses.iter_mut().enumerate() {
            if witness.fenced || witness.fence.is_some() || now < witness.retry_at {
                continue;
            }
            let request = self.next_request;
            self.next_request += 1;
            witness.fence = Some(request);
            self.asked.push(Asked { request, witness: i, what: AskedFor::Fence });
            let what = Request::Fence { log, epoch, segments: witness.segments(&claimed.open) };
            self.effects.push_back(RecoveryEffect::Call { request, to: witness.replica.clone(), what });
        }
    }

    /// Asks every fenced replica of a segment that has not said what it holds from `seq` on.
    fn ask_freezes(&mut self, now: Micros, open: usize, seq: ChunkSeq) {
        let claimed = self.claimed.as_ref().expect("frozen after the claim");
        let (log, epoch, segment) = (claimed.record.log, claimed.epoch, &claimed.open[open]);
        let fenced = |w: &&super::witness::Witness| w.fenced;
        let newest = self.witnesses.iter().filter(fenced).filter_map(|w| w.testimonies[open].as_ref()?.newest).max();
        // Through the first seq that nobody holds, which is where the walk may end.
        let wanted = newest.map_or(seq, |newest| newest.plus(1).max(seq)).plus(1);
        let to = wanted.min(seq.plus(u64::from(WINDOW_CHUNKS_MAX) + 1));
        let to = segment.end_seq().map_or(to, |end| to.min(end));
        for (i, witness) in self.witnesses.iter_mut().enumerate().filter(|(_, witness)| witness.fenced) {
            let Some(testimony) = &mut witness.testimonies[open] else { continue };
            if !testimony.wants(seq, now) {
                continue;
            }
            let request = self.next_request;
            self.next_request += 1;
            testimony.freeze = Some(request);
            self.asked.push(Asked { request, witness: i, what: AskedFor::Freeze { open, from: seq } });
            let what = Request::Freeze { log, epoch, segment: segment.id, from: seq, to };
            self.effects.push_back(RecoveryEffect::Call { request, to: witness.replica.clone(), what });
        }
    }

    pub(super) fn replied(&mut self, now: Micros, request: RequestNo, result: Result<Reply, String>) {
        // A late or repeated reply finds no request: it is not counted (pitfall 4).
        let Some(at) = self.asked.iter().position(|asked| asked.request == request) else { return };
        let Asked { witness, what, .. } = self.asked.swap_remove(at);
        match what {
            AskedFor::Fence => self.witnesses[witness].fence = None,
            AskedFor::Freeze { open, .. } => {
                if let Some(testimony) = &mut self.witnesses[witness].testimonies[open] {
                    testimony.freeze = None;
                }
            }
        }
        let outcome = match (result, what) {
            (Ok(Reply::Fenced { fence, segments, .. }), AskedFor::Fence) => {
                let claimed = self.claimed.as_ref().expect("fenced after the claim");
                let taken = self.witnesses[witness].take_fence(claimed.epoch, fence, &claimed.open, &segments);
                if taken.is_ok() {
                    self.note_fence(witness, &segments);
                }
                taken
            }
            (Ok(Reply::Frozen { runs }), AskedFor::Freeze { open, from }) => {
                let testimony = self.witnesses[witness].testimonies[open].as_mut();
                let testimony = testimony.expect("asked about a segment it holds");
                if testimony.take_runs(from, &runs, now) {
                    self.note_freeze(witness, open, &runs);
                    Ok(())
                } else {
                    Err("answered a freeze without what was asked".into())
                }
            }
            (Ok(Reply::Refused(Refusal::Fenced { by })), _) => {
                self.fenced_above(now, by);
                Err(Refusal::Fenced { by }.to_string())
            }
            (Ok(Reply::Refused(refusal)), _) => Err(refusal.to_string()),
            (Ok(other), _) => Err(alloc::format!("answered with something else: {other:.200?}")),
            (Err(why), _) => Err(why),
        };
        if let Err(why) = outcome {
            self.witness_failed(now, witness, what, why);
        }
    }

    fn note_fence(&mut self, witness: usize, views: &[SegmentView]) {
        let replica = self.witnesses[witness].replica.disk;
        for &SegmentView { segment, watermark, newest, .. } in views {
            self.note(|epoch| Step::HearFence { epoch, replica, segment, watermark, newest });
        }
    }

    fn note_freeze(&mut self, witness: usize, open: usize, runs: &[Run]) {
        let replica = self.witnesses[witness].replica.disk;
        let segment = self.claimed.as_ref().expect("frozen after the claim").open[open].id;
        for &Run { from, to, answer } in runs {
            self.note(|epoch| Step::HearFreeze { epoch, replica, segment, from, to, answer });
        }
    }

    fn witness_failed(&mut self, now: Micros, witness: usize, what: AskedFor, why: String) {
        let witness = &mut self.witnesses[witness];
        witness.failed(now, why);
        if let AskedFor::Freeze { open, .. } = what
            && let Some(testimony) = &mut witness.testimonies[open]
        {
            testimony.retry_at = testimony.backoff.after(now);
        }
    }

    /// A replica knows a higher epoch: only the register can say whose.
    pub(super) fn fenced_above(&mut self, now: Micros, by: Epoch) {
        if self.claimed.as_ref().is_some_and(|claimed| by > claimed.epoch) {
            self.fence_seen = self.fence_seen.max(Some(by));
            self.read_now(now);
        }
    }

    /// When a fence or a freeze is due again.
    pub(super) fn asking_wakes_at(&self) -> Option<Micros> {
        if self.phase != Phase::Settling {
            return None;
        }
        let fences = self.witnesses.iter().filter(|w| !w.fenced && w.fence.is_none()).map(|w| w.retry_at);
        let deletes = self.config.purpose == Purpose::Delete;
        let waiting = match self.walk() {
            // Nothing is asked before the fence stands: a wake for it would come again and again.
            _ if deletes => self.still_growing().filter(|_| self.is_fenced()),
            Walked::NeedsAnswers { segment, seq } | Walked::NeedsFloor { segment, seq } => Some((segment, seq)),
            _ => None,
        };
        let freezes = waiting.into_iter().flat_map(|(segment, seq)| {
            let asked = self.witnesses.iter().filter(|w| w.fenced);
            let testimonies = asked.filter_map(move |w| w.testimonies[segment].as_ref());
            testimonies.filter(move |t| t.freeze.is_none() && t.is_open(seq)).map(|t| t.retry_at)
        });
        fences.chain(freezes).min()
    }
}
