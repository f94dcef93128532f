//! What a link's callers and its connection share.

use super::bounds::{FLUSH_BYTES, OUTBOUND_BYTES_MAX};
use super::outbound::{Frame, Outbound, Sent};
use super::state::State;
use quarry_protocol::ids::{LogId, SegmentId};
use quarry_protocol::record::ReplicaRef;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

/// Says where a link's disk is now, as far as anybody knows.
pub(super) type Whereabouts = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// See the module. Two locks, never across an await: what is known, then what is sent. Sending happens
/// under the second one, so that answers can be taken meanwhile.
pub(super) struct Shared {
    replica: ReplicaRef,
    cluster: String,
    whereabouts: Whereabouts,
    state: Mutex<State>,
    sending: Mutex<Sending>,
    /// The socket took less than was queued, or failed.
    blocked: Notify,
    /// Somebody asked while the link was down.
    called: Notify,
    /// The phase changed.
    changed: Notify,
}

#[derive(Default)]
struct Sending {
    /// The connection that `outbound` is for, as [`State`] counts them.
    generation: u64,
    socket: Option<Arc<OwnedWriteHalf>>,
    outbound: Outbound,
    /// Why nothing can be sent on this connection any more.
    failed: Option<String>,
}

/// A poisoned lock means a panic between two consistent states of plain data: the data is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(replica: ReplicaRef, cluster: String, whereabouts: Whereabouts) -> Self {
        let state = Mutex::new(State::new(&replica.address, Instant::now()));
        Self {
            replica,
            cluster,
            whereabouts,
            state,
            sending: Mutex::default(),
            blocked: Notify::new(),
            called: Notify::new(),
            changed: Notify::new(),
        }
    }

    pub(super) const fn replica(&self) -> &ReplicaRef {
        &self.replica
    }

    /// Where to look for the disk, the likeliest place first. Nodes move; the record keeps the address of old.
    pub(super) fn addresses(&self) -> Vec<String> {
        let mut addresses: Vec<String> = (self.whereabouts)().into_iter().collect();
        if !addresses.contains(&self.replica.address) {
            addresses.push(self.replica.address.clone());
        }
        addresses
    }

    pub(super) fn cluster(&self) -> &str {
        &self.cluster
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) const fn blocked(&self) -> &Notify {
        &self.blocked
    }

    pub(super) const fn called(&self) -> &Notify {
        &self.called
    }

    pub(super) const fn changed(&self) -> &Notify {
        &self.changed
    }

    /// A connection is made: what is put from now on goes out on `socket`.
    pub(super) fn went_up(&self, socket: &Arc<OwnedWriteHalf>) {
        // The queue is ready before anybody can hear that the link is up.
        let mut state = self.state();
        *lock(&self.sending) =
            Sending { generation: state.generation() + 1, socket: Some(Arc::clone(socket)), ..Sending::default() };
        state.went_up(Instant::now());
        drop(state);
        self.changed.notify_waiters();
    }

    /// The connection is gone: nothing queued for it is ever sent.
    pub(super) fn went_down(&self, why: &str) {
        self.state().went_down(why);
        *lock(&self.sending) = Sending::default();
        self.changed.notify_waiters();
    }

    /// Queues a frame that was made for connection `generation`. Sends at once what has piled up.
    pub(super) fn push(&self, generation: u64, frame: Frame) {
        let mut sending = lock(&self.sending);
        if sending.generation != generation || sending.failed.is_some() {
            return;
        }
        sending.outbound.push(frame);
        let bytes = sending.outbound.bytes();
        if bytes > OUTBOUND_BYTES_MAX {
            sending.failed =
                Some(format!("{bytes} bytes wait to be sent, the most is {OUTBOUND_BYTES_MAX}: it is too slow"));
        }
        drop(sending);
        if bytes >= FLUSH_BYTES {
            self.flush();
        }
    }

    /// Sends what is queued, as far as the socket takes it; the connection's own task sends the rest.
    pub(super) fn flush(&self) {
        if !matches!(self.send(), Ok(Sent::All)) {
            self.blocked.notify_one();
        }
    }

    /// Sends what is queued, as far as the socket takes it. An error ends the connection.
    pub(super) fn send(&self) -> Result<Sent, String> {
        let mut sending = lock(&self.sending);
        let Sending { socket, outbound, failed, .. } = &mut *sending;
        if let Some(why) = failed {
            return Err(why.clone());
        }
        let Some(socket) = socket else { return Ok(Sent::All) };
        let sent = outbound.send(|slices| socket.try_write_vectored(slices)).map_err(|why| format!("send: {why}"));
        if let Err(why) = &sent {
            *failed = Some(why.clone());
        }
        sent
    }

    /// Ends a subscription, and drops what it put that is not sent yet.
    pub(super) fn unsubscribe(&self, log: LogId, segment: SegmentId, id: u64) {
        let ended = self.state().unsubscribe(log, segment, id);
        if ended {
            lock(&self.sending).outbound.drop_puts_of(log, segment);
        }
    }
}
