//! P15, rule by rule.

use super::*;
use crate::digest::Digest;
use crate::ids::{DiskId, LogId, SegmentId};
use crate::record::{ReplicaRef, SegmentEnd, Window};
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;

const LOG: LogId = LogId([4; 16]);

fn id(epoch: u64) -> SegmentId {
    SegmentId { epoch: Epoch(epoch), index: 0 }
}

/// Segments in a row, each with epoch, base and end.
struct Log {
    record: LogRecord,
    headers: BTreeMap<(SegmentId, u64), ChunkHeader>,
}

impl Log {
    fn new() -> Self {
        let record = LogRecord { number: crate::ids::RecordNumber(9), epoch: Epoch(9), ..LogRecord::new("log", LOG) };
        Self { record, headers: BTreeMap::new() }
    }

    /// Opens a segment with chunks `base..to` that carry `watermark`.
    fn segment(mut self, epoch: u64, base: u64, to: u64, watermark: u64) -> Self {
        let mut digest = Digest::start(LOG, id(epoch), ChunkSeq(base));
        for seq in base..to {
            digest = digest.chain(ChunkSeq(seq), 1, seq as u32);
            let (length, payload_crc, watermark) = (1, seq as u32, ChunkSeq(watermark));
            let header = ChunkHeader {
                log: LOG,
                segment: id(epoch),
                seq: ChunkSeq(seq),
                watermark,
                length,
                payload_crc,
                digest,
            };
            self.headers.insert((id(epoch), seq), header);
        }
        let replica = |i: u8| ReplicaRef { disk: DiskId([i; 16]), address: "a:1".to_string(), zone: i.to_string() };
        self.record.segments.push(Segment {
            id: id(epoch),
            base: ChunkSeq(base),
            end: SegmentEnd::Open,
            replicas: (1..=3).map(replica).collect(),
            ack_quorum: 2,
            window: Window { chunks: 64, bytes: 1 << 20 },
        });
        self
    }

    fn sealed(mut self, at: u64) -> Self {
        let last = self.record.segments.last_mut().expect("a segment");
        let digest = self.headers[&(last.id, at - 1)].digest;
        last.end = SegmentEnd::Sealed { at: ChunkSeq(at), digest };
        self
    }

    fn boundary(mut self, at: u64) -> Self {
        self.record.segments.last_mut().expect("a segment").end = SegmentEnd::Boundary { at: ChunkSeq(at) };
        self
    }

    fn read_from(&self, from: u64) -> Reach {
        self.record.check(512).expect("a record that may be");
        Reach::new(self.record.clone(), ChunkSeq(from)).expect("above the floor")
    }
}

impl Reach {
    /// Takes chunks of segment `epoch` for as long as it may; which.
    fn take_all(&mut self, log: &Log, epoch: u64) -> Vec<u64> {
        let mut taken = Vec::new();
        while let Some(header) = log.headers.get(&(id(epoch), self.next.0))
            && self.take(header).is_ok()
        {
            taken.push(self.next.0 - 1);
        }
        taken
    }
}

fn seqs(from: u64, to: u64) -> Vec<u64> {
    (from..to).collect()
}

#[test]
fn a_sealed_segment_is_read_to_its_end_and_no_further() {
    // Its replicas hold three chunks more, which were never committed there.
    let log = Log::new().segment(1, 0, 13, 12).sealed(10).segment(2, 10, 12, 10);
    let mut reach = log.read_from(4);
    assert!(reach.enter());
    assert_eq!(reach.limit(), ChunkSeq(10));
    assert_eq!(reach.take_all(&log, 1), seqs(4, 10));
    assert_eq!((reach.next(), reach.limit()), (ChunkSeq(10), ChunkSeq(10)), "a watermark does not pass the end");
    let error = reach.take(&log.headers[&(id(1), 10)]).expect_err("beyond the end");
    assert!(error.contains("lies above 10"), "{error}");
    assert!(!reach.enter(), "nothing was heard of the segment that follows");
    assert_eq!(reach.segment().map(|segment| segment.id), Some(id(2)));
    reach.raise(ChunkSeq(12));
    assert_eq!(reach.take_all(&log, 2), seqs(10, 12));
}

