//! The shard: what one core's thread decides. Pure: io hands it events, asks it for effects until there are none, and
//! comes back when [`Shard::poll_timeout`] is due.
//!
//! ```text
//!   Put, Request ─► connections (tickets) ─► Replica ── Store{order} ─► Store ─► Write ... io
//!                                               ▲                         │
//!   Send, Stored ◄──────────────────────────────┴──── Stored{through} ◄───┘ Confirmed ◄─ Written
//! ```
//! The shard adds nothing to what the replica may answer and nothing to how the store stores: it carries messages
//! between the two, in order, and keeps count of connections, slots and reads. A hello is answered here.

mod admin;
mod connections;
mod event;
mod members;
mod reads;
mod slots;
#[cfg(test)]
mod tests;

pub use admin::{AdminAnswer, AdminRequest, Counters, ShardStatistics};
pub use event::{ConnectionId, ReadOutcome, ShardEffect, ShardEvent};
pub use members::MemberList;

use crate::store::{ReplayReport, Replayed, Store, StoreConfig, StoreEffect, StoreEvent};
use connections::{Asker, Connections};
use quarry_protocol::action::Action;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{FRAME_CONTROL_BODY_BYTES_MAX, FRAME_HEADER_BYTES};
use quarry_protocol::message::{NodeInfo, Refusal, Reply, Request};
use quarry_protocol::replica::{Replica, ReplicaEffect, ReplicaEvent, Slot, Ticket};
use quarry_protocol::time::Micros;
use reads::{Reads, Wanted};
use slots::HeldSlots;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a shard needs to know of the world.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// The node as it introduces itself; `node.shard` is this shard.
    pub node: NodeInfo,
    /// What the format fixed for this shard's files.
    pub store: StoreConfig,
}

/// The machine. See the module's documentation.
#[derive(Debug)]
pub struct Shard {
    node: NodeInfo,
    /// What clients are told of the cluster.
    members: Arc<MemberList>,
    now: Micros,
    connections: Connections,
    replica: Replica,
    store: Store,
    reads: Reads,
    /// Payload slots that came with a put and were not released yet.
    slots: HeldSlots,
    /// What the replica was last told about the space.
    full: Option<(u64, u64)>,
    /// Whether the operator was told that the disk failed.
    failed: bool,
    stop: Stop,
    counters: Counters,
    replay: ReplayReport,
    effects: VecDeque<ShardEffect>,
}

/// How far a clean stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    NotAsked,
    Asked,
    Settled,
}

impl Shard {
    /// A shard that goes on where a replay ended.
    pub fn new(config: ShardConfig, replayed: Replayed) -> Self {
        let identity = replayed.identity();
        let replica = Replica::new(identity, replayed.logs.iter().cloned());
        let replay = replayed.report.clone();
        Self {
            members: Arc::new(MemberList::alone(&config.node)),
            node: config.node,
            now: Micros(0),
            connections: Connections::default(),
            replica,
            store: Store::new(config.store, replayed),
            reads: Reads::default(),
            slots: HeldSlots::default(),
            full: None,
            failed: false,
            stop: Stop::NotAsked,
            counters: Counters::default(),
            replay,
            effects: VecDeque::new(),
        }
    }

    /// Takes one event in.
    pub fn handle(&mut self, now: Micros, event: ShardEvent<'_>) {
        self.now = self.now.max(now);
        match event {
            ShardEvent::Connected { connection } => self.connected(connection),
            ShardEvent::Closed { connection } => {
                self.connections.close(connection);
                self.reads.close(connection);
            }
            ShardEvent::Put { connection, request_id, disk, header, slot, copy } => {
                let new = self.slots.insert(slot);
                assert!(new, "{slot:?} arrived with a put before it was released");
                self.counters.puts += 1;
                self.counters.put_bytes += u64::from(header.length);
                match self.ask(Asker { connection, request_id, disk }) {
                    Some(from) => {
                        self.replica.handle(self.now, ReplicaEvent::Put { from, disk, header, slot, copy });
                    }
                    None => self.release(slot),
                }
            }
            ShardEvent::Request { connection, request_id, disk, request } => {
                self.request(Asker { connection, request_id, disk }, request);
            }
            ShardEvent::Written { number, result } => {
                self.store.handle(self.now, StoreEvent::Written { number, result });
            }
            ShardEvent::Prepared { file, result } => self.store.handle(self.now, StoreEvent::Prepared { file, result }),
            ShardEvent::CopyRead { token, result } => {
                self.store.handle(self.now, StoreEvent::CopyRead { token, result });
            }
            ShardEvent::ReadDone { token, sent, outcome } => self.read_done(token, sent, outcome),
            ShardEvent::Tick => {
                self.store.handle(self.now, StoreEvent::Tick);
                self.go_on_reading();
            }
            ShardEvent::Admin { ticket, request } => {
                let answer = self.admin(request);
                self.effects.push_back(ShardEffect::Admin { ticket, answer });
            }
            ShardEvent::Members { list } => self.members = list,
            ShardEvent::Stop => {
                self.stop = Stop::Asked;
                self.store.handle(self.now, StoreEvent::Stop);
            }
        }
        self.carry();
    }

