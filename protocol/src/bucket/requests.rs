//! Requests: taken, answered, and closed with a last look at the bucket's identity.

use super::freeze::Freezing;
use super::inventory::Stocktaking;
use super::operation::{Finding, Question};
use super::pool::Owner;
use super::read::Reading;
use super::view::Viewing;
use super::{Bucket, BucketEffect};
use crate::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use crate::limits::{BUCKET_REQUESTS_MAX, SEGMENTS_PER_REQUEST_MAX};
use crate::message::{Refusal, Reply, Request};
use crate::replica::Ticket;
use crate::time::Micros;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

/// Names a request inside the machine.
pub(super) type RequestNo = u64;

/// The requests of a machine.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: RequestNo,
    /// Those that wait until the bucket's identity was looked at.
    waiting: VecDeque<(Ticket, Request)>,
    /// Looks at segments that are being looked at already: the next look answers all of them. The one under way may have passed a
    /// slot before what they should see was put there.
    joining: Vec<(Ticket, Vec<SegmentId>)>,
    active: BTreeMap<RequestNo, Active>,
}

impl Requests {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.joining.is_empty() && self.active.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
            + self.joining.len()
            + self.active.values().map(|active| 1 + active.also.len()).sum::<usize>()
    }

    fn is_looking_at(&self, segments: &[SegmentId]) -> bool {
        self.active.values().any(|active| matches!(&active.work, Work::View(viewing) if viewing.looks_at(segments)))
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[derive(Debug)]
struct Active {
    from: Ticket,
    /// Others who get the same answer.
    also: Vec<Ticket>,
    work: Work,
}

/// How far a request got.
#[derive(Debug)]
pub(super) enum Work {
    View(Viewing),
    Freeze(Freezing),
    Inventory(Stocktaking),
    Read(Reading),
    /// The answer is known. It is given if the bucket still goes by its name: had it been emptied before, or been replaced, what was
    /// seen and marked in it would mean nothing (P14, pitfall 33).
    Closing(Reply),
}

/// What to do with a request after something of it was found.
pub(super) enum Next {
    Wait,
    Close(Reply),
    /// The answer needs no last look: every part of it says for itself what it is.
    Answer(Reply),
}

impl Bucket {
    pub(super) fn request(&mut self, now: Micros, from: Ticket, disk: DiskId, request: Request) {
        if let Err(refusal) = self.check_disk(disk).and_then(|()| self.check_room()) {
            return self.refuse(from, refusal);
        }
        if self.is_named(now) {
            self.begin(from, request);
        } else {
            self.requests.waiting.push_back((from, request));
        }
    }

    pub(super) fn start_requests(&mut self, named: &Result<(), Refusal>) {
        for (from, request) in core::mem::take(&mut self.requests.waiting) {
            match named {
                Ok(()) => self.begin(from, request),
                Err(refusal) => self.refuse(from, refusal.clone()),
            }
        }
    }

    fn begin(&mut self, from: Ticket, request: Request) {
        if let Request::Inspect { log, segments } = &request
            && *log == self.log
            && self.requests.is_looking_at(segments)
        {
            return self.requests.joining.push((from, segments.clone()));
        }
        self.begin_for(from, Vec::new(), request);
    }

    /// Looks that waited for one that has ended.
    fn begin_joined(&mut self) {
        while let Some(at) =
            self.requests.joining.iter().position(|(_, segments)| !self.requests.is_looking_at(segments))
        {
            let (from, segments) = self.requests.joining.swap_remove(at);
            let also = self.requests.joining.extract_if(.., |(_, others)| *others == segments);
            let also: Vec<Ticket> = also.map(|(from, _)| from).collect();
            self.begin_for(from, also, Request::Inspect { log: self.log, segments });
        }
    }

    fn begin_for(&mut self, from: Ticket, also: Vec<Ticket>, request: Request) {
        self.requests.last += 1;
        let number = self.requests.last;
        let begun = match request {
            Request::Fence { log, epoch, segments } => self
                .check_log(log)
                .and_then(|()| self.check_epoch("a fence", epoch))
                .and_then(|()| self.begin_view(number, &segments, Some(epoch))),
            Request::Inspect { log, segments } => {
                self.check_log(log).and_then(|()| self.begin_view(number, &segments, None))
            }
            Request::Freeze { log, epoch, segment, from: first, to } => {
                self.check_log(log).and_then(|()| self.begin_freeze(number, epoch, segment, (first, to)))
            }
            Request::Read { log, segment, from: first, chunks_max, bytes_max } => self
                .check_log(log)
                .and_then(|()| self.begin_read(number, from, segment, first, (chunks_max, bytes_max))),
            Request::Trim { log, floor, .. } => self.check_log(log).and_then(|()| self.trim(floor)),
            Request::Delete { log, epoch } => self.check_log(log).and_then(|()| self.delete(epoch)),
            Request::Hello { .. } | Request::Members { .. } => {
                Err(Refusal::BadRequest { why: "a bucket is not asked for its node or cluster".into() })
            }
            Request::Provenance { .. } => Err(Refusal::BadRequest {
                why: "a bucket keeps no times: look at its objects with the tools of its store".into(),
            }),
            Request::Inventory { log, segment, from: first, to } => {
                self.check_log(log).and_then(|()| self.begin_inventory(number, segment, (first, to)))
            }
            // A late marker may lie in any slot of a sealed segment for ever, so copies could not fill it.
            Request::Pin { .. } | Request::Free { .. } | Request::Holdings { .. } => Err(Refusal::BadRequest {
                why: "segments in buckets are not repaired: the store keeps their objects".into(),
            }),
        };
        match begun {
            Ok((work, next)) => self.go_on(number, Active { from, also, work }, next),
            Err(refusal) => self.refuse_all(from, also, &refusal),
        }
    }

    fn refuse_all(&mut self, from: Ticket, also: Vec<Ticket>, refusal: &Refusal) {
        self.reply(from, also, &Reply::Refused(refusal.clone()));
    }

    pub(super) fn request_found(&mut self, number: RequestNo, part: usize, seq: ChunkSeq, finding: Finding) {
        // One that was refused meanwhile is not waited for.
        let Some(mut active) = self.requests.active.remove(&number) else { return };
        let next = match &mut active.work {
            Work::View(viewing) => self.view_found(number, viewing, part, seq, finding),
            Work::Freeze(freezing) => self.freeze_found(number, freezing, seq, finding),
            Work::Inventory(stock) => self.stock_found(stock, seq, finding),
            Work::Read(reading) => Ok(self.read_found(number, active.from, reading, seq, finding)),
            // A read that has its answer may have read ahead.
            Work::Closing(_) => Ok(Next::Wait),
        };
        match next {
            Ok(next) => self.go_on(number, active, next),
            Err(refusal) => self.refuse_all(active.from, active.also, &refusal),
        }
        self.begin_joined();
    }

    fn go_on(&mut self, number: RequestNo, mut active: Active, next: Next) {
        match next {
            Next::Answer(reply) => {
                return self.reply(active.from, active.also, &reply);
            }
            Next::Close(reply) => {
                active.work = Work::Closing(reply);
                self.pool.ask(Owner::Closing(number), Question::Identity);
            }
            Next::Wait => {}
        }
        self.requests.active.insert(number, active);
    }

    pub(super) fn close_request(&mut self, now: Micros, number: RequestNo, finding: Finding) {
        let named = self.take_identity(now, finding);
        let active = self.requests.active.remove(&number).expect("a request is kept until it is closed");
        let Work::Closing(reply) = active.work else { unreachable!("closed without an answer: {:?}", active.work) };
        let reply = named.map_or_else(Reply::Refused, |()| reply);
        self.reply(active.from, active.also, &reply);
    }

    fn reply(&mut self, from: Ticket, also: Vec<Ticket>, reply: &Reply) {
        for to in [from].into_iter().chain(also) {
            self.effects.push_back(BucketEffect::Reply { to, reply: reply.clone() });
        }
    }

    fn check_room(&self) -> Result<(), Refusal> {
        if self.requests.len() < BUCKET_REQUESTS_MAX {
            return Ok(());
        }
        Err(Refusal::DiskFailed {
            why: alloc::format!("{BUCKET_REQUESTS_MAX} requests wait for it, the most that may"),
        })
    }

    fn check_log(&self, log: LogId) -> Result<(), Refusal> {
        if log == self.log {
            return Ok(());
        }
        Err(Refusal::BadRequest { why: alloc::format!("a request about log {log} at the machine of log {}", self.log) })
    }

    /// A fence only rises; what is known of it here is enough to spare a question, not to answer one.
    pub(super) fn check_epoch(&self, what: &str, epoch: Epoch) -> Result<(), Refusal> {
        if epoch == Epoch(0) {
            return Err(Refusal::BadRequest { why: alloc::format!("{what} at epoch 0: epochs of writers begin at 1") });
        }
        if epoch < self.fence { Err(Refusal::Fenced { by: self.fence }) } else { Ok(()) }
    }

    pub(super) fn check_known(&self, segment: crate::ids::SegmentId) -> Result<(), Refusal> {
        if self.known.segments.contains_key(&segment) {
            return Ok(());
        }
        Err(Refusal::BadRequest { why: alloc::format!("segment {segment}: no record that names it was handed over") })
    }

    /// The register holds the floor; a bucket has nothing to make durable.
    fn trim(&mut self, floor: ChunkSeq) -> Result<(Work, Next), Refusal> {
        self.check_not_deleted()?;
        self.known.floor = self.known.floor.max(floor);
        self.sweep_trimmed();
        Ok(answered(Reply::Trimmed { floor: self.known.floor }))
    }

    /// The register holds the tombstone, and the recovery that wrote it saw to it that no writer can go on.
    fn delete(&mut self, epoch: Epoch) -> Result<(Work, Next), Refusal> {
        if self.deleted == Epoch(0) {
            self.check_epoch("a deletion", epoch)?;
            (self.deleted, self.fence) = (epoch, epoch);
            self.sweep_all();
        }
        Ok(answered(Reply::Deleted))
    }
}

fn answered(reply: Reply) -> (Work, Next) {
    (Work::Closing(reply.clone()), Next::Answer(reply))
}

pub(super) fn check_segments(count: usize) -> Result<(), Refusal> {
    if count <= SEGMENTS_PER_REQUEST_MAX {
        return Ok(());
    }
    let why = alloc::format!("{count} segments in one request, the most is {SEGMENTS_PER_REQUEST_MAX}");
    Err(Refusal::BadRequest { why })
}
