//! What is true of a replica after every event.

use super::Replica;
use super::log::{Log, Segment};
use crate::ids::ChunkSeq;
use crate::limits::LOGS_PER_SHARD_MAX;

impl Replica {
    /// Checks what can be checked in constant time; called after every event.
    pub(super) fn cheap_invariants(&self) {
        assert!(self.stored <= self.ordered, "stored {} is ahead of ordered {}", self.stored, self.ordered);
        let in_flight = self.in_flight.len() as u64;
        assert!(
            in_flight == self.ordered - self.stored,
            "{in_flight} in flight between {} and {}",
            self.stored,
            self.ordered
        );
        assert!(self.logs.len() <= LOGS_PER_SHARD_MAX, "{} logs, the most is {LOGS_PER_SHARD_MAX}", self.logs.len());
        if let Some(order) = self.waiting.first() {
            assert!(order > self.stored, "an answer waits for order {order}, stored is {}", self.stored);
        }
        if let Some(order) = self.waiting.last() {
            assert!(order <= self.ordered, "an answer waits for order {order}, ordered is {}", self.ordered);
        }
        assert!(self.failed.is_none() || self.waiting.is_empty(), "answers wait on a failed disk");
    }

    /// Checks everything, log by log.
    pub fn invariants(&self) {
        self.cheap_invariants();
        for (id, log) in &self.logs {
            assert!(*id == log.told.log && *id == log.durable.log, "log {id} holds the state of another");
            log.invariants(self.stored);
        }
    }
}

impl Log {
    fn invariants(&self, stored: u64) {
        let mut merged = self.told;
        merged.merge(&self.durable);
        assert!(merged == self.told, "durable is ahead of told: {:?} {:?}", self.durable, self.told);
        assert!(self.told.deleted <= self.told.fence, "deleted at {} without a fence", self.told.deleted);
        assert!(self.durable.deleted.0 == 0 || self.segments.is_empty(), "a deleted log holds segments");
        for (id, segment) in &self.segments {
            assert!(id.epoch <= self.told.fence, "segment {id} is above fence {}", self.told.fence);
            // P3: once a fence is durable, nothing that a writer put below it is on its way. This is why a freeze may say
            // "never".
            if segment.pending.iter().any(|(_, pending)| !pending.copy) {
                assert!(
                    id.epoch >= self.durable.fence,
                    "puts of {id} in flight below durable fence {}",
                    self.durable.fence
                );
            }
            segment.invariants(stored, self.durable.floor);
        }
    }
}

impl Segment {
    fn invariants(&self, stored: u64, floor: ChunkSeq) {
        for (from, to) in self.lost.iter() {
            let held = self.held.first_from(from);
            assert!(held.is_none_or(|held| held >= to), "{held:?} is both held and lost");
        }
        let oldest = self.oldest();
        assert!(oldest.is_none_or(|oldest| oldest >= floor), "{oldest:?} is kept below floor {floor}");
        for (seq, pending) in self.pending.iter() {
            assert!(pending.order > stored, "{seq} waits for order {}, stored is {stored}", pending.order);
        }
    }
}
