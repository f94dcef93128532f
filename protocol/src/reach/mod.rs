//! How far a reader may go (P15), and in which segment it reads.
//!
//! ```text
//!  record     ├── sealed at 20 ──┤├── open, from 20 ─────────────────────────►
//!  reader           next ──► limit = 20: what is sealed is the same on every copy
//!                             next ──► limit: the highest watermark heard of this segment,
//!                                      or its committed tail, whichever is further
//! ```
//! A reader holds a record that may be old, and that is safe. A seq that it knows to be committed has the same bytes for
//! ever (P1), wherever the log goes on. What it may *not* do is take news of a newer record for news of the one it holds: the
//! same seq in a segment that was sealed before it is a chunk that never was. So everything heard counts for one segment of
//! one record, and nothing of it passes into the next segment.
//!
//! A segment may be sealed shorter than a watermark that its readers heard: recovery keeps whatever is committed, but
//! seals where its own read quorum proves nothing more, and copies the rest, under the same seqs, into the next segment
//! (P7.4). So a reader that is beyond the end finds itself in the middle of the next segment. The log is never shorter than
//! a watermark; a segment may be.

mod chain;
#[cfg(test)]
mod tests;

use crate::action::{Action, Actions, Step};
use crate::chunk::ChunkHeader;
use crate::ids::{ChunkSeq, Epoch};
use crate::planted;
use crate::record::{LogRecord, Segment};
use alloc::string::String;
use chain::Chain;

/// Why a reader cannot go on with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The next seq lies below the floor.
    #[error("seq {seq} is trimmed, the log begins at {floor}")]
    Trimmed {
        /// The next seq.
        seq: ChunkSeq,
        /// The floor.
        floor: ChunkSeq,
    },
    /// The record is of another log: the one that was read was deleted, and its name used again (P1).
    #[error("the log was deleted and made anew")]
    AnotherLog,
    /// The record is older than the one before it. A reader that goes on may be told of chunks that never were.
    #[error(
        "the register went back from epoch {had} and floor {floor} to epoch {epoch} and floor {got}: restore its newest copy"
    )]
    WentBack {
        /// The epoch before.
        had: Epoch,
        /// The floor before.
        floor: ChunkSeq,
        /// The epoch now.
        epoch: Epoch,
        /// The floor now.
        got: ChunkSeq,
    },
}

/// Where a reader is in a log, and how far it may read.
#[derive(Clone, Debug)]
pub struct Reach {
    record: LogRecord,
    /// The segment under way, as the record had it when it was entered.
    segment: Option<Segment>,
    chain: Chain,
    /// How far the segment under way is known to be committed, or where it ends.
    limit: ChunkSeq,
    next: ChunkSeq,
    actions: Actions,
}

impl Reach {
    /// A reader of the log of `record` that wants `from` next.
    pub fn new(record: LogRecord, from: ChunkSeq) -> Result<Self, Unreachable> {
        above_floor(from, &record)?;
        Ok(Self {
            record,
            segment: None,
            chain: Chain::default(),
            limit: from,
            next: from,
            actions: Actions::default(),
        })
    }

    /// The record that it holds.
    #[must_use]
    pub const fn record(&self) -> &LogRecord {
        &self.record
    }

    /// The segment under way; `None` before the first was entered.
    #[must_use]
    pub const fn segment(&self) -> Option<&Segment> {
        self.segment.as_ref()
    }

    /// The seq that is wanted next.
    #[must_use]
    pub const fn next(&self) -> ChunkSeq {
        self.next
    }

    /// One past the last seq of the segment under way that may be read.
    #[must_use]
    pub const fn limit(&self) -> ChunkSeq {
        self.limit
    }

    /// The segment that owns the next seq, as the record has it; `None` where the chain does not reach that far.
    #[must_use]
    pub fn owner(&self) -> Option<&Segment> {
        self.record.segment_of(self.next)
    }

