//! What must never happen: an acknowledged chunk that is gone, a history that forks, an answer that is not true.

use crate::store::Store;
use bytes::Bytes;
use quarry_protocol::bucket::{ObjectKey, SlotName};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, SegmentId};
use quarry_protocol::message::{Answer, Reply, Request, Run, SegmentView};
use quarry_protocol::record::{LogRecord, SegmentEnd};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(crate) struct Oracle {
    /// Everything ever put, by name.
    written: BTreeMap<(SegmentId, ChunkSeq), (ChunkHeader, Bytes)>,
    /// What appends were told is committed.
    pub(crate) acknowledged: BTreeMap<ChunkSeq, Bytes>,
    /// What takeovers found to be the log.
    decided: BTreeMap<ChunkSeq, Bytes>,
    /// Where segments were sealed.
    sealed: BTreeMap<SegmentId, ChunkSeq>,
    /// What had been put when the log was deleted: nothing else may be acknowledged.
    put_before: Option<BTreeSet<(SegmentId, ChunkSeq)>>,
    /// Whether a bucket was emptied: then one copy has to be left, not an ack quorum of them.
    pub(crate) losses: bool,
}

impl Oracle {
    /// P1: a name has one content.
    pub(crate) fn put(&mut self, header: &ChunkHeader, payload: &Bytes) {
        let new = (*header, payload.clone());
        let before = self.written.insert((header.segment, header.seq), new.clone());
        assert!(before.is_none_or(|before| before == new), "two contents of one name");
    }

    /// A put counts as stored: the bucket has it, or nobody needs it, which was never true of what lies beyond its segment's end.
    pub(crate) fn stored(&self, slot: SlotName, store: &Store, record: &LogRecord) {
        if self.sealed.get(&slot.segment).is_some_and(|end| slot.seq >= *end) {
            assert!(store.chunk(slot).is_some(), "{slot} is said to be stored: it is not, and its segment ends below");
        }
        if slot.seq >= record.floor && !record.deleted {
            let held = store.chunk(slot).unwrap_or_else(|| panic!("{slot} is said to be stored"));
            assert_eq!(held, self.written[&(slot.segment, slot.seq)], "{slot} holds something else");
        }
    }

    pub(crate) fn acknowledge(&mut self, seq: ChunkSeq, segment: SegmentId, record: &LogRecord, stores: &[Store]) {
        if let Some(put_before) = &self.put_before {
            assert!(put_before.contains(&(segment, seq)), "{seq} was put after the log was deleted, and acknowledged");
            return;
        }
        let (_, payload) = &self.written[&(segment, seq)];
        let before = self.acknowledged.insert(seq, payload.clone());
        assert_eq!(before, None, "{seq} acknowledged twice");
        self.check_kept(seq, record, stores);
    }

    /// At the moment the register changes: the chain holds all that was acknowledged, each seal binds the right bytes.
    pub(crate) fn registered(&mut self, record: &LogRecord, stores: &[Store]) {
        record.check(usize::MAX).expect("a consistent record");
        if record.deleted {
            self.put_before = Some(self.written.keys().copied().collect());
            return;
        }
        self.acknowledged.keys().for_each(|seq| self.check_kept(*seq, record, stores));
        for segment in &record.segments {
            if let SegmentEnd::Sealed { at, digest } = segment.end {
                let before = self.sealed.insert(segment.id, at);
                assert!(before.is_none_or(|before| before == at), "{} is sealed twice", segment.id);
                assert_eq!(self.written[&(segment.id, at.minus(1))].0.digest, digest, "another digest");
                for seq in segment.base.0.max(record.floor.0)..at.0 {
                    self.check_held(segment.id, ChunkSeq(seq), record, stores);
                }
            }
        }
    }

    fn check_kept(&self, seq: ChunkSeq, record: &LogRecord, stores: &[Store]) {
        if seq >= record.floor {
            let segment = record.segment_of(seq).unwrap_or_else(|| panic!("acknowledged {seq} is in no segment"));
            let found = self.written.get(&(segment.id, seq));
            let found = found.unwrap_or_else(|| panic!("acknowledged {seq} was never put to {}", segment.id));
            assert_eq!(found.1, self.acknowledged[&seq], "{seq} was acknowledged with another content");
            self.check_held(segment.id, seq, record, stores);
        }
    }

