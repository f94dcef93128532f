//! Reads: whose turn it is, where the chunks lie, and what to say at the end.
//!
//! A read waits here, as it was asked, until it may start: so few are in progress at once that their bytes fit in the
//! bounds of a connection and of the shard. It is planned when it starts and pins its files from then on, so that no
//! place in its plan can come to hold anything else (D7).

use super::Shard;
use super::connections::Asker;
use super::event::{ConnectionId, ReadOutcome, ShardEffect};
use crate::store::{ChunkKey, Place};
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::limits::{READS_PER_CONNECTION_MAX, READS_PER_SHARD_MAX, WINDOW_CHUNKS_MAX};
use quarry_protocol::message::{Answer, Reply, Request};
use quarry_protocol::replica::{ReplicaEvent, Ticket};
use quarry_protocol::time::Micros;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The reads of a shard.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// Per connection what it asked, and how many of its reads have started.
    queues: BTreeMap<ConnectionId, Queue>,
    /// Connections that may have a read to start, each once, in order of their turn.
    turns: VecDeque<ConnectionId>,
    waiting: usize,
    /// Planned, and held back until the background budget has room for them.
    paced: VecDeque<(Micros, u64)>,
    /// Planned, paced or being read.
    started: BTreeMap<u64, Read>,
    tokens: u64,
}

/// The reads of one connection.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Ticket, Request)>,
    started: usize,
    /// Whether the connection stands in `turns`.
    in_turn: bool,
}

/// A read that has started.
#[derive(Debug)]
struct Read {
    ticket: Ticket,
    asker: Asker,
    chunks: Vec<(ChunkKey, Place)>,
    /// Where it ends if all goes well, and what to say of that seq.
    end: (ChunkSeq, Answer),
}

/// What the replica wants read.
pub(super) struct Wanted {
    pub(super) log: LogId,
    pub(super) segment: SegmentId,
    pub(super) from: ChunkSeq,
    pub(super) to: ChunkSeq,
    pub(super) bytes_max: u32,
    pub(super) answer_at_end: Answer,
}

impl Reads {
    pub(super) fn in_progress(&self) -> usize {
        self.started.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// When the first paced read wants to be tried again.
    pub(super) fn poll_timeout(&self) -> Option<Micros> {
        self.paced.front().map(|(when, _)| *when)
    }

    fn ask(&mut self, connection: ConnectionId, ticket: Ticket, request: Request) {
        let queue = self.queues.entry(connection).or_default();
        queue.waiting.push_back((ticket, request));
        self.waiting += 1;
        queue.take_turn(connection, &mut self.turns);
    }

    /// The connection is gone: what has not started never does. What has started still holds its pins.
    pub(super) fn close(&mut self, connection: ConnectionId) {
        if let Some(queue) = self.queues.get_mut(&connection) {
            self.waiting -= queue.waiting.len();
            queue.waiting.clear();
            self.forget_if_idle(connection);
        }
    }

    /// The next read that may start now: connections take turns.
    fn take_startable(&mut self) -> Option<(Ticket, Request)> {
        while self.started.len() < READS_PER_SHARD_MAX {
            let connection = self.turns.pop_front()?;
            let Some(queue) = self.queues.get_mut(&connection) else { continue };
            queue.in_turn = false;
            if queue.started < READS_PER_CONNECTION_MAX
                && let Some(next) = queue.waiting.pop_front()
            {
                self.waiting -= 1;
                queue.take_turn(connection, &mut self.turns);
                self.forget_if_idle(connection);
                return Some(next);
            }
        }
        None
    }

    fn begin(&mut self, read: Read) -> u64 {
        self.tokens += 1;
        self.queues.entry(read.asker.connection).or_default().started += 1;
        self.started.insert(self.tokens, read);
        self.tokens
    }

    fn end(&mut self, token: u64) -> Read {
        let read = self.started.remove(&token).unwrap_or_else(|| panic!("read {token} ended twice or never began"));
        let connection = read.asker.connection;
        let queue = self.queues.get_mut(&connection).expect("kept while a read of it is in progress");
        queue.started -= 1;
        queue.take_turn(connection, &mut self.turns);
        self.forget_if_idle(connection);
        read
    }

    fn forget_if_idle(&mut self, connection: ConnectionId) {
        if self.queues.get(&connection).is_some_and(|queue| queue.started == 0 && queue.waiting.is_empty()) {
            self.queues.remove(&connection);
        }
    }

    pub(super) fn invariants(&self) {
        let (mut waiting, mut started) = (0, 0);
        for (connection, queue) in &self.queues {
            let reads = queue.started;
            assert!(reads <= READS_PER_CONNECTION_MAX, "{reads} reads in progress on {connection:?}");
            let stalled = !queue.waiting.is_empty() && reads < READS_PER_CONNECTION_MAX && !queue.in_turn;
            assert!(!stalled, "{} reads of {connection:?} wait for nothing", queue.waiting.len());
            waiting += queue.waiting.len();
            started += reads;
        }
        assert!(started == self.started.len(), "{started} reads counted, {} started", self.started.len());
        assert!(waiting == self.waiting, "{waiting} reads wait, {} counted", self.waiting);
        assert!(started <= READS_PER_SHARD_MAX, "{started} reads in progress");
        assert!(self.paced.len() <= started, "{} paced of {started} started", self.paced.len());
    }
}

impl Queue {
    /// Stands in line, once, if there is anything to start.
    fn take_turn(&mut self, connection: ConnectionId, turns: &mut VecDeque<ConnectionId>) {
        if !self.in_turn && !self.waiting.is_empty() {
            self.in_turn = true;
            turns.push_back(connection);
        }
    }
}

impl Shard {
    pub(super) fn queue_read(&mut self, ticket: Ticket, connection: ConnectionId, request: Request) {
        self.reads.ask(connection, ticket, request);
    }

