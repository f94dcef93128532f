//! P7.5: one compare-and-swap seals the old segments and registers the new one; then it is over.

use super::copy::Copying;
use super::effect::RecoveryEffect;
use super::error::RecoveryError;
use super::plan::{Plan, leaves_content};
use super::report::{MissingReplica, RecoveryReport, SegmentSettled};
use super::{Claimed, Phase, Purpose, Recovery};
use crate::action::Step;
use crate::digest::Digest;
use crate::ids::ChunkSeq;
use crate::limits::SEGMENTS_PER_LOG_MAX;
use crate::record::{LogRecord, Segment, SegmentEnd, Version};
use crate::time::Micros;
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Recovery {
    /// Whether the chain has room for one more segment. Asked before the claim, which fences the log's writer: that must not
    /// be for nothing. Whatever certainly leaves the chain does not count. The open segment does: whether it is empty is only
    /// known once its replicas are fenced.
    pub(super) fn check_room(&self, record: &LogRecord) -> Result<(), RecoveryError> {
        if self.config.purpose == Purpose::Delete {
            return Ok(());
        }
        let stays =
            |segment: &&Segment| segment.end_seq().is_none_or(|end| leaves_content(segment.base, end, record.floor));
        let mut staying = record.segments.iter().filter(stays);
        let (segments, max) = (staying.clone().count(), SEGMENTS_PER_LOG_MAX);
        match staying.next().and(staying.next()) {
            Some(second) if segments >= max => {
                let (name, trim_to) = (record.name.clone(), second.base);
                Err(RecoveryError::Full { name, segments, max, trim_to })
            }
            _ => Ok(()),
        }
    }

    /// Asks for the swap.
    pub(super) fn register_segment(&mut self, now: Micros) {
        let claimed = self.claimed.as_ref().expect("registered after the claim");
        let record = self.sealed_record(claimed);
        if let Err(why) = record.check(SEGMENTS_PER_LOG_MAX) {
            return self.fail(why.into());
        }
        let version = claimed.version.clone();
        self.enter(now, Phase::Registering);
        self.swap(Some(version), record);
    }

    /// The record with the old segments sealed and the new one open. Empty segments and those wholly below the floor leave
    /// the chain.
    fn sealed_record(&self, claimed: &Claimed) -> LogRecord {
        let Copying { plan, segment: id, .. } = self.copying.as_ref().expect("registered after the copying");
        let mut record = claimed.record.changed();
        let (floor, mut open) = (record.floor, 0);
        let mut segments = Vec::new();
        for mut segment in record.segments {
            if !segment.is_sealed() {
                segment.end = SegmentEnd::Sealed { at: plan.sealed_at[open], digest: self.digest_of(plan, open) };
                open += 1;
            }
            if segment.end_seq().is_some_and(|end| leaves_content(segment.base, end, floor)) {
                segments.push(segment);
            }
        }
        segments.push(self.new_segment(plan, *id));
        record.segments = segments;
        record
    }

    fn new_segment(&self, plan: &Plan, id: crate::ids::SegmentId) -> Segment {
        let Purpose::Write { ack_quorum, window, .. } = self.config.purpose else {
            unreachable!("a deletion registers no segment")
        };
        let (base, end, replicas) = (plan.cut, SegmentEnd::Open, plan.replicas.clone());
        Segment { id, base, end, replicas, ack_quorum: ack_quorum as u8, window }
    }

    /// The digest of a segment's last chunk. A segment without one leaves the chain, whatever is said here.
    fn digest_of(&self, plan: &Plan, open: usize) -> Digest {
        let chunk = plan.digest_at[open].and_then(|seq| self.fetcher.got.get(&(open, seq)));
        chunk.map(|chunk| chunk.header.digest).unwrap_or_default()
    }

    /// The swap took place: this is the commit point.
    pub(super) fn finish(&mut self, now: Micros, version: Version, record: LogRecord) {
        self.enter(now, Phase::Finished);
        let report = self.report(version, record);
        self.note_end(&report);
        self.effects.push_back(RecoveryEffect::Finished(Box::new(Ok(report))));
    }

    fn note_end(&mut self, report: &RecoveryReport) {
        let (client, end, floor) = (self.config.owner, report.next_seq, report.record.floor);
        match &report.segment {
            None => self.note(|epoch| Step::Bury { client, epoch }),
            Some(Segment { id: segment, base, replicas, ack_quorum, .. }) => {
                let (segment, base, ack_quorum) = (*segment, *base, usize::from(*ack_quorum));
                let replicas = replicas.iter().map(|replica| replica.disk).collect();
                self.note(|epoch| Step::Open { client, epoch, segment, base, end, floor, ack_quorum, replicas });
            }
        }
    }

    /// Somebody deleted it before: there is nothing to claim, but the replicas may have to be told still.
    pub(super) fn finish_already_deleted(&mut self, version: Version, record: LogRecord) {
        self.phase = Phase::Finished;
        let mut report = self.report(version, record);
        report.already_deleted = true;
        self.effects.push_back(RecoveryEffect::Finished(Box::new(Ok(report))));
    }

    fn report(&mut self, version: Version, record: LogRecord) -> RecoveryReport {
        let settled = self.settled();
        let copying = self.copying.take();
        let segment = copying.as_ref().and_then(|_| record.segments.last().cloned());
        let silent = |witness: &super::witness::Witness| MissingReplica {
            replica: witness.replica.clone(),
            why: witness.excuse(),
        };
        RecoveryReport {
            epoch: record.epoch,
            before: self.before.take(),
            created: self.created,
            already_deleted: false,
            segment,
            next_seq: copying.as_ref().map_or(ChunkSeq(0), |copying| copying.plan.end),
            digest: copying.as_ref().map_or_else(Digest::default, |copying| copying.writer.digest()),
            carried: copying.map_or_else(Vec::new, |copying| copying.writer.into_carried()),
            settled,
            silent: self.witnesses.iter().filter(|witness| !witness.fenced).map(silent).collect(),
            timings: self.timings,
            record,
            version,
        }
    }

    fn settled(&self) -> Vec<SegmentSettled> {
        let (Some(copying), Some(claimed)) = (&self.copying, &self.claimed) else { return Vec::new() };
        let segments = claimed.open.iter().enumerate();
        let settled = segments.map(|(i, segment)| SegmentSettled {
            segment: segment.id,
            base: segment.base,
            fenced: (self.fenced_of(i), segment.replicas.len()),
            start: copying.plan.extents[i].start,
            end: copying.plan.extents[i].end,
            sealed_at: copying.plan.sealed_at[i],
        });
        settled.collect()
    }
}
