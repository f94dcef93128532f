//! The bucket kind of replica: what one bucket of an object store may answer for one log, and when (DESIGN 3.3).
//!
//! A bucket is no party: it keeps objects and knows no fence. So this machine sits at the *client*, one per log and bucket, and
//! answers what a node's [`crate::replica::Replica`] answers. Writer and recovery do not know which kind they talk to.
//!
//! ```text
//!        at the client                                                              the object store
//!  Writer ───── Put ──────────┐                                               ┌───────────────────────┐
//!  Recovery ─── Fence, Freeze ┼─► Bucket ──► Perform{operation} ──► driver ──►│ identity              │
//!  Reader ───── Read ─────────┤     │  ▲                              │       │ log/segment/0   chunk │
//!  tail, trim ─ Inspect, Trim ┘     │  └───── Done{outcome} ◄─────────┘       │ log/segment/1   chunk │
//!                                   │                                         │ log/segment/2  marker │
//!     PutStored, Chunk, Reply ◄─────┘         the register's record ─► Known  └───────────────────────┘
//! ```
//! Whoever drives it (a simulator, the client) attaches it where it would connect to a node: one machine for each
//! [`crate::record::ReplicaRef`] that names a bucket, whose `disk` is in the bucket's identity object.
//! A [`crate::recovery::RecoveryEffect::Call`] becomes [`BucketEvent::Request`], a `Fetch` a read of one chunk, a `Copy` and
//! [`crate::writer::WriterEffect::Put`] become [`BucketEvent::Put`]; what comes out goes back the same way. The link to a bucket
//! is up as soon as there is a machine. Before a request the driver hands over the record it is about, as
//! [`BucketEvent::Known`]: [`crate::recovery::Recovery::record`], or the one it read or wrote itself. The machine keeps nothing
//! that has to survive: all that is durable is in the bucket, floors and tombstones in the register.
//!
//! # What an answer rests on
//! A slot is created at most once and never overwritten. So what is found in it stays true: a chunk is *have*, a marker is *never*,
//! for ever, without a fence. An empty slot proves nothing, and neither does a mark below it:
//!
//! - N = 3, Qa = 2. Bucket A lags and holds up to 10, B and C hold up to 100. The window is 6: a fence marks 16 at A, 106
//!   at B. Were A to answer *never* for 101 because that lies beyond its mark, a put of 101 that is on its way to A and C would
//!   still be stored on both: committed, while A and B said never. So a freeze marks every slot it answers *never* for.
//! - A late create of a chunk, given up long ago, may take place at any time: in an empty slot that nobody has answered for, where it
//!   is an ordinary put; or below the floor, where a trim has removed its first copy. Nobody reads below the floor and every answer
//!   about it is *trimmed*, before anyone looks; so it is garbage and no harm.
//! - A late create of a marker can only hit segments of writers whose log was claimed by a later epoch.
//!
//! The floor is only in the register. A machine whose record is old may mark a slot that was trimmed, and say *never*
//! where *trimmed* is true. That cannot cut a log: the recovery which believes it compares the whole record when it swaps, finds
//! that the floor has moved, and walks again from there (P7.5).

mod durable;
mod event;
mod freeze;
mod invariants;
mod inventory;
mod key;
mod known;
mod object;
mod operation;
mod pool;
mod put;
mod read;
mod requests;
mod slot;
mod survey;
mod sweep;
mod view;

pub use durable::Durable;
pub use event::{BucketEffect, BucketEvent, Operation, OperationNo, Outcome};
pub use key::{ObjectKey, SlotName};
pub use known::{KnownLog, KnownSegment};
pub use object::{Marker, OBJECT_VERSION, ObjectError, decode_identity, encode_identity};

use crate::ids::{ChunkSeq, DiskId, Epoch, LogId};
use crate::message::{Refusal, Reply};
use crate::replica::Ticket;
use crate::time::Micros;
use alloc::collections::VecDeque;
use alloc::string::String;
use known::Known;
use operation::Finding;
use pool::{Owner, Pool};
use requests::Requests;
use sweep::Sweeper;

/// How long the identity of a bucket is believed without another look, in microseconds. Bounds what is put into a bucket that
/// was emptied; no answer rests on it.
const IDENTITY_FRESH_US: u64 = 10_000_000;

/// What the last look at the identity object said.
#[derive(Clone, Debug)]
enum Checked {
    /// This is the bucket.
    Here,
    /// It is another one.
    Other(DiskId),
    /// It has no name, or does not tell.
    Unnamed(String),
}

/// The machine. See the module's documentation.
#[derive(Debug)]
pub struct Bucket {
    log: LogId,
    disk: DiskId,
    known: Known,
    /// The highest epoch that is known to have fenced the log: lower ones are refused. Not complete: what counts is in the slots.
    fence: Epoch,
    deleted: Epoch,
    identity: Option<(Micros, Checked)>,
    /// Whether a look at the identity object is under way that requests and puts wait for.
    looks: bool,
    /// Puts that wait for that look.
    waiting_puts: VecDeque<put::Waiting>,
    requests: Requests,
    sweeper: Sweeper,
    pool: Pool,
    effects: VecDeque<BucketEffect>,
}

