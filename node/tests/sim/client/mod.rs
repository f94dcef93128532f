//! Clients: the shipped recoveries and writers, with this simulator as their shell; and readers and trimmers.
//!
//! A client is a process that does one thing: it opens a log and writes, or reads, or trims, or deletes. It may be paused at
//! any time, and everything that happens to it meanwhile waits; and it may be killed.

mod bucket_links;
mod link;
mod links;
mod opening;
mod reading;
mod repairing;
mod telling;
mod trimming;
mod writing;

pub(crate) use links::Links;
pub(crate) use opening::{Opening, name_of};
pub(crate) use reading::Reading;
pub(crate) use repairing::{CopyName, Repairing};
pub(crate) use trimming::Trimming;
pub(crate) use writing::Writing;

use crate::buckets::Asker;
use crate::core::{ClientId, ConnId, Core, Event};
use crate::network::Frame;
use crate::register::RegisterNews;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, SegmentId};
use quarry_protocol::message::{Answer, Refusal, Reply};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::recovery::RequestNo;
use std::collections::VecDeque;

/// What a call was for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    Recovery(RequestNo),
    Fetch(RequestNo),
    Trim(RequestNo),
    Tail(RequestNo),
    Tell(RequestNo),
    Repair(RequestNo),
    RepairFetch(RequestNo),
    /// A copy that a repair makes.
    Copy(RequestNo),
    Free,
    /// A piece of a read.
    Piece,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) enum Answered {
    Reply(Reply),
    Stored,
    Chunks {
        chunks: Vec<(ChunkHeader, Bytes)>,
        answer: Answer,
    },
    /// A chunk did not verify.
    Corrupt,
}

/// What a client's links report.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Answered { ask: Ask, result: Result<Answered, String> },
    Up { disk: DiskId },
    Down { disk: DiskId, why: String },
    Stored { disk: DiskId, segment: SegmentId, seq: ChunkSeq },
    Refused { disk: DiskId, segment: SegmentId, seq: ChunkSeq, refusal: Refusal },
}

/// News that do not come over a connection.
#[derive(Debug)]
pub(crate) enum News {
    Register(RegisterNews),
    Placed { request: RequestNo, result: Result<Vec<ReplicaRef>, String> },
    Object { asker: Asker, outcome: quarry_protocol::bucket::Outcome },
}

/// Something that happens to a client.
#[derive(Debug)]
pub(crate) enum Input {
    Frame { conn: ConnId, frame: Box<Frame> },
    Closed { conn: ConnId, why: &'static str },
    News(Box<News>),
    Wake,
}

/// What it does.
#[derive(Debug)]
pub(crate) enum Role {
    Opening(Box<Opening>),
    Writing(Box<Writing>),
    Reading(Box<Reading>),
    Trimming(Box<Trimming>),
    Repairing(Box<Repairing>),
    /// It ended; whether it did what it was for.
    Over {
        done: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    /// Which of the run's logs it is about.
    pub(crate) log: usize,
    pub(crate) role: Role,
    pub(crate) links: Links,
    pub(crate) paused_until: u64,
    /// How far a reader came, and why not further.
    pub(crate) read_to: Option<ChunkSeq>,
    pub(crate) why: &'static str,
    waiting: VecDeque<Input>,
    armed: Option<u64>,
}

impl Client {
    pub(crate) fn new(core: &mut Core, id: ClientId, log: usize, role: Role) -> Self {
        let mut client = Self {
            id,
            log,
            role,
            links: Links::new(id),
            paused_until: 0,
            read_to: None,
            why: "",
            waiting: VecDeque::new(),
            armed: None,
        };
        client.go_on(core);
        client
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.role, Role::Over { .. })
    }

    pub(crate) fn is_reader(&self) -> bool {
        matches!(self.role, Role::Reading(_) | Role::Trimming(_) | Role::Repairing(_))
    }

    /// Begins nothing new.
    pub(crate) fn finish_up(&mut self) {
        match &mut self.role {
            Role::Writing(writing) => writing.left = 0,
            Role::Opening(opening) => opening.appends = opening.appends.min(1),
            _ => {}
        }
    }

    /// Something happens; while it is paused, it waits.
    pub(crate) fn take(&mut self, core: &mut Core, input: Input) {
        if self.paused_until > core.now {
            if !matches!(input, Input::Wake) {
                self.waiting.push_back(input);
            }
            return self.arm(core);
        }
        for waited in std::mem::take(&mut self.waiting) {
            self.handle(core, waited);
        }
        self.handle(core, input);
        self.go_on(core);
    }

