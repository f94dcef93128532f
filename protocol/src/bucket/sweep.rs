//! The background deletion of what a trim, or the deletion of the log, left behind. Nothing waits for it and no answer rests on it:
//! where it stops half-way, or is misled, chunks are left that nobody will ever read.
//!
//! ```text
//!   trimmed segment       |‥‥swept‥‥|‥‥‥‥ chunks to delete ‥‥‥‥| floor, or end  (markers at the end stay)
//!   of a deleted log:
//!   sealed                |‥‥swept‥‥|‥‥‥‥ chunks to delete ‥‥‥‥| end            (markers at the end stay)
//!   not sealed            |‥‥swept‥‥|‥‥ to delete ‥‥| window: chunks, one by one; markers stay
//! ```
//! A marker at or above a segment's end keeps a writer that slept through everything from going on, so it stays for ever: also when
//! the segment has left the chain, also after the log was deleted (pitfalls 11, 17). Below the end, and below the committed
//! tail, a marker keeps nobody from anything.

use super::Bucket;
use super::key::SlotName;
use super::operation::{Finding, Question};
use super::pool::Owner;
use super::slot::SlotContent;
use super::survey::Survey;
use crate::ids::{ChunkSeq, Epoch, SegmentId};
use crate::limits::BUCKET_DELETES_IN_FLIGHT_MAX;
use crate::message::Answer;
use alloc::boxed::Box;
use alloc::collections::VecDeque;

/// The deletion in progress.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    /// Whether a trim or a deletion asked for it.
    wanted: bool,
    job: Option<Job>,
    outstanding: usize,
}

impl Sweeper {
    pub(super) const fn is_at_work(&self) -> bool {
        self.job.is_some()
    }

    /// How many slots are being looked at or deleted.
    pub(super) const fn outstanding(&self) -> usize {
        self.outstanding
    }
}

/// One segment.
#[derive(Debug)]
struct Job {
    segment: SegmentId,
    /// Everything below this goes.
    to: ChunkSeq,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The first slot that earlier sweeps left lies in `low..=high`: they went upward.
    Searching { low: u64, high: u64 },
    /// Where the window of a segment begins that was never sealed.
    Surveying(Box<Survey>),
    /// Slots one after another, then those of the window that hold chunks.
    Removing { next: ChunkSeq, then: VecDeque<ChunkSeq> },
}

impl Bucket {
    /// Everything of the log goes, as far as this machine knows of it.
    pub(super) fn sweep_all(&mut self) {
        for segment in self.known.segments.values_mut() {
            if let Some(end) = segment.known.sealed_at() {
                segment.dropped = segment.dropped.max(end);
            }
        }
        self.sweeper.wanted = true;
    }

    pub(super) fn sweep_trimmed(&mut self) {
        self.sweeper.wanted = true;
    }

