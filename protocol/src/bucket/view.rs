//! Fence and inspect: a survey of each segment; the fence's marks the slot that the writer cannot pass.

use super::Bucket;
use super::known::Segment;
use super::operation::{Finding, Question};
use super::pool::Owner;
use super::requests::{Next, RequestNo, Work, check_segments};
use super::survey::Survey;
use crate::ids::{ChunkSeq, Epoch, SegmentId};
use crate::limits::{BUCKET_SURVEYS_MAX, RANGES_PER_ANSWER_MAX};
use crate::message::{Refusal, Reply, SegmentView};
use alloc::vec::Vec;

/// A fence or an inspect.
#[derive(Debug)]
pub(super) struct Viewing {
    /// The epoch to fence with; none to look only.
    epoch: Option<Epoch>,
    surveys: Vec<Survey>,
    /// How many of them were begun.
    begun: usize,
}

impl Viewing {
    /// Whether it only looks, at these segments: what it finds is an answer to whoever asked before it began.
    pub(super) fn looks_at(&self, segments: &[SegmentId]) -> bool {
        self.epoch.is_none() && self.surveys.iter().map(|survey| &survey.segment.id).eq(segments)
    }
}

impl Bucket {
    pub(super) fn begin_view(
        &mut self,
        number: RequestNo,
        segments: &[SegmentId],
        epoch: Option<Epoch>,
    ) -> Result<(Work, Next), Refusal> {
        check_segments(segments.len())?;
        self.check_not_deleted()?;
        for segment in segments {
            self.check_known(*segment)?;
            if let Some(epoch) = epoch.filter(|epoch| *epoch <= segment.epoch) {
                let why =
                    alloc::format!("a fence at epoch {epoch} of segment {segment}: it fences earlier writers only");
                return Err(Refusal::BadRequest { why });
            }
        }
        if let Some(epoch) = epoch {
            self.fence = epoch;
        }
        let survey = |id| self.survey(self.known.segments[id].clone(), epoch);
        let mut viewing = Viewing { epoch, surveys: segments.iter().map(survey).collect(), begun: 0 };
        let next = self.go_on_viewing(number, &mut viewing)?;
        Ok((Work::View(viewing), next))
    }

    pub(super) fn view_found(
        &mut self,
        number: RequestNo,
        viewing: &mut Viewing,
        part: usize,
        seq: ChunkSeq,
        finding: Finding,
    ) -> Result<Next, Refusal> {
        let content = match finding {
            Finding::Slot(content, _) => content,
            Finding::Failed(why) => return Err(Refusal::DiskFailed { why }),
            other => unreachable!("a slot was asked about, got {other:?}"),
        };
        if !viewing.surveys[part].take(seq, content) {
            return Ok(Next::Wait);
        }
        self.fence = self.fence.max(viewing.surveys[part].marked_by);
        if let Some(epoch) = viewing.epoch {
            // Somebody with a higher epoch was here, or came meanwhile through this machine.
            self.check_epoch("a fence", epoch)?;
        }
        self.probe(number, viewing, part);
        self.go_on_viewing(number, viewing)
    }

    fn go_on_viewing(&mut self, number: RequestNo, viewing: &mut Viewing) -> Result<Next, Refusal> {
        while viewing.begun < viewing.surveys.len()
            && viewing.surveys[..viewing.begun].iter().filter(|survey| !survey.is_done()).count() < BUCKET_SURVEYS_MAX
        {
            viewing.begun += 1;
            self.probe(number, viewing, viewing.begun - 1);
        }
        for part in 0..viewing.begun {
            // A mark below a floor that came meanwhile is swept away with the chunks there.
            let survey = &mut viewing.surveys[part];
            if survey.is_done() && survey.mark.is_some_and(|at| at < self.known.floor) {
                *survey = Survey::new(self.log, survey.segment, self.known.floor, viewing.epoch);
                self.probe(number, viewing, part);
            }
        }
        if !viewing.surveys.iter().all(Survey::is_done) {
            return Ok(Next::Wait);
        }
        let segments: Vec<SegmentView> = viewing.surveys.iter().map(Survey::view).collect();
        let runs: usize = segments.iter().map(|view| view.runs.len()).sum();
        if runs > RANGES_PER_ANSWER_MAX {
            let why =
                alloc::format!("the answer has {runs} runs, the most is {RANGES_PER_ANSWER_MAX}: ask about fewer");
            return Err(Refusal::BadRequest { why });
        }
        for survey in &viewing.surveys {
            if let Some(segment) = self.known.segments.get_mut(&survey.segment.id) {
                segment.surveyed = Some(survey.clone());
            }
        }
        let floor = self.known.floor;
        let Some(epoch) = viewing.epoch else {
            return Ok(Next::Close(Reply::Inspected { fence: self.fence, floor, segments }));
        };
        for survey in &viewing.surveys {
            if let Some(segment) = self.known.segments.get_mut(&survey.segment.id) {
                segment.fenced = segment.fenced.max(epoch);
                segment.mark = segment.mark.max(survey.mark);
            }
        }
        Ok(Next::Close(Reply::Fenced { fence: epoch, floor, segments }))
    }

    /// A survey that begins where the last one ended.
    fn survey(&self, mut segment: Segment, epoch: Option<Epoch>) -> Survey {
        match segment.surveyed.take() {
            Some(last) => last.again(segment.known, self.known.floor, epoch),
            None => Survey::new(self.log, segment.known, self.known.floor, epoch),
        }
    }

    fn probe(&mut self, number: RequestNo, viewing: &mut Viewing, part: usize) {
        for probe in viewing.surveys[part].next() {
            let slot = probe.slot;
            let question = match probe.mark_with {
                Some(epoch) => Question::Mark { slot, epoch },
                None => Question::Look { slot },
            };
            self.pool.ask(Owner::Request(number, part, slot.seq), question);
        }
    }
}
