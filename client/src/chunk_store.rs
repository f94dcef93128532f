//! The interface of every backend, and the contract that each must keep.

use crate::capabilities::Capabilities;
use crate::error::{DeleteError, InspectError, ListError, OpenError, ReadError, TailError, TrimError};
use crate::inspection::Inspection;
use crate::log_writer::LogWriter;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use quarry_protocol::rotation::RotationPolicy;
use std::time::Duration;

/// A store of logs of chunks.
///
/// A *log* is a dense sequence of *chunks*, immutable byte strings of 1 byte to 4 MiB, numbered from 0. It has one
/// writer at a time, and any number of readers.
///
/// ```text
///            trimmed            committed                   in flight          not yet
///        ┌──────────────┬───────────────────────────────┬─────────────────┬ ─ ─ ─ ─ ─ ─
///   seq  │ 0 1 2 ... 41 │ 42  43  44   ...     118  119 │ 120  121 .. 127 │ 128 ...
///        └──────────────┴───────────────────────────────┴─────────────────┴ ─ ─ ─ ─ ─ ─
///                       ▲                               ▲                 ▲
///                     floor                            tail            next seq
///          gone for     first seq that                first seq        what the next
///          ever         can be read                   that is not      append will get
///                                                     committed
///                       │◄────── read, for ever ───────►│◄─── window ────►│
///                                                         at most so many
///                                                         chunks and bytes
/// ```
///
/// # What every backend must do
///
/// *Order.* Seqs are handed out in the order of the calls to append, without gaps. A chunk is *committed* when it is
/// durable on an ack quorum of replicas and so is every chunk before it. Acknowledgements come in order.
///
/// *Durability.* What was acknowledged is read back, byte for byte, by every later reader and is there after every later
/// takeover, until it is trimmed or the log is deleted.
///
/// *One content.* A seq never has two contents: what one reader saw at a seq, every reader sees there.
///
/// *One writer.* [`open`](Self::open) is the only way to get a writer. It fences every earlier writer of the log: none
/// of their appends is acknowledged after `open` returned. A fenced writer says so, once and for ever; it does not come
/// back.
///
/// *Two kinds of failure.* Every failed append says which of two things is true: *not stored, and never will be*, or
/// *unknown* ([`Fate`](crate::error::Fate)). After an open, the fate of everything older is settled: a chunk of unknown
/// fate is either in the log, below the new writer's first seq, or it never will be.
///
/// *Bounds.* A writer holds at most its window of chunks and bytes in flight, plus a bounded number of chunks for a
/// replica that lags. A stream holds a bounded number of chunks that its reader has not taken yet.
///
/// *Names.* A log that is deleted and opened again under its name is another log: a new identity, an empty sequence from
/// 0, and nothing of the old one ever appears in it.
///
/// *Errors.* Each operation has its own enum. `may_retry()`: can the same call succeed, with nothing else changed?
/// `may_have_happened()`: may the failed call have had its effect all the same? Messages name the thing, the limit and
/// the fix.
///
/// *Cancelling.* Every future may be dropped at any time. That stops the waiting, not what was already sent: a dropped
/// `open` may still have fenced the writer before it, a dropped append may still be committed.
///
/// # What every backend should do
///
/// Append without touching anything but the replicas: the register is read and written when a log is opened, trimmed and
/// deleted. Go on, at the speed of the quorum, while one replica is slow or dead. Read from the replica that answers
/// first. Say what it does at `tracing` level debug, and what an operator has to know at warn.
///
/// # Example
///
/// ```
/// use quarry_client::{ChunkStore, OpenOptions, ReadOptions, ReadRange, connect};
/// use futures::TryStreamExt;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = connect("memory://chunk-store-example").await?;
///
/// let opened = store.open("orders", OpenOptions::default()).await?;
/// let writer = opened.writer;
/// let first = writer.append("one".into()).await?; // waits for room in the window, not for the disks
/// let second = writer.append("two".into()).await?;
/// assert_eq!(first.await?.seq.0, 0); // resolves when committed
/// assert_eq!(second.await?.seq.0, 1);
///
/// let chunks: Vec<_> = store.read("orders", ReadRange::all(), ReadOptions::default()).await?.try_collect().await?;
/// assert_eq!(chunks[1].payload, "two");
/// # Ok(()) }
/// ```
#[async_trait]
pub trait ChunkStore: Send + Sync {
    /// Takes the log over: claims the next epoch, fences every earlier writer, settles what was in flight, and gives back
    /// a writer positioned at the tail with a report of what recovery did.
    ///
    /// When two opens race, each either wins or fails with [`OpenError::LostRace`]; whether to try again is the caller's
    /// choice, because doing so fences the one that won.
    async fn open(&self, name: &str, options: OpenOptions) -> Result<Opened, OpenError>;

