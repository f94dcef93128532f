//! Requests that change nothing: freeze, inspect, read. They are answered from what is durable.

use super::control::check_segments;
use super::log::{Absent, Log};
use super::{Replica, ReplicaEffect, Ticket};
use crate::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use crate::limits::{RANGES_PER_ANSWER_MAX, READ_BYTES_MAX, READ_CHUNKS_MAX, WINDOW_CHUNKS_MAX};
use crate::message::{Answer, Refusal, Reply, Run, SegmentView};
use crate::planted;
use alloc::vec::Vec;

impl Replica {
    /// P7: after a durable fence, "never" stays true: whatever could have changed it is refused.
    pub(super) fn freeze(
        &self,
        log: LogId,
        epoch: Epoch,
        segment: SegmentId,
        (from, to): (ChunkSeq, ChunkSeq),
        absent: Absent,
    ) -> Result<Reply, Refusal> {
        if from > to || to.0 - from.0 > u64::from(WINDOW_CHUNKS_MAX) + 1 {
            let why = alloc::format!("a freeze of seqs {from} to {to}: at most {} in order", WINDOW_CHUNKS_MAX + 1);
            return Err(Refusal::BadRequest { why });
        }
        let unknown = Log::new(log);
        let known = self.logs.get(&log).unwrap_or(&unknown);
        if known.is_deleted() {
            return Ok(Reply::Frozen { runs: known.runs(segment, from, to, absent) });
        }
        if epoch < known.told.fence {
            return Err(Refusal::Fenced { by: known.told.fence });
        }
        let fence = known.durable.fence;
        if epoch > fence || segment.epoch >= fence {
            let why = alloc::format!(
                "a freeze of segment {segment} at epoch {epoch}, the durable fence is {fence}: fence first"
            );
            return Err(Refusal::BadRequest { why });
        }
        Ok(Reply::Frozen { runs: known.runs(segment, from, to, absent) })
    }

    pub(super) fn inspect(&self, log: LogId, segments: &[SegmentId], absent: Absent) -> Result<Reply, Refusal> {
        check_segments(segments)?;
        let unknown = Log::new(log);
        let known = self.logs.get(&log).unwrap_or(&unknown);
        known.check_not_deleted()?;
        let segments = known.views(segments, absent)?;
        Ok(Reply::Inspected { fence: known.durable.fence, floor: known.durable.floor, segments })
    }

    /// The answer to a fence that is durable by now, unless a higher one came meanwhile.
    pub(super) fn fenced(
        &self,
        log: LogId,
        epoch: Epoch,
        segments: &[SegmentId],
        absent: Absent,
    ) -> Result<Reply, Refusal> {
        let known = &self.logs[&log];
        if epoch < known.told.fence {
            return Err(Refusal::Fenced { by: known.told.fence });
        }
        known.check_not_deleted()?;
        let early = planted!(FenceAnsweredEarly);
        assert!(
            known.durable.fence == epoch || early,
            "answering fence {epoch}, the durable one is {}",
            known.durable.fence
        );
        let segments = known.views(segments, absent)?;
        Ok(Reply::Fenced { fence: epoch, floor: known.durable.floor, segments })
    }

    pub(super) fn read(
        &self,
        to: Ticket,
        (log, segment): (LogId, SegmentId),
        from: ChunkSeq,
        (chunks_max, bytes_max): (u32, u32),
        absent: Absent,
    ) -> Result<ReplicaEffect, Refusal> {
        if !(1..=READ_CHUNKS_MAX).contains(&chunks_max) || !(1..=READ_BYTES_MAX).contains(&bytes_max) {
            let why = alloc::format!(
                "a read of {chunks_max} chunks, {bytes_max} bytes: 1 to {READ_CHUNKS_MAX}, {READ_BYTES_MAX}"
            );
            return Err(Refusal::BadRequest { why });
        }
        let unknown = Log::new(log);
        let known = self.logs.get(&log).unwrap_or(&unknown);
        known.check_not_deleted()?;
        let (answer, run_end) = known.answer_at(segment, from, absent);
        if answer != Answer::Have {
            return Ok(ReplicaEffect::Reply { to, reply: Reply::ReadEnd { next: from, answer } });
        }
        let to_seq = run_end.min(from.plus(u64::from(chunks_max)));
        let (answer_at_end, _) = known.answer_at(segment, to_seq, absent);
        Ok(ReplicaEffect::Read { to, log, segment, from, to_seq, bytes_max, answer_at_end })
    }
}

impl Log {
    fn runs(&self, segment: SegmentId, from: ChunkSeq, to: ChunkSeq, absent: Absent) -> Vec<Run> {
        self.runs_at_most(usize::MAX, segment, (from, to), absent)
    }

    /// The first `runs_max` runs of `from..to`.
    pub(super) fn runs_at_most(
        &self,
        runs_max: usize,
        segment: SegmentId,
        (from, to): (ChunkSeq, ChunkSeq),
        absent: Absent,
    ) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut at = from;
        while at < to {
            let (answer, end) = self.answer_at(segment, at, absent);
            let end = end.min(to);
            assert!(end > at, "an answer about {at} must cover it, ends at {end}");
            let full = runs.len() == runs_max;
            match runs.last_mut() {
                Some(last) if last.answer == answer => last.to = end,
                _ if full => break,
                _ => runs.push(Run { from: at, to: end, answer }),
            }
            at = end;
        }
        runs
    }

    fn views(&self, segments: &[SegmentId], absent: Absent) -> Result<Vec<SegmentView>, Refusal> {
        let views: Vec<_> = segments.iter().map(|segment| self.view(*segment, absent)).collect();
        // One control frame holds the runs of one worst window (asserted in `limits`), or those of many good ones.
        let runs: usize = views.iter().map(|view| view.runs.len()).sum();
        if runs > RANGES_PER_ANSWER_MAX {
            let why = alloc::format!(
                "the answer has {runs} runs, the most is {RANGES_PER_ANSWER_MAX}: ask about fewer segments"
            );
            return Err(Refusal::BadRequest { why });
        }
        Ok(views)
    }

    fn view(&self, segment: SegmentId, absent: Absent) -> SegmentView {
        let Some(known) = self.segments.get(&segment) else {
            return SegmentView { segment, watermark: ChunkSeq(0), newest: None, runs: Vec::new() };
        };
        let of_any = || self.segments.values().map(|segment| segment.watermark).max().unwrap_or_default();
        let watermark = if planted!(WatermarkPerLog) { of_any() } else { known.watermark };
        let newest = known.newest();
        let runs = match (known.oldest(), newest) {
            (Some(oldest), Some(newest)) => {
                let window = newest.next().minus(u64::from(WINDOW_CHUNKS_MAX));
                self.runs(segment, watermark.max(window).max(oldest), newest.next(), absent)
            }
            _ => Vec::new(),
        };
        SegmentView { segment, watermark, newest, runs }
    }
}
