//! One log's machine in one bucket, and what goes on around it: operations, timers, and whom its answers are for.

use super::store::BucketStore;
use crate::link::{Chunk, LinkEvent, LinkEvents, ReadAnswer};
use bytes::Bytes;
use quarry_protocol::bucket::{Bucket, BucketEffect, BucketEvent, KnownLog, Operation, OperationNo};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::limits::BUCKET_REQUESTS_MAX;
use quarry_protocol::message::{Refusal, Reply, Request};
use quarry_protocol::replica::Ticket;
use quarry_protocol::time::Micros;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a read got: chunks as they were found, and the reply that ended it.
pub(super) type Found = (Vec<(ChunkHeader, Bytes)>, Reply);

/// Drives the machine. Operations run on the runtime; each outcome comes back under the lock.
pub(super) struct LogDriver {
    store: BucketStore,
    runtime: Handle,
    started: Instant,
    state: Mutex<State>,
}

struct State {
    machine: Bucket,
    /// What the machine heard last of the log's record.
    known: Option<Arc<KnownLog>>,
    owed: BTreeMap<Ticket, Owed>,
    tickets: Ticket,
    /// Requests that the machine is answering; it refuses more than it has room for, so the others wait here.
    asked: usize,
    waiting: Waiting,
    subscribers: BTreeMap<SegmentId, Subscriber>,
    subscriptions: u64,
    /// When a timer will ring next.
    rings: Option<Micros>,
}

/// Requests that wait for the machine, and whom their answers are for. A recovery is not kept waiting by readers.
#[derive(Default)]
struct Waiting {
    calls: VecDeque<(DiskId, Request, Owed)>,
    reads: VecDeque<(DiskId, Request, Owed)>,
}

impl Waiting {
    fn push(&mut self, disk: DiskId, request: Request, owed: Owed) {
        let queue = if matches!(owed, Owed::Read(..)) { &mut self.reads } else { &mut self.calls };
        queue.push_back((disk, request, owed));
    }

    /// The next one that somebody still wants answered.
    fn pop(&mut self) -> Option<(DiskId, Request, Owed)> {
        loop {
            let next = self.calls.pop_front().or_else(|| self.reads.pop_front())?;
            if !next.2.is_abandoned() {
                return Some(next);
            }
        }
    }
}

/// Whose answer the machine owes.
enum Owed {
    Put(SegmentId, ChunkSeq),
    Copy(oneshot::Sender<Result<(), Refusal>>),
    Call(oneshot::Sender<Reply>),
    Read(Vec<(ChunkHeader, Bytes)>, oneshot::Sender<Found>),
}

impl Owed {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Put(..) | Self::Copy(_) => false,
            Self::Call(asker) => asker.is_closed(),
            Self::Read(_, asker) => asker.is_closed(),
        }
    }
}

struct Subscriber {
    number: u64,
    tag: usize,
    events: LinkEvents,
}

impl LogDriver {
    pub(super) fn new(store: BucketStore, runtime: Handle, log: LogId, disk: DiskId) -> Self {
        let state = State {
            machine: Bucket::new(log, disk),
            known: None,
            owed: BTreeMap::new(),
            tickets: 0,
            asked: 0,
            waiting: Waiting::default(),
            subscribers: BTreeMap::new(),
            subscriptions: 0,
            rings: None,
        };
        Self { store, runtime, started: Instant::now(), state: Mutex::new(state) }
    }

    pub(super) fn put(self: &Arc<Self>, disk: DiskId, header: ChunkHeader, payload: Bytes) {
        let mut state = self.lock();
        let from = state.owe(Owed::Put(header.segment, header.seq));
        self.drive(&mut state, BucketEvent::Put { from, disk, header, payload });
    }

