//! What becomes durable, in order, and the answers that waited for it. Nothing else moves a log's durable state.

use super::durable::Durable;
use super::{InFlight, Replica, ReplicaEffect, ToStore, Waiting};
use crate::action::Step;
use crate::ids::{ChunkSeq, LogId, SegmentId};
use crate::limits::LOSSES_PER_SHARD_MAX;
use crate::message::{Refusal, Reply};
use crate::planted;
use crate::snapshot::{LogRecord, LossRecord, Record};
use alloc::string::ToString;

impl Replica {
    pub(super) fn confirm(&mut self, through: u64) {
        if self.failed.is_some() {
            // D6: a disk that failed is not believed when it says "stored" later.
            return;
        }
        assert!(through <= self.ordered, "confirmed through {through}, ordered only {}", self.ordered);
        while self.stored < through {
            self.stored += 1;
            match self.in_flight.pop_front().expect("one entry per order that is not durable") {
                InFlight::Chunk { log, segment, seq } => self.confirm_chunk(log, segment, seq),
                InFlight::Record(record) => self.confirm_record(&record),
                InFlight::Loss => {}
            }
            while let Some(waiting) = self.waiting.remove(self.stored) {
                self.answer(waiting, self.stored);
            }
        }
    }

    fn confirm_chunk(&mut self, log: LogId, segment: SegmentId, seq: ChunkSeq) {
        let known = self.logs.get_mut(&log).expect("a log is never forgotten");
        known.durable.fence = known.durable.fence.max(segment.epoch);
        let segment = known.segments.get_mut(&segment).expect("a segment with a chunk on its way is kept");
        let pending = segment.pending.remove(seq);
        assert!(
            pending.is_some_and(|p| p.order == self.stored),
            "{seq}: order {} stored, pending is {pending:?}",
            self.stored
        );
        assert!(seq >= known.durable.floor, "{seq} was taken although it lies below floor {}", known.durable.floor);
        segment.held.insert(seq, seq.next());
        segment.lost.remove(seq, seq.next());
        segment.stored_at = self.now;
    }

    fn confirm_record(&mut self, record: &LogRecord) {
        let log = record.log;
        let known = self.logs.get_mut(&log).expect("a log is never forgotten");
        let before = known.durable;
        known.durable.merge(record);
        let (deleted, floor, replica) = (known.durable.deleted, known.durable.floor, self.identity.current);
        if deleted > before.deleted {
            self.actions.note(log, || Step::Forget { replica, epoch: deleted });
        } else if floor > before.floor {
            self.actions.note(log, || Step::Trim { replica, floor });
        }
        if known.durable.deleted > before.deleted {
            known.segments.clear();
            if planted!(DeletedLogForgotten) {
                self.logs.remove(&log);
            }
            self.effects.push_back(ReplicaEffect::Free { log, below: None });
        } else if known.durable.floor > before.floor {
            known.drop_below_floor();
            self.effects.push_back(ReplicaEffect::Free { log, below: Some(known.durable.floor) });
        }
    }

    /// Lets `waiting` be answered as soon as everything through `order` is durable.
    pub(super) fn wait(&mut self, order: u64, waiting: Waiting) {
        if order <= self.stored {
            self.answer(waiting, order);
        } else {
            self.waiting.push(order, waiting);
        }
    }

    fn answer(&mut self, waiting: Waiting, order: u64) {
        let stored = self.stored;
        let (to, reply) = match waiting {
            Waiting::Put { to, key, copy } => {
                self.note_stored(key, copy);
                return self
                    .effects
                    .push_back(ReplicaEffect::PutStored { to, proof: Durable::by_order(order, stored) });
            }
            Waiting::PutBelowFloor { to, key, copy } => {
                let proof = Durable::by_floor(key.seq, self.logs[&key.log].durable.floor);
                self.note_stored(key, copy);
                return self.effects.push_back(ReplicaEffect::PutStored { to, proof });
            }
            Waiting::Fence { to, log, epoch, segments, absent } => {
                let reply = self.fenced(log, epoch, &segments, absent);
                self.note_fenced(log, &reply);
                (to, reply)
            }
            Waiting::Trim { to, log } => (to, Ok(Reply::Trimmed { floor: self.durable_floor(log) })),
            Waiting::Delete { to } => (to, Ok(Reply::Deleted)),
            Waiting::Pin { to, word } => (to, Ok(Reply::Pinned { word })),
            Waiting::Free { to, log, segment, word } => (to, self.freed(log, segment, word)),
        };
        let reply = reply.unwrap_or_else(Reply::Refused);
        self.effects.push_back(ReplicaEffect::Reply { to, reply });
    }

    fn durable_floor(&self, log: LogId) -> ChunkSeq {
        self.logs.get(&log).map_or(ChunkSeq(0), |known| {
            if planted!(TrimConfirmedEarly) { known.told.floor } else { known.durable.floor }
        })
    }

    /// D6: what is lost is unknown from now on, and recorded so that it stays unknown.
    pub(super) fn lose(&mut self, log: LogId, segment: SegmentId, from: ChunkSeq, to: ChunkSeq) {
        let Some(known) = self.logs.get_mut(&log) else { return };
        let from = from.max(known.durable.floor);
        if known.is_deleted() || from >= to {
            return;
        }
        let lossy = known.segments.entry(segment).or_default();
        lossy.held.remove(from, to);
        if !planted!(LossAnsweredNever) {
            lossy.lost.insert(from, to);
        }
        if self.failed.is_some() {
            return;
        }
        let replica = self.identity.current;
        self.actions.note(log, || Step::Lose { replica, segment, from, to });
        let record = LossRecord { log, segment, from, to };
        self.store(ToStore::Control(Record::Loss(record)), InFlight::Loss);
        let losses = self.losses().count();
        if losses > LOSSES_PER_SHARD_MAX {
            self.fail(&alloc::format!(
                "{losses} ranges of chunks are unreadable, the most that is tracked is {LOSSES_PER_SHARD_MAX}"
            ));
        }
    }

    /// D6: nothing is acknowledged any more, and whoever waits is told.
    pub(super) fn fail(&mut self, why: &str) {
        if self.failed.is_some() {
            return;
        }
        self.failed = Some(why.to_string());
        for waiting in core::mem::take(&mut self.waiting).drain() {
            let (Waiting::Put { to, .. }
            | Waiting::PutBelowFloor { to, .. }
            | Waiting::Fence { to, .. }
            | Waiting::Trim { to, .. }
            | Waiting::Delete { to }
            | Waiting::Pin { to, .. }
            | Waiting::Free { to, .. }) = waiting;
            self.refuse(to, Refusal::DiskFailed { why: why.to_string() });
        }
    }
}