    /// Goes on in the segment that owns the next seq. Whether something may be read there by what is known already.
    pub fn enter(&mut self) -> bool {
        let Some(owner) = self.record.segment_of(self.next) else { return false };
        if self.segment.as_ref() != Some(owner) {
            if self.segment.as_ref().is_none_or(|segment| segment.id != owner.id) {
                // P6: what was heard of another segment says nothing of this one.
                (self.chain, self.limit) = (Chain::default(), self.next);
            }
            self.segment = Some(owner.clone());
        }
        match owner.end_seq() {
            Some(end) if owner.is_sealed() => self.limit = end,
            Some(boundary) => self.limit = self.limit.min(boundary),
            None => {}
        }
        self.invariants();
        self.next < self.limit
    }

    /// The log of the record that it holds, and of no newer one, is committed up to `tail`: so much of the segment that owns
    /// the next seq may be read.
    pub fn raise(&mut self, tail: ChunkSeq) {
        self.enter();
        self.hear(tail);
        self.invariants();
    }

    /// Takes the next chunk, or says why it cannot be it. Its watermark is the writer's word that everything below, in this
    /// segment, is committed.
    pub fn take(&mut self, header: &ChunkHeader) -> Result<(), String> {
        let Some(segment) = &self.segment else { return Err("a chunk came before a segment was entered".into()) };
        if (header.segment, header.seq) != (segment.id, self.next) {
            let (got, id, next) = (header.seq, segment.id, self.next);
            return Err(alloc::format!("chunk {}/{got} came where {id}/{next} was next", header.segment));
        }
        if self.next >= self.limit {
            return Err(alloc::format!(
                "chunk {}/{} lies above {}, up to where the segment may be read",
                segment.id,
                self.next,
                self.limit
            ));
        }
        self.chain.take(self.record.log, segment, header)?;
        self.next = self.next.next();
        self.actions.note(header.log, || {
            let ChunkHeader { segment, seq, digest: content, payload_crc: payload, .. } = *header;
            Step::Read { segment, seq, content, payload }
        });
        self.hear(header.watermark);
        self.invariants();
        Ok(())
    }

    /// Has every chunk taken noted from now on, for [`Self::poll_action`].
    pub fn record_actions(&mut self) {
        self.actions.record();
    }

    /// The next step noted, until none is left.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.poll()
    }

    /// Goes on with the record as it was read again. What is under way stays so until the next [`Self::enter`].
    pub fn reread(&mut self, record: LogRecord) -> Result<(), Unreachable> {
        if record.log != self.record.log {
            return Err(Unreachable::AnotherLog);
        }
        let (had, floor, epoch, got) = (self.record.epoch, self.record.floor, record.epoch, record.floor);
        if epoch < had || got < floor {
            return Err(Unreachable::WentBack { had, floor, epoch, got });
        }
        above_floor(self.next, &record)?;
        self.record = record;
        Ok(())
    }

    /// Checks what must hold between any two calls.
    ///
    /// # Panics
    /// If it does not.
    pub fn invariants(&self) {
        assert!(self.next <= self.limit, "next is {}, which may be read up to {}", self.next, self.limit);
        if let Some(segment) = &self.segment {
            let end = segment.end_seq().unwrap_or(self.limit);
            assert!(self.limit <= end, "segment {} ends at {end}, but is read up to {}", segment.id, self.limit);
            assert!(self.next >= segment.base, "{} is next in {}", self.next, segment.id);
        }
    }

    /// Everything below `committed` is, as far as the segment under way goes.
    fn hear(&mut self, committed: ChunkSeq) {
        if let Some(segment) = &self.segment {
            let committed = if planted!(ReaderPastTheWatermark) { committed.plus(2) } else { committed };
            let end = segment.end_seq().unwrap_or(committed);
            self.limit = self.limit.max(committed.min(end));
        }
    }
}

fn above_floor(seq: ChunkSeq, record: &LogRecord) -> Result<(), Unreachable> {
    if seq < record.floor { Err(Unreachable::Trimmed { seq, floor: record.floor }) } else { Ok(()) }
}