    /// A stream of the chunks in `range`, in order and checksum-verified.
    ///
    /// Fails at once if the log is not there, or if the range starts below the floor or above the tail. Without `follow`
    /// the stream ends at `range.to`, or at the tail as it was found when the stream got there; if `range.to` was given and
    /// lies above that tail, it ends with [`ReadError::AboveTail`], never silently short. With `follow` it waits at the
    /// tail for more. After an error the stream is over.
    async fn read(&self, name: &str, range: ReadRange, options: ReadOptions) -> Result<ChunkStream, ReadError>;

    /// What is committed, without fencing anybody: a lower bound, which may trail the last acknowledgement while a writer
    /// is active (P15). It never exceeds what is committed.
    async fn tail(&self, name: &str) -> Result<Tail, TailError>;

    /// Drops everything below `below`. Returns the floor now in force, which is `below` or, if the log was already trimmed
    /// further, higher. Data is freed after the floor is on record; a replica that is away frees it when a later trim or
    /// open reaches it.
    ///
    /// `below` must not lie above the committed tail. Concurrent trims of one log are coalesced.
    async fn trim(&self, name: &str, below: ChunkSeq) -> Result<ChunkSeq, TrimError>;

    /// Deletes the log: a takeover that ends in a tombstone. Its writer is fenced; everything in it is gone. Deleting a
    /// log that is already deleted finishes what the first deletion could not reach, and succeeds.
    async fn delete(&self, name: &str) -> Result<Deleted, DeleteError>;

    /// The names, in order, of the logs that begin with `prefix`; deleted ones are not among them.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ListError>;

    /// What the register and each replica say of the log, for people: segments, epochs, and who holds which seq.
    async fn inspect(&self, name: &str) -> Result<Inspection, InspectError>;

    /// What the store can do.
    fn capabilities(&self) -> Capabilities;
}

/// Whether an open may, or must, make the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CreateMode {
    /// Make the log if it is not there.
    #[default]
    IfMissing,
    /// The log must be there: fail with [`OpenError::NotFound`] if it is not.
    Never,
    /// The log must not be there: fail with [`OpenError::AlreadyExists`] if it is.
    MustBeNew,
}

/// How to open a log. `None` takes the store's own value, as its URL gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Whether the log may or must be made.
    pub create: CreateMode,
    /// How many replicas new chunks get, 1 to 7, each in a zone of its own.
    pub replicas: Option<usize>,
    /// How many of them must have stored a chunk before it is committed, 1 to `replicas`.
    pub ack_quorum: Option<usize>,
    /// Most chunks in flight, 1 to 4096.
    pub window_chunks: Option<u32>,
    /// Most payload bytes in flight, 1 to 64 MiB. A chunk larger than this cannot be appended.
    pub window_bytes: Option<u64>,
    /// How long the takeover may take before it fails, naming the replicas that did not answer.
    pub deadline: Duration,
    /// How long the oldest append may stay short of its quorum before the writer stops for good (P9).
    pub append_deadline: Duration,
    /// When the writer ends a segment and begins the next one.
    pub rotation: RotationOptions,
    /// Whether the log's sealed segments are looked at in the background a while after the open, and repaired where copies of
    /// them are missing or damaged: bounded in time and rate.
    pub repair: bool,
    /// Whether each append's [`crate::Receipt`] says where its time went. Costs a few percent.
    pub attribution: bool,
}

/// When a writer ends a segment and begins the next one. Appends go on meanwhile; the bounds are soft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationOptions {
    /// Payload bytes of a segment, at least 1: 4 GiB unless asked otherwise.
    pub segment_bytes: u64,
    /// Age of a segment that holds something: a day unless asked otherwise.
    pub segment_age: Duration,
    /// The failure detection time: how long a replica may take no puts, or lack a chunk that it was sent, before the next
    /// segment is planned without it (P10). Two seconds unless asked otherwise; noticed at most an eighth later.
    pub replica_patience: Duration,
}

impl Default for RotationOptions {
    fn default() -> Self {
        let RotationPolicy { segment_bytes, segment_age_us, replica_patience_us } = RotationPolicy::default();
        Self {
            segment_bytes,
            segment_age: Duration::from_micros(segment_age_us),
            replica_patience: Duration::from_micros(replica_patience_us),
        }
    }
}

