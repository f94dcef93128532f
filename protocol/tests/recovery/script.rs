//! A recovery and a hand that answers its effects.

use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, OwnerId, SegmentId};
use quarry_protocol::message::{Answer, Reply, Request, Run, SegmentView};
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment, SegmentEnd, Version, Window};
use quarry_protocol::recovery::{
    FetchFailure, OpenMode, Purpose, Recovery, RecoveryConfig, RecoveryEffect, RecoveryError, RecoveryEvent,
    RecoveryReport, RequestNo, SwapOutcome,
};
use quarry_protocol::time::Micros;
use std::collections::{BTreeMap, VecDeque};

pub(crate) const LOG: LogId = LogId([9; 16]);
pub(crate) const MINE: OwnerId = OwnerId([1; 16]);
pub(crate) const OTHER: OwnerId = OwnerId([2; 16]);
pub(crate) const DEADLINE_US: u64 = 10_000_000;
pub(crate) const WINDOW: Window = Window { chunks: 4, bytes: 1 << 20 };

pub(crate) fn disk(number: usize) -> DiskId {
    DiskId([number as u8 + 1; 16])
}

pub(crate) fn replica(number: usize) -> ReplicaRef {
    ReplicaRef { disk: disk(number), address: format!("node{number}:7000"), zone: format!("zone{number}") }
}

pub(crate) fn id(epoch: u64, index: u32) -> SegmentId {
    SegmentId { epoch: Epoch(epoch), index }
}

pub(crate) fn segment(id: SegmentId, base: u64, end: SegmentEnd, replicas: usize, ack: usize) -> Segment {
    let replicas = (0..replicas).map(replica).collect();
    Segment { id, base: ChunkSeq(base), end, replicas, ack_quorum: ack as u8, window: WINDOW }
}

pub(crate) fn record(epoch: u64, segments: Vec<Segment>) -> LogRecord {
    let floor = segments.first().map_or(ChunkSeq(0), |segment| segment.base);
    LogRecord {
        number: quarry_protocol::ids::RecordNumber(epoch),
        epoch: Epoch(epoch),
        owner: OTHER,
        floor,
        segments,
        ..LogRecord::new("orders", LOG)
    }
}

/// One open segment of epoch 3 from seq 10 on.
pub(crate) fn open_from_10(replicas: usize, ack: usize) -> LogRecord {
    record(3, vec![segment(id(3, 0), 10, SegmentEnd::Open, replicas, ack)])
}

/// The chunks that the writer of a segment made.
pub(crate) fn written(id: SegmentId, base: u64, count: u64) -> BTreeMap<u64, (ChunkHeader, Bytes)> {
    let mut digest = Digest::start(LOG, id, ChunkSeq(base));
    let chunk = |seq: u64| {
        let payload = Bytes::from(format!("{id}/{seq}"));
        let payload_crc = crc32c::crc32c(&payload);
        digest = digest.chain(ChunkSeq(seq), payload.len() as u32, payload_crc);
        let (seq_, length) = (ChunkSeq(seq), payload.len() as u32);
        let header =
            ChunkHeader { log: LOG, segment: id, seq: seq_, watermark: ChunkSeq(base), length, payload_crc, digest };
        (seq, (header, payload))
    };
    (base..base + count).map(chunk).collect()
}

/// What one replica holds of one segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) watermark: u64,
    /// What it answers; everything else is *never*.
    pub(crate) answers: BTreeMap<u64, Answer>,
}

impl Shelf {
    pub(crate) fn with(watermark: u64, have: impl IntoIterator<Item = u64>) -> Self {
        Self { watermark, answers: have.into_iter().map(|seq| (seq, Answer::Have)).collect() }
    }

    pub(crate) fn and(mut self, seq: u64, answer: Answer) -> Self {
        self.answers.insert(seq, answer);
        self
    }

    fn newest(&self) -> Option<ChunkSeq> {
        let held = |(_, answer): &(&u64, &Answer)| matches!(answer, Answer::Have | Answer::Unknown);
        self.answers.iter().filter(held).map(|(seq, _)| ChunkSeq(*seq)).max()
    }

    pub(crate) fn view(&self, segment: SegmentId) -> SegmentView {
        SegmentView { segment, watermark: ChunkSeq(self.watermark), newest: self.newest(), runs: Vec::new() }
    }

    pub(crate) fn frozen(&self, from: ChunkSeq, to: ChunkSeq) -> Reply {
        let answer = |seq: u64| self.answers.get(&seq).copied().unwrap_or(Answer::Never);
        let run = |seq: u64| Run { from: ChunkSeq(seq), to: ChunkSeq(seq + 1), answer: answer(seq) };
        Reply::Frozen { runs: (from.0..to.0).map(run).collect() }
    }
}

/// Shelves by replica and segment.
pub(crate) type Shelves = BTreeMap<(usize, SegmentId), Shelf>;

