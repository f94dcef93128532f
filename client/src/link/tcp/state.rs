//! What a link knows: whether it is up, what is unanswered, and who listens. Pure; the connection drives it.

use super::super::{Chunk, LinkError, LinkEvent, LinkEvents, PutTiming, ReadAnswer};
use super::bounds::{PUT_TIMEOUT, SILENCE_MAX};
use super::collecting::{Collecting, Expected};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::message::Reply;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;
use tokio::sync::oneshot;

/// Whether the replica can be talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The first attempt is under way; calls wait for it.
    Connecting,
    /// Requests can be sent.
    Up,
    /// They cannot, and why. Attempts go on.
    Down(String),
}

/// A request that is not answered yet.
enum Pending {
    Put { log: LogId, segment: SegmentId, seq: ChunkSeq, at: Instant },
    Call(oneshot::Sender<Result<Reply, LinkError>>),
    Copy(oneshot::Sender<Result<(), LinkError>>),
    Read(Collecting, oneshot::Sender<Result<ReadAnswer, LinkError>>),
}

/// What a call or read wants, and where its answer goes.
pub(super) enum Asked {
    Call(oneshot::Sender<Result<Reply, LinkError>>),
    Copy(oneshot::Sender<Result<(), LinkError>>),
    Read(Collecting, oneshot::Sender<Result<ReadAnswer, LinkError>>),
}

struct Subscriber {
    id: u64,
    tag: usize,
    events: LinkEvents,
}

impl Subscriber {
    fn tell(&self, event: LinkEvent) {
        // A subscriber that is gone needs no events; its subscription is about to be dropped too.
        let _ = self.events.send((self.tag, event));
    }
}

/// See the module.
pub(super) struct State {
    address: String,
    phase: Phase,
    /// The connection in force; frames made for another one are not sent.
    generation: u64,
    /// Never reused, not even on another connection: a late answer can only find its own request or none.
    next_request: u64,
    pending: BTreeMap<u64, Pending>,
    subscribers: HashMap<(LogId, SegmentId), Subscriber>,
    next_subscription: u64,
    /// When the node last said anything, or when the first of the unanswered requests was made.
    last_heard: Instant,
}

impl State {
    pub(super) fn new(address: &str, now: Instant) -> Self {
        Self {
            address: address.to_owned(),
            phase: Phase::Connecting,
            generation: 0,
            next_request: 1,
            pending: BTreeMap::new(),
            subscribers: HashMap::new(),
            next_subscription: 1,
            last_heard: now,
        }
    }

    pub(super) const fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// A connection is made; it is the next generation.
    pub(super) fn went_up(&mut self, now: Instant) {
        assert!(self.pending.is_empty(), "{} requests wait for a connection that is gone", self.pending.len());
        self.phase = Phase::Up;
        self.generation += 1;
        self.last_heard = now;
        self.subscribers.values().for_each(|s| s.tell(LinkEvent::Up));
    }

    /// The connection is gone, or could not be made. What was unanswered stays unanswered.
    pub(super) fn went_down(&mut self, why: &str) {
        let phase = Phase::Down(why.to_owned());
        if self.phase == phase {
            return;
        }
        self.phase = phase;
        self.generation += 1;
        for (_, pending) in std::mem::take(&mut self.pending) {
            let lost = LinkError::Lost { address: self.address.clone(), why: why.to_owned() };
            // A caller that gave up does not hear of it.
            match pending {
                Pending::Put { .. } => {}
                Pending::Call(answer) => drop(answer.send(Err(lost))),
                Pending::Copy(answer) => drop(answer.send(Err(lost))),
                Pending::Read(_, answer) => drop(answer.send(Err(lost))),
            }
        }
        self.subscribers.values().for_each(|s| s.tell(LinkEvent::Down(why.to_owned())));
    }

    /// Adds a subscriber and tells it how things stand. Returns the subscription's id.
    pub(super) fn subscribe(&mut self, log: LogId, segment: SegmentId, tag: usize, events: LinkEvents) -> u64 {
        let id = self.next_subscription;
        self.next_subscription += 1;
        let subscriber = Subscriber { id, tag, events };
        subscriber.tell(match &self.phase {
            Phase::Up => LinkEvent::Up,
            Phase::Down(why) => LinkEvent::Down(why.clone()),
            Phase::Connecting => LinkEvent::Down(format!("connecting to {}", self.address)),
        });
        self.subscribers.insert((log, segment), subscriber);
        id
    }

    /// Ends a subscription and forgets its puts, unless a later one has taken its place. Whether it was ended.
    pub(super) fn unsubscribe(&mut self, log: LogId, segment: SegmentId, id: u64) -> bool {
        if self.subscribers.get(&(log, segment)).is_none_or(|s| s.id != id) {
            return false;
        }
        self.subscribers.remove(&(log, segment));
        self.pending.retain(
            |_, pending| !matches!(pending, Pending::Put { log: l, segment: s, .. } if (*l, *s) == (log, segment)),
        );
        true
    }

    /// Notes a put. Returns the connection's generation and the request id; nothing if there is no connection.
    pub(super) fn put(&mut self, header: &ChunkHeader, now: Instant) -> Option<(u64, u64)> {
        let (log, segment, seq) = (header.log, header.segment, header.seq);
        self.begin(Pending::Put { log, segment, seq, at: now }, now)
    }

    /// Notes a call or a read, likewise.
    pub(super) fn ask(&mut self, asked: Asked, now: Instant) -> Option<(u64, u64)> {
        let pending = match asked {
            Asked::Call(answer) => Pending::Call(answer),
            Asked::Copy(answer) => Pending::Copy(answer),
            Asked::Read(collecting, answer) => Pending::Read(collecting, answer),
        };
        self.begin(pending, now)
    }

