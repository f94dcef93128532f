//! What repair asks of a replica, about segments that are sealed: pin, inventory, free, holdings (P13, P16).
//!
//! The record carries a number that rises with every change, a client's word is the number of the record it read, and the
//! replica keeps the highest, durably. Whoever is about to name this replica in record N + 1 pins that word first: from then
//! on no client that read an older record frees anything of the log here, however late its request comes.

use super::log::{Absent, Log};
use super::{Replica, ReplicaEffect, Ticket, Waiting};
use crate::ids::{ChunkSeq, LogId, RecordNumber, SegmentId};
use crate::limits::{HOLDINGS_PER_ANSWER_MAX, RANGES_PER_ANSWER_MAX};
use crate::message::{HoldingsCursor, HoldingsPage, LogHolding, Refusal, Reply, SegmentHolding};
use crate::planted;
use crate::snapshot::LogRecord;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// What an idle time is counted in.
const US_PER_S: u64 = 1_000_000;

impl Replica {
    /// Raises the word, and says so once it is durable.
    pub(super) fn pin(&mut self, from: Ticket, log: LogId, word: RecordNumber) -> Result<(), Refusal> {
        let known = self.known_log(log)?;
        known.check_not_deleted()?;
        known.check_word(word)?;
        let order = self.raise(LogRecord { word, ..known.told }).unwrap_or(known.floor_order);
        let order = if planted!(PinnedEarly) { self.stored } else { order };
        self.wait(order, Waiting::Pin { to: from, word });
        Ok(())
    }

    /// Raises the word; the segment goes once that, and whatever was accepted before, is durable.
    pub(super) fn free(
        &mut self,
        from: Ticket,
        log: LogId,
        segment: SegmentId,
        word: RecordNumber,
    ) -> Result<(), Refusal> {
        let known = self.known_log(log)?;
        known.check_not_deleted()?;
        known.check_word(word)?;
        let raised = LogRecord { word: known.told.word.max(word), ..known.told };
        let order = self.raise(raised).unwrap_or(self.ordered);
        self.wait(order, Waiting::Free { to: from, log, segment, word });
        Ok(())
    }

    /// Drops a segment whose freeing is durable, unless a newer word came meanwhile.
    ///
    /// What is lost goes on being lost: its file may hold it still, and a replay that knew of no loss would believe it. A
    /// floor or a deletion ends that. Freed chunks may come back after a restart, too, from a file that was not used again:
    /// they are what they were, copies that no record names.
    pub(super) fn freed(&mut self, log: LogId, segment: SegmentId, word: RecordNumber) -> Result<Reply, Refusal> {
        let Some(known) = self.logs.get_mut(&log) else { return Ok(Reply::Freed) };
        known.check_not_deleted()?;
        known.check_word(word)?;
        if let Some(found) = known.segments.get_mut(&segment) {
            let mut seqs = core::mem::take(&mut found.held);
            found.lost.iter().for_each(|(from, to)| seqs.insert(from, to));
            // What came later is in the place of what was there before.
            found.pending.iter().for_each(|(seq, _)| seqs.remove(seq, seq.next()));
            if found.is_empty() {
                known.segments.remove(&segment);
            }
            self.effects.push_back(ReplicaEffect::FreeSegment { log, segment, seqs });
        }
        Ok(Reply::Freed)
    }

    /// What is held of a segment now, as far as one answer goes.
    pub(super) fn inventory(
        &self,
        log: LogId,
        segment: SegmentId,
        (from, to): (ChunkSeq, ChunkSeq),
        absent: Absent,
    ) -> Result<Reply, Refusal> {
        if from > to {
            let why = alloc::format!("an inventory of seqs {from} to {to}: they are in order");
            return Err(Refusal::BadRequest { why });
        }
        let unknown = Log::new(log);
        let known = self.logs.get(&log).unwrap_or(&unknown);
        known.check_not_deleted()?;
        let runs = known.runs_at_most(RANGES_PER_ANSWER_MAX, segment, (from, to), absent);
        let next = runs.last().map_or(from, |last| last.to);
        Ok(Reply::Inventory { runs, next })
    }

    /// A page of everything that is held here.
    pub(super) fn holdings(&self, from: HoldingsCursor) -> Reply {
        let identities = core::iter::once(self.identity.current).chain(self.identity.retired.iter().copied()).collect();
        let mut page = HoldingsPage { identities, logs: Vec::new(), next: None };
        let mut room = HOLDINGS_PER_ANSWER_MAX;
        for (&log, known) in self.logs.range(from.log..) {
            let first = if log == from.log { from.segment } else { SegmentId::default() };
            // A log and at least one of its segments, or neither.
            if room < 2 {
                page.next = Some(HoldingsCursor { log, segment: first });
                break;
            }
            let (segments, next) = self.segments_held(known, first, room - 1);
            room -= 1 + segments.len();
            let LogRecord { fence, floor, word, .. } = known.durable;
            page.logs.push(LogHolding { log, fence, floor, deleted: known.is_deleted(), word, segments });
            page.next = next;
            if next.is_some() {
                break;
            }
        }
        Reply::Holdings(Box::new(page))
    }

    fn segments_held(
        &self,
        known: &Log,
        first: SegmentId,
        segments_max: usize,
    ) -> (Vec<SegmentHolding>, Option<HoldingsCursor>) {
        let mut holdings = Vec::new();
        for (&segment, found) in known.segments.range(first..) {
            if holdings.len() == segments_max {
                return (holdings, Some(HoldingsCursor { log: known.told.log, segment }));
            }
            let idle_us = if found.pending.is_empty() { self.now.since(found.stored_at) } else { 0 };
            holdings.push(SegmentHolding {
                segment,
                held: found.held.first().zip(found.held.last()),
                chunks: found.held.len(),
                lost: found.lost.len(),
                idle_s: idle_us / US_PER_S,
            });
        }
        (holdings, None)
    }
}

impl Log {
    /// P13: whoever goes by a record that was changed since is told so.
    fn check_word(&self, asked: RecordNumber) -> Result<(), Refusal> {
        let known = self.told.word;
        if asked >= known || planted!(StaleWordAccepted) { Ok(()) } else { Err(Refusal::StaleWord { asked, known }) }
    }
}
