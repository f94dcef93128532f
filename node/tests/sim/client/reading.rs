//! Reading: the shell of the shipped reach and tail search, as `client/src/reader`.

use super::{Answered, Ask, Links, Outcome};
use crate::core::Core;
use crate::register::{RegisterNews, Wanted};
use quarry_protocol::action::Step;
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::READ_BYTES_MAX;
use quarry_protocol::message::{Answer, Request};
use quarry_protocol::reach::{Reach, Unreachable};
use quarry_protocol::recovery::RequestNo;
use quarry_protocol::tail::{TailEffect, TailEvent, TailSearch};

/// Rounds over all replicas of a segment, and looks at the record, before a reader gives up.
const ROUNDS_MAX: usize = 6;
const PAUSE_US: u64 = 100_000;

#[derive(Debug)]
pub(crate) struct Reading {
    name: String,
    record_wanted: bool,
    reach: Option<Reach>,
    search: Option<TailSearch>,
    /// Where the read ends: what was known to be committed when it got there.
    until: Option<ChunkSeq>,
    replica: usize,
    failures: usize,
    asked: bool,
    again_at: Option<u64>,
    next_request: RequestNo,
    pub(crate) over: Option<bool>,
    /// Why it gave up.
    pub(crate) why: &'static str,
}

impl Reading {
    pub(crate) fn new(core: &mut Core, name: String) -> Self {
        Self {
            name,
            record_wanted: true,
            reach: None,
            search: None,
            until: None,
            replica: core.numbers.index(8),
            failures: 0,
            asked: false,
            again_at: None,
            next_request: 1,
            over: None,
            why: "",
        }
    }

    pub(super) fn due(&self) -> Option<u64> {
        let search = self.search.as_ref().and_then(TailSearch::poll_timeout).map(|due| due.0);
        self.again_at.into_iter().chain(search).min()
    }

    /// The first seq that it was not given.
    pub(crate) fn next(&self) -> ChunkSeq {
        self.reach.as_ref().map_or(ChunkSeq(0), Reach::next)
    }

    fn give_up(&mut self, why: &'static str) {
        (self.over, self.why) = (Some(false), why);
    }

    pub(super) fn tick(&mut self, core: &mut Core, links: &mut Links) {
        if std::mem::take(&mut self.record_wanted) {
            core.call_register(links.client, 0, Wanted::Read { name: self.name.clone() });
        }
        if self.again_at.is_some_and(|at| at <= core.now) {
            self.again_at = None;
            self.go_on(core, links);
        }
        if let Some(search) = &mut self.search
            && search.poll_timeout().is_some_and(|due| due.0 <= core.now)
        {
            search.handle(core.micros(), TailEvent::Tick);
            self.drive_search(core, links);
        }
    }

    pub(super) fn hear(&mut self, core: &mut Core, links: &mut Links, news: RegisterNews) {
        let RegisterNews::Read { result, .. } = news else { return };
        let Ok(found) = result else { return self.give_up("no record") };
        let Some((_, record)) = found.filter(|(_, record)| !record.deleted) else { return self.over = Some(true) };
        let Some(reach) = &mut self.reach else {
            let from = record.floor;
            self.reach = Some(Reach::new(record, from).unwrap_or_else(|why| panic!("reading from the floor: {why}")));
            return self.go_on(core, links);
        };
        match reach.reread(record) {
            Ok(()) => {
                let search = TailSearch::new(reach.record(), self.next_request);
                self.search = Some(search);
                self.drive_search(core, links);
            }
            Err(Unreachable::WentBack { .. }) => panic!("P15: the register went back under a reader"),
            Err(Unreachable::AnotherLog) => self.over = Some(true),
            Err(Unreachable::Trimmed { .. }) => self.give_up("trimmed meanwhile"),
        }
    }