    fn begin(&mut self, pending: Pending, now: Instant) -> Option<(u64, u64)> {
        if self.phase != Phase::Up {
            return None;
        }
        if self.pending.is_empty() {
            self.last_heard = now;
        }
        let id = self.next_request;
        self.next_request += 1;
        self.pending.insert(id, pending);
        Some((self.generation, id))
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget(&mut self, request_id: u64) {
        self.pending.remove(&request_id);
    }

    /// The node said something.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    /// A put is stored. An answer to a request that nobody waits for any more, or a second answer, is ignored; an answer to
    /// one that was never made, or of the wrong kind, is an error that ends the connection.
    pub(super) fn stored(&mut self, request_id: u64, timing: Option<PutTiming>) -> Result<(), String> {
        match self.take(request_id)? {
            None => Ok(()),
            Some(Pending::Put { log, segment, seq, .. }) => {
                let stored = timing.map_or(LinkEvent::Stored(seq), |timing| LinkEvent::TimedStored(seq, timing));
                self.tell(log, segment, stored);
                Ok(())
            }
            Some(Pending::Copy(answer)) => {
                drop(answer.send(Ok(())));
                Ok(())
            }
            Some(_) => Err(format!("it answered request {request_id}, which is not a put, with \"stored\"")),
        }
    }

    /// A request is answered, likewise.
    pub(super) fn replied(&mut self, request_id: u64, reply: Reply) -> Result<(), String> {
        match (self.take(request_id)?, reply) {
            (None, _) => {}
            (Some(Pending::Put { log, segment, seq, .. }), Reply::Refused(why)) => {
                self.tell(log, segment, LinkEvent::Refused(seq, why));
            }
            (Some(Pending::Put { segment, seq, .. }), reply) => {
                return Err(format!("it answered the put of {segment}/{seq} with {reply:?}"));
            }
            (Some(Pending::Call(answer)), reply) => drop(answer.send(Ok(reply))),
            (Some(Pending::Copy(answer)), Reply::Refused(refusal)) => {
                drop(answer.send(Err(LinkError::Refused { address: self.address.clone(), refusal })));
            }
            (Some(Pending::Copy(_)), reply) => return Err(format!("it answered a copy with {reply:?}")),
            (Some(Pending::Read(collecting, answer)), reply) => {
                let address = self.address.clone();
                drop(answer.send(match reply {
                    Reply::ReadEnd { next, answer } => {
                        collecting.finish(next, answer).map_err(|why| LinkError::Protocol { address, why })
                    }
                    Reply::Refused(refusal) => Err(LinkError::Refused { address, refusal }),
                    other => Err(LinkError::Protocol { address, why: format!("it answered a read with {other:?}") }),
                }));
            }
        }
        Ok(())
    }

    /// Which chunk has to come next for a read; nothing if nobody waits for it any more.
    pub(super) fn expected(&self, request_id: u64) -> Result<Option<Expected>, String> {
        match self.pending.get(&request_id) {
            Some(Pending::Read(collecting, _)) => Ok(Some(collecting.expected())),
            Some(_) => Err(format!("it answered request {request_id}, which is not a read, with a chunk")),
            None => self.known(request_id).map(|()| None),
        }
    }

    /// The chunk came, verified or not. The first that does not verify ends its read, not the connection.
    pub(super) fn chunk(&mut self, request_id: u64, chunk: Result<Chunk, String>) {
        // The reader may have given up since `expected`.
        let Some(Pending::Read(collecting, _)) = self.pending.get_mut(&request_id) else { return };
        let address = || self.address.clone();
        let error = match chunk {
            Ok(chunk) => match collecting.push(chunk) {
                Ok(()) => return,
                Err(why) => LinkError::Protocol { address: address(), why },
            },
            Err(why) => LinkError::Corrupt { address: address(), why },
        };
        if let Some(Pending::Read(_, answer)) = self.pending.remove(&request_id) {
            drop(answer.send(Err(error)));
        }
    }

    /// Why the connection has to be given up, if it has to be.
    pub(super) fn overdue(&self, now: Instant) -> Option<String> {
        let waiting = self.pending.len();
        let silent = now.saturating_duration_since(self.last_heard);
        if waiting > 0 && silent > SILENCE_MAX {
            return Some(format!("it said nothing for {} ms while {waiting} requests waited", silent.as_millis()));
        }
        self.pending.values().find_map(|pending| match pending {
            Pending::Put { segment, seq, at, .. } => {
                let waited = now.saturating_duration_since(*at);
                // Puts are in the order in which they were made, so the first one decides.
                Some(
                    (waited > PUT_TIMEOUT)
                        .then(|| format!("the put of {segment}/{seq} went unanswered for {} ms", waited.as_millis())),
                )
            }
            Pending::Call(_) | Pending::Copy(_) | Pending::Read(..) => None,
        })?
    }

    fn take(&mut self, request_id: u64) -> Result<Option<Pending>, String> {
        self.known(request_id)?;
        Ok(self.pending.remove(&request_id))
    }

    fn known(&self, request_id: u64) -> Result<(), String> {
        if request_id < self.next_request {
            return Ok(());
        }
        Err(format!("it answered request {request_id}, which was never made"))
    }

    fn tell(&self, log: LogId, segment: SegmentId, event: LinkEvent) {
        if let Some(subscriber) = self.subscribers.get(&(log, segment)) {
            subscriber.tell(event);
        }
    }
}
