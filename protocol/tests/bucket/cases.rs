//! One machine over one bucket, by hand: every conflict and every ambiguity.

mod answers;
mod copies;
mod holes;
mod looks;
mod puts;
mod sweeps;

use crate::store::Store;
use bytes::Bytes;
use quarry_protocol::bucket::{
    Bucket, BucketEffect, BucketEvent, KnownLog, KnownSegment, Marker, ObjectKey, Operation, OperationNo, Outcome,
    SlotName,
};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::message::{Answer, Refusal, Reply, Request, Run, SegmentView};
use quarry_protocol::record::SegmentEnd;
use quarry_protocol::time::Micros;
use std::collections::VecDeque;

const DISK: DiskId = DiskId([1; 16]);
const LOG: LogId = LogId([7; 16]);
const SEGMENT: SegmentId = SegmentId { epoch: Epoch(1), index: 0 };
const WINDOW: u32 = 4;

fn slot(seq: u64) -> SlotName {
    SlotName { log: LOG, segment: SEGMENT, seq: ChunkSeq(seq) }
}

fn chunk(seq: u64, content: u8) -> (ChunkHeader, Bytes) {
    let payload = Bytes::from(vec![content; 5]);
    let payload_crc = crc32c::crc32c(&payload);
    let watermark = ChunkSeq(seq.saturating_sub(u64::from(WINDOW) - 1));
    let digest = Digest([content; 16]);
    (ChunkHeader { log: LOG, segment: SEGMENT, seq: ChunkSeq(seq), watermark, length: 5, payload_crc, digest }, payload)
}

fn run(from: u64, to: u64, answer: Answer) -> Run {
    Run { from: ChunkSeq(from), to: ChunkSeq(to), answer }
}

fn known(floor: u64, end: SegmentEnd) -> KnownLog {
    let segment = KnownSegment { id: SEGMENT, base: ChunkSeq(0), end, window_chunks: WINDOW };
    KnownLog { floor: ChunkSeq(floor), segments: vec![segment] }
}

/// What is to become of the next create in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trick {
    /// It takes place, and nobody says so.
    Unheard,
    /// It is lost, and nobody says so.
    Lost,
    /// It takes place after the rest of the test, and nobody says so.
    Late,
    /// It fails.
    Failed,
}

/// A machine and its bucket, which answers at once.
struct Driven {
    bucket: Bucket,
    store: Store,
    now: Micros,
    tricks: VecDeque<Trick>,
    late: Vec<Operation>,
    /// Every operation that was asked for.
    asked: Vec<Operation>,
    unanswered: VecDeque<(OperationNo, Operation)>,
    said: Vec<BucketEffect>,
}

impl Driven {
    fn new() -> Self {
        let mut driven = Self {
            bucket: Bucket::new(LOG, DISK),
            store: Store::new(DISK),
            now: Micros(0),
            tricks: VecDeque::new(),
            late: Vec::new(),
            asked: Vec::new(),
            unanswered: VecDeque::new(),
            said: Vec::new(),
        };
        driven.tell(BucketEvent::Known(known(0, SegmentEnd::Open)));
        driven
    }

    fn tell(&mut self, event: BucketEvent) {
        self.bucket.handle(self.now, event);
        self.bucket.invariants();
        while let Some(effect) = self.bucket.poll_effect() {
            match effect {
                BucketEffect::Perform { operation, what } => {
                    self.asked.push(what.clone());
                    self.unanswered.push_back((operation, what));
                }
                said => self.said.push(said),
            }
        }
    }

    /// Answers the oldest operation.
    fn answer(&mut self) -> bool {
        let Some((operation, what)) = self.unanswered.pop_front() else { return false };
        let creates = matches!(what, Operation::Create { .. });
        let outcome = match self.tricks.front().copied().filter(|_| creates) {
            None => self.store.perform(&what),
            Some(trick) => {
                self.tricks.pop_front();
                match trick {
                    Trick::Unheard => _ = self.store.perform(&what),
                    Trick::Late => self.late.push(what),
                    Trick::Lost | Trick::Failed => {}
                }
                let why = "timed out".to_owned();
                if trick == Trick::Failed { Outcome::Failed { why } } else { Outcome::Ambiguous { why } }
            }
        };
        self.tell(BucketEvent::Done { operation, outcome });
        true
    }

    /// Until there is nothing left to do.
    fn settle(&mut self) -> Vec<BucketEffect> {
        loop {
            while self.answer() {}
            let Some(at) = self.bucket.poll_timeout() else { break };
            self.now = self.now.max(at);
            self.tell(BucketEvent::Tick);
        }
        std::mem::take(&mut self.said)
    }

    fn put(&mut self, (header, payload): (ChunkHeader, Bytes)) -> Result<(), Refusal> {
        self.tell(BucketEvent::Put { from: 1, disk: DISK, header, payload });
        match self.settle().as_slice() {
            [BucketEffect::PutStored { to: 1, .. }] => Ok(()),
            [BucketEffect::Reply { to: 1, reply: Reply::Refused(refusal) }] => Err(refusal.clone()),
            said => panic!("{said:?}"),
        }
    }

    fn hold(&mut self, seqs: impl IntoIterator<Item = u64>) {
        for seq in seqs {
            self.put(chunk(seq, 1)).expect("stored");
        }
    }

    fn ask(&mut self, request: Request) -> Reply {
        self.tell(BucketEvent::Request { from: 2, disk: DISK, request });
        match self.settle().pop() {
            Some(BucketEffect::Reply { to: 2, reply }) => reply,
            said => panic!("{said:?}"),
        }
    }

    fn fence(&mut self, epoch: u64) -> Reply {
        self.ask(Request::Fence { log: LOG, epoch: Epoch(epoch), segments: vec![SEGMENT] })
    }

    /// The view of a fence that is not refused.
    fn fenced(&mut self, epoch: u64) -> SegmentView {
        match self.fence(epoch) {
            Reply::Fenced { fence, segments, .. } if fence == Epoch(epoch) => segments[0].clone(),
            reply => panic!("{reply:?}"),
        }
    }

    fn freeze(&mut self, epoch: u64, from: u64, to: u64) -> Reply {
        let (from, to) = (ChunkSeq(from), ChunkSeq(to));
        self.ask(Request::Freeze { log: LOG, epoch: Epoch(epoch), segment: SEGMENT, from, to })
    }

    fn mark(&mut self, seq: u64, epoch: u64) {
        let marker = Marker { slot: slot(seq), epoch: Epoch(epoch) };
        let object = Bytes::copy_from_slice(&marker.encode());
        self.store.objects.insert(ObjectKey::Slot(slot(seq)), object);
    }

    fn marks(&self) -> Vec<u64> {
        (0..10_000).filter(|seq| self.store.marker(slot(*seq)).is_some()).collect()
    }

    fn chunks(&self) -> Vec<u64> {
        (0..10_000).filter(|seq| self.store.chunk(slot(*seq)).is_some()).collect()
    }

    fn damage(&mut self, seq: u64, bytes: &'static [u8]) {
        self.store.objects.insert(ObjectKey::Slot(slot(seq)), Bytes::from_static(bytes));
    }
}
