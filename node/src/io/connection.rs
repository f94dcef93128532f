//! One client's connection: its socket, what waits to be sent on it, and what it holds of the shard's memory.
//!
//! Frames are sent by whoever ends a turn of the loop, in one call and without waiting. Only when the socket's buffer is
//! full does the connection's own task wait, and sends the rest.

use super::output::{Output, Sent};
use crate::shard::ConnectionId;
use futures::io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use quarry_protocol::limits::{CONNECTION_BUFFER_BYTES_MAX, CONNECTION_REQUESTS_MAX, CONNECTION_SEND_BYTES_MAX};
use quarry_protocol::time::Micros;
use std::cell::{Cell, RefCell, RefMut};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Past this many bytes waiting to be sent, nothing more is received: who does not take answers gets no more of them.
const SEND_BYTES_PAUSE: u64 = CONNECTION_SEND_BYTES_MAX / 2;
/// A peer that neither takes a byte we have for it nor sends the rest of a frame for this long is cut off: it holds
/// memory that others need.
const STALL_MICROS_MAX: u64 = 10_000_000;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) peer: SocketAddr,
    stream: RefCell<TcpStream>,
    output: RefCell<Output>,
    /// Whether the socket's buffer is full.
    blocked: Cell<bool>,
    /// The connection's task, while it waits: for room, for the socket to take more, or for the end.
    task: RefCell<Option<Waker>>,
    /// Reads that wait until there is room for what they read.
    readers: RefCell<Vec<Waker>>,
    /// Bytes of received chunks that this connection holds.
    held_bytes: Cell<u64>,
    /// Requests delivered and not answered.
    unanswered: Cell<usize>,
    /// Why the connection ends, once it does.
    ending: RefCell<Option<String>>,
    /// Since when the peer takes nothing that waits for it.
    send_stalled: Cell<Option<Micros>>,
    /// Since when the rest of a frame is missing.
    receive_stalled: Cell<Option<Micros>>,
}

impl Connection {
    /// A connection over a fresh socket.
    pub(super) fn new(id: ConnectionId, peer: SocketAddr, stream: TcpStream) -> Self {
        Self {
            id,
            peer,
            stream: RefCell::new(stream),
            output: RefCell::default(),
            blocked: Cell::new(false),
            task: RefCell::default(),
            readers: RefCell::default(),
            held_bytes: Cell::new(0),
            unanswered: Cell::new(0),
            ending: RefCell::default(),
            send_stalled: Cell::new(None),
            receive_stalled: Cell::new(None),
        }
    }

