//! Requests that change what a replica refuses: fence, trim, delete. Each is answered once it is durable.

use super::log::{Absent, Log};
use super::{InFlight, Replica, Ticket, ToStore, Waiting};
use crate::ids::{ChunkSeq, Epoch, LogId, RecordNumber, SegmentId};
use crate::limits::SEGMENTS_PER_REQUEST_MAX;
use crate::message::Refusal;
use crate::planted;
use crate::snapshot::{LogRecord, Record};
use alloc::vec::Vec;

impl Replica {
    /// P3: from now on every lower epoch is refused; the answer waits for whatever was accepted before.
    pub(super) fn fence(
        &mut self,
        from: Ticket,
        log: LogId,
        epoch: Epoch,
        segments: Vec<SegmentId>,
        absent: Absent,
    ) -> Result<(), Refusal> {
        if epoch == Epoch(0) {
            return Err(Refusal::BadRequest { why: "a fence at epoch 0 fences nobody".into() });
        }
        check_segments(&segments)?;
        let known = self.known_log(log)?;
        if epoch < known.told.fence {
            return Err(Refusal::Fenced { by: known.told.fence });
        }
        known.check_not_deleted()?;
        let record = LogRecord { fence: epoch, ..known.told };
        self.note_fence_raised(log, known.told.fence, epoch);
        // The same epoch again also drains: puts of that very epoch may have come in between.
        let order = self.raise(record).unwrap_or(self.ordered);
        let order = if planted!(FenceAnsweredEarly) { self.stored } else { order };
        self.wait(order, Waiting::Fence { to: from, log, epoch, segments, absent });
        Ok(())
    }

    /// P12, P13: floor and word only rise.
    pub(super) fn trim(
        &mut self,
        from: Ticket,
        log: LogId,
        word: RecordNumber,
        floor: ChunkSeq,
    ) -> Result<(), Refusal> {
        let known = self.known_log(log)?;
        known.check_not_deleted()?;
        let raised = LogRecord { floor: known.told.floor.max(floor), word: known.told.word.max(word), ..known.told };
        let floor_order = known.floor_order;
        let order = self.raise(raised).unwrap_or(floor_order);
        let order = if planted!(TrimConfirmedEarly) { self.stored } else { order };
        self.wait(order, Waiting::Trim { to: from, log });
        Ok(())
    }

    /// A deletion also fences: it is the last takeover of a log (P13, pitfalls 11, 17).
    pub(super) fn delete(&mut self, from: Ticket, log: LogId, epoch: Epoch) -> Result<(), Refusal> {
        if epoch == Epoch(0) {
            return Err(Refusal::BadRequest { why: "a deletion at epoch 0: epochs of writers begin at 1".into() });
        }
        let known = self.known_log(log)?;
        if !known.is_deleted() && epoch < known.told.fence {
            return Err(Refusal::Fenced { by: known.told.fence });
        }
        let mut record = known.told;
        if !known.is_deleted() {
            self.note_fence_raised(log, known.told.fence, epoch);
            record = LogRecord { fence: epoch, deleted: epoch, ..record };
        }
        let order = self.raise(record).unwrap_or(self.ordered);
        self.wait(order, Waiting::Delete { to: from });
        Ok(())
    }

    /// The log, as far as it is known; a new one if there is room for it.
    pub(super) fn known_log(&self, log: LogId) -> Result<Log, Refusal> {
        // The small state is all that is needed to judge.
        match self.logs.get(&log) {
            Some(known) => Ok(known.without_segments()),
            None => self.check_room_for_log().map(|()| Log::new(log)),
        }
    }

    /// Stores `record` if it says more than what was told before; returns the order it will be durable with.
    pub(super) fn raise(&mut self, record: LogRecord) -> Option<u64> {
        let log = record.log;
        let told = self.logs.get(&log).map_or(LogRecord { log, ..LogRecord::default() }, |known| known.told);
        let mut merged = told;
        merged.merge(&record);
        assert!(merged == record, "small state of log {log} would move back: told {told:?}, new {record:?}");
        if merged == told {
            return None;
        }
        let order = self.store(ToStore::Control(Record::Log(record)), InFlight::Record(record));
        let known = self.logs.entry(log).or_insert_with(|| Log::new(log));
        if record.floor > told.floor || record.word > told.word {
            known.floor_order = order;
        }
        known.told = record;
        Some(order)
    }
}

pub(super) fn check_segments(segments: &[SegmentId]) -> Result<(), Refusal> {
    if segments.len() <= SEGMENTS_PER_REQUEST_MAX {
        return Ok(());
    }
    let why = alloc::format!("{} segments in one request, the most is {SEGMENTS_PER_REQUEST_MAX}", segments.len());
    Err(Refusal::BadRequest { why })
}
