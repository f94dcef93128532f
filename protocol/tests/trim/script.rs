//! A trim, a register that does what a register does, and a hand that decides what is heard of it.

use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, OwnerId, RecordNumber, SegmentId};
use quarry_protocol::message::{Refusal, Reply, Request, SegmentView};
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment, SegmentEnd, Version, Window};
use quarry_protocol::recovery::{MissingReplica, RegisterFailure, RequestNo, SwapOutcome};
use quarry_protocol::time::Micros;
use quarry_protocol::trim::{Trim, TrimConfig, TrimEffect, TrimEvent, TrimFailure};
use std::collections::VecDeque;

pub(crate) const LOG: LogId = LogId([9; 16]);
pub(crate) const DEADLINE_US: u64 = 15_000_000;

pub(crate) fn replica(number: usize) -> ReplicaRef {
    ReplicaRef {
        disk: DiskId([number as u8 + 1; 16]),
        address: format!("node{number}:7000"),
        zone: format!("zone{number}"),
    }
}

pub(crate) fn number(replica: &ReplicaRef) -> usize {
    usize::from(replica.disk.0[0]) - 1
}

pub(crate) fn id(epoch: u64) -> SegmentId {
    SegmentId { epoch: Epoch(epoch), index: 0 }
}

pub(crate) fn sealed(at: u64) -> SegmentEnd {
    SegmentEnd::Sealed { at: ChunkSeq(at), digest: Digest::default() }
}

pub(crate) fn segment(epoch: u64, base: u64, end: SegmentEnd, replicas: &[usize]) -> Segment {
    let (id, base) = (id(epoch), ChunkSeq(base));
    let replicas = replicas.iter().map(|number| replica(*number)).collect();
    Segment { id, base, end, replicas, ack_quorum: 2, window: Window { chunks: 8, bytes: 1 << 20 } }
}

/// Three segments, `0..10`, `10..20` and from 20 on. Replica 3 is needed for the middle one only.
pub(crate) fn three_segments() -> LogRecord {
    let segments = vec![
        segment(1, 0, sealed(10), &[0, 1, 2]),
        segment(2, 10, sealed(20), &[0, 1, 3]),
        segment(3, 20, SegmentEnd::Open, &[0, 1, 2]),
    ];
    LogRecord {
        number: RecordNumber(30),
        epoch: Epoch(3),
        owner: OwnerId([1; 16]),
        segments,
        ..LogRecord::new("orders", LOG)
    }
}

/// The record after a takeover at epoch 4, which sealed the open segment at 30.
pub(crate) fn taken_over(mut record: LogRecord) -> LogRecord {
    record.segments.last_mut().expect("a segment").end = sealed(30);
    record.segments.push(segment(4, 30, SegmentEnd::Open, &[1, 2, 4]));
    LogRecord { epoch: Epoch(4), owner: OwnerId([2; 16]), ..record.changed() }
}

/// What a replica does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    Good,
    /// What it is asked fails, at once.
    Away,
    /// It refuses to be told anything.
    Deleted,
    /// It confirms with an old floor.
    Forgetful,
    /// It never answers, and nobody says so.
    Silent,
}

/// A compare-and-swap that is on its way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Swap {
    pub(crate) request: RequestNo,
    pub(crate) expected: Version,
    pub(crate) record: LogRecord,
}

/// The register, as it really is.
#[derive(Debug)]
pub(crate) struct Register {
    pub(crate) record: Option<LogRecord>,
    version: u8,
    /// How many swaps of the trim took place.
    pub(crate) landed: u32,
}

impl Register {
    pub(crate) fn now(&self) -> Option<(Version, LogRecord)> {
        Some((Version(vec![self.version]), self.record.clone()?))
    }

    /// A change by somebody else.
    pub(crate) fn change(&mut self, change: impl FnOnce(LogRecord) -> LogRecord) {
        self.record = self.record.take().map(change);
        self.version += 1;
    }

    /// A swap arrives.
    pub(crate) fn land(&mut self, swap: &Swap) -> SwapOutcome {
        if self.now().map(|(version, _)| version) != Some(swap.expected.clone()) {
            return SwapOutcome::Conflict;
        }
        self.landed += 1;
        self.change(|_| swap.record.clone());
        self.record.as_ref().expect("stored").check(512).expect("a record that may be");
        SwapOutcome::Done(Version(vec![self.version]))
    }
}