    fn drive_search(&mut self, core: &mut Core, links: &mut Links) {
        while let Some(effect) = self.search.as_mut().and_then(TailSearch::poll_effect) {
            match effect {
                TailEffect::Call { request, to, what } => {
                    self.next_request = self.next_request.max(request + 1);
                    links.call(core, &to, what, Ask::Tail(request));
                }
                TailEffect::Finished(found) => {
                    self.search = None;
                    let Ok(tail) = found else { return self.fail_once(core, 1) };
                    let reach = self.reach.as_mut().expect("a search follows a record");
                    let tail = tail.max(reach.next());
                    self.until = Some(self.until.map_or(tail, |until| until.min(tail)));
                    reach.raise(tail);
                    return self.go_on(core, links);
                }
            }
        }
    }

    fn go_on(&mut self, core: &mut Core, links: &mut Links) {
        let Some(reach) = &mut self.reach else { return };
        if self.asked || self.search.is_some() || self.over.is_some() {
            return;
        }
        if self.until.is_some_and(|until| reach.next() >= until) {
            return self.over = Some(true);
        }
        if reach.next() >= reach.limit() && !reach.enter() {
            // How the log goes on behind this is on record, and with the replicas.
            self.record_wanted = true;
            return self.tick(core, links);
        }
        let segment = reach.segment().expect("it was entered");
        let left = reach.limit().0 - reach.next().0;
        let to = segment.replicas[self.replica % segment.replicas.len()].clone();
        let (chunks_max, bytes_max) = (left.min(core.numbers.between(1, 16)) as u32, READ_BYTES_MAX);
        let (log, segment, from) = (reach.record().log, segment.id, reach.next());
        self.asked = true;
        links.call(core, &to, Request::Read { log, segment, from, chunks_max, bytes_max }, Ask::Piece);
    }

    pub(super) fn take(&mut self, core: &mut Core, links: &mut Links, outcome: Outcome) {
        match outcome {
            Outcome::Answered { ask: Ask::Tail(request), result } => {
                let Some(search) = &mut self.search else { return };
                let result = result.and_then(|answered| match answered {
                    Answered::Reply(reply) => Ok(reply),
                    _ => Err("chunks".to_owned()),
                });
                search.handle(core.micros(), TailEvent::Replied { request, result });
                self.drive_search(core, links);
            }
            Outcome::Answered { ask: Ask::Piece, result } => {
                self.asked = false;
                self.take_piece(core, links, result);
            }
            _ => {}
        }
    }

    fn take_piece(&mut self, core: &mut Core, links: &mut Links, result: Result<Answered, String>) {
        let reach = self.reach.as_mut().expect("a piece was asked for");
        let chunks = match result {
            Ok(Answered::Chunks { chunks, .. }) if !chunks.is_empty() => chunks,
            Ok(Answered::Chunks { answer: Answer::Trimmed, .. }) => return self.give_up("trimmed meanwhile"),
            _ => {
                let replicas = reach.segment().map_or(1, |segment| segment.replicas.len());
                return self.fail_once(core, replicas);
            }
        };
        self.failures = 0;
        for (header, payload) in chunks {
            reach.take(&header).unwrap_or_else(|why| panic!("P1, P15: a replica gives a reader what cannot be: {why}"));
            core.effect("read chunk", [u64::from(links.client), header.segment.epoch.0, header.seq.0, 0]);
            let (segment, seq, content, crc) = (header.segment, header.seq, header.digest, header.payload_crc);
            core.trace.note(header.log, || Step::Read { segment, seq, content, payload: crc });
            let record = core.register.record(&self.name);
            core.oracle.read(&header, &payload, record);
        }
        self.go_on(core, links);
    }

    /// Tries another replica, or the record again; in the end it gives up.
    fn fail_once(&mut self, core: &mut Core, replicas: usize) {
        self.failures += 1;
        self.replica += 1;
        if self.failures >= ROUNDS_MAX * replicas {
            return self.give_up("no replica gives it");
        }
        let pause = if self.failures.is_multiple_of(replicas) { PAUSE_US } else { 1 };
        self.again_at = Some(core.now + pause);
    }
}
