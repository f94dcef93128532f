//! One replica in memory: the real machine, and what a node's threads, disk and sockets do for it.
//!
//! Everything that the machine asks for happens at once and under one lock, so a chunk is durable (as far as memory is)
//! before the call that put it returns.

use super::shelf::Shelf;
use crate::link::{Chunk, LinkEvent, LinkEvents, ReadAnswer};
use crate::random::random_id;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::message::{Answer, Reply, Request};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::replica::{Identity, Replica, ReplicaEffect, ReplicaEvent, Ticket, ToStore};
use quarry_protocol::time::Micros;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Whose events: the disk a link names, and a segment.
pub(super) type Subject = (DiskId, LogId, SegmentId);

/// What an asked node does.
pub(super) enum Asked {
    /// It answered.
    Reply(Reply),
    /// It answered a read.
    Read(ReadAnswer),
    /// It stored a copy.
    Copied,
    /// It is paused: ask again when it has gone on.
    Paused,
    /// It cannot be reached.
    Down,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Up,
    Paused,
    Killed,
}

pub(super) struct MemoryNode {
    zone: String,
    state: Mutex<State>,
    /// Told when a paused node goes on or is killed.
    changed: Notify,
}

struct State {
    condition: Condition,
    replica: Replica,
    shelf: Shelf,
    next_ticket: Ticket,
    subscribers: BTreeMap<Subject, Subscriber>,
    next_subscriber: u64,
    /// Puts that arrived while paused.
    waiting: Vec<(DiskId, ChunkHeader, Bytes)>,
}

struct Subscriber {
    number: u64,
    tag: usize,
    events: LinkEvents,
}

impl MemoryNode {
    pub(super) fn new(zone: String) -> Self {
        Self { zone, state: Mutex::new(State::new()), changed: Notify::new() }
    }

    pub(super) fn zone(&self) -> &str {
        &self.zone
    }

    pub(super) fn address(&self) -> String {
        format!("memory-{}:0", self.zone)
    }

    /// Who it is now.
    pub(super) fn replica_ref(&self) -> ReplicaRef {
        let disk = self.lock().replica.identity().current;
        ReplicaRef { disk, address: self.address(), zone: self.zone.clone() }
    }

    pub(super) fn is_up(&self) -> bool {
        self.lock().condition == Condition::Up
    }

    pub(super) fn kill(&self) {
        self.lock().set_condition(Condition::Killed);
        self.changed.notify_waiters();
    }

    pub(super) fn restart(&self) {
        self.lock().set_condition(Condition::Up);
        self.changed.notify_waiters();
    }

    pub(super) fn pause(&self) {
        self.lock().condition = Condition::Paused;
    }