#[test]
fn an_open_segment_is_read_to_the_highest_watermark_heard() {
    let log = Log::new().segment(1, 0, 8, 5);
    let mut reach = log.read_from(0);
    assert!(!reach.enter());
    assert_eq!(reach.take_all(&log, 1), [] as [u64; 0], "nothing is known to be committed");
    reach.raise(ChunkSeq(2));
    reach.raise(ChunkSeq(1));
    assert_eq!(reach.limit(), ChunkSeq(2), "what was known stays known");
    assert_eq!(reach.take_all(&log, 1), seqs(0, 5), "the first chunk's watermark says more");
}

/// Pitfall 20d: a watermark is of one segment. The second one's chunk 13 is not committed; the first one's was.
#[test]
fn a_watermark_never_lets_a_reader_pass_into_another_segment() {
    let stale = Log::new().segment(1, 0, 14, 14);
    let mut reach = stale.read_from(0);
    reach.raise(ChunkSeq(1));
    assert_eq!(reach.take_all(&stale, 1), seqs(0, 14));
    reach = stale.read_from(0);
    reach.raise(ChunkSeq(1));
    reach.take(&stale.headers[&(id(1), 0)]).expect("the first chunk");
    assert_eq!(reach.limit(), ChunkSeq(14));

    let now = Log::new().segment(1, 0, 14, 14).sealed(10).segment(2, 10, 16, 10);
    reach.reread(now.record.clone()).expect("the same log");
    assert!(reach.enter());
    assert_eq!(reach.limit(), ChunkSeq(10), "sealed shorter than the watermark it believed");
    assert_eq!(reach.take_all(&now, 1), seqs(1, 10));
    assert!(!reach.enter());
    assert_eq!(reach.take_all(&now, 2), [] as [u64; 0]);
}

/// The other way round: it had read on before it heard. What it took is committed, and the same in the next segment.
#[test]
fn a_reader_beyond_a_seal_goes_on_in_the_middle_of_the_next_segment() {
    let stale = Log::new().segment(1, 0, 14, 14);
    let mut reach = stale.read_from(0);
    reach.raise(ChunkSeq(14));
    assert_eq!(reach.take_all(&stale, 1), seqs(0, 14));
    let now = Log::new().segment(1, 0, 14, 14).sealed(10).segment(2, 10, 18, 10);
    reach.reread(now.record.clone()).expect("the same log");
    reach.raise(ChunkSeq(17));
    assert_eq!(reach.segment().map(|segment| segment.id), Some(id(2)));
    assert_eq!(reach.take_all(&now, 2), seqs(14, 17));
}

/// It had heard of more than it took: in the next segment that counts for nothing.
#[test]
fn a_reader_beyond_a_seal_knows_nothing_of_the_next_segment() {
    let stale = Log::new().segment(1, 0, 14, 11);
    let mut reach = stale.read_from(0);
    reach.raise(ChunkSeq(11));
    assert_eq!(reach.take_all(&stale, 1), seqs(0, 11));
    reach.raise(ChunkSeq(14));
    let now = Log::new().segment(1, 0, 14, 11).sealed(10).segment(2, 10, 18, 10);
    reach.reread(now.record.clone()).expect("the same log");
    assert!(!reach.enter());
    assert_eq!((reach.next(), reach.limit()), (ChunkSeq(11), ChunkSeq(11)));
    assert_eq!(reach.take_all(&now, 2), [] as [u64; 0]);
}

/// What is on its way when the record is read again is taken as it was asked for.
#[test]
fn chunks_under_way_are_of_the_segment_as_it_was_entered() {
    let stale = Log::new().segment(1, 0, 14, 14);
    let mut reach = stale.read_from(5);
    reach.raise(ChunkSeq(14));
    let now = Log::new().segment(1, 0, 14, 14).sealed(10).segment(2, 10, 16, 10);
    reach.reread(now.record.clone()).expect("the same log");
    assert_eq!(reach.take_all(&stale, 1), seqs(5, 14));
}

#[test]
fn a_boundary_is_not_passed_before_everything_below_is_committed() {
    let log = Log::new().segment(1, 0, 10, 8).boundary(10).segment(2, 10, 14, 12);
    let mut reach = log.read_from(0);
    reach.raise(ChunkSeq(3));
    assert_eq!(reach.take_all(&log, 1), seqs(0, 8), "planned is not sealed: only as far as is heard");
    assert!(!reach.enter());
    // The log is committed into the second segment: so the first one is to its end.
    reach.raise(ChunkSeq(12));
    assert_eq!(reach.limit(), ChunkSeq(10));
    assert_eq!(reach.take_all(&log, 1), seqs(8, 10));
    assert!(!reach.enter(), "that the first is committed says nothing of the second");
    reach.raise(ChunkSeq(12));
    assert_eq!(reach.take_all(&log, 2), seqs(10, 12));
}