pub(crate) fn shelves(id: SegmentId, of: impl IntoIterator<Item = (usize, Shelf)>) -> Shelves {
    of.into_iter().map(|(replica, shelf)| ((replica, id), shelf)).collect()
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) request: RequestNo,
    pub(crate) to: usize,
    pub(crate) what: Request,
}

pub(crate) struct Swap {
    pub(crate) request: RequestNo,
    pub(crate) expected: Option<Version>,
    pub(crate) record: LogRecord,
}

pub(crate) struct Script {
    pub(crate) recovery: Recovery,
    pub(crate) now: Micros,
    pub(crate) effects: VecDeque<RecoveryEffect>,
    pub(crate) outcome: Option<Result<RecoveryReport, RecoveryError>>,
}

pub(crate) fn config(purpose: Purpose, mode: OpenMode) -> RecoveryConfig {
    RecoveryConfig { name: "orders".to_owned(), mode, owner: MINE, purpose, deadline_us: DEADLINE_US }
}

pub(crate) fn write(replicas: usize, ack_quorum: usize) -> Purpose {
    Purpose::Write { replicas, ack_quorum, window: WINDOW }
}

pub(crate) fn version(number: u8) -> Version {
    Version(vec![number])
}

impl Script {
    pub(crate) fn new(config: RecoveryConfig) -> Self {
        let recovery = Recovery::new(config, Micros(0));
        let mut script = Self { recovery, now: Micros(0), effects: VecDeque::new(), outcome: None };
        script.drain();
        script
    }

    /// A takeover for three replicas of which two acknowledge, claimed at version 2, with replicas placed.
    pub(crate) fn claimed(found: LogRecord) -> Self {
        Self::claimed_for(found, write(3, 2))
    }

    pub(crate) fn claimed_for(found: LogRecord, purpose: Purpose) -> Self {
        let mut script = Self::new(config(purpose, OpenMode::MustExist));
        let epoch = found.epoch;
        script.record_is(1, found);
        let swap = script.swap();
        assert_eq!((swap.expected, swap.record.epoch, swap.record.owner), (Some(version(1)), epoch.next(), MINE));
        script.swapped(swap.request, SwapOutcome::Done(version(2)));
        script.place();
        script
    }