    /// Starts reads as long as there is room. True if the replica was asked something.
    pub(super) fn start_reads(&mut self) -> bool {
        let Some((ticket, request)) = self.reads.take_startable() else { return false };
        let asker = self.connections.asker(ticket).expect("a closed connection takes its waiting reads along");
        self.replica.handle(self.now, ReplicaEvent::Request { from: ticket, disk: asker.disk, request });
        true
    }

    /// The replica agrees to a read: look up where the chunks lie, and read them.
    pub(super) fn plan_read(&mut self, ticket: Ticket, wanted: &Wanted) {
        let Some(asker) = self.connections.asker(ticket) else { return };
        let (chunks, end) = self.find_chunks(wanted);
        if chunks.is_empty() {
            return self.reply(ticket, &Reply::ReadEnd { next: end.0, answer: end.1 });
        }
        for file in files(&chunks) {
            self.store.pin(file);
        }
        let catching_up = self.is_catching_up(wanted, end.0);
        let token = self.reads.begin(Read { ticket, asker, chunks, end });
        if catching_up {
            self.reads.paced.push_back((self.now, token));
            self.go_on_reading();
        } else {
            self.read_chunks(token);
        }
    }

    /// The chunks to read, and what to say of the seq behind them.
    fn find_chunks(&self, wanted: &Wanted) -> (Vec<(ChunkKey, Place)>, (ChunkSeq, Answer)) {
        let (mut chunks, mut bytes, mut seq) = (Vec::new(), 0, wanted.from);
        while seq < wanted.to {
            let key = ChunkKey { log: wanted.log, segment: wanted.segment, seq };
            // The replica holds only what is in the index. Should they ever differ, *unknown* is safe (P8).
            let Some(place) = self.store.locate(&key) else { return (chunks, (seq, Answer::Unknown)) };
            bytes += u64::from(place.length);
            if !chunks.is_empty() && bytes > u64::from(wanted.bytes_max) {
                return (chunks, (seq, Answer::Have));
            }
            chunks.push((key, place));
            seq = seq.next();
        }
        (chunks, (wanted.to, wanted.answer_at_end))
    }

    /// Whether a read is so far behind the newest chunk of its segment that no writer, recovery or follower needs it
    /// now: it shares the background's budget (D2, pitfall 35).
    fn is_catching_up(&self, wanted: &Wanted, end: ChunkSeq) -> bool {
        let newest = self.replica.newest(wanted.log, wanted.segment);
        newest.is_some_and(|newest| end.plus(u64::from(WINDOW_CHUNKS_MAX)) < newest)
    }

    /// Lets paced reads go, in order, as far as the background budget reaches.
    pub(super) fn go_on_reading(&mut self) {
        while let Some((when, token)) = self.reads.paced.pop_front() {
            if when > self.now {
                return self.reads.paced.push_front((when, token));
            }
            let bytes = self.reads.started[&token].chunks.iter().map(|(_, place)| u64::from(place.length)).sum();
            match self.store.take_background(self.now, bytes) {
                Ok(()) => self.read_chunks(token),
                Err(when) => return self.reads.paced.push_front((when.max(self.now.plus(1)), token)),
            }
        }
    }

    fn read_chunks(&mut self, token: u64) {
        let Read { asker, chunks, .. } = &self.reads.started[&token];
        let Asker { connection, request_id, disk } = *asker;
        let chunks = chunks.clone();
        self.effects.push_back(ShardEffect::ReadChunks { token, connection, request_id, disk, chunks });
    }

    pub(super) fn read_done(&mut self, token: u64, sent: u32, outcome: ReadOutcome) {
        let Read { ticket, chunks, end, .. } = self.reads.end(token);
        for file in files(&chunks) {
            self.store.unpin(file);
        }
        self.counters.chunks_read += u64::from(sent);
        let (next, answer) = match outcome {
            ReadOutcome::AllSent => {
                assert!(sent as usize == chunks.len(), "all of {} chunks sent, {sent} counted", chunks.len());
                end
            }
            ReadOutcome::Unreadable { why } => {
                let (key, place) = chunks[sent as usize];
                self.unreadable(key, place, &why);
                (key.seq, Answer::Unknown)
            }
            ReadOutcome::ConnectionGone => return,
        };
        self.reply(ticket, &Reply::ReadEnd { next, answer });
    }

    /// D6: a chunk that cannot be read twice in a row is lost, durably so. Said once: other reads, and copying, may come
    /// upon it too.
    fn unreadable(&mut self, key: ChunkKey, place: Place, why: &str) {
        if !self.store.is_newly_lost(&key, place) {
            return;
        }
        self.counters.chunks_unreadable += 1;
        let ChunkKey { log, segment, seq } = key;
        let what = format!("chunk {log}/{segment}/{seq} cannot be read: {why}: it is answered as unknown from now on");
        self.effects.push_back(ShardEffect::Warn { what });
        self.replica.handle(self.now, ReplicaEvent::Lost { log, segment, from: seq, to: seq.next() });
    }
}

/// The files of a read, each once: pinned and unpinned alike.
fn files(chunks: &[(ChunkKey, Place)]) -> BTreeSet<u32> {
    chunks.iter().map(|(_, place)| place.file).collect()
}