impl Bucket {
    /// The machine for one log in the bucket whose identity object names `disk`.
    #[must_use]
    pub fn new(log: LogId, disk: DiskId) -> Self {
        Self {
            log,
            disk,
            known: Known::default(),
            fence: Epoch(0),
            deleted: Epoch(0),
            identity: None,
            looks: false,
            waiting_puts: VecDeque::new(),
            requests: Requests::default(),
            sweeper: Sweeper::default(),
            pool: Pool::default(),
            effects: VecDeque::new(),
        }
    }

    /// Takes what happened.
    ///
    /// # Panics
    /// If an operation ends as no such operation can, or a record contradicts an earlier one.
    pub fn handle(&mut self, now: Micros, event: BucketEvent) {
        match event {
            BucketEvent::Put { from, disk, header, payload } => self.put(now, from, disk, header, payload),
            BucketEvent::Request { from, disk, request } => self.request(now, from, disk, request),
            BucketEvent::Known(log) => self.known.learn(&log),
            BucketEvent::Done { operation, outcome } => {
                if let Some((owner, finding)) = self.pool.done(now, operation, outcome) {
                    self.found(now, owner, finding);
                }
            }
            BucketEvent::Tick => {}
        }
        self.sweep();
        self.pool.pump(now, &mut self.effects);
        self.cheap_invariants();
    }

    /// The next thing to do, until none is left.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<BucketEffect> {
        self.effects.pop_front()
    }

    /// When [`BucketEvent::Tick`] is wanted next, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Micros> {
        self.pool.wakes_at()
    }

    /// The log.
    pub const fn log(&self) -> LogId {
        self.log
    }

    /// The bucket's identity.
    pub const fn disk(&self) -> DiskId {
        self.disk
    }

    /// The floor, as far as this machine was told.
    pub const fn floor(&self) -> ChunkSeq {
        self.known.floor
    }

    /// Whether nothing waits, is under way or is being deleted: the machine may be dropped.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting_puts.is_empty() && self.requests.is_empty() && self.pool.is_idle() && !self.sweeper.is_at_work()
    }

    fn found(&mut self, now: Micros, owner: Owner, finding: Finding) {
        match owner {
            Owner::Identity => self.identity_found(now, finding),
            Owner::Put(to) => self.put_found(to, finding),
            Owner::Request(number, part, seq) => self.request_found(number, part, seq, finding),
            Owner::Closing(number) => self.close_request(now, number, finding),
            Owner::Sweep(seq) => self.sweep_found(seq, finding),
        }
    }

    /// Whether the identity was looked at lately; if not, a look is asked for.
    fn is_named(&mut self, now: Micros) -> bool {
        let fresh = |(at, checked): &(Micros, Checked)| {
            matches!(checked, Checked::Here) && now.since(*at) < IDENTITY_FRESH_US && now >= *at
        };
        if self.identity.as_ref().is_some_and(fresh) && !self.looks {
            return true;
        }
        if !self.looks {
            self.looks = true;
            self.pool.ask(Owner::Identity, operation::Question::Identity);
        }
        false
    }

    fn identity_found(&mut self, now: Micros, finding: Finding) {
        self.looks = false;
        let named = self.take_identity(now, finding);
        while let Some(put) = self.waiting_puts.pop_front() {
            match &named {
                Ok(()) => self.start_put(put),
                Err(refusal) => self.refuse(put.from, refusal.clone()),
            }
        }
        self.start_requests(&named);
    }

    /// What a look at the identity object means for whoever waits for it.
    fn take_identity(&mut self, now: Micros, finding: Finding) -> Result<(), Refusal> {
        let checked = match finding {
            Finding::Identity(Ok(disk)) if disk == self.disk => Checked::Here,
            Finding::Identity(Ok(disk)) => Checked::Other(disk),
            Finding::Identity(Err(why)) => Checked::Unnamed(why),
            Finding::Failed(why) => return Err(Refusal::DiskFailed { why: alloc::format!("identity: {why}") }),
            other => unreachable!("the identity was asked for, got {other:?}"),
        };
        self.identity = Some((now, checked.clone()));
        if !matches!(checked, Checked::Here) {
            // What was seen meanwhile may be another bucket's.
            self.known.segments.values_mut().for_each(|segment| segment.surveyed = None);
        }
        let named = self.disk;
        match checked {
            Checked::Here => Ok(()),
            Checked::Other(here) => Err(Refusal::WrongDisk { named, here }),
            Checked::Unnamed(_) => Err(Refusal::WrongDisk { named, here: DiskId::ZERO }),
        }
    }

    /// Why the bucket does not go by its name, if it does not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match &self.identity.as_ref()?.1 {
            Checked::Here => None,
            Checked::Other(disk) => Some(alloc::format!("its identity object names {disk}, not {}", self.disk)),
            Checked::Unnamed(why) => Some(why.clone()),
        }
    }

    fn refuse(&mut self, to: Ticket, refusal: Refusal) {
        self.effects.push_back(BucketEffect::Reply { to, reply: Reply::Refused(refusal) });
    }
}
