//! What the tasks of one shard's executor share: the queue to its loop, the slots, the disk, the connections. All of it
//! lives on one thread.

use super::connection::Connection;
use super::disk::{Disk, ReadBytes};
use super::slots::Slots;
use crate::shard::{AdminAnswer, AdminRequest, ConnectionId, MemberList, ReadOutcome};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::SHARD_BUFFER_BYTES_MAX;
use quarry_protocol::message::Request;
use quarry_protocol::replica::Slot;
use quarry_protocol::time::Micros;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;
use tokio::sync::oneshot;

/// A [`crate::shard::ShardEvent`] on its way to the loop.
#[derive(Debug)]
pub(super) enum Event {
    Connected {
        connection: ConnectionId,
    },
    Closed {
        connection: ConnectionId,
    },
    Put {
        connection: ConnectionId,
        request_id: u64,
        disk: DiskId,
        header: ChunkHeader,
        slot: Slot,
        copy: bool,
        /// When it arrived, if it asked where its time goes.
        timed: Option<Micros>,
    },
    Request {
        connection: ConnectionId,
        request_id: u64,
        disk: DiskId,
        request: Request,
    },
    Written {
        number: u64,
        result: Result<u32, String>,
        at: Micros,
    },
    Prepared {
        file: u32,
        result: Result<(), String>,
    },
    ReadDone {
        token: u64,
        sent: u32,
        outcome: ReadOutcome,
    },
    CopyRead {
        token: u64,
        result: Result<ReadBytes, String>,
    },
    Admin {
        ticket: u64,
        request: AdminRequest,
    },
    Members {
        list: Arc<MemberList>,
    },
    Stop,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct World {
    started: Instant,
    inbox: RefCell<VecDeque<Event>>,
    owner: RefCell<Option<Waker>>,
    pub(super) slots: RefCell<Slots>,
    pub(super) disk: Disk,
    connections: RefCell<BTreeMap<ConnectionId, Rc<Connection>>>,
    /// Where answers to the control plane go, by ticket.
    asked: RefCell<BTreeMap<u64, oneshot::Sender<AdminAnswer>>>,
    /// Tasks of the loop that are not done. The executor must outlive them: their buffers are the kernel's meanwhile.
    tasks: Cell<usize>,
    stopping: Cell<bool>,
}

impl World {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            started: Instant::now(),
            inbox: RefCell::default(),
            owner: RefCell::default(),
            slots: RefCell::new(Slots::new(SHARD_BUFFER_BYTES_MAX)),
            disk: Disk::new(directory),
            connections: RefCell::default(),
            asked: RefCell::default(),
            tasks: Cell::new(0),
            stopping: Cell::new(false),
        }
    }

    /// The shard's time.
    pub(super) fn now(&self) -> Micros {
        Micros(self.started.elapsed().as_micros() as u64)
    }

    /// Puts an event into the loop's queue and wakes it.
    pub(super) fn put(&self, event: Event) {
        self.inbox.borrow_mut().push_back(event);
        self.wake_owner();
    }

    fn wake_owner(&self) {
        // The loop registers its waker again before it sleeps, so one wake is enough.
        if let Some(owner) = self.owner.borrow_mut().take() {
            owner.wake();
        }
    }

    /// Everything that waits for the loop. Only the loop calls this.
    pub(super) fn take(&self, into: &mut VecDeque<Event>, cx: &Context<'_>) {
        std::mem::swap(&mut *self.inbox.borrow_mut(), into);
        if into.is_empty() {
            self.owner.replace(Some(cx.waker().clone()));
        }
    }

    /// Counts a task that has begun.
    pub(super) fn task_begins(&self) {
        self.tasks.set(self.tasks.get() + 1);
    }

    /// Counts a task that is done.
    pub(super) fn task_ends(&self) {
        self.tasks.set(self.tasks.get() - 1);
        self.wake_owner();
    }

    /// How many tasks are not done.
    pub(super) fn tasks(&self) -> usize {
        self.tasks.get()
    }

    /// Begins a clean stop: no request is delivered any more.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
        self.put(Event::Stop);
    }

    /// Whether a clean stop has begun.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    pub(super) fn add_connection(&self, connection: Rc<Connection>) {
        let id = connection.id;
        self.connections.borrow_mut().insert(id, connection);
        self.put(Event::Connected { connection: id });
    }

    pub(super) fn remove_connection(&self, connection: ConnectionId) {
        self.connections.borrow_mut().remove(&connection);
        self.put(Event::Closed { connection });
    }

    pub(super) fn connection(&self, connection: ConnectionId) -> Option<Rc<Connection>> {
        self.connections.borrow().get(&connection).cloned()
    }

    /// All connections, to look at each.
    pub(super) fn connections(&self) -> Vec<Rc<Connection>> {
        self.connections.borrow().values().cloned().collect()
    }

    /// Releases a slot that the shard is done with.
    pub(super) fn release(&self, slot: Slot) {
        let (connection, budget) = self.slots.borrow_mut().release(slot);
        if let Some(connection) = self.connections.borrow().get(&ConnectionId(connection)) {
            connection.released(budget);
        }
    }

    /// Remembers where the answer to a question goes.
    pub(super) fn ask(&self, ticket: u64, request: AdminRequest, answer: oneshot::Sender<AdminAnswer>) {
        self.asked.borrow_mut().insert(ticket, answer);
        self.put(Event::Admin { ticket, request });
    }

    /// Hands an answer to whoever asked.
    pub(super) fn answer(&self, ticket: u64, answer: AdminAnswer) {
        if let Some(asked) = self.asked.borrow_mut().remove(&ticket) {
            // Whoever asked may have given up.
            let _ = asked.send(answer);
        }
    }
}
