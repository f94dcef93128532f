//! Receiving: frame header, its judgement, then the body into a slot, a large one's straight from the socket (D3, D8).

use super::ahead::Ahead;
use super::connection::Connection;
use super::slots::{Buffer, Slots};
use super::world::{Event, World};
use glommio::timer::sleep;
use quarry_protocol::chunk::{ChunkError, ChunkHeader};
use quarry_protocol::frame::{FrameError, FrameHeader, FrameKind};
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, FRAME_HEADER_BYTES};
use quarry_protocol::message::{Refusal, Reply, Request};
use quarry_protocol::planted;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Bytes received in one go before other tasks, the shard's loop among them, get their turn. A writer that keeps a window of half
/// a MiB in flight never has to pause for them.
const TURN_BYTES: usize = 512 << 10;
/// How long a connection pauses then. What tasks submit goes to the kernel only once none of them is ready, so going to the
/// end of their queue would not be enough.
const TURN_PAUSE: Duration = Duration::from_micros(20);

/// Why a connection stops receiving.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    /// The peer does not speak our protocol, or not any more.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A frame that only nodes send.
    #[error("a {0:?} frame is sent by nodes, not to them")]
    Direction(FrameKind),
    /// The peer ended the connection inside a frame.
    #[error("the connection ended inside a frame")]
    Cut,
    /// The socket failed.
    #[error("receiving: {0}")]
    Socket(#[from] io::Error),
}

/// Bytes of a shard's and a connection's budget, given back when dropped, unless they become a slot.
struct Reserved<'a> {
    world: &'a World,
    connection: &'a Connection,
    budget: u64,
    buffer: Option<Buffer>,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut slots = self.world.slots.borrow_mut();
        if let Some(buffer) = self.buffer.take() {
            slots.give_back(buffer);
            self.connection.released(self.budget);
        } else if self.budget > 0 {
            slots.stop_waiting(self.connection.id.0);
            self.connection.released(self.budget);
        }
    }
}

/// The receiving half of a connection.
pub(super) struct Receiver<'a> {
    world: &'a World,
    connection: &'a Rc<Connection>,
    /// What came along with the last body.
    ahead: Ahead,
    /// A control request's body.
    body: Vec<u8>,
    /// Bytes received since other tasks had their turn.
    turn_bytes: usize,
}

impl<'a> Receiver<'a> {
    pub(super) fn new(world: &'a World, connection: &'a Rc<Connection>) -> Self {
        Self { world, connection, ahead: Ahead::default(), body: Vec::new(), turn_bytes: 0 }
    }

    /// Receives requests and delivers them, until the peer ends the connection between two frames.
    pub(super) async fn run(mut self) -> Result<(), ReceiveError> {
        loop {
            self.connection.room_for_request().await;
            let Some(header) = self.frame_header().await? else { return Ok(()) };
            let header = FrameHeader::decode(&header)?;
            match header.kind {
                FrameKind::Put | FrameKind::TimedPut | FrameKind::Copy => self.put(&header).await?,
                FrameKind::Request => self.request(&header).await?,
                kind => return Err(ReceiveError::Direction(kind)),
            }
            if self.turn_bytes >= TURN_BYTES {
                self.turn_bytes = 0;
                sleep(TURN_PAUSE).await;
            }
        }
    }

    /// The next header; none if the stream ended before it began.
    async fn frame_header(&mut self) -> Result<Option<[u8; FRAME_HEADER_BYTES]>, ReceiveError> {
        loop {
            if let Some(header) = self.ahead.take_header() {
                return Ok(Some(header));
            }
            let mid_frame = self.ahead.len() > 0;
            if self.receive_ahead(mid_frame).await? == 0 {
                return if mid_frame { Err(ReceiveError::Cut) } else { Ok(None) };
            }
        }
    }

    async fn receive_ahead(&mut self, mid_frame: bool) -> io::Result<usize> {
        let received = self.connection.receive(self.world.now(), mid_frame, self.ahead.space()).await?;
        self.ahead.received(received);
        self.turn_bytes += received;
        Ok(received)
    }