    /// The next thing to do, until none is left. Handle every event that is at hand first: what they make the shard
    /// store shares a batch (D1).
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<ShardEffect> {
        loop {
            if let Some(effect) = self.effects.pop_front() {
                return Some(effect);
            }
            let Some(effect) = self.store.poll_effect() else { break };
            self.apply(effect);
            self.carry();
        }
        self.settle()
    }

    /// Has the replica's steps noted from now on, for [`Self::poll_action`].
    pub fn record_actions(&mut self) {
        self.replica.record_actions();
    }

    /// The next step noted, until none is left.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.replica.poll_action()
    }

    /// When to call [`Self::handle`] with [`ShardEvent::Tick`] at the latest.
    pub fn poll_timeout(&self) -> Option<Micros> {
        self.store.poll_timeout().into_iter().chain(self.reads.poll_timeout()).min()
    }

    /// Checks everything; for tests and simulations, after every event.
    pub fn invariants(&self) {
        self.connections.invariants();
        self.reads.invariants();
        self.replica.invariants();
        self.store.audit();
        let full = self.store.fullness();
        assert!(self.full == full, "the replica goes by fullness {:?}, the store says {full:?}", self.full);
        let storing = self.replica.in_flight();
        assert!(self.stop != Stop::Settled || storing == 0 || self.failed, "settled with {storing} entries to store");
        let failed = self.replica.failed();
        assert!(self.failed == failed.is_some(), "announced: {}, the replica says {failed:?}", self.failed);
    }

    /// Carries what the replica decided to the store and to the connections, until neither has more to say.
    fn carry(&mut self) {
        self.tell_fullness();
        loop {
            while let Some(effect) = self.replica.poll_effect() {
                self.obey(effect);
            }
            if !self.start_reads() {
                break;
            }
        }
        if !self.failed
            && let Some(why) = self.replica.failed()
        {
            self.failed = true;
            self.effects.push_back(ShardEffect::Fail { why: why.to_owned() });
        }
    }

    fn obey(&mut self, effect: ReplicaEffect) {
        match effect {
            ReplicaEffect::Store { order, what } => {
                self.store.push(self.now, order, what);
                self.tell_fullness();
            }
            ReplicaEffect::Release { slot } => self.release(slot),
            ReplicaEffect::PutStored { to, proof: _ } => {
                self.counters.puts_stored += 1;
                if let Some(Asker { connection, request_id, disk }) = self.connections.answer(to) {
                    self.effects.push_back(ShardEffect::Stored { connection, request_id, disk });
                }
            }
            ReplicaEffect::Reply { to, reply } => self.reply(to, &reply),
            ReplicaEffect::Read { to, log, segment, from, to_seq, bytes_max, answer_at_end } => {
                self.plan_read(to, &Wanted { log, segment, from, to: to_seq, bytes_max, answer_at_end });
            }
            ReplicaEffect::FreeSegment { log, segment, seqs } => {
                self.store.free_segment(log, segment, &seqs);
                self.tell_fullness();
            }
            ReplicaEffect::Free { log, below } => {
                match below {
                    Some(floor) => self.store.free(log, floor),
                    None => self.store.drop_log(log),
                }
                self.tell_fullness();
            }
        }
    }

    fn apply(&mut self, effect: StoreEffect) {
        let effect = match effect {
            StoreEffect::Confirmed { order_through } => {
                return self.replica.handle(self.now, ReplicaEvent::Stored { through: order_through });
            }
            StoreEffect::Release { slot } => return self.release(slot),
            StoreEffect::Lost { log, segment, from, to, why } => {
                let what = format!(
                    "chunks {from} to {to} of {log}/{segment} cannot be read: {why}: they are answered as unknown from now on"
                );
                self.replica.handle(self.now, ReplicaEvent::Lost { log, segment, from, to });
                ShardEffect::Warn { what }
            }
            StoreEffect::Failed { why } => return self.replica.handle(self.now, ReplicaEvent::DiskFailed { why }),
            StoreEffect::Write { number, file, position, parts, bytes } => {
                ShardEffect::Write { number, file, position, parts, bytes }
            }
            StoreEffect::Create { file, bytes } => ShardEffect::Create { file, bytes },
            StoreEffect::Fill { file, position, bytes } => ShardEffect::Fill { file, position, bytes },
            StoreEffect::SyncFile { file } => ShardEffect::SyncFile { file },
            StoreEffect::Read { token, file, position, bytes } => {
                ShardEffect::ReadForCopy { token, file, position, bytes }
            }
        };
        self.effects.push_back(effect);
    }

    /// After a stop: says once that everything is on disk.
    fn settle(&mut self) -> Option<ShardEffect> {
        let done = self.failed || (self.replica.in_flight() == 0 && self.store.is_settled());
        if self.stop != Stop::Asked || !done {
            return None;
        }
        self.stop = Stop::Settled;
        Some(ShardEffect::Settled)
    }

    /// The replica judges the next put by what the store says of its space now (D7).
    fn tell_fullness(&mut self) {
        let full = self.store.fullness();
        if full != self.full {
            self.full = full;
            self.replica.handle(self.now, ReplicaEvent::Fullness { full });
        }
    }

    fn connected(&mut self, connection: ConnectionId) {
        if let Err(why) = self.connections.open(connection) {
            self.effects.push_back(ShardEffect::Close { connection, why });
        }
    }

    /// A ticket for a request; none if its connection is, or has to be, closed.
    fn ask(&mut self, asker: Asker) -> Option<Ticket> {
        match self.connections.ask(asker)? {
            Ok(ticket) => Some(ticket),
            Err(why) => {
                self.effects.push_back(ShardEffect::Close { connection: asker.connection, why });
                None
            }
        }
    }

    fn request(&mut self, asker: Asker, request: Request) {
        self.counters.requests += 1;
        let Some(from) = self.ask(asker) else { return };
        match request {
            Request::Hello { cluster } => {
                let reply = self.hello(cluster);
                self.reply(from, &reply);
            }
            Request::Members { after } => {
                let reply = self.members(after);
                self.reply(from, &reply);
            }
            Request::Read { .. } => self.queue_read(from, asker.connection, request),
            Request::Provenance { log, segment, from: first, to } => {
                let reply = self.replica.check_disk(asker.disk).map(|()| {
                    let (runs, next) = self.store.provenance(log, segment, first, to);
                    Reply::Provenance { runs, next }
                });
                self.reply(from, &reply.unwrap_or_else(Reply::Refused));
            }
            _ => self.replica.handle(self.now, ReplicaEvent::Request { from, disk: asker.disk, request }),
        }
    }

    fn hello(&self, asked: String) -> Reply {
        if asked == self.node.cluster {
            Reply::Hello(self.node.clone())
        } else {
            Reply::Refused(Refusal::WrongCluster { asked, here: self.node.cluster.clone() })
        }
    }

    fn reply(&mut self, to: Ticket, reply: &Reply) {
        if matches!(reply, Reply::Refused(_)) {
            self.counters.refused += 1;
        }
        let Some(asker) = self.connections.answer(to) else { return };
        let frame = frame(asker.request_id, self.answering(asker.disk), reply);
        self.effects.push_back(ShardEffect::Send { connection: asker.connection, frame });
    }

    /// The disk that answers a request for `named`: the one named, if this shard goes by it (P4).
    fn answering(&self, named: DiskId) -> DiskId {
        let identity = self.replica.identity();
        if identity.retired.contains(&named) { named } else { identity.current }
    }

    fn release(&mut self, slot: Slot) {
        let held = self.slots.remove(slot);
        assert!(held, "{slot:?} released twice, or never taken");
        self.effects.push_back(ShardEffect::Release { slot });
    }
}

fn frame(request_id: u64, disk: DiskId, reply: &Reply) -> Vec<u8> {
    let body = reply.encode();
    assert!(body.len() <= FRAME_CONTROL_BODY_BYTES_MAX as usize, "a reply of {} bytes", body.len());
    let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + body.len());
    frame.extend_from_slice(&FrameHeader::control(FrameKind::Reply, request_id, disk, &body).encode());
    frame.extend_from_slice(&body);
    frame
}
