//! Freeze: what each slot holds for ever. An empty one is marked first.

use super::Bucket;
use super::key::SlotName;
use super::operation::{Finding, Question};
use super::pool::Owner;
use super::requests::{Next, RequestNo, Work};
use super::slot::SlotContent;
use super::survey::answer_for;
use crate::ids::{ChunkSeq, Epoch, SegmentId};
use crate::limits::WINDOW_CHUNKS_MAX;
use crate::message::{Answer, Refusal, Reply, Run};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What belongs to the answer itself, and to the mark that may have to move.
const ANSWER: usize = 0;
const MARK: usize = 1;

/// A freeze.
#[derive(Debug)]
pub(super) struct Freezing {
    epoch: Epoch,
    segment: SegmentId,
    from: ChunkSeq,
    to: ChunkSeq,
    /// What is certain of each slot.
    answers: BTreeMap<ChunkSeq, Answer>,
    outstanding: usize,
    /// The slot beyond the window that is being marked.
    marking: Option<ChunkSeq>,
}

impl Bucket {
    pub(super) fn begin_freeze(
        &mut self,
        number: RequestNo,
        epoch: Epoch,
        segment: SegmentId,
        (from, to): (ChunkSeq, ChunkSeq),
    ) -> Result<(Work, Next), Refusal> {
        if from > to || to.0 - from.0 > u64::from(WINDOW_CHUNKS_MAX) + 1 {
            let why = alloc::format!("a freeze of seqs {from} to {to}: at most {} in order", WINDOW_CHUNKS_MAX + 1);
            return Err(Refusal::BadRequest { why });
        }
        let mut freezing =
            Freezing { epoch, segment, from, to, answers: BTreeMap::new(), outstanding: 0, marking: None };
        if self.deleted == Epoch(0) {
            self.check_known(segment)?;
            self.check_epoch("a freeze", epoch)?;
            let fenced = self.known.segments[&segment].fenced;
            if fenced != epoch {
                let why =
                    alloc::format!("a freeze of segment {segment} at {epoch}, it is fenced at {fenced}: fence first");
                return Err(Refusal::BadRequest { why });
            }
            for seq in (from.max(self.known.floor).0..to.0).map(ChunkSeq) {
                freezing.outstanding += 1;
                self.mark(number, ANSWER, &freezing, seq);
            }
        }
        let next = self.go_on_freezing(number, &mut freezing);
        Ok((Work::Freeze(freezing), next))
    }

    pub(super) fn freeze_found(
        &mut self,
        number: RequestNo,
        freezing: &mut Freezing,
        seq: ChunkSeq,
        finding: Finding,
    ) -> Result<Next, Refusal> {
        freezing.outstanding -= 1;
        match finding {
            Finding::Slot(content, _) => {
                if let SlotContent::Marker(by) = content {
                    self.fence = self.fence.max(by);
                    self.check_epoch("a freeze", freezing.epoch)?;
                }
                if freezing.marking == Some(seq) {
                    self.marked(freezing, seq, &content);
                } else {
                    freezing.answers.insert(seq, answer_for(&content));
                }
            }
            // Nothing is known of this slot, and nothing keeps it: that is no answer. *Unknown* is for a slot that is kept by
            // something nobody can read.
            Finding::Failed(why) => return Err(Refusal::DiskFailed { why }),
            other => unreachable!("a slot was marked, got {other:?}"),
        }
        Ok(self.go_on_freezing(number, freezing))
    }

    /// A slot beyond the window was to be marked: it is, or it holds a chunk, and the window goes on from there.
    fn marked(&mut self, freezing: &mut Freezing, seq: ChunkSeq, content: &SlotContent) {
        freezing.marking = None;
        let Some(segment) = self.known.segments.get_mut(&freezing.segment) else { return };
        if content.is_blocked() {
            segment.mark = segment.mark.max(Some(seq));
        } else {
            freezing.answers.insert(seq, answer_for(content));
        }
    }

    fn go_on_freezing(&mut self, number: RequestNo, freezing: &mut Freezing) -> Next {
        if freezing.outstanding > 0 {
            return Next::Wait;
        }
        if let Some(at) = self.mark_is_due(freezing) {
            freezing.outstanding = 1;
            freezing.marking = Some(at);
            self.mark(number, MARK, freezing, at);
            return Next::Wait;
        }
        let mut runs: Vec<Run> = Vec::new();
        for seq in (freezing.from.0..freezing.to.0).map(ChunkSeq) {
            let answer = self.certain(freezing, seq);
            match runs.last_mut() {
                Some(last) if last.answer == answer => last.to = seq.next(),
                _ => runs.push(Run { from: seq, to: seq.next(), answer }),
            }
        }
        Next::Close(Reply::Frozen { runs })
    }

    fn certain(&self, freezing: &Freezing, seq: ChunkSeq) -> Answer {
        if self.deleted > Epoch(0) {
            Answer::Unknown
        } else if seq < self.known.floor {
            Answer::Trimmed
        } else {
            freezing.answers.get(&seq).copied().unwrap_or(Answer::Unknown)
        }
    }

    /// A walk that meets chunks at or beyond the mark would run after the writer for ever: the mark moves ahead of both. Only
    /// where a survey was misled by a long hole.
    fn mark_is_due(&self, freezing: &Freezing) -> Option<ChunkSeq> {
        let segment = self.known.segments.get(&freezing.segment)?;
        let newest = freezing.answers.iter().rev().find(|(_, answer)| **answer == Answer::Have).map(|(seq, _)| *seq)?;
        let at = newest.plus(u64::from(segment.known.window_chunks));
        (segment.mark? <= newest && at < segment.known.limit()).then_some(at)
    }

    fn mark(&mut self, number: RequestNo, part: usize, freezing: &Freezing, seq: ChunkSeq) {
        let slot = SlotName { log: self.log, segment: freezing.segment, seq };
        self.pool.ask(Owner::Request(number, part, seq), Question::Mark { slot, epoch: freezing.epoch });
    }
}
