//! The replica: what one zone's copy of some logs may answer, and when.
//!
//! ```text
//!   Put, Request ──> put / control / answers ──> Store{order}  ──> the driver's disk
//!                          │                                            │
//!                          └── Reply, PutStored <── confirm <── Stored{through}
//! ```
//! Two states are kept per log: what the replica was *told* (which decides what it refuses, at once) and what is
//! *durable* (which decides what it answers). Only `confirm` moves the second one, in the order of the store
//! effects (D4). So an answer never runs ahead of the disk, and a refusal never lags behind a fence (P3, P4).
//!
//! Payload bytes never come here: a [`Slot`] stands for them. Every put gives its slot either to one
//! [`ReplicaEffect::Store`] or to one [`ReplicaEffect::Release`].

mod answers;
mod confirm;
mod control;
mod durable;
mod event;
mod in_order;
mod invariants;
mod log;
mod notes;
mod put;
mod sealed;
mod state;
#[cfg(test)]
mod tests;

pub use durable::Durable;
pub use event::{Identity, ReplicaEffect, ReplicaEvent, RestoredLog, RestoredSegment, Slot, Ticket, ToStore};
pub use state::{LogState, SegmentState};

use crate::action::Actions;
use crate::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use crate::message::{Answer, Refusal, Reply, Request};
use crate::planted;
use crate::snapshot::{LogRecord, LossRecord};
use crate::time::Micros;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use in_order::InOrder;
use log::{Absent, Log};

/// The machine. See the module's documentation.
#[derive(Debug)]
pub struct Replica {
    identity: Identity,
    now: Micros,
    logs: BTreeMap<LogId, Log>,
    /// The order of the last store effect.
    ordered: u64,
    /// Every store effect through this order is durable.
    stored: u64,
    /// What the store effects after `stored` will have changed, in order.
    in_flight: VecDeque<InFlight>,
    /// Answers that wait until an order is durable.
    waiting: InOrder<u64, Waiting>,
    full: Option<(u64, u64)>,
    failed: Option<String>,
    effects: VecDeque<ReplicaEffect>,
    actions: Actions,
}

/// What one store effect will have changed once it is durable.
#[derive(Clone, Copy, Debug)]
enum InFlight {
    Chunk { log: LogId, segment: SegmentId, seq: ChunkSeq },
    Record(LogRecord),
    Loss,
}

/// The name of a chunk.
#[derive(Clone, Copy, Debug)]
struct Key {
    log: LogId,
    segment: SegmentId,
    seq: ChunkSeq,
}

/// An answer that waits for an order to become durable.
#[derive(Clone, Debug)]
enum Waiting {
    Put { to: Ticket, key: Key, copy: bool },
    PutBelowFloor { to: Ticket, key: Key, copy: bool },
    Fence { to: Ticket, log: LogId, epoch: Epoch, segments: Vec<SegmentId>, absent: Absent },
    Trim { to: Ticket, log: LogId },
    Delete { to: Ticket },
    Pin { to: Ticket, word: RecordNumber },
    Free { to: Ticket, log: LogId, segment: SegmentId, word: RecordNumber },
}

impl Replica {
    /// A replica that goes by `identity` and holds what a replay found; `logs` may name a log more than once.
    pub fn new(identity: Identity, logs: impl IntoIterator<Item = RestoredLog>) -> Self {
        let mut replica = Self {
            identity,
            now: Micros(0),
            logs: BTreeMap::new(),
            ordered: 0,
            stored: 0,
            in_flight: VecDeque::new(),
            waiting: InOrder::default(),
            full: None,
            failed: None,
            effects: VecDeque::new(),
            actions: Actions::default(),
        };
        for restored in logs {
            let log = restored.record.log;
            replica.logs.entry(log).or_insert_with(|| Log::new(log)).restore(restored);
        }
        replica.invariants();
        replica
    }

    /// Takes one event in. Time plays no part in what a replica may answer; it only tells for how long it stored nothing.
    pub fn handle(&mut self, now: Micros, event: ReplicaEvent) {
        self.now = self.now.max(now);
        match event {
            ReplicaEvent::Put { from, disk, header, slot, copy } => self.put(from, disk, &header, (slot, copy)),
            ReplicaEvent::Request { from, disk, request } => self.request(from, disk, request),
            ReplicaEvent::Stored { through } => self.confirm(through),
            ReplicaEvent::Lost { log, segment, from, to } => self.lose(log, segment, from, to),
            ReplicaEvent::Fullness { full } => self.full = full,
            ReplicaEvent::DiskFailed { why } => self.fail(&why),
        }
        self.cheap_invariants();
    }

