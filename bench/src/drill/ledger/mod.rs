//! What the checker knows of one log: its own record of every call and its outcome, kept apart from the system under test.
//!
//! Every method takes down one observation and says what it contradicts. Observations may come in late (a client is told,
//! and takes it down a little after), so nothing is concluded from their order in time, only from what they say.

#[cfg(test)]
mod tests;

use super::payload::{self, Sizes};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;

/// What is known of an attempt to append a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// Under way, or of a fate that nobody knows: it may be in the log.
    Open,
    /// Acknowledged at a seq.
    Acknowledged(u64),
    /// Its client was told that it is not stored and never will be.
    NeverStored,
}

/// An acknowledgement.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    attempt: u64,
    epoch: u64,
    bytes: usize,
    checksum: u64,
}

/// See the module. An error is a violation of the store's contract, in words.
#[derive(Debug)]
pub(super) struct Ledger {
    seed: u64,
    log: usize,
    sizes: Sizes,
    attempts: Vec<Attempt>,
    acknowledged: BTreeMap<u64, Acknowledged>,
    /// Which attempt readers saw at a seq.
    seen: BTreeMap<u64, u64>,
    /// Where each epoch began.
    opened: BTreeMap<u64, u64>,
    /// One past the highest seq ever acknowledged.
    acknowledged_end: u64,
    /// The highest floor that was ever asked for, and that was ever confirmed.
    floor_asked: u64,
    floor_confirmed: u64,
}

pub(super) type Checked = Result<(), String>;

impl Ledger {
    pub(super) fn new(seed: u64, log: usize, sizes: Sizes) -> Self {
        Self {
            seed,
            log,
            sizes,
            attempts: Vec::new(),
            acknowledged: BTreeMap::new(),
            seen: BTreeMap::new(),
            opened: BTreeMap::new(),
            acknowledged_end: 0,
            floor_asked: 0,
            floor_confirmed: 0,
        }
    }

    /// A payload that was never appended before, and its number.
    pub(super) fn attempt(&mut self) -> (u64, Bytes) {
        let attempt = self.attempts.len() as u64;
        self.attempts.push(Attempt::Open);
        (attempt, payload::make(self.seed, self.log, attempt, self.sizes))
    }

    /// An open succeeded.
    pub(super) fn opened(&mut self, epoch: u64, next_seq: u64) -> Checked {
        if let Some(other) = self.opened.insert(epoch, next_seq) {
            return Err(format!("epoch {epoch} was given twice, at seq {other} and at {next_seq}"));
        }
        let cut = self.acknowledged.range(next_seq..).find(|(_, acknowledged)| acknowledged.epoch < epoch);
        match cut {
            Some((seq, before)) => Err(cut_off(*seq, before.epoch, epoch, next_seq)),
            None => Ok(()),
        }
    }

    /// An append was acknowledged.
    pub(super) fn acknowledged(&mut self, attempt: u64, seq: u64, epoch: u64, payload: &Bytes) -> Checked {
        if let Some(other) = self.acknowledged.get(&seq) {
            let (other, theirs) = (other.attempt, other.epoch);
            return Err(format!(
                "seq {seq} was acknowledged twice: attempt {other} of epoch {theirs} and attempt {attempt} of epoch {epoch}"
            ));
        }
        if let Some(began) = self.opened.get(&epoch).filter(|began| seq < **began) {
            return Err(format!("epoch {epoch} began at seq {began} and was acknowledged seq {seq}"));
        }
        if let Some((later, began)) = self.opened.range(epoch + 1..).find(|(_, began)| **began <= seq) {
            return Err(cut_off(seq, epoch, *later, *began));
        }
        self.attempts[attempt as usize] = Attempt::Acknowledged(seq);
        self.acknowledged_end = self.acknowledged_end.max(seq + 1);
        let (bytes, checksum) = (payload.len(), payload::checksum(payload));
        self.acknowledged.insert(seq, Acknowledged { attempt, epoch, bytes, checksum });
        self.agrees(seq)
    }

    /// An append failed, and its chunk is not stored and never will be.
    pub(super) fn never_stored(&mut self, attempt: u64) -> Checked {
        self.attempts[attempt as usize] = Attempt::NeverStored;
        match self.seen.iter().find(|(_, seen)| **seen == attempt) {
            Some((seq, _)) => Err(format!("attempt {attempt} is never stored, it was said, and was read at seq {seq}")),
            None => Ok(()),
        }
    }

