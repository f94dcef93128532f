//! Planning a boundary and sealing behind it: the record's part of a rotation (P11).

use super::change::{Change, ChangeKind};
use super::config::{RotationReason, SegmentShape};
use super::part::Part;
use super::{Phase, RotatingWriter, RotationEffect};
use crate::ids::{ChunkSeq, SegmentId};
use crate::limits::SEGMENTS_PER_LOG_MAX;
use crate::planted;
use crate::record::{LogRecord, ReplicaRef, Segment, SegmentEnd, Version};
use crate::recovery::{RegisterFailure, RequestNo, SwapOutcome};
use crate::time::Micros;
use crate::writer::StopReason;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl RotatingWriter {
    /// Asks for a boundary far enough ahead, and for the next segment on `replicas`, in one change.
    pub(super) fn plan(&mut self, now: Micros, reason: RotationReason, replicas: Vec<ReplicaRef>) {
        // Whoever asks waits for it, perhaps without appending anything: a boundary further on might never be reached.
        let is_awaited = matches!(reason, RotationReason::Asked | RotationReason::Moved { .. });
        let ahead = if is_awaited { 0 } else { self.pace.ahead(now) };
        let part = self.open_part();
        let (id, base) = (part.segment.id, part.segment.base);
        // A segment that holds nothing has no end that anybody could find.
        let at = part.writer.next_seq().plus(ahead).max(base.next());
        let next = SegmentId { epoch: id.epoch, index: id.index + 1 };
        let SegmentShape { ack_quorum, window, .. } = match reason {
            RotationReason::Moved { shape } => shape,
            _ => self.config.shape,
        };
        let mut record = self.config.record.changed();
        let Some(last) = record.segments.last_mut().filter(|last| last.id == id) else {
            return self.unrotated(now, reason, "the record does not end in the segment under way".into());
        };
        last.end = SegmentEnd::Boundary { at };
        let ack_quorum = ack_quorum as u8;
        record.segments.push(Segment { id: next, base: at, end: SegmentEnd::Open, replicas, ack_quorum, window });
        if let Err(why) = record.check(SEGMENTS_PER_LOG_MAX) {
            return self.unrotated(now, reason, why.to_string());
        }
        self.reason = Some(reason);
        self.ask(ChangeKind::Plan { at, next }, record);
    }

    /// Everything below the boundary is committed: the seal follows.
    pub(super) fn seal(&mut self) {
        let part = self.parts.iter().find(|part| part.sealed_until.is_none()).expect("a segment is to be sealed");
        let (id, at, digest) = (part.segment.id, part.end.expect("it has a boundary"), part.writer.digest());
        let mut record = self.config.record.changed();
        let segment = record.segments.iter_mut().find(|segment| segment.id == id);
        let segment = segment.expect("a segment that is not sealed stays on record");
        segment.end = SegmentEnd::Sealed { at, digest };
        self.ask(ChangeKind::Seal { segment: id }, record);
    }

    fn ask(&mut self, kind: ChangeKind, record: LogRecord) {
        let (request, expected) = (self.new_request(), self.config.version.clone());
        let change = Change::new(kind, expected.clone(), record.clone(), request);
        self.effects.push_back(RotationEffect::Swap { request, expected, record: alloc::boxed::Box::new(record) });
        self.phase = Phase::Changing(change);
    }

    pub(super) fn swapped(&mut self, now: Micros, request: RequestNo, outcome: SwapOutcome) {
        let Phase::Changing(change) = &mut self.phase else { return };
        if !change.is_swapping(request) {
            return;
        }
        match outcome {
            SwapOutcome::Done(version) => {
                let record = (*change.record).clone();
                self.landed(now, version, record);
            }
            SwapOutcome::Conflict => change.look_now(now),
            SwapOutcome::Ambiguous(why) => {
                change.in_doubt = !planted!(PlanForgotten);
                change.look_later(now, why);
            }
            SwapOutcome::Failed(why) => change.look_later(now, why),
        }
        self.give_up_what_cannot_be(now);
    }

    /// A plan that certainly did not take place is not waited for: appends go on past the soft size.
    fn give_up_what_cannot_be(&mut self, now: Micros) {
        let Phase::Changing(change) = &self.phase else { return };
        let (ChangeKind::Plan { .. }, Some(why), false) =
            (change.kind, change.trouble.clone(), change.may_take_place())
        else {
            return;
        };
        let reason = self.reason.take().expect("a plan has a reason");
        self.unrotated(now, reason, why);
    }

    /// Looks at the record when it is time.
    pub(super) fn look(&mut self, now: Micros) {
        let request = self.next_request;
        let Phase::Changing(change) = &mut self.phase else { return };
        if change.wakes_at().is_some_and(|at| now >= at) {
            change.read(request);
            self.next_request += 1;
            self.effects.push_back(RotationEffect::ReadRecord { request, name: self.config.name.clone() });
        }
    }

    pub(super) fn record_read(
        &mut self,
        now: Micros,
        request: RequestNo,
        result: Result<Option<(Version, LogRecord)>, RegisterFailure>,
    ) {
        let Phase::Changing(change) = &mut self.phase else { return };
        if !change.is_reading(request) {
            return;
        }
        match result {
            Ok(Some((version, record))) => self.compare(now, version, record),
            Ok(None) => change.look_later(now, "the register has no record of the log".into()),
            Err(RegisterFailure::Unavailable(why) | RegisterFailure::Unusable(why)) => change.look_later(now, why),
        }
        self.give_up_what_cannot_be(now);
    }

    /// The record as it is now: did the change take place, may it still, or never?
    fn compare(&mut self, now: Micros, version: Version, record: LogRecord) {
        let next_request = self.next_request;
        let Phase::Changing(change) = &mut self.phase else { unreachable!("compared with a change") };
        let known = &self.config.record;
        if record.log != known.log || record.epoch != known.epoch || record.owner != self.config.owner || record.deleted
        {
            let mine = known.epoch;
            let why = if record.deleted || record.log != known.log {
                StopReason::Deleted { at: record.epoch }
            } else {
                StopReason::Fenced { mine, by: record.epoch }
            };
            return self.stop(&why);
        }
        if change.is_in(&record) {
            return self.landed(now, version, record);
        }
        if version == change.expected {
            // It may still be on its way. The very same one, comparing the same version, cannot do harm: at most one of the two
            // takes place.
            let request = next_request;
            change.swap_again(request);
            let (expected, record) = (change.expected.clone(), change.record.clone());
            self.next_request += 1;
            return self.effects.push_back(RotationEffect::Swap { request, expected, record });
        }
        // What it compared is gone for ever, so it never takes place.
        let kind = change.kind;
        (self.config.version, self.config.record) = (version, record);
        match kind {
            ChangeKind::Seal { .. } => self.seal(),
            ChangeKind::Plan { next, .. } => {
                let replicas = self.planned_replicas(next);
                let reason = self.reason.take().expect("a plan has a reason");
                self.phase = Phase::Steady;
                self.plan(now, reason, replicas);
            }
        }
    }

    /// The change is on record.
    fn landed(&mut self, now: Micros, version: Version, record: LogRecord) {
        let Phase::Changing(change) = &self.phase else { unreachable!("a change landed") };
        let kind = change.kind;
        (self.config.version, self.config.record) = (version, record);
        match kind {
            ChangeKind::Plan { at, next } => self.planned(now, at, next),
            ChangeKind::Seal { segment } => self.sealed(now, segment),
        }
    }

    /// The boundary is on record: only now may anything go beyond it (P5, P11).
    fn planned(&mut self, now: Micros, at: ChunkSeq, next: SegmentId) {
        let segment = self.config.record.segments.iter().find(|segment| segment.id == next).cloned();
        let Some(segment) = segment else { unreachable!("{next} is on record") };
        let why = self.reason.take().expect("a plan has a reason");
        if let RotationReason::Moved { shape } = why {
            self.config.shape = shape;
        }
        let part = self.parts.back_mut().expect("a segment is written");
        part.end = Some(at);
        let ends = part.segment.id;
        let dropped = part.segment.replicas.iter().filter(|replica| !segment.replicas.contains(replica));
        let dropped: Vec<_> = dropped.map(|replica| replica.disk).collect();
        dropped.into_iter().for_each(|disk| self.standing.replaced(now, disk));
        let replicas = segment.replicas.clone();
        self.effects.push_back(RotationEffect::Attach { segment: next, replicas: replicas.clone() });
        self.effects.push_back(RotationEffect::Planned { ends, at, next, replicas, why });
        self.add_part(Part::next(&self.config, segment, now));
        self.phase = Phase::Crossing;
    }

    fn sealed(&mut self, now: Micros, segment: SegmentId) {
        let part = self.parts.iter_mut().find(|part| part.segment.id == segment);
        let part = part.expect("what is sealed was written");
        part.sealed_until = Some(now.plus(super::LINGER_US));
        let at = part.end.expect("what is sealed has an end");
        self.effects.push_back(RotationEffect::Sealed { segment, at });
        self.phase = Phase::Steady;
    }

    /// The replicas of the plan under way.
    fn planned_replicas(&self, next: SegmentId) -> Vec<ReplicaRef> {
        let Phase::Changing(change) = &self.phase else { unreachable!("a plan is under way") };
        let planned = change.record.segments.iter().find(|segment| segment.id == next);
        planned.expect("a plan holds its next segment").replicas.clone()
    }

    /// A rotation did not come about. It is tried again after a pause, if its reason stays.
    pub(super) fn unrotated(&mut self, now: Micros, reason: RotationReason, why: String) {
        self.phase = Phase::Steady;
        self.standing.tried(now);
        self.retry_at = self.standing.replace_after();
        self.effects.push_back(RotationEffect::Unrotated { reason, why });
    }
}