    /// Receives into `bytes`: how many bytes came, 0 at the end of the stream. `mid_frame` says that the peer owes them.
    pub(super) async fn receive(&self, now: Micros, mid_frame: bool, bytes: &mut [u8]) -> io::Result<usize> {
        self.receive_stalled.set(mid_frame.then_some(now));
        let received = poll_fn(|cx| Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, bytes)).await;
        self.receive_stalled.set(None);
        received
    }

    /// What waits to be sent, to add to it. Call [`Self::flush`] before the turn ends.
    pub(super) fn output(&self) -> RefMut<'_, Output> {
        self.output.borrow_mut()
    }

    /// Sends what the socket takes without waiting; the connection's task sends the rest.
    pub(super) fn flush(&self, now: Micros) {
        if self.blocked.get() || self.is_ending() {
            return;
        }
        let socket = self.stream.borrow().as_raw_fd();
        let sent = self.output.borrow_mut().send(socket);
        match sent {
            Ok(Sent::All) => {}
            Ok(Sent::Some(_)) => {
                self.blocked.set(true);
                self.send_stalled.set(Some(now));
                self.wake();
            }
            Err(why) => self.end(format!("sending: {why}")),
        }
    }

    /// Sends whatever [`Self::flush`] could not, for as long as the connection lives.
    pub(super) async fn send_when_blocked(&self, clock: impl Fn() -> Micros) {
        poll_fn(|cx| {
            self.sleep(cx);
            while self.blocked.get() && !self.is_ending() {
                match self.poll_send(cx, clock()) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(why)) => self.end(format!("sending: {why}")),
                    Poll::Pending => return Poll::Pending,
                }
            }
            if self.is_ending() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn poll_send(&self, cx: &mut Context<'_>, now: Micros) -> Poll<io::Result<()>> {
        let (mut stream, mut output) = (self.stream.borrow_mut(), self.output.borrow_mut());
        let sent = match Pin::new(&mut *stream).poll_write(cx, output.first()) {
            Poll::Ready(Ok(sent)) => sent,
            Poll::Ready(Err(why)) => return Poll::Ready(Err(why)),
            Poll::Pending => return Poll::Pending,
        };
        output.advance(sent);
        self.send_stalled.set(Some(now));
        self.readers.borrow_mut().drain(..).for_each(Waker::wake);
        if let Sent::All = output.send(stream.as_raw_fd())? {
            self.blocked.set(false);
            self.send_stalled.set(None);
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until the connection may deliver one more request: answers are being taken, and few are owed (D8).
    pub(super) async fn room_for_request(&self) {
        poll_fn(|cx| {
            let room =
                self.unanswered.get() < CONNECTION_REQUESTS_MAX && self.output.borrow().bytes() < SEND_BYTES_PAUSE;
            self.poll_room(cx, room)
        })
        .await;
    }

    /// Waits until the connection may hold `budget` more bytes of received chunks, and counts them as held (D8).
    pub(super) async fn room_for_bytes(&self, budget: u64) {
        poll_fn(|cx| self.poll_room(cx, self.held_bytes.get() + budget <= CONNECTION_BUFFER_BYTES_MAX)).await;
        self.held_bytes.set(self.held_bytes.get() + budget);
    }

    /// Waits until `bytes` more may wait to be sent; an error if the connection ends.
    pub(super) async fn room_to_send(&self, bytes: u32) -> Result<(), ()> {
        poll_fn(|cx| {
            if self.is_ending() {
                return Poll::Ready(Err(()));
            }
            if self.output.borrow().has_room(u64::from(bytes)) {
                return Poll::Ready(Ok(()));
            }
            self.readers.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn poll_room(&self, cx: &Context<'_>, room: bool) -> Poll<()> {
        if room || self.is_ending() {
            return Poll::Ready(());
        }
        self.sleep(cx);
        Poll::Pending
    }

    /// Counts a request that was delivered.
    pub(super) fn delivered(&self) {
        self.unanswered.set(self.unanswered.get() + 1);
    }

    /// Counts a request that is answered.
    pub(super) fn answered(&self) {
        let unanswered = self.unanswered.get();
        assert!(unanswered > 0, "{:?} is sent more answers than it asked questions", self.id);
        self.unanswered.set(unanswered - 1);
        if unanswered == CONNECTION_REQUESTS_MAX {
            self.wake();
        }
    }

    /// Counts bytes that are not held any more.
    pub(super) fn released(&self, budget: u64) {
        let held = self.held_bytes.get();
        assert!(held >= budget, "{:?} gives back {budget} bytes of {held} held", self.id);
        self.held_bytes.set(held - budget);
        if held + budget > CONNECTION_BUFFER_BYTES_MAX / 2 {
            self.wake();
        }
    }

    fn sleep(&self, cx: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        match &mut *task {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *task = Some(cx.waker().clone()),
        }
    }

    fn wake(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }

    /// Ends the connection: nothing is received or sent any more, and its task comes to an end.
    pub(super) fn end(&self, why: String) {
        if self.ending.borrow().is_some() {
            return;
        }
        self.ending.replace(Some(why));
        self.readers.borrow_mut().drain(..).for_each(Waker::wake);
        self.wake();
    }

    /// Whether the connection ends.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.borrow().is_some()
    }

    /// Why it ends, if it does.
    pub(super) fn why(&self) -> Option<String> {
        self.ending.borrow().clone()
    }

    /// Ends the connection if its peer keeps us waiting for too long.
    pub(super) fn check_stall(&self, now: Micros) {
        let stalled = |since: Option<Micros>| since.is_some_and(|since| now.since(since) > STALL_MICROS_MAX);
        if stalled(self.send_stalled.get()) {
            self.end(format!("the client took nothing for {} s while answers waited", STALL_MICROS_MAX / 1_000_000));
        } else if stalled(self.receive_stalled.get()) {
            self.end(format!("the rest of a frame did not come for {} s", STALL_MICROS_MAX / 1_000_000));
        }
    }
}
