//! A set of seqs as sorted, disjoint, non-adjacent half-open runs. Logs are dense, so a segment is one run
//! plus a few inside the window.

use crate::ids::ChunkSeq;
use alloc::collections::BTreeMap;

/// A set of seqs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeqRanges {
    /// Start of each run, to one past its end.
    runs: BTreeMap<u64, u64>,
}

impl SeqRanges {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { runs: BTreeMap::new() }
    }

    /// Adds every seq in `[from, to)`.
    pub fn insert(&mut self, from: ChunkSeq, to: ChunkSeq) {
        let (mut from, mut to) = (from.0, to.0);
        if from >= to {
            return;
        }
        if let Some((&start, &end)) = self.runs.range(..=from).next_back()
            && end >= from
        {
            from = start;
            to = to.max(end);
        }
        while let Some((&start, &end)) = self.runs.range(from..=to).next() {
            self.runs.remove(&start);
            to = to.max(end);
        }
        self.runs.insert(from, to);
    }

    /// Removes every seq in `[from, to)`.
    pub fn remove(&mut self, from: ChunkSeq, to: ChunkSeq) {
        let (from, to) = (from.0, to.0);
        if from >= to {
            return;
        }
        if let Some((&start, &end)) = self.runs.range(..from).next_back()
            && end > from
        {
            self.runs.insert(start, from);
            if end > to {
                self.runs.insert(to, end);
                return;
            }
        }
        while let Some((&start, &end)) = self.runs.range(from..to).next() {
            self.runs.remove(&start);
            if end > to {
                self.runs.insert(to, end);
            }
        }
    }

    /// Whether `seq` is in the set.
    pub fn contains(&self, seq: ChunkSeq) -> bool {
        self.run_at(seq).is_some()
    }

    /// The end of the run that holds `seq`, if one does.
    pub fn run_at(&self, seq: ChunkSeq) -> Option<ChunkSeq> {
        let (_, &end) = self.runs.range(..=seq.0).next_back()?;
        (end > seq.0).then_some(ChunkSeq(end))
    }

    /// The first seq in the set at or above `seq`.
    pub fn first_from(&self, seq: ChunkSeq) -> Option<ChunkSeq> {
        if self.contains(seq) {
            return Some(seq);
        }
        self.runs.range(seq.0..).next().map(|(&start, _)| ChunkSeq(start))
    }

    /// The largest seq in the set.
    pub fn last(&self) -> Option<ChunkSeq> {
        self.runs.last_key_value().map(|(_, &end)| ChunkSeq(end - 1))
    }

    /// The smallest seq in the set.
    pub fn first(&self) -> Option<ChunkSeq> {
        self.runs.first_key_value().map(|(&start, _)| ChunkSeq(start))
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// How many seqs are in the set.
    pub fn len(&self) -> u64 {
        self.runs.iter().map(|(start, end)| end - start).sum()
    }

    /// The runs `(from, to)` in order.
    pub fn iter(&self) -> impl Iterator<Item = (ChunkSeq, ChunkSeq)> + '_ {
        self.runs.iter().map(|(&start, &end)| (ChunkSeq(start), ChunkSeq(end)))
    }
}
