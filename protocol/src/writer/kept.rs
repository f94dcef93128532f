//! The chunks a writer keeps: those not committed yet, and the committed ones that a replica still lacks.

use super::config::Carried;
use super::event::AppendToken;
use crate::chunk::ChunkHeader;
use crate::ids::ChunkSeq;
use crate::planted;
use crate::quorum::ReplicaSet;
use crate::time::Micros;
use alloc::collections::VecDeque;
use bytes::Bytes;

/// One chunk.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) header: ChunkHeader,
    pub(super) payload: Bytes,
    /// Whose append it is; `None` for what recovery copied.
    pub(super) token: Option<AppendToken>,
    /// Who has stored it.
    pub(super) stored: ReplicaSet,
    /// Whether any connection was ever given it (P9).
    pub(super) handed: bool,
    /// When it was appended.
    pub(super) since: Micros,
}

/// Dense from `first()`: committed ones, then those in flight.
#[derive(Clone, Debug)]
pub(super) struct KeptChunks {
    entries: VecDeque<Kept>,
    /// Seq of the front entry, or of the next one to come.
    first: ChunkSeq,
    /// One past the last committed seq.
    committed: ChunkSeq,
    /// Payload bytes of committed entries.
    committed_bytes: u64,
    /// Payload bytes of the others.
    in_flight_bytes: u64,
}

impl KeptChunks {
    pub(super) fn new(next: ChunkSeq, carried: impl IntoIterator<Item = Carried>, now: Micros) -> Self {
        let entries: VecDeque<Kept> = carried
            .into_iter()
            .map(|Carried { header, payload, stored }| Kept {
                header,
                payload,
                token: None,
                stored,
                handed: true,
                since: now,
            })
            .collect();
        let committed_bytes = entries.iter().map(|kept| u64::from(kept.header.length)).sum();
        let first = next.minus(entries.len() as u64);
        for (i, kept) in entries.iter().enumerate() {
            assert!(
                kept.header.seq == first.plus(i as u64),
                "carried chunk {} at place of {first} + {i}",
                kept.header.seq
            );
        }
        Self { entries, first, committed: next, committed_bytes, in_flight_bytes: 0 }
    }

    pub(super) const fn first(&self) -> ChunkSeq {
        self.first
    }

    pub(super) const fn committed(&self) -> ChunkSeq {
        self.committed
    }

    pub(super) fn next(&self) -> ChunkSeq {
        self.first.plus(self.entries.len() as u64)
    }

    /// Chunks and bytes not committed.
    pub(super) fn in_flight(&self) -> (u64, u64) {
        (self.next().0 - self.committed.0, self.in_flight_bytes)
    }

    /// Committed chunks and bytes kept for stragglers.
    pub(super) const fn behind(&self) -> (u64, u64) {
        (self.committed.0 - self.first.0, self.committed_bytes)
    }

    pub(super) fn push(&mut self, kept: Kept) {
        assert!(kept.header.seq == self.next(), "chunk {} pushed where {} is next", kept.header.seq, self.next());
        self.in_flight_bytes += u64::from(kept.header.length);
        self.entries.push_back(kept);
    }

    pub(super) fn get_mut(&mut self, seq: ChunkSeq) -> Option<&mut Kept> {
        let at = seq.0.checked_sub(self.first.0)?;
        self.entries.get_mut(usize::try_from(at).ok()?)
    }

    pub(super) fn get(&self, seq: ChunkSeq) -> Option<&Kept> {
        let at = seq.0.checked_sub(self.first.0)?;
        self.entries.get(usize::try_from(at).ok()?)
    }

    /// The oldest chunk that is not committed.
    pub(super) fn oldest_in_flight(&self) -> Option<&Kept> {
        self.entries.get((self.committed.0 - self.first.0) as usize)
    }

    /// The oldest chunk of all.
    pub(super) fn front(&self) -> Option<&Kept> {
        self.entries.front()
    }

    /// The first chunk kept that `replica` has not stored, or the next one to come.
    pub(super) fn first_lacking(&self, replica: usize) -> ChunkSeq {
        let stored = self.entries.iter().take_while(|kept| kept.stored.contains(replica)).count();
        self.first.plus(stored as u64)
    }

    /// Commits the oldest chunk in flight if `ack` replicas have stored it.
    pub(super) fn commit_next(&mut self, ack: usize) -> Option<(ChunkSeq, Option<AppendToken>)> {
        let kept = self.oldest_in_flight()?;
        let ack = if planted!(CommitBelowQuorum) { (ack - 1).max(1) } else { ack };
        let covered = planted!(CommitOutOfOrder) && self.entries.iter().any(|later| later.stored.count() >= ack);
        if kept.stored.count() < ack && !covered {
            return None;
        }
        let (seq, token, length) = (kept.header.seq, kept.token, u64::from(kept.header.length));
        self.committed = seq.next();
        self.in_flight_bytes -= length;
        self.committed_bytes += length;
        Some((seq, token))
    }

    /// Forgets the oldest chunk, which is committed.
    pub(super) fn pop_committed(&mut self) {
        assert!(
            self.first < self.committed,
            "forgetting chunk {}, committed is only what lies below {}",
            self.first,
            self.committed
        );
        let kept = self.entries.pop_front().expect("a committed chunk is kept");
        self.committed_bytes -= u64::from(kept.header.length);
        self.first = self.first.next();
    }

    /// Takes every chunk in flight out, and forgets all.
    pub(super) fn drain_in_flight(&mut self) -> impl Iterator<Item = Kept> {
        let mut entries = core::mem::take(&mut self.entries);
        let in_flight = entries.split_off((self.committed.0 - self.first.0) as usize);
        self.first = self.committed;
        (self.committed_bytes, self.in_flight_bytes) = (0, 0);
        in_flight.into_iter()
    }

    /// The committed chunks.
    pub(super) fn into_committed(mut self) -> alloc::vec::Vec<Carried> {
        self.entries.truncate((self.committed.0 - self.first.0) as usize);
        self.entries
            .into_iter()
            .map(|Kept { header, payload, stored, .. }| Carried { header, payload, stored })
            .collect()
    }
}