    /// Starts whatever may start now.
    pub(super) fn sweep(&mut self) {
        while self.sweeper.wanted && self.sweeper.outstanding < BUCKET_DELETES_IN_FLIGHT_MAX {
            let Some(mut job) = self.sweeper.job.take().or_else(|| self.next_job()) else {
                self.sweeper.wanted = false;
                return;
            };
            let asked = self.sweep_on(&mut job);
            let is_over = asked == 0 && self.sweeper.outstanding == 0;
            self.sweeper.outstanding += asked;
            if is_over {
                self.swept(&job);
            } else {
                self.sweeper.job = Some(job);
            }
            if asked == 0 && !is_over {
                return;
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        let deleted = self.deleted > Epoch(0);
        self.known.segments.iter().find_map(|(id, segment)| {
            let from = segment.swept.unwrap_or(segment.known.base);
            let (to, unsealed) = (segment.dropped, deleted && segment.known.sealed_at().is_none());
            let stage = match segment.swept {
                Some(ChunkSeq(u64::MAX)) => return None,
                _ if unsealed => {
                    // Not from the log's floor: it may lie beyond an end that is not known here, and the markers there would go.
                    let survey = Survey::new(self.log, segment.known, segment.dropped, None).thorough();
                    Stage::Surveying(Box::new(survey))
                }
                _ if from >= to => return None,
                None => Stage::Searching { low: from.0, high: to.0 },
                Some(_) => Stage::Removing { next: from, then: VecDeque::new() },
            };
            Some(Job { segment: *id, to, stage })
        })
    }

    /// Asks for what comes next, and says how much that was.
    fn sweep_on(&mut self, job: &mut Job) -> usize {
        let segment = job.segment;
        let slot = |seq| SlotName { log: self.log, segment, seq };
        let busy = self.sweeper.outstanding > 0;
        match &mut job.stage {
            Stage::Searching { .. } | Stage::Surveying(_) if busy => 0,
            Stage::Searching { low, high } if *low < *high => {
                let seq = ChunkSeq(*low + (*high - *low) / 2);
                self.pool.ask(Owner::Sweep(seq), Question::Look { slot: slot(seq) });
                1
            }
            Stage::Searching { low, .. } => {
                job.stage = Stage::Removing { next: ChunkSeq(*low), then: VecDeque::new() };
                self.sweep_on(job)
            }
            Stage::Surveying(survey) => {
                let probes = survey.next();
                for probe in &probes {
                    self.pool.ask(Owner::Sweep(probe.slot.seq), Question::Look { slot: probe.slot });
                }
                if probes.is_empty() {
                    self.window_found(job);
                    return self.sweep_on(job);
                }
                probes.len()
            }
            Stage::Removing { next, then } => {
                let seq = if *next < job.to {
                    *next = next.next();
                    next.minus(1)
                } else {
                    let Some(seq) = then.pop_front() else { return 0 };
                    seq
                };
                self.pool.ask(Owner::Sweep(seq), Question::Remove { slot: slot(seq) });
                1
            }
        }
    }

    /// What lies below the window of an unsealed segment is committed and keeps nobody from anything. In the window only chunks go:
    /// the markers there may be all that keeps the log's last writer from going on.
    fn window_found(&self, job: &mut Job) {
        let Stage::Surveying(survey) = &job.stage else { unreachable!("surveyed") };
        let (view, segment) = (survey.view(), &self.known.segments[&job.segment]);
        let have = view.runs.iter().filter(|run| run.answer == Answer::Have);
        let then = have.flat_map(|run| (run.from.0..run.to.0).map(ChunkSeq)).collect();
        job.to = view.runs.first().map_or(job.to, |run| job.to.max(run.from));
        let next = segment.swept.unwrap_or(segment.known.base);
        job.stage = Stage::Removing { next, then };
    }

    fn swept(&mut self, job: &Job) {
        let sealed = |known: &super::KnownSegment| known.sealed_at().is_some();
        let Some(segment) = self.known.segments.get_mut(&job.segment) else { return };
        let is_all = self.deleted > Epoch(0) && !sealed(&segment.known);
        segment.swept = Some(if is_all { ChunkSeq(u64::MAX) } else { job.to });
    }

    pub(super) fn sweep_found(&mut self, seq: ChunkSeq, finding: Finding) {
        self.sweeper.outstanding -= 1;
        let Some(job) = &mut self.sweeper.job else { unreachable!("a sweep without a job found {finding:?}") };
        match (&mut job.stage, finding) {
            (Stage::Searching { low, .. }, Finding::Slot(SlotContent::Empty, _)) => *low = seq.next().0,
            (Stage::Searching { high, .. }, Finding::Slot(..) | Finding::Failed(_)) => *high = seq.0,
            (Stage::Surveying(survey), Finding::Slot(content, _)) => _ = survey.take(seq, content),
            // Not seen, so left where it is.
            (Stage::Surveying(survey), Finding::Failed(_)) => _ = survey.take(seq, SlotContent::Empty),
            // Deleted, or left behind as garbage.
            (Stage::Removing { .. }, Finding::Removed | Finding::Failed(_)) => {}
            (stage, other) => unreachable!("a sweep at {stage:?} found {other:?}"),
        }
    }
}
