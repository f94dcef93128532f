//! A rotating writer between a register of one record and replicas that do as they are told.

use bytes::Bytes;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, OwnerId, RecordNumber, SegmentId};
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment, SegmentEnd, Version, Window};
use quarry_protocol::recovery::{RequestNo, SwapOutcome};
use quarry_protocol::rotation::{
    RotatingWriter, RotationConfig, RotationEffect, RotationEvent, RotationPolicy, SegmentShape,
};
use quarry_protocol::time::Micros;
use quarry_protocol::writer::WriterEvent;

pub(crate) const LOG: LogId = LogId([9; 16]);
pub(crate) const MINE: OwnerId = OwnerId([1; 16]);
pub(crate) const FIRST: SegmentId = SegmentId { epoch: Epoch(4), index: 0 };
pub(crate) const SECOND: SegmentId = SegmentId { epoch: Epoch(4), index: 1 };
pub(crate) const PATIENCE_US: u64 = 2_000_000;

pub(crate) fn replica(number: u8) -> ReplicaRef {
    ReplicaRef { disk: DiskId([number + 1; 16]), address: format!("node{number}:7000"), zone: format!("zone{number}") }
}

pub(crate) fn version(record: &LogRecord) -> Version {
    Version(record.number.0.to_le_bytes().to_vec())
}

/// A swap that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Swap {
    pub(crate) request: RequestNo,
    pub(crate) expected: Version,
    pub(crate) record: LogRecord,
}

pub(crate) struct Script {
    pub(crate) writer: RotatingWriter,
    pub(crate) now: Micros,
    pub(crate) register: LogRecord,
    pub(crate) puts: Vec<(SegmentId, usize, u64)>,
    pub(crate) committed: Vec<u64>,
    pub(crate) failed: Vec<Option<u64>>,
    pub(crate) stopped: u32,
    pub(crate) attached: Vec<SegmentId>,
    /// Everything that is not counted above, in order.
    pub(crate) others: Vec<RotationEffect>,
    next_token: u64,
}

impl Script {
    /// Writes from seq 100 on, on replicas 0 to 2, two of which commit. All are connected.
    pub(crate) fn new(segment_bytes: u64) -> Self {
        Self::in_segment(FIRST, segment_bytes)
    }

    /// The same in a segment of another name.
    pub(crate) fn in_segment(id: SegmentId, segment_bytes: u64) -> Self {
        let base = ChunkSeq(100);
        let window = Window { chunks: 8, bytes: 1000 };
        let replicas = (0..3).map(replica).collect();
        let segment = Segment { id, base, end: SegmentEnd::Open, replicas, ack_quorum: 2, window };
        let record = LogRecord {
            number: RecordNumber(20),
            epoch: FIRST.epoch,
            owner: MINE,
            floor: base,
            segments: vec![segment],
            ..LogRecord::new("orders", LOG)
        };
        let config = RotationConfig {
            name: record.name.clone(),
            owner: MINE,
            version: version(&record),
            next_seq: base,
            digest: Digest::start(LOG, id, base),
            carried: vec![],
            shape: SegmentShape { replicas: 3, ack_quorum: 2, window },
            deadline_us: 30_000_000,
            straggler_chunks_max: 64,
            straggler_bytes_max: 1 << 20,
            policy: RotationPolicy { segment_bytes, segment_age_us: u64::MAX / 2, replica_patience_us: PATIENCE_US },
            record: record.clone(),
        };
        let mut script = Self {
            writer: RotatingWriter::new(config, Micros(0)),
            now: Micros(0),
            register: record,
            puts: vec![],
            committed: vec![],
            failed: vec![],
            stopped: 0,
            attached: vec![],
            others: vec![],
            next_token: 0,
        };
        script.collect();
        (0..3).for_each(|replica| script.link(id, WriterEvent::Up { replica }));
        script
    }

    pub(crate) fn handle(&mut self, event: RotationEvent) {
        self.writer.handle(self.now, event);
        self.collect();
    }

    pub(crate) fn link(&mut self, segment: SegmentId, event: WriterEvent) {
        self.handle(RotationEvent::Link { segment, event });
    }

    /// Appends as many chunks of ten bytes; all must fit.
    pub(crate) fn append(&mut self, count: u64) {
        for _ in 0..count {
            assert!(self.writer.would_fit(10), "chunk {} does not fit", self.writer.next_seq());
            self.force_append();
        }
    }

    pub(crate) fn force_append(&mut self) {
        let payload = Bytes::from_static(b"ten bytes!");
        let payload_crc = crc32c::crc32c(&payload);
        self.next_token += 1;
        self.handle(RotationEvent::Append { token: self.next_token, payload, payload_crc });
    }

    /// These replicas store a chunk.
    pub(crate) fn store(&mut self, segment: SegmentId, seq: u64, replicas: &[usize]) {
        for replica in replicas {
            self.link(segment, WriterEvent::Stored { replica: *replica, seq: ChunkSeq(seq) });
        }
    }

