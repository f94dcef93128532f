//! When a segment is to end, and on which replicas the next one is to lie.

use super::config::{RotationReason, SegmentShape};
use super::part::Part;
use super::{Phase, RotatingWriter, RotationEffect};
use crate::ids::DiskId;
use crate::limits::{SEGMENTS_PER_LOG_MAX, SEGMENTS_RESERVED_FOR_RECOVERY, SEGMENTS_RESERVED_FOR_REPLACEMENT};
use crate::record::ReplicaRef;
use crate::recovery::RequestNo;
use crate::time::Micros;
use alloc::string::String;
use alloc::vec::Vec;

/// How often replicas are looked at within the time that a failing one is borne.
const CHECKS_PER_PATIENCE: u64 = 8;

impl RotatingWriter {
    /// Begins a rotation, if there is a reason for one.
    pub(super) fn consider(&mut self, now: Micros) {
        if now < self.retry_at {
            return;
        }
        let look = now >= self.check_at;
        if look {
            self.check_at = now.plus((self.config.policy.replica_patience_us / CHECKS_PER_PATIENCE).max(1));
        }
        let Some(reason) = self.reason_now(now, look) else { return };
        if let RotationReason::Moved { shape: SegmentShape { replicas, .. } } = reason {
            self.moving = None;
            let (request, log) = (self.new_request(), self.config.record.log);
            self.phase = Phase::Placing { request, reason };
            let (keep, avoid) = (Vec::new(), Vec::new());
            return self.effects.push_back(RotationEffect::Place { request, log, replicas, keep, avoid, moving: true });
        }
        self.asked = false;
        let (request, part) = (self.new_request(), self.open_part());
        let ailing = self.ailing(part, now);
        let mut avoid: Vec<DiskId> = ailing.iter().map(|index| part.segment.replicas[*index].disk).collect();
        avoid.extend(self.standing.avoided(now).filter(|disk| !avoid.contains(disk)).collect::<Vec<_>>());
        let keep = part.segment.replicas.iter().filter(|replica| !avoid.contains(&replica.disk)).cloned().collect();
        let (log, replicas) = (self.config.record.log, self.config.shape.replicas);
        self.phase = Phase::Placing { request, reason };
        self.effects.push_back(RotationEffect::Place { request, log, replicas, keep, avoid, moving: false });
    }

    /// When [`Self::consider`] may find a reason that it does not find now.
    pub(super) fn wanted_at(&self) -> Option<Micros> {
        let part = self.open_part();
        let lacking = part.writer.in_flight().0 > 0 || part.writer.kept_for_stragglers().0 > 0;
        let look = lacking || part.writer.is_any_ailing() || self.is_incomplete(part) || self.unwanted(part).is_some();
        let look = look.then(|| self.check_at.max(self.standing.replace_after()));
        let aged =
            (self.has_room() && holds_something(part)).then(|| part.since.plus(self.config.policy.segment_age_us));
        let asked = (self.asked || self.moving.is_some()).then_some(self.retry_at);
        [look, aged, asked].into_iter().flatten().min().map(|at| at.max(self.retry_at))
    }

    fn reason_now(&self, now: Micros, look: bool) -> Option<RotationReason> {
        if !self.has_room_for_recovery() {
            return None;
        }
        if let Some(shape) = self.moving {
            return Some(RotationReason::Moved { shape });
        }
        if self.asked {
            return Some(RotationReason::Asked);
        }
        let (part, policy) = (self.open_part(), self.config.policy);
        if look && now >= self.standing.replace_after() {
            if let Some(index) = self.ailing(part, now).first() {
                let replica = part.segment.replicas[*index].clone();
                let why = part.writer.trouble(*index).unwrap_or_else(|| "it lacks chunks that it was sent".into());
                return Some(RotationReason::Replica { replica, why });
            }
            if let Some(disk) = self.unwanted(part) {
                return Some(RotationReason::Unwanted { disk });
            }
            if self.is_incomplete(part) {
                return Some(RotationReason::Incomplete);
            }
        }
        if !self.has_room() || !holds_something(part) {
            return None;
        }
        if part.bytes >= policy.segment_bytes {
            return Some(RotationReason::Size);
        }
        (now.since(part.since) >= policy.segment_age_us).then_some(RotationReason::Age)
    }

    fn is_incomplete(&self, part: &Part) -> bool {
        part.segment.replicas.len() < self.config.shape.replicas
    }

    /// Replicas that have failed to keep up for as long as the policy bears.
    fn ailing(&self, part: &Part, now: Micros) -> Vec<usize> {
        let patience = self.config.policy.replica_patience_us;
        let is_ailing =
            |replica: &usize| part.writer.ailing_since(*replica).is_some_and(|since| now.since(since) >= patience);
        (0..part.segment.replicas.len()).filter(is_ailing).collect()
    }

    fn unwanted(&self, part: &Part) -> Option<DiskId> {
        let disks = part.segment.replicas.iter().map(|replica| replica.disk);
        disks.into_iter().find(|disk| self.standing.is_unwanted(*disk))
    }

    fn has_room_for_recovery(&self) -> bool {
        self.config.record.segments.len() + SEGMENTS_RESERVED_FOR_RECOVERY < SEGMENTS_PER_LOG_MAX
    }

    /// Whether the chain may grow for no other reason than size or age: failed replicas must find room in it.
    fn has_room(&self) -> bool {
        let reserved = SEGMENTS_RESERVED_FOR_RECOVERY + SEGMENTS_RESERVED_FOR_REPLACEMENT;
        self.config.record.segments.len() + reserved < SEGMENTS_PER_LOG_MAX
    }

    /// Replicas were found, or not.
    pub(super) fn placed(&mut self, now: Micros, request: RequestNo, result: Result<Vec<ReplicaRef>, String>) {
        let Phase::Placing { request: expected, reason } = &self.phase else { return };
        if *expected != request {
            return;
        }
        let reason = reason.clone();
        let part = self.open_part();
        let before = &part.segment.replicas;
        match (&reason, result) {
            (RotationReason::Replica { .. } | RotationReason::Unwanted { .. } | RotationReason::Incomplete, result) => {
                // P10: without a spare zone the segment stays at quorum. Its set never changes (P16).
                let improves = |replicas: &Vec<ReplicaRef>| {
                    replicas.len() > before.len() || replicas.iter().any(|replica| !before.contains(replica))
                };
                match result {
                    Ok(replicas) if improves(&replicas) => {
                        self.standing.tried(now);
                        self.plan(now, reason, replicas);
                    }
                    Ok(_) => self.unrotated(now, reason, "no other replicas were found".into()),
                    Err(why) => self.unrotated(now, reason, why),
                }
            }
            (_, Ok(replicas)) => self.plan(now, reason, replicas),
            (RotationReason::Moved { .. }, Err(why)) => self.unrotated(now, reason, why),
            (RotationReason::Size | RotationReason::Age | RotationReason::Asked, Err(_)) => {
                // Those that it has will do for the next segment as well as for this one.
                let replicas = before.clone();
                self.plan(now, reason, replicas);
            }
        }
    }
}

/// Whether the segment has an end that could be planned: it is not empty.
fn holds_something(part: &Part) -> bool {
    part.writer.next_seq() > part.segment.base
}