    pub(crate) fn handle(&mut self, event: RecoveryEvent) {
        self.recovery.handle(self.now, event);
        self.drain();
        // What is due was done: a driver that sleeps until then does sleep.
        let due = self.recovery.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now), "due at {due:?} again, handled at {:?}", self.now);
    }

    fn drain(&mut self) {
        while let Some(effect) = self.recovery.poll_effect() {
            match effect {
                RecoveryEffect::Finished(outcome) => self.outcome = Some(*outcome),
                effect => self.effects.push_back(effect),
            }
        }
    }

    /// Time passes until the machine wants to be called, at most `micros`.
    pub(crate) fn pass(&mut self, micros: u64) {
        self.now = self.now.plus(micros);
        self.handle(RecoveryEvent::Tick);
    }

    /// Until it wants to try something again.
    pub(crate) fn until_retry(&mut self) {
        let at = self.recovery.poll_timeout().expect("a retry");
        self.pass(at.since(self.now));
    }

    fn take<T>(&mut self, which: impl Fn(&RecoveryEffect) -> Option<T>) -> Option<T> {
        let at = self.effects.iter().position(|effect| which(effect).is_some())?;
        which(&self.effects.remove(at)?)
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, RecoveryEffect::ReadRecord { .. }))
    }

    /// Answers the read that is under way.
    pub(crate) fn record_is(&mut self, number: u8, record: LogRecord) {
        self.read_brings(Some((version(number), record)));
    }

    pub(crate) fn read_brings(&mut self, found: Option<(Version, LogRecord)>) {
        let request = self.take(|effect| match effect {
            RecoveryEffect::ReadRecord { request, .. } => Some(*request),
            _ => None,
        });
        let request = request.unwrap_or_else(|| panic!("no read under way: {:#?}", self.effects));
        self.handle(RecoveryEvent::RecordRead { request, result: Ok(found) });
    }

    pub(crate) fn find_swap(&mut self) -> Option<Swap> {
        self.take(|effect| match effect {
            RecoveryEffect::Swap { request, expected, record } => {
                Some(Swap { request: *request, expected: expected.clone(), record: (**record).clone() })
            }
            _ => None,
        })
    }

    pub(crate) fn swap(&mut self) -> Swap {
        self.find_swap().unwrap_or_else(|| panic!("no swap under way: {:#?}", self.recovery))
    }

    pub(crate) fn swapped(&mut self, request: RequestNo, outcome: SwapOutcome) {
        self.handle(RecoveryEvent::Swapped { request, outcome });
    }

    pub(crate) fn place(&mut self) {
        let found = self.take(|effect| match effect {
            RecoveryEffect::Place { request, replicas, .. } => Some((*request, *replicas)),
            _ => None,
        });
        if let Some((request, replicas)) = found {
            let result = Ok((0..replicas).map(replica).collect());
            self.handle(RecoveryEvent::Placed { request, result });
        }
    }

    /// Takes every call under way.
    pub(crate) fn calls(&mut self) -> Vec<Call> {
        let mut calls = Vec::new();
        while let Some(call) = self.take(|effect| match effect {
            RecoveryEffect::Call { request, to, what } => {
                Some(Call { request: *request, to: usize::from(to.disk.0[0]) - 1, what: what.clone() })
            }
            _ => None,
        }) {
            calls.push(call);
        }
        calls
    }

    pub(crate) fn reply(&mut self, call: &Call, reply: Reply) {
        self.handle(RecoveryEvent::Replied { request: call.request, result: Ok(reply) });
    }

    pub(crate) fn lost(&mut self, call: &Call) {
        let why = format!("node{} timed out", call.to);
        self.handle(RecoveryEvent::Replied { request: call.request, result: Err(why) });
    }

    /// What the replica would say, by its shelves.
    pub(crate) fn truth(call: &Call, shelves: &Shelves) -> Reply {
        let shelf = |id: &SegmentId| shelves.get(&(call.to, *id)).cloned().unwrap_or_default();
        match &call.what {
            Request::Fence { epoch, segments, .. } => Reply::Fenced {
                fence: *epoch,
                floor: ChunkSeq(0),
                segments: segments.iter().map(|id| shelf(id).view(*id)).collect(),
            },
            Request::Freeze { segment, from, to, .. } => shelf(segment).frozen(*from, *to),
            other => panic!("recovery does not ask {other:?}"),
        }
    }

    /// `answering` replicas answer everything they are asked, in order; what the others are asked is lost.
    pub(crate) fn answer(&mut self, shelves: &Shelves, answering: &[usize]) {
        for _ in 0..20 {
            let calls = self.calls();
            if calls.is_empty() {
                break;
            }
            for call in calls {
                if answering.contains(&call.to) {
                    self.reply(&call, Self::truth(&call, shelves));
                } else {
                    self.lost(&call);
                }
            }
        }
    }

    pub(crate) fn fetches(&mut self) -> Vec<(RequestNo, usize, SegmentId, ChunkSeq)> {
        let mut fetches = Vec::new();
        while let Some(fetch) = self.take(|effect| match effect {
            RecoveryEffect::Fetch { request, from, segment, seq, .. } => {
                Some((*request, usize::from(from.disk.0[0]) - 1, *segment, *seq))
            }
            _ => None,
        }) {
            fetches.push(fetch);
        }
        fetches
    }

    /// Gives every chunk that is asked for.
    pub(crate) fn give_chunks(&mut self, chunks: &BTreeMap<u64, (ChunkHeader, Bytes)>) {
        for _ in 0..50 {
            let fetches = self.fetches();
            if fetches.is_empty() {
                break;
            }
            for (request, _, _, seq) in fetches {
                let result = chunks.get(&seq.0).cloned().ok_or(FetchFailure::Answer(Answer::Unknown));
                self.handle(RecoveryEvent::Fetched { request, result });
            }
        }
    }

    pub(crate) fn copies(&mut self) -> Vec<(usize, ChunkHeader, Bytes)> {
        let mut copies = Vec::new();
        while let Some(copy) = self.take(|effect| match effect {
            RecoveryEffect::Copy { replica, header, payload, .. } => Some((*replica, *header, payload.clone())),
            _ => None,
        }) {
            copies.push(copy);
        }
        copies
    }

    /// The segment of the last attach, which is taken.
    pub(crate) fn attached(&mut self) -> Option<SegmentId> {
        let mut last = None;
        while let Some(segment) = self.take(|effect| match effect {
            RecoveryEffect::Attach { segment, .. } => Some(*segment),
            _ => None,
        }) {
            last = Some(segment);
        }
        last
    }

    pub(crate) fn up(&mut self, segment: SegmentId, replicas: &[usize]) {
        for replica in replicas {
            self.handle(RecoveryEvent::Up { replica: *replica, segment });
        }
    }

    pub(crate) fn store(&mut self, replica: usize, header: &ChunkHeader) {
        self.handle(RecoveryEvent::CopyStored { replica, segment: header.segment, seq: header.seq });
    }

    /// The takeover's report.
    pub(crate) fn report(&self) -> &RecoveryReport {
        match &self.outcome {
            Some(Ok(report)) => report,
            other => panic!("not taken over: {other:?}, {:#?}", self.recovery),
        }
    }

    pub(crate) fn error(&self) -> &RecoveryError {
        match &self.outcome {
            Some(Err(error)) => error,
            other => panic!("did not fail: {other:?}"),
        }
    }
}
