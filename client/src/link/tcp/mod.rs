//! The link to a storage node's shard: one TCP connection, shared by every log of the process, that comes back
//! by itself.
//!
//! ```text
//! put, call, read -> State (request ids) -> Outbound -> writev \
//!                                                               socket -> node
//! events, answers <- State               <- Inbound  <- read   /
//! ```
//! Frames go out on the caller's own thread as far as the socket takes them; only the rest waits for the
//! connection's task. A link names its disk in every request (P4) and is up only while the node at the address
//! says, in its hello, that it has that disk (P14).

mod bounds;
mod collecting;
mod connection;
pub(crate) mod handshake;
mod inbound;
mod outbound;
mod shared;
mod state;
#[cfg(test)]
mod tests;

pub use handshake::ANY_CLUSTER;

use super::{LinkError, LinkEvents, ReadAnswer, ReplicaLink, Subscription};
use async_trait::async_trait;
use bounds::CALL_TIMEOUT;
use bytes::Bytes;
use collecting::{Collecting, Expected};
use outbound::Frame;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::limits::{READ_BYTES_MAX, READ_CHUNKS_MAX};
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::record::ReplicaRef;
use shared::{Shared, Whereabouts};
use state::{Asked, Phase};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// See the module. Dropping it closes the connection.
pub struct TcpLink {
    shared: Arc<Shared>,
    task: AbortHandle,
    call_timeout: Duration,
}

impl Drop for TcpLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TcpLink {
    /// A link to `replica`, a disk of a node of `cluster`; it starts to connect at once.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn new(replica: ReplicaRef, cluster: &str) -> Self {
        Self::following(replica, cluster, Box::new(|| None))
    }

    /// Like [`Self::new`], but looks for the disk where `whereabouts` says it is now, if it says so, before the address in `replica`.
    pub(crate) fn following(replica: ReplicaRef, cluster: &str, whereabouts: Whereabouts) -> Self {
        let shared = Arc::new(Shared::new(replica, cluster.to_owned(), whereabouts));
        let task = tokio::spawn(connection::keep(Arc::clone(&shared))).abort_handle();
        Self { shared, task, call_timeout: CALL_TIMEOUT }
    }

    fn put_as(&self, frame: fn(u64, DiskId, &ChunkHeader, Bytes) -> Frame, header: &ChunkHeader, payload: Bytes) {
        assert!(header.length as usize == payload.len(), "a put of {} bytes says {}", payload.len(), header.length);
        let begun = self.shared.state().put(header, Instant::now());
        if let Some((generation, id)) = begun {
            self.shared.push(generation, frame(id, self.shared.replica().disk, header, payload));
        }
    }

    fn address(&self) -> String {
        self.shared.replica().address.clone()
    }

    /// Waits until the first attempt to connect came to an end; an error if the link is down.
    async fn connected(&self) -> Result<(), LinkError> {
        loop {
            let mut changed = pin!(self.shared.changed().notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let phase = self.shared.state().phase().clone();
            match phase {
                Phase::Up => return Ok(()),
                Phase::Down(why) => {
                    self.shared.called().notify_one();
                    return Err(LinkError::Down { address: self.address(), why });
                }
                Phase::Connecting => changed.await,
            }
        }
    }

    /// Sends a control request and waits for what comes back.
    async fn request<T>(
        &self,
        request: &Request,
        asked: impl FnOnce(oneshot::Sender<Result<T, LinkError>>) -> Asked,
    ) -> Result<T, LinkError> {
        self.ask(request.name(), asked, |id, disk| Frame::request(id, disk, &request.encode())).await
    }

    /// Sends a frame and waits for what comes back, not longer than a call may take.
    async fn ask<T>(
        &self,
        name: &'static str,
        asked: impl FnOnce(oneshot::Sender<Result<T, LinkError>>) -> Asked,
        frame: impl FnOnce(u64, DiskId) -> Frame,
    ) -> Result<T, LinkError> {
        let answer = timeout(self.call_timeout, async {
            self.connected().await?;
            let (sender, receiver) = oneshot::channel();
            let begun = self.shared.state().ask(asked(sender), Instant::now());
            let Some((generation, id)) = begun else {
                return Err(LinkError::Down { address: self.address(), why: "the connection just broke".to_owned() });
            };
            // A caller that goes away, or waits too long, leaves nothing behind.
            let _forget = Forget { shared: &self.shared, id };
            self.shared.push(generation, frame(id, self.shared.replica().disk));
            self.shared.flush();
            receiver.await.unwrap_or_else(|_| {
                Err(LinkError::Lost { address: self.address(), why: "the connection broke".to_owned() })
            })
        });
        answer.await.unwrap_or_else(|_| {
            let after_ms = self.call_timeout.as_millis() as u64;
            Err(LinkError::Timeout { address: self.address(), request: name, after_ms })
        })
    }
}

struct Forget<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.state().forget(self.id);
    }
}

#[async_trait]
impl ReplicaLink for TcpLink {
    fn replica(&self) -> &ReplicaRef {
        self.shared.replica()
    }

    fn put(&self, header: ChunkHeader, payload: Bytes) {
        self.put_as(Frame::put, &header, payload);
    }

    fn put_timed(&self, header: ChunkHeader, payload: Bytes) {
        self.put_as(Frame::timed_put, &header, payload);
    }

    fn flush(&self) {
        self.shared.flush();
    }

    async fn call(&self, request: Request) -> Result<Reply, LinkError> {
        assert!(!matches!(request, Request::Hello { .. } | Request::Read { .. }), "a call of {request:?}");
        self.request(&request, Asked::Call).await
    }

    async fn read(
        &self,
        log: LogId,
        segment: SegmentId,
        from: ChunkSeq,
        chunks_max: u32,
        bytes_max: u32,
    ) -> Result<ReadAnswer, LinkError> {
        let (chunks_max, bytes_max) = (chunks_max.clamp(1, READ_CHUNKS_MAX), bytes_max.clamp(1, READ_BYTES_MAX));
        let request = Request::Read { log, segment, from, chunks_max, bytes_max };
        let collecting = Collecting::new(Expected { log, segment, seq: from }, chunks_max, bytes_max);
        self.request(&request, |answer| Asked::Read(collecting, answer)).await
    }

    async fn copy(&self, header: ChunkHeader, payload: Bytes) -> Result<(), LinkError> {
        assert!(header.length as usize == payload.len(), "a copy of {} bytes says {}", payload.len(), header.length);
        self.ask("copy", Asked::Copy, |id, disk| Frame::copy(id, disk, &header, payload)).await
    }

    fn subscribe(&self, log: LogId, segment: SegmentId, tag: usize, events: LinkEvents) -> Subscription {
        let id = self.shared.state().subscribe(log, segment, tag, events);
        let shared = Arc::clone(&self.shared);
        Subscription::new(move || shared.unsubscribe(log, segment, id))
    }
}
