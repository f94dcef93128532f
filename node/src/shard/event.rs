//! What goes into a shard and what comes out of it: the whole boundary between what decides and what touches the
//! world.

use super::admin::{AdminAnswer, AdminRequest};
use super::members::MemberList;
use crate::store::{ChunkKey, Part, Place};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::DiskId;
use quarry_protocol::message::Request;
use quarry_protocol::replica::Slot;
use std::sync::Arc;

/// One accepted connection. Never used twice in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// How a [`ShardEffect::ReadChunks`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Every chunk was sent.
    AllSent,
    /// The chunk after those that were sent could not be read, or is not what its key says, twice in a row (D6).
    Unreadable {
        /// What is wrong with it, for the operator.
        why: String,
    },
    /// The connection closed meanwhile. Says nothing about the disk.
    ConnectionGone,
}

/// What happened.
#[derive(Debug)]
pub enum ShardEvent<'a> {
    /// A client connected.
    Connected {
        /// Its connection.
        connection: ConnectionId,
    },
    /// The connection ended, whoever ended it. Comes once per connection, also after [`ShardEffect::Close`].
    Closed {
        /// The connection.
        connection: ConnectionId,
    },
    /// A chunk arrived; its header decoded and its payload, verified against it, lies in `slot`, which belongs to the
    /// shard from here until [`ShardEffect::Release`].
    Put {
        /// From here.
        connection: ConnectionId,
        /// The request.
        request_id: u64,
        /// The disk named in the frame.
        disk: DiskId,
        /// The chunk.
        header: ChunkHeader,
        /// Its payload.
        slot: Slot,
        /// Whether it came as a copy that a repair makes.
        copy: bool,
    },
    /// A control request arrived and decoded.
    Request {
        /// From here.
        connection: ConnectionId,
        /// The request.
        request_id: u64,
        /// The disk named in the frame.
        disk: DiskId,
        /// What is asked.
        request: Request,
    },
    /// A [`ShardEffect::Write`] ended: bytes written, or why not.
    Written {
        /// The batch's number.
        number: u64,
        /// Bytes written, or the error.
        result: Result<u32, String>,
    },
    /// The [`ShardEffect::Create`], [`ShardEffect::Fill`] or [`ShardEffect::SyncFile`] in progress ended.
    Prepared {
        /// The file.
        file: u32,
        /// Why not, if it did not work.
        result: Result<(), String>,
    },
    /// A [`ShardEffect::ReadChunks`] ended; its frames are on their way or will never be sent.
    ReadDone {
        /// The read.
        token: u64,
        /// How many chunks were sent, in order.
        sent: u32,
        /// How it ended.
        outcome: ReadOutcome,
    },
    /// A [`ShardEffect::ReadForCopy`] ended.
    CopyRead {
        /// The read.
        token: u64,
        /// Exactly the bytes asked for, or the error.
        result: Result<&'a [u8], String>,
    },
    /// Time passed: [`super::Shard::poll_timeout`] came due.
    Tick,
    /// The control plane asks.
    Admin {
        /// Handed back with the answer.
        ticket: u64,
        /// What it asks.
        request: AdminRequest,
    },
    /// What is known of the cluster changed.
    Members {
        /// All of it.
        list: Arc<MemberList>,
    },
    /// A clean stop begins: no more requests come. [`ShardEffect::Settled`] says when it is done.
    Stop,
}

/// What has to happen in the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardEffect {
    /// Send a whole frame.
    Send {
        /// To here. A connection that is gone is nobody's fault.
        connection: ConnectionId,
        /// Header and body.
        frame: Vec<u8>,
    },
    /// Say that a put is stored: a `Stored` frame. Several may share one write.
    Stored {
        /// To here.
        connection: ConnectionId,
        /// The put.
        request_id: u64,
        /// The disk that answers.
        disk: DiskId,
    },
    /// The shard is done with this slot. Comes exactly once for every put.
    Release {
        /// The slot.
        slot: Slot,
    },
    /// Write the parts, then zeros up to `bytes`, in one durable write; then [`ShardEvent::Written`].
    Write {
        /// The batch's number.
        number: u64,
        /// The file.
        file: u32,
        /// Byte position, a whole number of blocks.
        position: u64,
        /// What to write.
        parts: Vec<Part>,
        /// How much to write, padding included.
        bytes: u32,
    },
    /// See [`crate::store::StoreEffect::Create`].
    Create {
        /// The file.
        file: u32,
        /// Its size.
        bytes: u64,
    },
    /// See [`crate::store::StoreEffect::Fill`].
    Fill {
        /// The file.
        file: u32,
        /// From here.
        position: u64,
        /// This many.
        bytes: u32,
    },
    /// See [`crate::store::StoreEffect::SyncFile`].
    SyncFile {
        /// The file.
        file: u32,
    },
    /// Read these chunks, verify each header and payload, compare the header with its key, and send them as `Chunk`
    /// frames of this request, in order; then [`ShardEvent::ReadDone`]. A chunk that fails is read once more (D6).
    /// The shard sends the end of the read itself.
    ReadChunks {
        /// Names the read.
        token: u64,
        /// To here.
        connection: ConnectionId,
        /// The read request.
        request_id: u64,
        /// The disk that answers.
        disk: DiskId,
        /// What to read, at least one. None of these files is reused meanwhile.
        chunks: Vec<(ChunkKey, Place)>,
    },
    /// Read for copying forward; then [`ShardEvent::CopyRead`]. Nothing is aligned.
    ReadForCopy {
        /// Names the read.
        token: u64,
        /// The file.
        file: u32,
        /// From here.
        position: u64,
        /// This many.
        bytes: u32,
    },
    /// End the connection; then [`ShardEvent::Closed`].
    Close {
        /// Which.
        connection: ConnectionId,
        /// What the peer did, for the log.
        why: String,
    },
    /// Answer the control plane.
    Admin {
        /// From the request.
        ticket: u64,
        /// The answer.
        answer: AdminAnswer,
    },
    /// The disk failed: say so. Comes once; what is held is still served, nothing is acknowledged (D6).
    Fail {
        /// What happened.
        why: String,
    },
    /// Tell the operator.
    Warn {
        /// One sentence.
        what: String,
    },
    /// After [`ShardEvent::Stop`]: everything is durable and marked, the process may end. Comes once.
    Settled,
}