/// A boundary is planned for the segment that is being read: what was heard of it stays true.
#[test]
fn a_new_boundary_keeps_what_was_heard_of_the_segment() {
    let before = Log::new().segment(1, 0, 10, 8);
    let mut reach = before.read_from(0);
    reach.raise(ChunkSeq(8));
    let after = Log::new().segment(1, 0, 10, 8).boundary(6).segment(2, 6, 7, 6);
    reach.reread(after.record.clone()).expect("the same log");
    assert!(reach.enter());
    assert_eq!(reach.limit(), ChunkSeq(6));
    assert_eq!(reach.take_all(&after, 1), seqs(0, 6));
}

#[test]
fn a_chunk_that_is_not_the_next_one_is_refused() {
    let log = Log::new().segment(1, 0, 10, 0).sealed(10).segment(2, 10, 14, 0);
    let mut reach = log.read_from(0);
    assert!(reach.take(&log.headers[&(id(1), 0)]).is_err(), "no segment was entered");
    reach.enter();
    assert!(reach.take(&log.headers[&(id(1), 1)]).expect_err("not the next").contains("1.0/0 was next"));
    assert!(reach.take(&log.headers[&(id(2), 10)]).expect_err("another segment").contains("2.0/10"));
    let mut other = log.headers[&(id(1), 0)];
    other.segment = id(2);
    assert!(reach.take(&other).expect_err("the same seq of another segment").contains("2.0/0"));
    other = log.headers[&(id(1), 0)];
    other.payload_crc += 1;
    assert!(reach.take(&other).expect_err("another history").contains("digests"));
    assert_eq!(reach.next(), ChunkSeq(0), "what is refused does not count");
    reach.take(&log.headers[&(id(1), 0)]).expect("the next one");
}

#[test]
fn what_is_trimmed_is_not_read() {
    let mut log = Log::new().segment(1, 0, 10, 10);
    log.record.floor = ChunkSeq(4);
    let below = Unreachable::Trimmed { seq: ChunkSeq(3), floor: ChunkSeq(4) };
    assert_eq!(Reach::new(log.record.clone(), ChunkSeq(3)).err(), Some(below));
    let mut reach = log.read_from(4);
    log.record.floor = ChunkSeq(5);
    let below = Unreachable::Trimmed { seq: ChunkSeq(4), floor: ChunkSeq(5) };
    assert_eq!(reach.reread(log.record.clone()), Err(below));
}

/// What is newer than the record may be a chunk that never was in the record's segment.
#[test]
fn a_record_of_another_log_or_an_older_one_is_refused() {
    let log = Log::new().segment(1, 0, 10, 10);
    let mut reach = log.read_from(6);
    let other = LogRecord { log: LogId([5; 16]), ..log.record.clone() };
    assert_eq!(reach.reread(other), Err(Unreachable::AnotherLog));
    reach.reread(LogRecord { epoch: Epoch(11), floor: ChunkSeq(2), ..log.record.clone() }).expect("a newer record");
    for (epoch, floor) in [(10, 2), (11, 1)] {
        let older = LogRecord { epoch: Epoch(epoch), floor: ChunkSeq(floor), ..log.record.clone() };
        let (had, got) = (Epoch(11), ChunkSeq(floor));
        let error = Unreachable::WentBack { had, floor: ChunkSeq(2), epoch: Epoch(epoch), got };
        assert_eq!(reach.reread(older), Err(error));
    }
}

#[test]
fn where_the_chain_ends_nothing_may_be_read() {
    let log = Log::new().segment(1, 0, 10, 10).sealed(10);
    let mut reach = log.read_from(10);
    assert!(reach.owner().is_none() && !reach.enter());
    reach.raise(ChunkSeq(10));
    assert!(reach.segment().is_none() && reach.take(&log.headers[&(id(1), 9)]).is_err());
    let empty = LogRecord::new("log", LOG);
    assert!(!Reach::new(empty, ChunkSeq(0)).expect("the floor is 0").enter());
}
