//! What clients were told: nothing acknowledged is lost, a name has one content, there is one history.

use super::{LogBook, Named, Oracle};
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, LogId, RecordNumber, SegmentId};
use quarry_protocol::record::{LogRecord, Segment, SegmentEnd};
use quarry_protocol::recovery::{RecoveryError, RecoveryReport};

impl Oracle {
    /// A chunk is handed to a connection. P1: a name has one content.
    pub(crate) fn put(&mut self, header: &ChunkHeader, payload: &Bytes) {
        let book = self.log(header.log);
        let watermark = book.watermarks.entry(header.segment).or_default();
        *watermark = header.watermark.max(*watermark);
        let named = book.names.entry((header.segment, header.seq)).or_insert_with(|| Named {
            header: *header,
            payload: payload.clone(),
            stored: Vec::new(),
        });
        let same = named.header == *header && named.payload == *payload;
        assert!(same, "P1: two contents of one name: {:?} and {header:?}", named.header);
    }

    /// A writer hands a chunk to a connection. P5, P11: only into a segment that the register holds, and not beyond its boundary.
    pub(crate) fn put_by_writer(&mut self, header: &ChunkHeader) {
        let end = self.log(header.log).registered.get(&header.segment);
        let end = end.unwrap_or_else(|| panic!("P5: {}/{} is put, nothing registered it", header.segment, header.seq));
        assert!(end.is_none_or(|end| header.seq < end), "P11: {}/{} beyond {end:?}", header.segment, header.seq);
    }

    /// An append was acknowledged. `record` is what the register holds now under the log's name.
    pub(crate) fn acknowledged(&mut self, log: LogId, segment: SegmentId, seq: ChunkSeq, record: Option<&LogRecord>) {
        self.counts.acknowledged += 1;
        let book = self.log(log);
        let next = book.next_ack.insert(segment, seq.next());
        assert!(next.is_none_or(|next| next == seq), "P2: {segment}/{seq} was acknowledged when {next:?} was next");
        let named = book.names.get(&(segment, seq)).unwrap_or_else(|| panic!("{segment}/{seq} was never put"));
        let (payload, holders) = (named.payload.clone(), named.holders());
        if let Some(owner) = record.filter(|record| record.log == log).and_then(|record| find(record, segment)) {
            let needed = usize::from(owner.ack_quorum);
            assert!(
                holders >= needed,
                "P2: {segment}/{seq} was acknowledged on {holders} replicas, {needed} are needed"
            );
        }
        book.remember(seq, &payload, "acknowledged");
        if let Some(record) = record.filter(|record| record.log == log && !record.deleted) {
            book.check_kept(seq, record);
        }
    }

    /// A reader was given a chunk, which makes it part of the history.
    pub(crate) fn read(&mut self, header: &ChunkHeader, payload: &Bytes, record: Option<&LogRecord>) {
        self.counts.read += 1;
        let book = self.log(header.log);
        let named = book.names.get(&(header.segment, header.seq));
        let same = named.is_some_and(|named| named.header == *header && named.payload == *payload);
        assert!(same, "a reader was given {}/{} with other bytes than were put", header.segment, header.seq);
        let owner = record.filter(|record| record.log == header.log).and_then(|record| find(record, header.segment));
        if let Some(owner) = owner.filter(|owner| !owner.is_sealed()) {
            let holders = named.map_or(0, Named::holders);
            let needed = usize::from(owner.ack_quorum);
            assert!(
                holders >= needed,
                "P15: a reader was given {}/{}, which is on {holders}",
                header.segment,
                header.seq
            );
        }
        book.remember(header.seq, payload, "read");
        if let Some(record) = record.filter(|record| record.log == header.log && !record.deleted) {
            book.check_kept(header.seq, record);
        }
    }