    fn handle(&mut self, core: &mut Core, input: Input) {
        match input {
            Input::Frame { conn, frame } => {
                if core.net.conn(conn).client_open {
                    self.links.receive(core, conn, *frame);
                }
            }
            Input::Closed { conn, why } => self.links.closed(core, conn, why),
            Input::News(news) => self.hear(core, *news),
            Input::Wake => {}
        }
        self.drain(core);
    }

    fn hear(&mut self, core: &mut Core, news: News) {
        let links = &mut self.links;
        if let News::Register(news) = &news {
            news.record().into_iter().for_each(|record| links.know(record));
        }
        match (&mut self.role, news) {
            (_, News::Object { asker, outcome }) => links.performed(core, asker, outcome),
            (Role::Opening(opening), news) => opening.hear(core, links, news),
            (Role::Writing(writing), news) => writing.hear(core, links, news),
            (Role::Repairing(repairing), news) => repairing.hear(core, links, news),
            (Role::Reading(reading), News::Register(news)) => reading.hear(core, links, news),
            (Role::Trimming(trimming), News::Register(news)) => trimming.hear(core, links, news),
            _ => {}
        }
    }

    /// Hands on what the links report, and lets the role go on.
    fn drain(&mut self, core: &mut Core) {
        while let Some(outcome) = self.links.out.pop_front() {
            let Some(outcome) = self.links.take_told(core, outcome) else {
                self.change(core);
                continue;
            };
            let links = &mut self.links;
            match &mut self.role {
                Role::Opening(opening) => opening.take(core, links, outcome),
                Role::Writing(writing) => writing.take(core, links, &outcome),
                Role::Reading(reading) => reading.take(core, links, outcome),
                Role::Trimming(trimming) => trimming.take(core, links, outcome),
                Role::Repairing(repairing) => repairing.take(core, links, outcome),
                Role::Over { .. } => {}
            }
            self.change(core);
        }
    }

    /// Lets time pass for everything the client does, and sets its alarm.
    fn go_on(&mut self, core: &mut Core) {
        self.links.tick(core);
        self.links.tick_telling(core);
        let links = &mut self.links;
        match &mut self.role {
            Role::Opening(opening) => opening.tick(core, links),
            Role::Writing(writing) => writing.tick(core, links),
            Role::Reading(reading) => reading.tick(core, links),
            Role::Trimming(trimming) => trimming.tick(core, links),
            Role::Repairing(repairing) => repairing.tick(core, links),
            Role::Over { .. } => {}
        }
        self.change(core);
        self.drain(core);
        self.arm(core);
    }

    /// A role that came to its end makes place for the next one.
    fn change(&mut self, core: &mut Core) {
        let next = match &mut self.role {
            Role::Opening(opening) => opening.next_role(core, &mut self.links, self.log),
            Role::Writing(writing) => writing.is_over().then_some(Role::Over { done: true }),
            Role::Reading(reading) => reading.over.map(|done| Role::Over { done }),
            Role::Trimming(trimming) => trimming.over.map(|done| Role::Over { done }),
            Role::Repairing(repairing) => repairing.over.map(|done| Role::Over { done }),
            Role::Over { .. } => None,
        };
        if let Some(next) = next {
            if let Role::Reading(reading) = &self.role {
                (self.read_to, self.why) = (Some(reading.next()), reading.why);
            }
            self.role = next;
        }
        if self.is_over() {
            self.links.close(core);
        }
    }

    fn arm(&mut self, core: &mut Core) {
        let role = match &self.role {
            Role::Opening(opening) => opening.due(),
            Role::Writing(writing) => writing.due(),
            Role::Reading(reading) => reading.due(),
            Role::Trimming(trimming) => trimming.due(),
            Role::Repairing(repairing) => repairing.due(),
            Role::Over { .. } => return,
        };
        let paused = (self.paused_until > core.now && !self.waiting.is_empty()).then_some(self.paused_until);
        let due = role.into_iter().chain(self.links.due()).chain(paused).min();
        let Some(due) = due.map(|due| due.max(self.paused_until).max(core.now + 1)) else { return };
        if self.armed.is_none_or(|armed| armed <= core.now || due < armed) {
            self.armed = Some(due);
            core.at(due, Event::ClientWake { client: self.id });
        }
    }

    /// The process is gone.
    pub(crate) fn kill(&mut self, core: &mut Core) {
        self.role = Role::Over { done: false };
        self.links.close(core);
    }
}
