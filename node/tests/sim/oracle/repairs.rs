//! Copies that repair makes and frees (P13, P16).

use super::Oracle;
use crate::client::CopyName;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::message::{Answer, Run};
use quarry_protocol::record::{LogRecord, Segment};
use std::collections::BTreeSet;

impl Oracle {
    /// A repair hands a copy to a connection: what the writer put, and only of a segment that has ended (P1, P16). `record` is
    /// what the register holds now.
    pub(crate) fn put_by_repair(&mut self, header: &ChunkHeader, payload: &Bytes, record: Option<&LogRecord>) {
        let named = self.log(header.log).names.get(&(header.segment, header.seq));
        let same = named.is_some_and(|named| named.header == *header && named.payload == *payload);
        assert!(same, "P1: a repair makes another chunk of {header:?}");
        let segments = record.filter(|record| record.log == header.log).map(|record| &record.segments);
        let segment = segments.and_then(|segments| segments.iter().find(|known| known.id == header.segment));
        assert!(segment.is_none_or(Segment::is_sealed), "P1: a repair copies into {segment:?}");
    }

    /// Every copy of a log that a disk ever said to hold.
    pub(crate) fn copies_of(&self, log: LogId) -> Vec<CopyName> {
        let names = self.logs.get(&log).into_iter().flat_map(|book| &book.names);
        let copies =
            names.flat_map(|((segment, _), named)| named.disks().iter().map(move |disk| (log, *segment, *disk)));
        copies.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A client asks a shard to free a segment, by whatever record it read.
    pub(crate) fn free_asked(&mut self, log: LogId, segment: SegmentId, names: &[DiskId]) {
        self.log(log).freeing.extend(names.iter().map(|disk| (segment, *disk)));
    }

    /// A shard says that it freed a segment. P13: the record that is in the register does not name it.
    pub(crate) fn freed(&mut self, log: LogId, segment: SegmentId, names: &[DiskId], record: Option<&LogRecord>) {
        self.counts.freed += 1;
        let on_record = record.and_then(|record| record.segments.iter().find(|known| known.id == segment));
        let holder = on_record.is_some_and(|known| known.replicas.iter().any(|holder| names.contains(&holder.disk)));
        assert!(!holder, "P13: {names:?} freed {segment}, and the record names one of them: {on_record:?}");
        let book = self.log(log);
        book.names.range_mut((segment, ChunkSeq(0))..=(segment, ChunkSeq(u64::MAX))).for_each(|(_, n)| n.forget(names));
    }

    /// What a disk says that it holds. That it never had the rest is no promise, and a freed copy is no lie.
    pub(crate) fn inventoried(&mut self, disk: DiskId, log: LogId, segment: SegmentId, runs: &[Run]) {
        for run in runs.iter().filter(|run| run.answer == Answer::Have) {
            (run.from.0..run.to.0).for_each(|seq| self.holds(disk, log, (segment, ChunkSeq(seq))));
        }
    }

    pub(crate) fn may_be_freed(&self, log: LogId, segment: SegmentId, disk: DiskId) -> bool {
        self.logs.get(&log).is_some_and(|book| book.freeing.contains(&(segment, disk)))
    }
}
