//! What every part of the world shares: time, the queue of what will happen, chance, and the books.

use crate::buckets::{ObjectCall, ObjectStore};
use crate::directory::Directory;
use crate::faults::Faults;
use crate::network::{Frame, Network};
use crate::notes::Notes;
use crate::numbers::Numbers;
use crate::options::Options;
use crate::oracle::Oracle;
use crate::register::{Register, RegisterCall};
use crate::trace::Trace;
use bytes::Bytes;
use quarry_protocol::action::Step;
use quarry_protocol::time::Micros;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A client; never used twice in a run.
pub(crate) type ClientId = u32;
/// A connection; never used twice in a run.
pub(crate) type ConnId = u32;

/// The client of requests that come from nowhere: late ones, and duplicates.
pub(crate) const NOBODY: ClientId = u32::MAX;

/// Which shard, in which life of its node: what happens to an earlier life finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardAt {
    pub(crate) node: usize,
    pub(crate) shard: usize,
    pub(crate) life: u32,
}

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection reaches a node.
    Open {
        conn: ConnId,
    },
    ToNode {
        conn: ConnId,
        frame: Box<Frame>,
    },
    ToClient {
        conn: ConnId,
        frame: Box<Frame>,
    },
    /// A partition that held up frames of this connection ends; true: frames to the node.
    Release {
        conn: ConnId,
        to_node: bool,
    },
    ClosedAtNode {
        conn: ConnId,
    },
    ClosedAtClient {
        conn: ConnId,
        why: &'static str,
    },
    /// A shard's loop takes its next turn.
    Turn {
        at: ShardAt,
    },
    /// A disk operation ends.
    Disk {
        at: ShardAt,
        operation: u64,
    },
    /// A node starts, if it is still down.
    Start {
        node: usize,
        life: u32,
    },
    /// The operator looks after a node whose disk failed.
    Mend {
        node: usize,
        life: u32,
    },
    ClientWake {
        client: ClientId,
    },
    ClientNews {
        client: ClientId,
        news: Box<crate::client::News>,
    },
    /// An operation on an object takes place.
    Object {
        call: Box<ObjectCall>,
    },
    Register {
        call: Box<RegisterCall>,
    },
    /// The next fault, or the next session, is drawn.
    Chaos,
}

#[derive(Debug)]
struct Queued {
    at: u64,
    /// Who goes first of those that come at the same time: drawn, so that no order is special.
    tie: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.tie) == (other.at, other.tie)
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.tie).cmp(&(other.at, other.tie))
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) now: u64,
    pub(crate) numbers: Numbers,
    pub(crate) options: Options,
    pub(crate) notes: Notes,
    pub(crate) faults: Faults,
    pub(crate) net: Network,
    pub(crate) register: Register,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) directory: Directory,
    pub(crate) buckets: Vec<ObjectStore>,
    /// Faults are over: everything has to finish now.
    pub(crate) healed: bool,
    /// Random bytes that payloads are cut from.
    pool: Bytes,
    queue: BinaryHeap<Reverse<Queued>>,
    queued: u64,
}

impl Core {
    pub(crate) fn new(seed: u64, options: Options, pool: Bytes) -> Self {
        let net = Network::new(options.nodes);
        Self {
            now: 1_000,
            numbers: Numbers::new(seed),
            options,
            notes: Notes::new(),
            faults: Faults::default(),
            net,
            register: Register::default(),
            oracle: Oracle::default(),
            trace: Trace::default(),
            directory: Directory::default(),
            buckets: Vec::new(),
            healed: false,
            pool,
            queue: BinaryHeap::new(),
            queued: 0,
        }
    }

    pub(crate) fn micros(&self) -> Micros {
        Micros(self.now)
    }

    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.queued += 1;
        // Distinct in its lower bits: the order of a run is a function of its seed alone.
        let tie = (self.numbers.next() & !0xffff_ffff) | (self.queued & 0xffff_ffff);
        self.queue.push(Reverse(Queued { at: at.max(self.now), tie, event }));
    }

    /// The next event, and time moves on to it; none before `until`.
    pub(crate) fn next(&mut self, until: u64) -> Option<Event> {
        if self.queue.peek().is_none_or(|Reverse(first)| first.at > until) {
            return None;
        }
        let Reverse(first) = self.queue.pop()?;
        self.now = first.at;
        Some(first.event)
    }

    /// A payload that was most likely never used before.
    pub(crate) fn payload(&mut self, bytes_max: u64) -> Bytes {
        // The last appends have to fit on any disk.
        let bytes_max = if self.healed { bytes_max.min(20_000) } else { bytes_max };
        let least = bytes_max.min(16);
        let bytes = if self.numbers.percent(70) {
            self.numbers.between(least, bytes_max)
        } else {
            self.numbers.pick(&[least, bytes_max])
        } as usize;
        let from = self.numbers.index(self.pool.len() - bytes);
        self.pool.slice(from..from + bytes)
    }

    /// Whether a fault of a single operation happens now; counted if it does.
    pub(crate) fn happens(&mut self, per_mille: u64, kind: &'static str) -> bool {
        let happens = !self.healed && self.numbers.per_mille(per_mille);
        if happens {
            self.faults.count(kind);
        }
        happens
    }

    /// Notes, for traces, what concerns every log that was ever written.
    pub(crate) fn note_of_every_log(&mut self, step: impl Fn() -> Step) {
        if self.trace.wanted {
            for log in self.oracle.known_logs() {
                self.trace.note(log, &step);
            }
        }
    }

    pub(crate) fn step(&mut self, what: &'static str, numbers: [u64; 4]) {
        self.notes.step(self.now, what, numbers);
    }

    pub(crate) fn effect(&mut self, what: &'static str, numbers: [u64; 4]) {
        self.notes.effect(self.now, what, numbers);
    }
}