    pub(super) fn resume(&self) {
        let mut state = self.lock();
        state.condition = Condition::Up;
        for (disk, header, payload) in std::mem::take(&mut state.waiting) {
            state.put(disk, header, payload);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn wipe(&self) {
        let mut state = self.lock();
        state.replica = fresh_replica();
        state.shelf = Shelf::default();
    }

    pub(super) fn lose_chunk(&self, log: LogId, seq: ChunkSeq) -> bool {
        let mut state = self.lock();
        let Some(segment) = state.shelf.lose(log, seq) else { return false };
        state.drive(ReplicaEvent::Lost { log, segment, from: seq, to: seq.next() });
        true
    }

    pub(super) fn chunks_held(&self) -> usize {
        self.lock().shelf.chunks()
    }

    pub(super) fn puts_waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Waits until a pause may be over. Register before asking, so that no change is missed.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    pub(super) fn put(&self, disk: DiskId, header: ChunkHeader, payload: Bytes) {
        let mut state = self.lock();
        match state.condition {
            Condition::Up => state.put(disk, header, payload),
            Condition::Paused => state.waiting.push((disk, header, payload)),
            Condition::Killed => {}
        }
    }

    pub(super) fn copy(&self, disk: DiskId, header: ChunkHeader, payload: Bytes) -> Asked {
        let mut state = self.lock();
        match state.condition {
            Condition::Up => state.copy(disk, header, payload),
            Condition::Paused => Asked::Paused,
            Condition::Killed => Asked::Down,
        }
    }

    pub(super) fn ask(&self, disk: DiskId, request: Request) -> Asked {
        let mut state = self.lock();
        match state.condition {
            Condition::Up => state.ask(disk, request),
            Condition::Paused => Asked::Paused,
            Condition::Killed => Asked::Down,
        }
    }

    /// Registers a subscriber and tells it whether the node is up. The number ends the subscription.
    pub(super) fn subscribe(&self, subject: Subject, tag: usize, events: LinkEvents) -> u64 {
        let mut state = self.lock();
        let now = if state.condition == Condition::Killed { down() } else { LinkEvent::Up };
        // A subscriber that is gone already hears nothing.
        let _ = events.send((tag, now));
        state.next_subscriber += 1;
        let number = state.next_subscriber;
        state.subscribers.insert(subject, Subscriber { number, tag, events });
        number
    }

    pub(super) fn unsubscribe(&self, subject: Subject, number: u64) {
        let mut state = self.lock();
        if state.subscribers.get(&subject).is_some_and(|subscriber| subscriber.number == number) {
            state.subscribers.remove(&subject);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn down() -> LinkEvent {
    LinkEvent::Down("the memory replica was killed".to_owned())
}

fn fresh_replica() -> Replica {
    Replica::new(Identity { current: DiskId(random_id()), retired: Vec::new() }, [])
}

impl State {
    fn new() -> Self {
        Self {
            condition: Condition::Up,
            replica: fresh_replica(),
            shelf: Shelf::default(),
            next_ticket: 0,
            subscribers: BTreeMap::new(),
            next_subscriber: 0,
            waiting: Vec::new(),
        }
    }

    fn set_condition(&mut self, to: Condition) {
        if self.condition == to {
            return;
        }
        self.condition = to;
        // A killed process takes what it had not looked at with it.
        self.waiting.clear();
        let event = if to == Condition::Killed { down() } else { LinkEvent::Up };
        for subscriber in self.subscribers.values() {
            let _ = subscriber.events.send((subscriber.tag, event.clone()));
        }
    }

    fn put(&mut self, disk: DiskId, header: ChunkHeader, payload: Bytes) {
        let subject = (disk, header.log, header.segment);
        header.verify_payload(&payload).expect("the client sends what its header says");
        let (from, slot) = (self.ticket(), self.shelf.receive(payload));
        let answers = self.drive(ReplicaEvent::Put { from, disk, header, slot, copy: false });
        for answer in answers {
            let event = match answer {
                Done::Stored(to) if to == from => LinkEvent::Stored(header.seq),
                Done::Reply(to, Reply::Refused(refusal)) if to == from => LinkEvent::Refused(header.seq, refusal),
                other => panic!("a put was answered with {other:?}"),
            };
            if let Some(subscriber) = self.subscribers.get(&subject) {
                let _ = subscriber.events.send((subscriber.tag, event));
            }
        }
    }

    fn copy(&mut self, disk: DiskId, header: ChunkHeader, payload: Bytes) -> Asked {
        header.verify_payload(&payload).expect("the client sends what its header says");
        let (from, slot) = (self.ticket(), self.shelf.receive(payload));
        match self.drive(ReplicaEvent::Put { from, disk, header, slot, copy: true }).pop() {
            Some(Done::Stored(to)) if to == from => Asked::Copied,
            Some(Done::Reply(to, reply)) if to == from => Asked::Reply(reply),
            other => panic!("a copy was answered with {other:?}"),
        }
    }

    fn ask(&mut self, disk: DiskId, request: Request) -> Asked {
        let from = self.ticket();
        match self.drive(ReplicaEvent::Request { from, disk, request }).pop() {
            Some(Done::Reply(to, reply)) if to == from => Asked::Reply(reply),
            Some(Done::Read(to, answer)) if to == from => Asked::Read(answer),
            other => panic!("a request was answered with {other:?}"),
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Takes an event to its end: every store effect is confirmed before the next round.
    fn drive(&mut self, event: ReplicaEvent) -> Vec<Done> {
        let mut done = Vec::new();
        let mut next = Some(event);
        while let Some(event) = next.take() {
            self.replica.handle(Micros(0), event);
            while let Some(effect) = self.replica.poll_effect() {
                match effect {
                    ReplicaEffect::Store { order, what } => {
                        if let ToStore::Chunk { header, slot } = what {
                            self.shelf.store(header, slot);
                        }
                        next = Some(ReplicaEvent::Stored { through: order });
                    }
                    ReplicaEffect::Release { slot } => self.shelf.release(slot),
                    ReplicaEffect::PutStored { to, proof: _ } => done.push(Done::Stored(to)),
                    ReplicaEffect::Reply { to, reply } => done.push(Done::Reply(to, reply)),
                    ReplicaEffect::Read { to, log, segment, from, to_seq, bytes_max, answer_at_end } => {
                        let answer = self.collect((log, segment), from, to_seq, bytes_max, answer_at_end);
                        done.push(Done::Read(to, answer));
                    }
                    ReplicaEffect::Free { log, below } => self.shelf.free(log, below),
                    ReplicaEffect::FreeSegment { log, segment, seqs } => self.shelf.free_segment(log, segment, &seqs),
                }
            }
        }
        done
    }

    fn collect(
        &self,
        (log, segment): (LogId, SegmentId),
        from: ChunkSeq,
        to: ChunkSeq,
        bytes_max: u32,
        answer_at_end: Answer,
    ) -> ReadAnswer {
        let (mut chunks, mut next, mut bytes) = (Vec::new(), from, 0);
        while next < to {
            let Some((header, payload)) = self.shelf.get(log, segment, next) else {
                return ReadAnswer { chunks, next, answer: Answer::Unknown };
            };
            if bytes > 0 && bytes + payload.len() > bytes_max as usize {
                return ReadAnswer { chunks, next, answer: Answer::Have };
            }
            bytes += payload.len();
            chunks.push(Chunk { header: *header, payload: payload.clone() });
            next = next.next();
        }
        ReadAnswer { chunks, next, answer: answer_at_end }
    }
}

/// What the machine answered.
#[derive(Debug)]
enum Done {
    Stored(Ticket),
    Reply(Ticket, Reply),
    Read(Ticket, ReadAnswer),
}