impl RotationOptions {
    pub(crate) fn policy(&self) -> RotationPolicy {
        RotationPolicy {
            segment_bytes: self.segment_bytes,
            segment_age_us: self.segment_age.as_micros() as u64,
            replica_patience_us: self.replica_patience.as_micros() as u64,
        }
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            create: CreateMode::IfMissing,
            replicas: None,
            ack_quorum: None,
            window_chunks: None,
            window_bytes: None,
            deadline: Duration::from_secs(10),
            append_deadline: Duration::from_secs(30),
            rotation: RotationOptions::default(),
            repair: true,
            attribution: false,
        }
    }
}

impl OpenOptions {
    /// The defaults with another [`CreateMode`].
    #[must_use]
    pub fn with_create(create: CreateMode) -> Self {
        Self { create, ..Self::default() }
    }
}

/// What an open gives.
#[derive(Debug)]
pub struct Opened {
    /// The one writer of the log, until another open takes it over.
    pub writer: LogWriter,
    /// What recovery found and did.
    pub report: RecoveryReport,
}

/// What an open found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The log's identity.
    pub log: LogId,
    /// The epoch claimed.
    pub epoch: Epoch,
    /// Whether this open made the log.
    pub created: bool,
    /// The new writer's segment.
    pub segment: SegmentId,
    /// Its first seq. Chunks from here to `next_seq` were copied into it from the segment before.
    pub base: ChunkSeq,
    /// What the first append will get: the tail.
    pub next_seq: ChunkSeq,
    /// The log's floor.
    pub floor: ChunkSeq,
    /// How many chunks of unsettled fate were found and kept.
    pub kept: u64,
    /// How many of them had to be copied, because they were not proven to be on an ack quorum.
    pub copied: u64,
    /// The segments sealed, with their ends.
    pub sealed: Vec<(SegmentId, ChunkSeq)>,
    /// Who holds the new segment, as `zone (address)`.
    pub replicas: Vec<String>,
    /// How many replicas the open asked for. If `replicas` are fewer, not enough nodes were there when a new log was placed.
    /// What is acknowledged is on an ack quorum all the same, but fewer nodes may go away before appends stop: with two
    /// replicas found instead of three and an ack quorum of two, one more node away stops them. That stays so until the
    /// next open, which looks for replicas again.
    pub replicas_wanted: usize,
    /// Replicas that were asked and did not answer, as `zone (address): why`.
    pub silent: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// A range of seqs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadRange {
    /// First seq; `None` is the floor, wherever it is.
    pub from: Option<ChunkSeq>,
    /// One past the last seq; `None` is the tail, or no end when following.
    pub to: Option<ChunkSeq>,
}

impl ReadRange {
    /// Everything from the floor on.
    #[must_use]
    pub const fn all() -> Self {
        Self { from: None, to: None }
    }

    /// Everything from `from` on.
    #[must_use]
    pub const fn starting_at(from: ChunkSeq) -> Self {
        Self { from: Some(from), to: None }
    }

    /// Seqs `from..to`.
    #[must_use]
    pub const fn between(from: ChunkSeq, to: ChunkSeq) -> Self {
        Self { from: Some(from), to: Some(to) }
    }
}

/// How to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Wait at the tail for more, also across takeovers, instead of ending there.
    pub follow: bool,
    /// How long a committed chunk may be out of reach on every replica before the stream fails.
    pub deadline: Duration,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { follow: false, deadline: Duration::from_secs(10) }
    }
}

impl ReadOptions {
    /// The defaults, following the tail.
    #[must_use]
    pub fn following() -> Self {
        Self { follow: true, ..Self::default() }
    }
}

/// A chunk as a reader gets it, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadChunk {
    /// Its number in the log.
    pub seq: ChunkSeq,
    /// The segment it was read from.
    pub segment: SegmentId,
    /// Its bytes.
    pub payload: Bytes,
}

/// What [`ChunkStore::read`] gives. After an error it is over.
pub type ChunkStream = BoxStream<'static, Result<ReadChunk, ReadError>>;

/// The readable part of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The log's identity.
    pub log: LogId,
    /// The first seq that can be read, if `floor < tail`.
    pub floor: ChunkSeq,
    /// The first seq that is not known to be committed.
    pub tail: ChunkSeq,
}

/// What a deletion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Replicas, as `zone (address): why`, that could not be told and still hold the log's bytes. Delete again when they
    /// are back.
    pub unreached: Vec<String>,
}