    fn check_held(&self, segment: SegmentId, seq: ChunkSeq, record: &LogRecord, stores: &[Store]) {
        let slot = SlotName { log: record.log, segment, seq };
        let holders = stores.iter().filter(|store| store.chunk(slot).is_some()).count();
        let quorum = record.segment_of(seq).expect("in the chain").ack_quorum;
        let needed = if self.losses { 1 } else { usize::from(quorum) };
        assert!(holders >= needed, "{slot} is in {holders} buckets, needed in {needed}");
    }

    /// Every takeover sees the same history, longer or equally long.
    pub(crate) fn took_over(&mut self, record: &LogRecord, next_seq: ChunkSeq) {
        let from = record.segments.first().map_or(next_seq, |segment| segment.base.max(record.floor));
        for seq in (from.0..next_seq.0).map(ChunkSeq) {
            let segment = record.segment_of(seq).expect("a recovered seq is in the chain");
            let (_, payload) = &self.written[&(segment.id, seq)];
            let before = self.decided.insert(seq, payload.clone());
            assert!(before.is_none_or(|before| before == *payload), "{seq} differs from an earlier history");
        }
    }

    pub(crate) fn decided_through(&self) -> Option<ChunkSeq> {
        self.decided.last_key_value().map(|(seq, _)| *seq)
    }

    /// Only what is trimmed is deleted, and never what lies at an end: a sleeping writer could go on there.
    pub(crate) fn deleted(&self, key: &ObjectKey, record: &LogRecord) {
        let ObjectKey::Slot(slot) = key else { panic!("the identity was deleted") };
        assert!(slot.seq < record.floor || record.deleted, "{slot} was deleted, the floor is {}", record.floor);
        let end = self.sealed.get(&slot.segment);
        assert!(end.is_none_or(|end| slot.seq < *end), "{slot} was deleted, its segment ends at {end:?}");
    }

    /// An answer is true of the bucket at the moment it is given.
    pub(crate) fn answered(request: &Request, reply: &Reply, store: &Store, record: &LogRecord) {
        let runs: Vec<(SegmentId, Run)> = match (reply, request) {
            (Reply::Frozen { runs }, Request::Freeze { segment, .. }) => {
                runs.iter().map(|run| (*segment, *run)).collect()
            }
            (Reply::Fenced { segments, .. } | Reply::Inspected { segments, .. }, _) => {
                segments.iter().flat_map(|view| view.runs.iter().map(|run| (view.segment, *run))).collect()
            }
            _ => return,
        };
        if record.deleted {
            return;
        }
        for (segment, run) in runs {
            for seq in (run.from.0.max(record.floor.0)..run.to.0).map(ChunkSeq) {
                let slot = SlotName { log: record.log, segment, seq };
                match run.answer {
                    Answer::Have => assert!(store.chunk(slot).is_some(), "{slot} is said to be here"),
                    Answer::Never => assert!(store.marker(slot).is_some(), "nothing keeps {slot} empty"),
                    Answer::Trimmed => panic!("{slot} is said to be trimmed, the floor is {}", record.floor),
                    Answer::Unknown => {}
                }
            }
        }
        // A trim that came meanwhile may have taken a mark below the new floor along: the swap will see that floor.
        if let Reply::Fenced { segments, floor, .. } = reply
            && *floor == record.floor
        {
            for view in segments {
                Self::fenced(view, store, record);
            }
        }
    }

    /// A fence leaves a mark that the writer cannot pass: a window beyond the newest chunk reported, or a few more if the writer
    /// outran it.
    fn fenced(view: &SegmentView, store: &Store, record: &LogRecord) {
        let Some(segment) = record.segments.iter().find(|segment| segment.id == view.segment) else { return };
        if segment.is_sealed() {
            return;
        }
        let window = u64::from(segment.window.chunks);
        let first = view.newest.map_or(segment.base, ChunkSeq::next);
        // Measured from a floor, if the bucket holds nothing above it.
        let to = first.max(record.floor).plus(8 * window);
        let slot = |seq| SlotName { log: record.log, segment: segment.id, seq };
        let marked = (first.0..to.0).any(|seq| store.marker(slot(ChunkSeq(seq))).is_some());
        assert!(marked, "no mark of {} between {first} and {to}", segment.id);
    }
}