    /// Puts a chunk that somebody else wrote, of a segment that is sealed.
    pub(super) fn copy(
        self: &Arc<Self>,
        disk: DiskId,
        header: ChunkHeader,
        payload: Bytes,
    ) -> oneshot::Receiver<Result<(), Refusal>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let from = state.owe(Owed::Copy(sender));
        self.drive(&mut state, BucketEvent::Put { from, disk, header, payload });
        receiver
    }

    pub(super) fn call(self: &Arc<Self>, disk: DiskId, request: Request) -> oneshot::Receiver<Reply> {
        let (sender, receiver) = oneshot::channel();
        self.ask(disk, request, Owed::Call(sender));
        receiver
    }

    pub(super) fn read(self: &Arc<Self>, disk: DiskId, request: Request) -> oneshot::Receiver<Found> {
        let (sender, receiver) = oneshot::channel();
        self.ask(disk, request, Owed::Read(Vec::new(), sender));
        receiver
    }

    /// What the register says of the log. The machine hears of it if it is not what it heard last: every call brings it.
    pub(super) fn know(self: &Arc<Self>, log: &Arc<KnownLog>) {
        let mut state = self.lock();
        if state.known.as_ref().is_some_and(|known| Arc::ptr_eq(known, log)) {
            return;
        }
        state.known = Some(Arc::clone(log));
        self.drive(&mut state, BucketEvent::Known(KnownLog::clone(log)));
    }

    pub(super) fn subscribe(&self, segment: SegmentId, tag: usize, events: LinkEvents) -> u64 {
        let mut state = self.lock();
        // An object store has no connection that could be down: what it does not answer is refused put by put.
        let _ = events.send((tag, LinkEvent::Up));
        state.subscriptions += 1;
        let number = state.subscriptions;
        state.subscribers.insert(segment, Subscriber { number, tag, events });
        number
    }

    pub(super) fn unsubscribe(&self, segment: SegmentId, number: u64) {
        let mut state = self.lock();
        if state.subscribers.get(&segment).is_some_and(|subscriber| subscriber.number == number) {
            state.subscribers.remove(&segment);
        }
    }

    /// Whether nobody would miss it.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.machine.is_idle() && state.owed.is_empty() && state.asked == 0 && state.subscribers.is_empty()
    }

    fn ask(self: &Arc<Self>, disk: DiskId, request: Request, owed: Owed) {
        let mut state = self.lock();
        state.waiting.push(disk, request, owed);
        self.hand_over(&mut state);
        self.arm(&mut state);
    }

    /// Gives the machine what waits, as far as it has room.
    fn hand_over(self: &Arc<Self>, state: &mut State) {
        while state.asked < BUCKET_REQUESTS_MAX {
            let Some((disk, request, owed)) = state.waiting.pop() else { return };
            let from = state.owe(owed);
            state.asked += 1;
            self.handle(state, BucketEvent::Request { from, disk, request });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Micros {
        Micros(self.started.elapsed().as_micros() as u64)
    }

    /// Takes an event to its end.
    fn drive(self: &Arc<Self>, state: &mut State, event: BucketEvent) {
        self.handle(state, event);
        self.hand_over(state);
        self.arm(state);
    }

    fn handle(self: &Arc<Self>, state: &mut State, event: BucketEvent) {
        state.machine.handle(self.now(), event);
        while let Some(effect) = state.machine.poll_effect() {
            match effect {
                BucketEffect::Perform { operation, what } => self.perform(operation, what),
                BucketEffect::PutStored { to, proof: _ } => state.stored(to),
                BucketEffect::Chunk { to, header, payload } => match state.owed.get_mut(&to) {
                    Some(Owed::Read(chunks, _)) => chunks.push((header, payload)),
                    _ => unreachable!("chunks for ticket {to}, which is no read"),
                },
                BucketEffect::Reply { to, reply } => state.answer(to, reply),
            }
        }
    }

    fn perform(self: &Arc<Self>, operation: OperationNo, what: Operation) {
        let driver = Arc::clone(self);
        self.runtime.spawn(async move {
            let outcome = driver.store.perform(what).await;
            driver.drive(&mut driver.lock(), BucketEvent::Done { operation, outcome });
        });
    }

    /// Sees to it that the machine hears of the time when it wants to.
    fn arm(self: &Arc<Self>, state: &mut State) {
        let Some(due) = state.machine.poll_timeout() else { return };
        if state.rings.is_some_and(|rings| rings <= due) {
            return;
        }
        state.rings = Some(due);
        let (driver, at) = (Arc::clone(self), self.started + Duration::from_micros(due.0));
        self.runtime.spawn(async move {
            tokio::time::sleep_until(at).await;
            let mut state = driver.lock();
            if state.rings == Some(due) {
                state.rings = None;
            }
            driver.drive(&mut state, BucketEvent::Tick);
        });
    }
}

impl State {
    fn owe(&mut self, owed: Owed) -> Ticket {
        self.tickets += 1;
        self.owed.insert(self.tickets, owed);
        self.tickets
    }

    fn stored(&mut self, to: Ticket) {
        match self.owed.remove(&to) {
            Some(Owed::Put(segment, seq)) => self.tell(segment, LinkEvent::Stored(seq)),
            Some(Owed::Copy(asker)) => _ = asker.send(Ok(())),
            _ => unreachable!("ticket {to} is stored, and was no put"),
        }
    }

    fn answer(&mut self, to: Ticket, reply: Reply) {
        // Whoever asked may have gone; then nobody hears it.
        match self.owed.remove(&to).expect("a ticket is answered once") {
            Owed::Put(segment, seq) => match reply {
                Reply::Refused(refusal) => self.tell(segment, LinkEvent::Refused(seq, refusal)),
                other => unreachable!("a put is stored or refused, not answered with {other:?}"),
            },
            Owed::Copy(asker) => match reply {
                Reply::Refused(refusal) => _ = asker.send(Err(refusal)),
                other => unreachable!("a copy is stored or refused, not answered with {other:?}"),
            },
            Owed::Call(asker) => {
                self.asked -= 1;
                let _ = asker.send(reply);
            }
            Owed::Read(chunks, asker) => {
                self.asked -= 1;
                let _ = asker.send((chunks, reply));
            }
        }
    }

    fn tell(&self, segment: SegmentId, event: LinkEvent) {
        if let Some(subscriber) = self.subscribers.get(&segment) {
            let _ = subscriber.events.send((subscriber.tag, event));
        }
    }
}

/// The chunks of a read, verified. The error says which is not what it says of itself.
pub(super) fn verified(found: Vec<(ChunkHeader, Bytes)>, next: ChunkSeq, reply: Reply) -> Result<ReadAnswer, String> {
    let mut chunks = Vec::with_capacity(found.len());
    for (header, payload) in found {
        if let Err(why) = header.verify_payload(&payload) {
            return Err(format!("seq {}: {why}", header.seq));
        }
        chunks.push(Chunk { header, payload });
    }
    match reply {
        Reply::ReadEnd { next, answer } => Ok(ReadAnswer { chunks, next, answer }),
        other => Err(format!("a read from seq {next} is answered with {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::BucketPlace;
    use futures::future::join_all;
    use quarry_protocol::ids::Epoch;

    #[tokio::test]
    async fn more_readers_than_the_machine_has_room_for_take_turns() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = BucketPlace::parse(&format!("file://{}", dir.path().display())).expect("a place");
        let store = BucketStore::open(&place).expect("opens");
        let disk = store.identify().await.expect("a name");
        let log = LogId([7; 16]);
        let driver = Arc::new(LogDriver::new(store, Handle::current(), log, disk));
        let segment = SegmentId { epoch: Epoch(1), index: 0 };
        let read = || Request::Read { log, segment, from: ChunkSeq(0), chunks_max: 1, bytes_max: 1 };
        let asked: Vec<_> = (0..3 * BUCKET_REQUESTS_MAX).map(|_| driver.read(disk, read())).collect();
        for answer in join_all(asked).await {
            // No record of this log was handed over, so there is nothing to tell; but never that there was no room.
            let (_, reply) = answer.expect("an answer");
            assert!(matches!(reply, Reply::ReadEnd { .. }), "{reply:?}");
        }
        assert_eq!(driver.lock().asked, 0);
    }
}