    /// All three replicas store a run of chunks.
    pub(crate) fn store_all(&mut self, segment: SegmentId, seqs: core::ops::Range<u64>) {
        seqs.for_each(|seq| self.store(segment, seq, &[0, 1, 2]));
    }

    /// Lets time pass, looking at the machine whenever it wants that.
    pub(crate) fn pass(&mut self, us: u64) {
        let until = self.now.plus(us);
        for _ in 0..10_000 {
            let Some(due) = self.writer.poll_timeout().filter(|due| *due <= until) else { break };
            self.now = self.now.max(due);
            let before = self.writer.poll_timeout();
            self.handle(RotationEvent::Tick);
            assert!(self.writer.poll_timeout() != before || self.now < until, "a tick at {due:?} changes nothing");
        }
        self.now = until;
        self.handle(RotationEvent::Tick);
    }

    /// The placement that was asked for, answered with `replicas`.
    pub(crate) fn place(&mut self, answer: Result<Vec<ReplicaRef>, String>) -> (Vec<ReplicaRef>, Vec<DiskId>) {
        let at = self.others.iter().position(|effect| matches!(effect, RotationEffect::Place { .. }));
        let effect = self.others.remove(at.expect("a placement was asked for"));
        let RotationEffect::Place { request, replicas, keep, avoid, .. } = effect else { unreachable!() };
        assert_eq!(replicas, 3);
        self.handle(RotationEvent::Placed { request, result: answer });
        (keep, avoid)
    }

    pub(crate) fn find_swap(&mut self) -> Option<Swap> {
        let at = self.others.iter().position(|effect| matches!(effect, RotationEffect::Swap { .. }))?;
        let RotationEffect::Swap { request, expected, record } = self.others.remove(at) else { unreachable!() };
        assert_eq!(expected, version(&self.register), "a change compares the record as read");
        assert_eq!(record.number, self.register.number.next());
        Some(Swap { request, expected, record: *record })
    }

    pub(crate) fn swap(&mut self) -> Swap {
        self.find_swap().expect("a change was asked for")
    }

    /// The register makes a change, whoever hears of it.
    pub(crate) fn apply(&mut self, swap: &Swap) {
        assert_eq!(swap.expected, version(&self.register), "it compares another version");
        self.register = swap.record.clone();
    }

    pub(crate) fn say(&mut self, swap: &Swap, outcome: SwapOutcome) {
        self.handle(RotationEvent::Swapped { request: swap.request, outcome });
    }

    /// The register makes a change and says so.
    pub(crate) fn land(&mut self) -> Swap {
        let swap = self.swap();
        self.apply(&swap);
        self.say(&swap, SwapOutcome::Done(version(&swap.record)));
        swap
    }

    /// The look at the record that is wanted next, answered as it is.
    pub(crate) fn read(&mut self) {
        self.pass(1_100_000);
        let at = self.others.iter().position(|effect| matches!(effect, RotationEffect::ReadRecord { .. }));
        let effect = self.others.remove(at.expect("the record is looked at"));
        let RotationEffect::ReadRecord { request, .. } = effect else { unreachable!() };
        let result = Ok(Some((version(&self.register), self.register.clone())));
        self.handle(RotationEvent::RecordRead { request, result });
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.others.iter().all(|effect| {
            !matches!(
                effect,
                RotationEffect::Place { .. } | RotationEffect::Swap { .. } | RotationEffect::ReadRecord { .. }
            )
        })
    }

    fn collect(&mut self) {
        while let Some(effect) = self.writer.poll_effect() {
            match effect {
                RotationEffect::Put { segment, replica, header, .. } => {
                    assert_eq!(header.segment, segment);
                    let known = self.committed.last().map_or(100, |seq| seq + 1);
                    assert!(header.watermark.0 <= known, "watermark {} above {known}", header.watermark);
                    self.puts.push((segment, replica, header.seq.0));
                }
                RotationEffect::Committed { seq, .. } => {
                    assert_eq!(seq.0, 100 + self.committed.len() as u64, "P2: commits come in order");
                    assert_eq!(self.stopped, 0);
                    self.committed.push(seq.0);
                }
                RotationEffect::Failed { seq, .. } => self.failed.push(seq.map(|seq| seq.0)),
                RotationEffect::Stopped { .. } => self.stopped += 1,
                RotationEffect::Attach { segment, .. } => self.attached.push(segment),
                RotationEffect::Detach { segment } => self.attached.retain(|known| *known != segment),
                other => self.others.push(other),
            }
        }
    }

    /// In which segment a chunk was put.
    pub(crate) fn home(&self, seq: u64) -> SegmentId {
        let homes: Vec<_> = self.puts.iter().filter(|put| put.2 == seq).map(|put| put.0).collect();
        assert!(!homes.is_empty() && homes.iter().all(|home| *home == homes[0]), "P1: chunk {seq} is put to {homes:?}");
        homes[0]
    }
}

/// The first three replicas.
pub(crate) fn same() -> Vec<ReplicaRef> {
    (0..3).map(replica).collect()
}