    /// The register changes: the chain holds all that was acknowledged, and goes nowhere but forward.
    pub(crate) fn registered(&mut self, before: Option<&LogRecord>, record: &LogRecord) {
        let number = before.map_or(RecordNumber(0), |before| before.number).next();
        assert!(record.number == number, "P13: a change makes record {} of {number}", record.number);
        if let Some(before) = before.filter(|before| before.log == record.log) {
            let forward =
                record.epoch >= before.epoch && record.floor >= before.floor && record.deleted >= before.deleted;
            assert!(forward, "the record moved back: {before:?} to {record:?}");
            let claimed = record.owner == before.owner || record.epoch > before.epoch;
            assert!(claimed, "P7: {} took the log over from {} at the same epoch", record.owner, before.owner);
            self.check_floor(before, record);
            for was in before.segments.iter().filter(|was| !was.is_sealed()) {
                let now = find(record, was.id).filter(|now| !now.is_sealed());
                let same = now.is_none_or(|now| now.replicas == was.replicas);
                assert!(same, "P16: the replicas of {}, which is not sealed, change: {was:?}, {now:?}", was.id);
            }
            for was in before.segments.iter().filter(|was| was.is_sealed()) {
                let now = find(record, was.id).map(|now| now.end);
                assert!(now.is_none_or(|now| now == was.end), "segment {} was sealed again: {was:?}, {now:?}", was.id);
            }
        }
        let book = self.log(record.log);
        for segment in &record.segments {
            let end = book.registered.entry(segment.id).or_default();
            if let SegmentEnd::Boundary { at } = segment.end {
                assert!(
                    end.is_none_or(|end| end == at),
                    "P11: the boundary of {} moved from {end:?} to {at}",
                    segment.id
                );
                *end = Some(at);
            }
        }
        book.deleted |= record.deleted;
        book.floor = book.floor.max(record.floor);
        if record.deleted {
            return;
        }
        for seq in book.history.range(record.floor..).map(|(seq, _)| *seq) {
            book.check_kept(seq, record);
        }
        for segment in &record.segments {
            book.check_seal(segment, record.floor);
        }
    }

    /// P12: a floor never exceeds the committed tail.
    fn check_floor(&mut self, before: &LogRecord, record: &LogRecord) {
        let book = self.logs.entry(record.log).or_default();
        for seq in (before.floor.0..record.floor.0).map(ChunkSeq) {
            let owner = before.segment_of(seq).unwrap_or_else(|| panic!("P12: floor {} above the chain", record.floor));
            let holders = book.names.get(&(owner.id, seq)).map_or(0, Named::holders);
            let committed = owner.is_sealed() || holders >= usize::from(owner.ack_quorum);
            assert!(committed, "P12: floor {} exceeds the tail: {}/{seq} is on {holders}", record.floor, owner.id);
        }
    }

    /// A takeover ended in a writer. `current` is what the register holds now: somebody else may have taken over since.
    pub(crate) fn took_over(&mut self, report: &RecoveryReport, current: Option<&LogRecord>) {
        self.counts.takeovers += 1;
        let (record, next) = (&report.record, report.next_seq);
        let book = self.log(record.log);
        assert!(next >= record.floor, "a takeover ends at {next}, below the floor {}", record.floor);
        if current.is_some_and(|current| current.log == record.log && current.epoch == record.epoch) {
            if let Some((last, _)) = book.history.last_key_value() {
                assert!(next > *last, "a takeover ends at {next}, but {last} was acknowledged");
            }
            assert!(next >= book.tail, "a takeover ends at {next}, an earlier one ended at {}", book.tail);
        }
        let Some(segment) = &report.segment else { return };
        for seq in (segment.base.max(record.floor).0..next.0).map(ChunkSeq) {
            book.check_held(segment, seq);
        }
        book.tail = book.tail.max(next);
        // What a takeover found is the history: it is committed.
        let from = record.segments.first().map_or(next, |first| first.base.max(record.floor));
        for seq in (from.0..next.0).map(ChunkSeq) {
            let owner = record.segment_of(seq).unwrap_or_else(|| panic!("recovered seq {seq} is in no segment"));
            let named = book.names.get(&(owner.id, seq)).unwrap_or_else(|| panic!("{}/{seq} was never put", owner.id));
            let payload = named.payload.clone();
            book.remember(seq, &payload, "settled");
        }
    }
}

