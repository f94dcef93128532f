//! How a client talks to one replica, whatever it is: puts whose outcomes arrive as events, and calls.

mod error;
mod subscription;
pub mod tcp;

pub use error::LinkError;
pub use subscription::Subscription;
pub use tcp::TcpLink;

use async_trait::async_trait;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use quarry_protocol::message::{Answer, Refusal, Reply, Request};
use quarry_protocol::put_times::PutTimes;
use quarry_protocol::record::ReplicaRef;
use std::time::Instant;
use tokio::sync::mpsc;

/// What becomes of puts, and of the way to the replica. Events of one subscription arrive in the order in which
/// they happened; a put that was on its way when the link went down gets no event of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The chunk with this seq is durable on the replica.
    Stored(ChunkSeq),
    /// The same of a chunk that was put with [`ReplicaLink::put_timed`], where the replica says where the time went.
    TimedStored(ChunkSeq, PutTiming),
    /// The replica refused the chunk with this seq; it was not stored because of this put.
    Refused(ChunkSeq, Refusal),
    /// The replica can be talked to. Everything put before this event and not stored has to be put again.
    Up,
    /// The replica cannot be talked to, and why. The link tries to come back by itself.
    Down(String),
}

/// What is known of the time that a put took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutTiming {
    /// When the answer arrived.
    pub at: Instant,
    /// What the node says.
    pub node: PutTimes,
}

/// Where a subscription's events go: the subscriber's tag for the link, and the event.
pub type LinkEvents = mpsc::UnboundedSender<(usize, LinkEvent)>;

/// A chunk as it came back: the payload matches the header's checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// What the writer said of it.
    pub header: ChunkHeader,
    /// Its bytes.
    pub payload: Bytes,
}

/// What a replica answered to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAnswer {
    /// Chunks with dense seqs from the one asked for, each verified, all of the log and segment asked for.
    pub chunks: Vec<Chunk>,
    /// The first seq that was not sent.
    pub next: ChunkSeq,
    /// What the replica says of `next`; `Have` if only a bound of the read ended it.
    pub answer: Answer,
}

/// The way to one replica: a node's shard or a bucket, named by its disk (P4, P14). Shared by all logs of the process.
#[async_trait]
pub trait ReplicaLink: Send + Sync {
    /// Who is at the other end.
    fn replica(&self) -> &ReplicaRef;

    /// Puts a chunk; never blocks. It is sent by the next [`Self::flush`] at the latest. The outcome arrives as an event at the
    /// subscriber of the header's log and segment; without one it is dropped. A put to a link that is down
    /// is dropped too: the subscriber hears `Up` when it has to be put again. A put of a seq that is still
    /// unanswered may be put again; the replica stores it once.
    fn put(&self, header: ChunkHeader, payload: Bytes);

    /// As [`Self::put`], and asks the replica where the time goes. Not every replica says.
    fn put_timed(&self, header: ChunkHeader, payload: Bytes) {
        self.put(header, payload);
    }

    /// Sends what was put. Call it once after every batch of puts, so that small chunks share system calls.
    fn flush(&self) {}

    /// Asks anything but a hello, a put or a read. Bounded by a timeout of a few seconds. A refusal is
    /// an answer: `Ok(Reply::Refused(..))`.
    async fn call(&self, request: Request) -> Result<Reply, LinkError>;

    /// Copies a chunk of a segment that is sealed, for a repair (P16); it is stored when this returns. A refusal is an error.
    /// Not every replica takes copies.
    async fn copy(&self, header: ChunkHeader, _payload: Bytes) -> Result<(), LinkError> {
        let (address, segment) = (self.replica().address.clone(), header.segment);
        Err(LinkError::Protocol { address, why: format!("it takes no copies, and segment {segment} needs some") })
    }

    /// Reads chunks of one segment from `from` upward, verified. The bounds are cut to what the protocol allows.
    async fn read(
        &self,
        log: LogId,
        segment: SegmentId,
        from: ChunkSeq,
        chunks_max: u32,
        bytes_max: u32,
    ) -> Result<ReadAnswer, LinkError>;

    /// Sends the outcomes of puts to this segment to `events`, with `tag`, until the subscription is dropped.
    /// The first event says, before this returns, whether the link is up or down (a link that is still connecting is down). A
    /// later subscription to the same segment replaces this one. Dropping it also drops puts of that segment
    /// that are not sent yet.
    fn subscribe(&self, log: LogId, segment: SegmentId, tag: usize, events: LinkEvents) -> Subscription;
}
