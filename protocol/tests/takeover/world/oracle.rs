//! What must never happen: an acknowledged chunk that is gone, a seq with two contents, a history that forks.

use super::node::Node;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, SegmentId};
use quarry_protocol::record::{LogRecord, SegmentEnd};
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Oracle {
    /// Everything ever put, by name.
    written: BTreeMap<(SegmentId, ChunkSeq), (ChunkHeader, Bytes)>,
    /// What appends were told is committed.
    pub(crate) acknowledged: BTreeMap<ChunkSeq, Bytes>,
    /// What takeovers found to be the log.
    decided: BTreeMap<ChunkSeq, Bytes>,
    /// Whether some replica may have lost something: then one copy has to be left, not an ack quorum of them.
    pub(crate) losses: bool,
}

impl Oracle {
    /// P1: a name has one content.
    pub(crate) fn put(&mut self, header: &ChunkHeader, payload: &Bytes) {
        let before = self.written.insert((header.segment, header.seq), (*header, payload.clone()));
        if let Some(before) = before {
            assert_eq!(before, (*header, payload.clone()), "two contents of one name");
        }
    }

    pub(crate) fn acknowledge(&mut self, seq: ChunkSeq, segment: SegmentId, record: &LogRecord, nodes: &[Node]) {
        let (_, payload) = &self.written[&(segment, seq)];
        let before = self.acknowledged.insert(seq, payload.clone());
        assert_eq!(before, None, "{seq} acknowledged twice");
        self.check_kept(seq, record, nodes);
    }

    /// At the moment the register changes, and ever after: the chain holds all that was acknowledged.
    pub(crate) fn registered(&self, record: &LogRecord, nodes: &[Node]) {
        record.check(usize::MAX).expect("a consistent record");
        for seq in self.acknowledged.keys() {
            self.check_kept(*seq, record, nodes);
        }
        for segment in &record.segments {
            if let SegmentEnd::Sealed { at, digest } = segment.end {
                let (last, _) = &self.written[&(segment.id, at.minus(1))];
                assert_eq!(last.digest, digest, "segment {} is sealed with another digest", segment.id);
                for seq in segment.base.0.max(record.floor.0)..at.0 {
                    self.check_held(segment.id, ChunkSeq(seq), usize::from(segment.ack_quorum), record, nodes);
                }
            }
        }
    }

    fn check_kept(&self, seq: ChunkSeq, record: &LogRecord, nodes: &[Node]) {
        if seq < record.floor {
            return;
        }
        let payload = &self.acknowledged[&seq];
        let segment =
            record.segment_of(seq).unwrap_or_else(|| panic!("acknowledged {seq} is in no segment of {record:#?}"));
        let found = self.written.get(&(segment.id, seq));
        let found = found.unwrap_or_else(|| panic!("acknowledged {seq} was never put to its segment {}", segment.id));
        assert_eq!(&found.1, payload, "{seq} was acknowledged with another content");
        self.check_held(segment.id, seq, usize::from(segment.ack_quorum), record, nodes);
    }

    fn check_held(&self, segment: SegmentId, seq: ChunkSeq, quorum: usize, record: &LogRecord, nodes: &[Node]) {
        let replicas = &record.segment_of(seq).expect("in the chain").replicas;
        let holds = |node: &&Node| {
            let named = replicas.iter().any(|replica| replica.disk == node.at.disk);
            named && node.chunks.contains_key(&(record.log, segment, seq))
        };
        let holders = nodes.iter().filter(holds).count();
        let needed = if self.losses { 1 } else { quorum };
        assert!(holders >= needed, "{seq} of segment {segment} is on {holders} replicas, needed on {needed}");
    }

    /// Every takeover sees the same history, longer or equally long.
    pub(crate) fn took_over(&mut self, record: &LogRecord, next_seq: ChunkSeq) {
        let from = record.segments.first().map_or(next_seq, |segment| segment.base.max(record.floor));
        for seq in (from.0..next_seq.0).map(ChunkSeq) {
            let segment = record.segment_of(seq).expect("a recovered seq is in the chain");
            let (_, payload) = &self.written[&(segment.id, seq)];
            if let Some(before) = self.decided.insert(seq, payload.clone()) {
                assert_eq!(&before, payload, "{seq} differs from an earlier takeover's history");
            }
        }
    }

    pub(crate) fn decided_through(&self) -> Option<ChunkSeq> {
        self.decided.last_key_value().map(|(seq, _)| *seq)
    }
}