    /// A reader got a chunk.
    pub(super) fn read(&mut self, seq: u64, payload: &Bytes) -> Checked {
        let Some((log, attempt)) = payload::read(self.seed, payload) else {
            return Err(format!("seq {seq} was read as {} bytes that nobody appended", payload.len()));
        };
        let Some(state) = self.attempts.get(attempt as usize).copied().filter(|_| log == self.log) else {
            return Err(format!("seq {seq} was read as attempt {attempt} of log {log}, which nobody appended here"));
        };
        if *payload != payload::make(self.seed, self.log, attempt, self.sizes) {
            return Err(format!("seq {seq} was read as attempt {attempt} with other bytes"));
        }
        match state {
            Attempt::NeverStored => {
                return Err(format!("seq {seq} was read as attempt {attempt}, which is never stored, it was said"));
            }
            Attempt::Acknowledged(other) if other != seq => {
                return Err(format!("attempt {attempt} was acknowledged at seq {other} and read at seq {seq}"));
            }
            Attempt::Acknowledged(_) | Attempt::Open => {}
        }
        if let Some(other) = self.seen.insert(seq, attempt).filter(|other| *other != attempt) {
            return Err(format!("seq {seq} has two contents: it was read as attempt {other} and as attempt {attempt}"));
        }
        let Some(record) = self.acknowledged.get(&seq) else { return Ok(()) };
        if (record.bytes, record.checksum) != (payload.len(), payload::checksum(payload)) {
            return Err(format!(
                "seq {seq} was acknowledged with {} bytes of checksum {:016x}, and read with {} of {:016x}",
                record.bytes,
                record.checksum,
                payload.len(),
                payload::checksum(payload)
            ));
        }
        self.agrees(seq)
    }

    /// What was acknowledged at a seq and what was read there are one chunk.
    fn agrees(&self, seq: u64) -> Checked {
        match (self.acknowledged.get(&seq), self.seen.get(&seq)) {
            (Some(record), Some(seen)) if record.attempt != *seen => {
                Err(format!("seq {seq} was acknowledged as attempt {} and read as attempt {seen}", record.attempt))
            }
            _ => Ok(()),
        }
    }

    /// A trim is about to be asked for.
    pub(super) fn trim_asked(&mut self, below: u64) {
        assert!(below <= self.acknowledged_end, "the drill trims only what was acknowledged");
        self.floor_asked = self.floor_asked.max(below);
    }

    /// A trim succeeded.
    pub(super) fn trimmed(&mut self, below: u64, floor: u64) -> Checked {
        if floor < below {
            return Err(format!("a trim below {below} was answered with floor {floor}"));
        }
        self.floor_seen(floor, 0)?;
        self.floor_confirmed = self.floor_confirmed.max(floor);
        // What lies below it is nobody's to read any more.
        self.acknowledged = self.acknowledged.split_off(&self.floor_confirmed);
        self.seen = self.seen.split_off(&self.floor_confirmed);
        Ok(())
    }

    /// Somebody was told of a floor; `confirmed` is what had been confirmed before the question.
    pub(super) fn floor_seen(&self, floor: u64, confirmed: u64) -> Checked {
        if floor < confirmed {
            return Err(format!("the floor moved back: {confirmed} was confirmed, then it was {floor}"));
        }
        if floor > self.floor_asked {
            return Err(format!("the floor is {floor}, nobody asked for more than {}", self.floor_asked));
        }
        Ok(())
    }

    /// Everything that can be read was, `range`, after every fate was settled: nothing that was acknowledged or ever read may
    /// be missing.
    pub(super) fn whole(&self, range: &Range<u64>) -> Checked {
        self.floor_seen(range.start, self.floor_confirmed)?;
        // Below the floor nothing has to be there, whether the trim that raised it was confirmed or not.
        let mut missing = self.acknowledged.range(range.end.max(range.start)..);
        if let Some((seq, record)) = missing.next() {
            let (attempt, epoch, more) = (record.attempt, record.epoch, missing.count());
            return Err(format!(
                "ACKNOWLEDGED CHUNKS ARE LOST: seq {seq} (attempt {attempt} of epoch {epoch}) and {more} more; the log ends at {}",
                range.end
            ));
        }
        if let Some((seq, attempt)) = self.seen.range(range.end.max(range.start)..).next() {
            return Err(format!("seq {seq} was read as attempt {attempt}, and the log ends at {}", range.end));
        }
        match self.acknowledged.range(range.clone()).find(|(seq, _)| !self.seen.contains_key(seq)) {
            Some((seq, _)) => Err(format!("seq {seq} was acknowledged, and was never read")),
            None => Ok(()),
        }
    }

    /// One past the highest seq ever acknowledged.
    pub(super) const fn acknowledged_end(&self) -> u64 {
        self.acknowledged_end
    }

    /// The highest floor confirmed.
    pub(super) const fn floor_confirmed(&self) -> u64 {
        self.floor_confirmed
    }

    /// Whether any open succeeded yet.
    pub(super) fn exists(&self) -> bool {
        !self.opened.is_empty()
    }

    /// Appends of unknown fate.
    pub(super) fn unknown(&self) -> u64 {
        self.attempts.iter().filter(|attempt| **attempt == Attempt::Open).count() as u64
    }

    /// Makes the record wrong on purpose: a checker that does not find this finds nothing.
    pub(super) fn flip_a_checksum(&mut self) {
        let newest = self.acknowledged.values_mut().next_back();
        newest.expect("something was acknowledged").checksum ^= 1;
    }
}

fn cut_off(seq: u64, epoch: u64, later: u64, began: u64) -> String {
    format!(
        "ACKNOWLEDGED CHUNKS ARE LOST: epoch {later} began at seq {began}, epoch {epoch} was acknowledged seq {seq}"
    )
}
