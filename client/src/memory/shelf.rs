//! A memory replica's chunks: what a node has on disk.

use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::ranges::SeqRanges;
use quarry_protocol::replica::Slot;
use std::collections::BTreeMap;

/// Payloads on their way to the machine and behind it.
#[derive(Default)]
pub(super) struct Shelf {
    slots: BTreeMap<Slot, Bytes>,
    next_slot: u32,
    logs: BTreeMap<LogId, Chunks>,
}

type Chunks = BTreeMap<(SegmentId, ChunkSeq), (ChunkHeader, Bytes)>;

impl Shelf {
    /// Takes in a payload that the machine has not judged yet.
    pub(super) fn receive(&mut self, payload: Bytes) -> Slot {
        let slot = Slot(self.next_slot);
        self.next_slot = self.next_slot.wrapping_add(1);
        let before = self.slots.insert(slot, payload);
        assert!(before.is_none(), "slot {slot:?} is in use");
        slot
    }

    /// The machine does not need a payload.
    pub(super) fn release(&mut self, slot: Slot) {
        assert!(self.slots.remove(&slot).is_some(), "slot {slot:?} is released twice");
    }

    /// Stores a chunk.
    pub(super) fn store(&mut self, header: ChunkHeader, slot: Slot) {
        let payload = self.slots.remove(&slot).expect("a stored chunk's slot is held");
        let chunks = self.logs.entry(header.log).or_default();
        chunks.insert((header.segment, header.seq), (header, payload));
    }

    pub(super) fn get(&self, log: LogId, segment: SegmentId, seq: ChunkSeq) -> Option<&(ChunkHeader, Bytes)> {
        self.logs.get(&log)?.get(&(segment, seq))
    }

    /// Forgets one chunk; the segment that held it, if any did.
    pub(super) fn lose(&mut self, log: LogId, seq: ChunkSeq) -> Option<SegmentId> {
        let chunks = self.logs.get_mut(&log)?;
        let key = *chunks.keys().rev().find(|(_, held)| *held == seq)?;
        chunks.remove(&key);
        Some(key.0)
    }

    /// Forgets a log below a floor, or all of it.
    pub(super) fn free(&mut self, log: LogId, below: Option<ChunkSeq>) {
        let Some(below) = below else {
            self.logs.remove(&log);
            return;
        };
        if let Some(chunks) = self.logs.get_mut(&log) {
            chunks.retain(|(_, seq), _| *seq >= below);
        }
    }

    /// Forgets these seqs of a segment.
    pub(super) fn free_segment(&mut self, log: LogId, segment: SegmentId, seqs: &SeqRanges) {
        if let Some(chunks) = self.logs.get_mut(&log) {
            chunks.retain(|&(of, seq), _| of != segment || !seqs.contains(seq));
        }
    }

    pub(super) fn chunks(&self) -> usize {
        self.logs.values().map(BTreeMap::len).sum()
    }
}