pub(crate) type Outcomes = Vec<Result<ChunkSeq, TrimFailure>>;

pub(crate) struct Script {
    pub(crate) trim: Trim,
    pub(crate) now: Micros,
    effects: VecDeque<TrimEffect>,
    pub(crate) outcomes: Option<Outcomes>,
    pub(crate) over: Option<(Vec<MissingReplica>, Option<String>)>,
    pub(crate) register: Register,
    pub(crate) moods: [Mood; 5],
    /// The highest watermark each replica heard of any segment.
    pub(crate) watermarks: [u64; 5],
    /// Every trim that a replica was told: whom, the word and the floor.
    pub(crate) told: Vec<(usize, RecordNumber, ChunkSeq)>,
}

impl Script {
    /// A trim to each of `wanted`; the log is committed up to 30.
    pub(crate) fn new(record: LogRecord, wanted: &[u64]) -> Self {
        let wanted = wanted.iter().copied().map(ChunkSeq).collect();
        let config = TrimConfig { name: record.name.clone(), wanted, deadline_us: DEADLINE_US };
        let mut script = Self {
            trim: Trim::new(config, Micros(0)),
            now: Micros(0),
            effects: VecDeque::new(),
            outcomes: None,
            over: None,
            register: Register { record: Some(record), version: 1, landed: 0 },
            moods: [Mood::Good; 5],
            watermarks: [30; 5],
            told: Vec::new(),
        };
        script.drain();
        script
    }

    /// A trim that has learned the tail, its first swap on its way.
    pub(crate) fn raising(wanted: &[u64]) -> (Self, Swap) {
        let mut script = Self::new(three_segments(), wanted);
        script.read();
        script.answer();
        let swap = script.swap();
        (script, swap)
    }

    pub(crate) fn handle(&mut self, event: TrimEvent) {
        self.trim.handle(self.now, event);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(effect) = self.trim.poll_effect() {
            assert!(self.over.is_none(), "{effect:?} after the last effect");
            match effect {
                TrimEffect::Finished(outcomes) => {
                    assert!(self.outcomes.replace(outcomes).is_none(), "two outcomes");
                }
                TrimEffect::Over { untold, kept } => self.over = Some((untold, kept)),
                effect => self.effects.push_back(effect),
            }
        }
        let (due, over) = (self.trim.poll_timeout(), self.over.is_some());
        assert!(due.is_some() != over, "over: {over}, wakes at {due:?}");
    }

    pub(crate) fn pass(&mut self, micros: u64) {
        self.now = self.now.plus(micros);
        self.handle(TrimEvent::Tick);
    }

    /// Until it wants to be called.
    pub(crate) fn until_due(&mut self) {
        let at = self.trim.poll_timeout().expect("something to wait for");
        self.pass(at.since(self.now));
    }

    fn take<T>(&mut self, which: impl Fn(&TrimEffect) -> Option<T>) -> Option<T> {
        let at = self.effects.iter().position(|effect| which(effect).is_some())?;
        which(&self.effects.remove(at)?)
    }

    fn reading(&mut self) -> RequestNo {
        let read = self.take(|effect| match effect {
            TrimEffect::ReadRecord { request, name } => Some((*request, name.clone())),
            _ => None,
        });
        let (request, name) = read.unwrap_or_else(|| panic!("no read under way: {:#?}", self.trim));
        assert_eq!(name, "orders");
        request
    }

    /// The record is read as it is.
    pub(crate) fn read(&mut self) {
        let (request, result) = (self.reading(), Ok(self.register.now()));
        self.handle(TrimEvent::RecordRead { request, result });
    }

    pub(crate) fn read_fails(&mut self, why: RegisterFailure) {
        let request = self.reading();
        self.handle(TrimEvent::RecordRead { request, result: Err(why) });
    }

    /// The pause, then the read that follows it.
    pub(crate) fn read_back(&mut self) {
        self.until_due();
        self.read();
    }

