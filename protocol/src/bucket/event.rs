//! What goes into a bucket's machine and what comes out of it.

use super::durable::Durable;
use super::key::ObjectKey;
use super::known::KnownLog;
use crate::chunk::ChunkHeader;
use crate::ids::DiskId;
use crate::message::{Reply, Request};
use crate::replica::Ticket;
use alloc::string::String;
use bytes::Bytes;

/// Names an object operation; its outcome carries it back. Never used twice.
pub type OperationNo = u64;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketEvent {
    /// Put a chunk, of any segment of the log.
    Put {
        /// Who asks.
        from: Ticket,
        /// The disk the put names: the bucket's identity.
        disk: DiskId,
        /// The chunk.
        header: ChunkHeader,
        /// Its payload, verified against its header.
        payload: Bytes,
    },
    /// Any request but a hello.
    Request {
        /// Who asks.
        from: Ticket,
        /// The disk the request names: the bucket's identity.
        disk: DiskId,
        /// What is asked.
        request: Request,
    },
    /// What a record of the log says, as it was read from the register, or swapped into it: before the first request about
    /// one of its segments, and before a trim to its floor. May be old, or come twice.
    Known(KnownLog),
    /// An operation is over.
    Done {
        /// Which.
        operation: OperationNo,
        /// How it ended.
        outcome: Outcome,
    },
    /// Time passed ([`super::Bucket::poll_timeout`]).
    Tick,
}

/// One operation on one object. The store has to be strongly consistent: what was created is found by every read that begins
/// later, and of two creates of one key at most one takes place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create the object `head | payload` if there is none: [`Outcome::Created`], `Exists`, `Ambiguous` or `Failed`.
    Create {
        /// Its name.
        key: ObjectKey,
        /// Its first bytes.
        head: Bytes,
        /// The rest.
        payload: Bytes,
    },
    /// Read the first bytes of an object, or all of it: [`Outcome::Found`], `NotFound` or `Failed`.
    Get {
        /// Its name.
        key: ObjectKey,
        /// How many bytes are wanted (more do no harm); all of them if none.
        bytes_max: Option<usize>,
    },
    /// Delete an object: [`Outcome::Deleted`], whether there was one or not, or `Failed` or `Ambiguous`.
    Delete {
        /// Its name.
        key: ObjectKey,
    },
}

/// How an operation ended. Whoever performs it bounds it with a time limit of its own: a create or delete that was given up is
/// `Ambiguous`, a read `Failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was created, durably.
    Created,
    /// There is an object already, and it was not touched.
    Exists,
    /// What was read.
    Found {
        /// The size of the whole object.
        size: u64,
        /// Its first bytes, or all.
        bytes: Bytes,
    },
    /// There is no object of this name.
    NotFound,
    /// There is no object of this name any more.
    Deleted,
    /// It certainly had no effect and will have none.
    Failed {
        /// Why.
        why: String,
    },
    /// Nobody knows whether it took place, or will yet.
    Ambiguous {
        /// Why.
        why: String,
    },
}

/// What has to happen in the world, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum BucketEffect {
    /// Perform an operation, then say [`BucketEvent::Done`], once. Operations may overtake each other.
    Perform {
        /// Comes back with the outcome.
        operation: OperationNo,
        /// What to do.
        what: Operation,
    },
    /// The put is stored here.
    PutStored {
        /// Who asked.
        to: Ticket,
        /// Why that may be said.
        proof: Durable,
    },
    /// A chunk of a read; in seq order, then comes [`Reply::ReadEnd`]. The payload is passed on as it was read: whoever asked
    /// verifies it.
    Chunk {
        /// Who asked.
        to: Ticket,
        /// The chunk.
        header: ChunkHeader,
        /// Its payload.
        payload: Bytes,
    },
    /// The answer to a request, or the refusal of a put.
    Reply {
        /// Who asked.
        to: Ticket,
        /// The answer.
        reply: Reply,
    },
}