    /// The next thing to do, until none is left.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<ReplicaEffect> {
        self.effects.pop_front()
    }

    /// A replica waits for nobody.
    #[allow(clippy::unused_self, reason = "all machines have one shape")]
    pub fn poll_timeout(&self) -> Option<Micros> {
        None
    }

    /// The names it goes by.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Why the disk counts as failed, if it does.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// How many store effects are not confirmed yet.
    pub fn in_flight(&self) -> u64 {
        self.ordered - self.stored
    }

    /// The small state of every log as told, which a snapshot may hold at any time: what is not durable yet is true
    /// all the same, and merges by maximum (D5).
    pub fn log_records(&self) -> impl Iterator<Item = LogRecord> + '_ {
        self.logs.values().map(|log| log.told)
    }

    /// Everything known to be lost.
    pub fn losses(&self) -> impl Iterator<Item = LossRecord> + '_ {
        self.logs.iter().flat_map(|(log, known)| {
            known.segments.iter().flat_map(move |(segment, known)| {
                let record = move |(from, to)| LossRecord { log: *log, segment: *segment, from, to };
                known.lost.iter().map(record)
            })
        })
    }

    /// The largest seq held or lost of a segment.
    pub fn newest(&self, log: LogId, segment: SegmentId) -> Option<ChunkSeq> {
        self.logs.get(&log)?.segments.get(&segment)?.newest()
    }

    /// How many logs are remembered, deleted ones included.
    pub fn logs(&self) -> usize {
        self.logs.len()
    }

    /// Every log from `from` upward, in order of id.
    pub fn log_states(&self, from: LogId) -> impl Iterator<Item = LogState> + '_ {
        self.logs.range(from..).map(|(_, log)| log.state())
    }

    fn request(&mut self, from: Ticket, disk: DiskId, request: Request) {
        let absent = self.absent(disk);
        if let Err(refusal) = self.try_request(from, disk, request, absent) {
            self.refuse(from, refusal);
        }
    }

    fn try_request(&mut self, from: Ticket, disk: DiskId, request: Request, absent: Absent) -> Result<(), Refusal> {
        self.check_disk(disk)?;
        let reply = match request {
            Request::Fence { log, epoch, segments } => {
                self.check_takes_changes(disk)?;
                return self.fence(from, log, epoch, segments, absent);
            }
            Request::Trim { log, word, floor } => {
                self.check_takes_changes(disk)?;
                return self.trim(from, log, word, floor);
            }
            Request::Delete { log, epoch } => {
                self.check_takes_changes(disk)?;
                return self.delete(from, log, epoch);
            }
            Request::Pin { log, word } => {
                self.check_takes_changes(disk)?;
                self.check_not_retired(disk)?;
                return self.pin(from, log, word);
            }
            Request::Free { log, segment, word } => {
                self.check_takes_changes(disk)?;
                return self.free(from, log, segment, word);
            }
            Request::Read { log, segment, from: first, chunks_max, bytes_max } => {
                let effect = self.read(from, (log, segment), first, (chunks_max, bytes_max), absent)?;
                self.effects.push_back(effect);
                return Ok(());
            }
            Request::Freeze { log, epoch, segment, from, to } => {
                let reply = self.freeze(log, epoch, segment, (from, to), absent)?;
                self.note_frozen(disk, log, epoch, segment, &reply);
                reply
            }
            Request::Inspect { log, segments } => self.inspect(log, &segments, absent)?,
            Request::Inventory { log, segment, from, to } => self.inventory(log, segment, (from, to), absent)?,
            Request::Holdings { from } => self.holdings(from),
            Request::Hello { .. } | Request::Members { .. } => {
                return Err(Refusal::BadRequest { why: "a disk is not asked for its node or cluster".into() });
            }
            Request::Provenance { .. } => {
                let why = "a replica in memory keeps no times: ask a node for its provenance".into();
                return Err(Refusal::BadRequest { why });
            }
        };
        self.effects.push_back(ReplicaEffect::Reply { to: from, reply });
        Ok(())
    }

    /// P8: only the identity in force, on a disk that works, can say that something was never here.
    fn absent(&self, named: DiskId) -> Absent {
        let in_force = named == self.identity.current || planted!(RetiredAnswersNever);
        let certain = in_force && self.failed.is_none();
        Absent(if certain { Answer::Never } else { Answer::Unknown })
    }

    fn refuse(&mut self, to: Ticket, refusal: Refusal) {
        self.effects.push_back(ReplicaEffect::Reply { to, reply: Reply::Refused(refusal) });
    }

    fn store(&mut self, what: ToStore, changes: InFlight) -> u64 {
        self.ordered += 1;
        self.in_flight.push_back(changes);
        self.effects.push_back(ReplicaEffect::Store { order: self.ordered, what });
        self.ordered
    }
}