    pub(crate) fn find_swap(&mut self) -> Option<Swap> {
        self.take(|effect| match effect {
            TrimEffect::Swap { request, expected, record } => {
                Some(Swap { request: *request, expected: expected.clone(), record: (**record).clone() })
            }
            _ => None,
        })
    }

    pub(crate) fn swap(&mut self) -> Swap {
        self.find_swap().unwrap_or_else(|| panic!("no swap under way: {:#?}", self.trim))
    }

    pub(crate) fn swapped(&mut self, swap: &Swap, outcome: SwapOutcome) {
        self.handle(TrimEvent::Swapped { request: swap.request, outcome });
    }

    /// The swap arrives, and the register says so.
    pub(crate) fn land(&mut self, swap: &Swap) {
        let outcome = self.register.land(swap);
        self.swapped(swap, outcome);
    }

    /// Nobody says whether the swap arrived.
    pub(crate) fn doubt(&mut self, swap: &Swap) {
        self.swapped(swap, SwapOutcome::Ambiguous("timed out".to_owned()));
    }

    pub(crate) fn calls(&mut self) -> Vec<(RequestNo, usize, Request)> {
        std::iter::from_fn(|| {
            self.take(|effect| match effect {
                TrimEffect::Call { request, to, what } => Some((*request, number(to), what.clone())),
                _ => None,
            })
        })
        .collect()
    }

    pub(crate) fn reply(&mut self, request: RequestNo, result: Result<Reply, String>) {
        self.handle(TrimEvent::Replied { request, result });
    }

    /// Every replica that is asked answers by its mood, until nobody is asked any more.
    pub(crate) fn answer(&mut self) {
        for _ in 0..20 {
            let calls = self.calls();
            if calls.is_empty() {
                break;
            }
            for (request, to, what) in calls {
                if let Some(result) = self.result(to, &what) {
                    self.reply(request, result);
                }
            }
        }
    }

    fn result(&mut self, to: usize, what: &Request) -> Option<Result<Reply, String>> {
        if let Request::Trim { log, word, floor } = what {
            assert_eq!(*log, LOG);
            let on_record = self.register.record.as_ref().expect("a record").floor;
            assert!(*floor <= on_record, "replica {to} is told {floor}, the record says {on_record}");
            self.told.push((to, *word, *floor));
        }
        let reply = match (self.moods[to], what) {
            (Mood::Silent, _) => return None,
            (Mood::Away, _) => return Some(Err(format!("node{to} is away"))),
            (_, Request::Inspect { log, segments }) => {
                assert_eq!((*log, segments.len()), (LOG, 1));
                let (watermark, runs) = (ChunkSeq(self.watermarks[to]), Vec::new());
                let view = SegmentView { segment: segments[0], watermark, newest: None, runs };
                Reply::Inspected { fence: Epoch(3), floor: ChunkSeq(0), segments: vec![view] }
            }
            (Mood::Good, Request::Trim { floor, .. }) => Reply::Trimmed { floor: *floor },
            (Mood::Forgetful, Request::Trim { floor, .. }) => Reply::Trimmed { floor: floor.minus(1) },
            (Mood::Deleted, Request::Trim { .. }) => Reply::Refused(Refusal::LogDeleted { log: LOG, at: Epoch(9) }),
            (_, other) => panic!("a trim does not ask {other:?}"),
        };
        Some(Ok(reply))
    }

    /// The one outcome.
    pub(crate) fn outcome(&self) -> Result<ChunkSeq, TrimFailure> {
        match self.outcomes.as_deref() {
            Some([outcome]) => outcome.clone(),
            other => panic!("not one outcome: {other:?}, {:#?}", self.trim),
        }
    }

    pub(crate) fn failure(&self) -> TrimFailure {
        assert!(self.over.is_some(), "a trim that failed does not go on");
        self.outcome().expect_err("it failed")
    }

    pub(crate) fn floor(&self) -> ChunkSeq {
        self.register.record.as_ref().expect("a record").floor
    }

    /// The replicas that do not know, once everything is over.
    pub(crate) fn untold(&self) -> Vec<usize> {
        let (untold, _) = self.over.as_ref().expect("over");
        untold.iter().map(|missing| number(&missing.replica)).collect()
    }
}
