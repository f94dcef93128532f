//! Reading: along the chain of segments, as far as is known to be committed and no further (P15), as `client/src/reader`.

use super::opening::name_of;
use super::views::Views;
use super::{Answered, Ask, Links, Outcome};
use crate::core::Core;
use crate::register::{RegisterNews, Wanted};
use quarry_protocol::action::Step;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::READ_BYTES_MAX;
use quarry_protocol::message::{Answer, Request};
use quarry_protocol::record::{LogRecord, Segment, SegmentEnd};

/// Rounds over all replicas of a segment before a reader gives up.
const ROUNDS_MAX: usize = 6;
const PAUSE_US: u64 = 100_000;

#[derive(Debug)]
pub(crate) struct Reading {
    log: usize,
    record: Option<LogRecord>,
    record_wanted: bool,
    segment: Option<Segment>,
    views: Option<Views>,
    patient: bool,
    /// How far the segment may be read.
    limit: ChunkSeq,
    pub(crate) next: ChunkSeq,
    /// The segment's digest through the last chunk, if it was read from its base.
    digest: Option<Digest>,
    replica: usize,
    failures: usize,
    asked: bool,
    again_at: Option<u64>,
    pub(crate) over: Option<bool>,
    /// Why it gave up.
    pub(crate) why: &'static str,
}

impl Reading {
    pub(crate) fn new(core: &mut Core, log: usize) -> Self {
        Self {
            log,
            record: None,
            record_wanted: true,
            segment: None,
            views: None,
            // At the end every replica is there, and what was acknowledged is seen on an ack quorum of them.
            patient: core.healed || core.numbers.percent(50),
            limit: ChunkSeq(0),
            next: ChunkSeq(0),
            digest: None,
            replica: core.numbers.index(8),
            failures: 0,
            asked: false,
            again_at: None,
            over: None,
            why: "",
        }
    }

    pub(super) fn due(&self) -> Option<u64> {
        self.again_at
    }

    fn give_up(&mut self, why: &'static str) {
        (self.over, self.why) = (Some(false), why);
    }

    pub(super) fn tick(&mut self, core: &mut Core, links: &mut Links) {
        if std::mem::take(&mut self.record_wanted) {
            core.call_register(links.client, 0, Wanted::Read { name: name_of(self.log) });
        }
        if self.again_at.is_some_and(|at| at <= core.now) {
            self.again_at = None;
            self.go_on(core, links);
        }
    }

    pub(super) fn hear(&mut self, core: &mut Core, links: &mut Links, news: RegisterNews) {
        let RegisterNews::Read { result, .. } = news else { return };
        let Ok(found) = result else { return self.give_up("no record") };
        let Some((_, record)) = found.filter(|(_, record)| !record.deleted) else { return self.over = Some(true) };
        self.next = self.next.max(record.floor);
        self.record = Some(record);
        self.enter(core, links);
    }

    /// Goes to the segment that owns the next seq.
    fn enter(&mut self, core: &mut Core, links: &mut Links) {
        let record = self.record.as_ref().expect("it was read");
        let Some(segment) = record.segment_of(self.next).cloned() else { return self.over = Some(true) };
        self.digest = (self.next == segment.base).then(|| Digest::start(record.log, segment.id, segment.base));
        match segment.end {
            SegmentEnd::Sealed { at, .. } => self.limit = at,
            _ => self.views = Some(Views::ask(core, links, record.log, &segment, record.floor)),
        }
        self.segment = Some(segment);
        if self.views.is_none() {
            self.go_on(core, links);
        }
    }

    fn go_on(&mut self, core: &mut Core, links: &mut Links) {
        let (Some(segment), Some(record)) = (&self.segment, &self.record) else { return };
        if self.asked || self.over.is_some() {
            return;
        }
        if self.next >= self.limit {
            return if segment.is_sealed() { self.enter(core, links) } else { self.over = Some(true) };
        }
        let index = self.replica % segment.replicas.len();
        let chunks_max = (self.limit.0 - self.next.0).min(core.numbers.between(1, 16)) as u32;
        let bytes_max = READ_BYTES_MAX;
        let what = Request::Read { log: record.log, segment: segment.id, from: self.next, chunks_max, bytes_max };
        self.asked = true;
        let to = segment.replicas[index].clone();
        links.call(core, &to, what, Ask::Piece);
    }

    pub(super) fn take(&mut self, core: &mut Core, links: &mut Links, outcome: Outcome) {
        match outcome {
            Outcome::Answered { ask: Ask::View(index), result } => self.take_view(core, links, index, result),
            Outcome::Answered { ask: Ask::Piece, result } => {
                self.asked = false;
                self.take_piece(core, links, result);
            }
            _ => {}
        }
    }

    fn take_view(&mut self, core: &mut Core, links: &mut Links, index: usize, result: Result<Answered, String>) {
        let Some(views) = &mut self.views else { return };
        views.take(index, result);
        match views.tail(self.patient) {
            None => {}
            Some(Err(())) => self.give_up("too few views"),
            Some(Ok(tail)) => {
                self.views = None;
                let end = self.segment.as_ref().and_then(Segment::end_seq).unwrap_or(tail);
                self.limit = tail.min(end);
                self.go_on(core, links);
            }
        }
    }

    fn take_piece(&mut self, core: &mut Core, links: &mut Links, result: Result<Answered, String>) {
        let chunks = match result {
            Ok(Answered::Chunks { chunks, .. }) if !chunks.is_empty() => chunks,
            Ok(Answered::Chunks { answer: Answer::Trimmed, .. }) => return self.give_up("trimmed meanwhile"),
            _ => return self.try_another(core),
        };
        self.failures = 0;
        for (header, payload) in chunks {
            let name = name_of(self.log);
            if let Some(before) = self.digest {
                let continues = before.continues_with(&header);
                assert!(continues, "P1: chunk {}/{} does not continue the chain before it", header.segment, header.seq);
            }
            if let Some(segment) = &self.segment
                && let SegmentEnd::Sealed { at, digest } = segment.end
                && header.seq.next() == at
            {
                assert!(header.digest == digest, "P15: segment {} ends otherwise than it was sealed", segment.id);
            }
            self.digest = self.digest.map(|_| header.digest);
            core.effect("read chunk", [u64::from(links.client), header.segment.epoch.0, header.seq.0, 0]);
            let (segment, seq, content) = (header.segment, header.seq, header.digest);
            core.trace.note(header.log, || Step::Read { segment, seq, content });
            let record = core.register.record(&name);
            core.oracle.read(&header, &payload, record);
            self.next = header.seq.next();
        }
        self.go_on(core, links);
    }

    fn try_another(&mut self, core: &mut Core) {
        let replicas = self.segment.as_ref().map_or(1, |segment| segment.replicas.len());
        self.failures += 1;
        self.replica += 1;
        if self.failures >= ROUNDS_MAX * replicas {
            return self.give_up("no replica gives it");
        }
        let pause = if self.failures.is_multiple_of(replicas) { PAUSE_US } else { 1 };
        self.again_at = Some(core.now + pause);
    }
}