    async fn put(&mut self, header: &FrameHeader) -> Result<(), ReceiveError> {
        let mut reserved = reserve(self.world, self.connection, header.body_bytes).await;
        let Some(buffer) = &mut reserved.buffer else { return Err(ReceiveError::Cut) };
        let body_bytes = header.body_bytes as usize;
        self.body_into(&mut buffer.bytes_mut()[..body_bytes + FRAME_HEADER_BYTES], body_bytes).await?;
        self.unless_stopping().await;
        match check_chunk(&buffer.bytes()[..body_bytes]) {
            Ok(chunk) => {
                let buffer = reserved.buffer.take().expect("just filled");
                reserved.budget = 0;
                let slot = self.world.slots.borrow_mut().fill(buffer, self.connection.id.0, chunk.length);
                self.connection.delivered();
                let (connection, request_id, disk) = (self.connection.id, header.request_id, header.disk);
                let copy = header.kind == FrameKind::Copy;
                let timed = (header.kind == FrameKind::TimedPut).then(|| self.world.now());
                self.world.put(Event::Put { connection, request_id, disk, header: chunk, slot, copy, timed });
            }
            Err(why) => self.refuse(header, &why),
        }
        Ok(())
    }

    /// Receives a body of `body_bytes` into `into`, which has room for a header behind it.
    async fn body_into(&mut self, into: &mut [u8], body_bytes: usize) -> Result<(), ReceiveError> {
        self.ahead.expect(body_bytes);
        let mut got = self.ahead.take(&mut into[..body_bytes]);
        while got < body_bytes {
            if Ahead::takes(body_bytes) {
                if self.receive_ahead(true).await? == 0 {
                    return Err(ReceiveError::Cut);
                }
                got += self.ahead.take(&mut into[got..body_bytes]);
                continue;
            }
            let received = self.connection.receive(self.world.now(), true, &mut into[got..]).await?;
            if received == 0 {
                return Err(ReceiveError::Cut);
            }
            self.turn_bytes += received;
            got += received;
            if got > body_bytes {
                self.ahead.push(&into[body_bytes..got]);
            }
        }
        Ok(())
    }

    async fn request(&mut self, header: &FrameHeader) -> Result<(), ReceiveError> {
        let body_bytes = header.body_bytes as usize;
        let mut body = std::mem::take(&mut self.body);
        body.resize(body_bytes + FRAME_HEADER_BYTES, 0);
        self.body_into(&mut body, body_bytes).await?;
        header.verify_body(&body[..body_bytes])?;
        self.unless_stopping().await;
        match Request::decode(&body[..body_bytes]) {
            Ok(request) => {
                self.connection.delivered();
                let (connection, request_id, disk) = (self.connection.id, header.request_id, header.disk);
                self.world.put(Event::Request { connection, request_id, disk, request });
            }
            Err(why) => self.refuse(header, &why),
        }
        self.body = body;
        Ok(())
    }

    /// Once a clean stop has begun, nothing more is delivered: this never returns, and what was delivered before is
    /// answered before the connection ends.
    async fn unless_stopping(&self) {
        if self.world.is_stopping() {
            std::future::pending::<()>().await;
        }
    }

    /// The frame is sound and what it carries is not: that one request is refused, the connection goes on.
    fn refuse(&self, header: &FrameHeader, why: &dyn std::error::Error) {
        tracing::warn!(peer = %self.connection.peer, %why, "refused a request that does not verify");
        let body = Reply::Refused(Refusal::BadRequest { why: why.to_string() }).encode();
        let reply = FrameHeader::control(FrameKind::Reply, header.request_id, header.disk, &body);
        let mut output = self.connection.output();
        output.push(&reply.encode());
        output.push(&body);
        drop(output);
        self.connection.flush(self.world.now());
    }
}

/// The one verification of a chunk on this node (D3).
fn check_chunk(body: &[u8]) -> Result<ChunkHeader, ChunkError> {
    let header = ChunkHeader::decode(body)?;
    if !planted!(ArrivalsUnverified) {
        header.verify_payload(&body[CHUNK_HEADER_BYTES..])?;
    }
    Ok(header)
}

/// Waits for memory for a body: first within the connection's budget, then within the shard's. No buffer comes only if
/// the connection ends meanwhile.
async fn reserve<'a>(world: &'a World, connection: &'a Connection, body_bytes: u32) -> Reserved<'a> {
    let budget = Slots::budget_of(body_bytes);
    connection.room_for_bytes(budget).await;
    let mut reserved = Reserved { world, connection, budget, buffer: None };
    reserved.buffer = poll_fn(|cx| {
        if connection.is_ending() {
            return Poll::Ready(None);
        }
        match world.slots.borrow_mut().take(connection.id.0, body_bytes, cx.waker()) {
            Some(buffer) => Poll::Ready(Some(buffer)),
            None => Poll::Pending,
        }
    })
    .await;
    reserved
}
