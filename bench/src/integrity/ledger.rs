//! Which seqs of a log were acknowledged: the benchmark's own record, which the store is held to.

use std::ops::Range;

/// The acknowledged seqs of one log that are not trimmed. Acknowledgements come in order, so they are few ranges: a new one
/// begins only where an append failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    ranges: Vec<Range<u64>>,
}

impl Ledger {
    /// Notes an acknowledgement.
    ///
    /// # Panics
    /// If `seq` was acknowledged before, or one after it was: then acknowledgements are not in order.
    pub fn acknowledged(&mut self, seq: u64) {
        if let Some(last) = self.ranges.last_mut() {
            assert!(seq >= last.end, "seq {seq} is acknowledged after seq {}", last.end - 1);
            if seq == last.end {
                last.end += 1;
                return;
            }
        }
        self.ranges.push(seq..seq + 1);
    }

    /// Forgets everything from `end` on, and says how many that were.
    pub fn cut(&mut self, end: u64) -> u64 {
        let before = self.count();
        for range in &mut self.ranges {
            range.end = range.end.min(end).max(range.start);
        }
        self.ranges.retain(|range| !range.is_empty());
        before - self.count()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// One past the last, if there is one.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        self.ranges.last().map(|range| range.end)
    }

    /// Rising, without touching each other.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u64>] {
        &self.ranges
    }

    /// Forgets everything below `below`, and says how many that were.
    pub fn trim(&mut self, below: u64) -> u64 {
        let before = self.count();
        for range in &mut self.ranges {
            range.start = range.start.max(below).min(range.end);
        }
        self.ranges.retain(|range| !range.is_empty());
        before - self.count()
    }
}