impl Oracle {
    /// P9: an append that was said never to be stored was handed to nobody.
    pub(crate) fn never_stored(&mut self, log: LogId, segment: SegmentId, seq: Option<ChunkSeq>) {
        let handed = seq.is_some_and(|seq| self.log(log).names.contains_key(&(segment, seq)));
        assert!(!handed, "P9: append {segment}/{seq:?} was said never to be stored, and was handed to a connection");
    }

    /// P12: a floor that a trim confirmed is on record, or a higher one.
    #[allow(clippy::unused_self, reason = "it is the oracle's to judge")]
    pub(crate) fn trim_finished(&self, log: LogId, raised: ChunkSeq, floor: ChunkSeq) {
        assert!(floor >= raised, "P12: floor {raised} of log {log} was confirmed, on record is {floor}");
    }

    /// A takeover failed: nothing that it says may contradict what cannot be.
    #[allow(clippy::unused_self, reason = "it is the oracle's to judge")]
    pub(crate) fn refused(&self, why: &RecoveryError) {
        let impossible = matches!(
            why,
            RecoveryError::RegisterBehind { .. }
                | RecoveryError::Broken { .. }
                | RecoveryError::RecordUnusable { .. }
                | RecoveryError::Config { .. }
                | RecoveryError::Record(_)
        );
        assert!(!impossible, "a takeover failed for a reason that cannot be: {why}");
    }
}

fn find(record: &LogRecord, segment: SegmentId) -> Option<&Segment> {
    record.segments.iter().find(|owner| owner.id == segment)
}

impl LogBook {
    fn remember(&mut self, seq: ChunkSeq, payload: &Bytes, how: &str) {
        let known = self.history.entry(seq).or_insert_with(|| payload.clone());
        assert!(known == payload, "the history splits: {seq} was {how} with another content than before");
    }

    /// The chain names a segment for `seq` in which the acknowledged content was put.
    fn check_kept(&self, seq: ChunkSeq, record: &LogRecord) {
        if seq < record.floor {
            return;
        }
        let Some(owner) = record.segment_of(seq) else {
            panic!("acknowledged {seq} is in no segment of {record:#?}");
        };
        let found = self.names.get(&(owner.id, seq));
        let found = found.unwrap_or_else(|| panic!("acknowledged {seq} is not in its segment {}", owner.id));
        assert!(
            found.payload == self.history[&seq],
            "{seq} was acknowledged with another content than {} has",
            owner.id
        );
    }

    fn check_seal(&self, segment: &Segment, floor: ChunkSeq) {
        let SegmentEnd::Sealed { at, digest } = segment.end else { return };
        if at > segment.base {
            let last = &self.names[&(segment.id, at.minus(1))].header;
            assert!(
                last.digest == digest,
                "segment {} is sealed with another digest than its last chunk's",
                segment.id
            );
        }
        for seq in (segment.base.max(floor).0..at.0).map(ChunkSeq) {
            self.check_held(segment, seq);
        }
    }

    /// A sealed prefix, and what a takeover copied, is on an ack quorum.
    fn check_held(&self, segment: &Segment, seq: ChunkSeq) {
        let named = self.names.get(&(segment.id, seq)).unwrap_or_else(|| panic!("{}/{seq} was never put", segment.id));
        let holders = segment.replicas.iter().filter(|replica| named.is_stored_on(replica.disk)).count();
        let needed = usize::from(segment.ack_quorum);
        assert!(holders >= needed, "{}/{seq} is on {holders} replicas, {needed} are needed", segment.id);
    }
}
