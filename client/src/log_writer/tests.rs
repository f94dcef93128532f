//! The writer over links that do only what a test tells them to.

use super::{LogWriter, PendingAppend};
use crate::capabilities::Tier;
use crate::cluster::{Cluster, PlaceError, PlaceRequest, Placement};
use crate::error::{AppendError, Fate};
use crate::link::{LinkError, LinkEvent, LinkEvents, ReadAnswer, ReplicaLink, Subscription};
use crate::quorum_store::{QuorumStore, StoreDefaults};
use crate::register::MemoryRegister;
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use quarry_protocol::message::{Refusal, Reply, Request};
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment, SegmentEnd, Version, Window};
use quarry_protocol::rotation::{RotationConfig, RotationPolicy, SegmentShape};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SEGMENT: SegmentId = SegmentId { epoch: Epoch(7), index: 0 };

/// A link that is up, remembers what was put, and says what it is told to.
pub(super) struct ScriptedLink {
    replica: ReplicaRef,
    puts: Mutex<Vec<(ChunkHeader, Bytes)>>,
    flushes: AtomicUsize,
    events: Mutex<Option<(usize, LinkEvents)>>,
    ended: Arc<AtomicUsize>,
}

#[async_trait]
impl ReplicaLink for ScriptedLink {
    fn replica(&self) -> &ReplicaRef {
        &self.replica
    }

    fn put(&self, header: ChunkHeader, payload: Bytes) {
        self.puts.lock().unwrap().push((header, payload));
    }

    fn flush(&self) {
        self.flushes.fetch_add(1, Ordering::Relaxed);
    }

    async fn call(&self, _: Request) -> Result<Reply, LinkError> {
        unreachable!("a writer calls nobody")
    }

    async fn read(&self, _: LogId, _: SegmentId, _: ChunkSeq, _: u32, _: u32) -> Result<ReadAnswer, LinkError> {
        unreachable!("a writer reads nothing")
    }

    fn subscribe(&self, _: LogId, segment: SegmentId, tag: usize, events: LinkEvents) -> Subscription {
        assert_eq!(segment, SEGMENT);
        events.send((tag, LinkEvent::Up)).unwrap();
        *self.events.lock().unwrap() = Some((tag, events));
        let ended = Arc::clone(&self.ended);
        Subscription::new(move || _ = ended.fetch_add(1, Ordering::Relaxed))
    }
}

impl ScriptedLink {
    pub(super) fn say(&self, event: LinkEvent) {
        let events = self.events.lock().unwrap();
        let (tag, sender) = events.as_ref().unwrap();
        // The task may be gone, like a connection's other end.
        let _ = sender.send((*tag, event));
    }

    pub(super) fn seqs(&self) -> Vec<u64> {
        self.puts.lock().unwrap().iter().map(|(header, _)| header.seq.0).collect()
    }
}

pub(super) struct Scripted {
    pub(super) links: Vec<Arc<ScriptedLink>>,
    pub(super) writer: LogWriter,
}

fn scripted(window: Window, deadline: Duration) -> Scripted {
    scripted_keeping(window, deadline, (64, 1 << 20))
}

/// A writer that keeps so many committed chunks, and bytes, for a replica that lags.
pub(super) fn scripted_keeping(window: Window, deadline: Duration, (chunks, bytes): (u32, u64)) -> Scripted {
    let ended = Arc::new(AtomicUsize::new(0));
    let link = |i: u8| {
        Arc::new(ScriptedLink {
            replica: ReplicaRef { disk: DiskId([i + 1; 16]), address: format!("node{i}:1"), zone: format!("zone{i}") },
            puts: Mutex::default(),
            flushes: AtomicUsize::new(0),
            events: Mutex::default(),
            ended: Arc::clone(&ended),
        })
    };
    let links: Vec<_> = (0..3).map(link).collect();
    let (log, base) = (LogId([9; 16]), ChunkSeq(100));
    let segment = Segment {
        id: SEGMENT,
        base,
        end: SegmentEnd::Open,
        replicas: links.iter().map(|link| link.replica.clone()).collect(),
        ack_quorum: 2,
        window,
    };
    let record = LogRecord { segments: vec![segment], ..LogRecord::new("log", log) };
    let config = RotationConfig {
        name: record.name.clone(),
        owner: record.owner,
        version: Version(Vec::new()),
        record: LogRecord { epoch: SEGMENT.epoch, number: RecordNumber(7), ..record },
        next_seq: base,
        digest: Digest::start(log, SEGMENT, base),
        carried: Vec::new(),
        shape: SegmentShape { replicas: 3, ack_quorum: 2, window },
        deadline_us: deadline.as_micros() as u64,
        straggler_chunks_max: chunks,
        straggler_bytes_max: bytes,
        policy: RotationPolicy { replica_patience_us: u64::MAX / 2, ..RotationPolicy::default() },
    };
    let cluster = Arc::new(ScriptedCluster(links.clone()));
    let register = Arc::new(MemoryRegister::new());
    let store = QuorumStore::new(cluster, register, vec![], StoreDefaults::for_replicas(3), Tier::MEMORY);
    Scripted { links, writer: LogWriter::start(store.parts(), config, false) }
}

/// The scripted links, and no other place.
struct ScriptedCluster(Vec<Arc<ScriptedLink>>);

#[async_trait]
impl Cluster for ScriptedCluster {
    fn link(&self, replica: &ReplicaRef) -> Arc<dyn ReplicaLink> {
        let link = self.0.iter().find(|link| link.replica == *replica);
        Arc::clone(link.expect("a link of the segment")) as Arc<dyn ReplicaLink>
    }

    async fn place(&self, request: PlaceRequest<'_>) -> Result<Placement, PlaceError> {
        Err(PlaceError { wanted: request.replicas, zones: vec![], missing: vec![] })
    }
}

const WINDOW: Window = Window { chunks: 4, bytes: 100 };
pub(super) const LONG: Duration = Duration::from_secs(1000);

impl Scripted {
    /// Two of three say they have stored it.
    pub(super) async fn commit(&self, seq: u64) {
        for link in &self.links[..2] {
            link.say(LinkEvent::Stored(ChunkSeq(seq)));
        }
        settle().await;
    }

    fn subscriptions_ended(&self) -> usize {
        self.links[0].ended.load(Ordering::Relaxed)
    }
}

/// Lets every other task do what it can.
pub(super) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

pub(super) fn payload(bytes: usize) -> Bytes {
    Bytes::from(vec![1; bytes])
}

fn is_pending(append: &mut PendingAppend) -> bool {
    append.now_or_never().is_none()
}

/// The first append of an idle writer goes out at once; those that follow go out together when the caller waits, or once there
/// are as many as a system call sends.
#[tokio::test]
async fn appends_in_a_row_share_a_flush() {
    let scripted = scripted(Window { chunks: 1000, bytes: 1000 }, LONG);
    settle().await;
    let flushes = || scripted.links[0].flushes.load(Ordering::Relaxed);
    let append = || scripted.writer.try_append(payload(1)).unwrap();
    let before = flushes();
    let mut appends = vec![append()];
    assert_eq!(flushes(), before + 1, "nothing was in flight");
    appends.extend((0..10).map(|_| append()));
    assert_eq!(flushes(), before + 1, "the caller did not wait yet");
    settle().await;
    assert_eq!(flushes(), before + 2, "ten appends, one flush");
    appends.extend((0..40).map(|_| append()));
    assert_eq!(flushes(), before + 3, "the caller waits for nothing");
    settle().await;
    assert_eq!(flushes(), before + 4);
    assert_eq!(scripted.links[0].seqs(), (100..151).collect::<Vec<_>>());
}

/// P2: an append is acknowledged when two of three have it and everything before it is committed; the third is not waited
/// for.
#[tokio::test]
async fn acknowledgements_come_in_order_from_a_quorum() {
    let scripted = scripted(WINDOW, LONG);
    let mut first = scripted.writer.append(payload(1)).await.unwrap();
    let mut second = scripted.writer.append(payload(1)).await.unwrap();
    assert_eq!((first.seq(), second.seq()), (ChunkSeq(100), ChunkSeq(101)));
    scripted.commit(101).await;
    assert!(is_pending(&mut second), "101 is on a quorum, 100 is not");
    scripted.links[0].say(LinkEvent::Stored(ChunkSeq(100)));
    scripted.links[0].say(LinkEvent::Stored(ChunkSeq(100)));
    settle().await;
    assert!(is_pending(&mut first), "one replica that answers twice is one replica (pitfall 4)");
    scripted.commit(100).await;
    assert_eq!(first.await.unwrap().seq, ChunkSeq(100));
    assert_eq!(second.await.unwrap().seq, ChunkSeq(101));
    assert_eq!(scripted.writer.tail(), ChunkSeq(102));
}

/// The chunk that every link gets is the caller's own memory, and an append is one flush per link.
#[tokio::test]
async fn payloads_are_not_copied() {
    let scripted = scripted(WINDOW, LONG);
    let mine = payload(64);
    let _pending = scripted.writer.append(mine.clone()).await.unwrap();
    for link in &scripted.links {
        let puts = link.puts.lock().unwrap();
        assert_eq!(puts[0].1.as_ptr(), mine.as_ptr());
        puts[0].0.verify_payload(&mine).unwrap();
        assert_eq!(link.flushes.load(Ordering::Relaxed), 1);
    }
}

/// A small chunk does not overtake a large one that waits for room, and one that gives up takes no seq.
#[tokio::test]
async fn appends_get_room_in_the_order_of_their_calls() {
    let scripted = Arc::new(scripted(WINDOW, LONG));
    let _filling = scripted.writer.append(payload(60)).await.unwrap();
    let wait = |bytes: usize| {
        let scripted = Arc::clone(&scripted);
        tokio::spawn(async move { scripted.writer.append(payload(bytes)).await.map(|append| append.seq()) })
    };
    let gives_up = wait(50);
    settle().await;
    let large = wait(80);
    settle().await;
    let small = wait(1);
    settle().await;
    assert_eq!(scripted.links[0].seqs(), [100], "one byte would fit, and has to wait its turn");
    assert!(matches!(scripted.writer.try_append(payload(1)), Err(AppendError::NoRoom { .. })));
    gives_up.abort();
    scripted.commit(100).await;
    assert_eq!(large.await.unwrap().unwrap(), ChunkSeq(101));
    assert_eq!(small.await.unwrap().unwrap(), ChunkSeq(102));
    let sizes: Vec<_> = scripted.links[0].puts.lock().unwrap().iter().map(|(_, payload)| payload.len()).collect();
    assert_eq!(sizes, [60, 80, 1]);
}

#[tokio::test]
async fn a_fence_stops_the_writer_for_good() {
    let scripted = Arc::new(scripted(WINDOW, LONG));
    let filling = scripted.writer.append(payload(100)).await.unwrap();
    let waits = tokio::spawn({
        let scripted = Arc::clone(&scripted);
        async move { scripted.writer.append(payload(100)).await.map(|append| append.seq()) }
    });
    let flushes = tokio::spawn({
        let scripted = Arc::clone(&scripted);
        async move { scripted.writer.flush().await }
    });
    settle().await;
    for link in &scripted.links {
        link.say(LinkEvent::Refused(ChunkSeq(100), Refusal::Fenced { by: Epoch(9) }));
    }
    let in_flight = filling.await.unwrap_err();
    assert!(matches!(in_flight, AppendError::Fenced { by: Epoch(9), fate: Fate::Unknown, .. }), "{in_flight:?}");
    let waited = waits.await.unwrap().unwrap_err();
    assert!(matches!(waited, AppendError::Fenced { fate: Fate::NeverStored, .. }), "{waited:?}");
    assert!(flushes.await.unwrap().unwrap_err().is_fenced());
    assert!(scripted.writer.stopped().await.is_fenced());
    // Late news do not bring it back.
    scripted.commit(100).await;
    assert!(scripted.writer.append(payload(1)).await.unwrap_err().is_fenced());
    assert_eq!(scripted.links[0].seqs(), [100], "nothing is put any more");
    assert_eq!(scripted.subscriptions_ended(), 3);
}

/// P9, on a clock of the test's own: the deadline counts from the append, however long the writer was idle before.
#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_the_oldest_append() {
    let scripted = scripted(WINDOW, Duration::from_secs(30));
    for seq in 100..105 {
        let append = scripted.writer.append(payload(1)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(29)).await;
        scripted.commit(seq).await;
        append.await.unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;
    }
    let begun = tokio::time::Instant::now();
    let error = scripted.writer.append(payload(1)).await.unwrap().await.unwrap_err();
    let waited = begun.elapsed();
    assert!(matches!(error, AppendError::NoQuorum { needed: 2, fate: Fate::Unknown, .. }), "{error:?}");
    assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(31), "waited {waited:?}");
    assert!(error.to_string().contains("node0:1 (zone zone0)"), "{error}");
}

#[tokio::test]
async fn a_dropped_writer_ends_when_its_appends_are_settled() {
    let Scripted { links, writer } = scripted(WINDOW, LONG);
    let first = writer.append(payload(1)).await.unwrap();
    let second = writer.append(payload(1)).await.unwrap();
    drop(writer);
    settle().await;
    let ended = || links[0].ended.load(Ordering::Relaxed);
    for link in &links[..2] {
        link.say(LinkEvent::Stored(ChunkSeq(100)));
    }
    first.await.unwrap();
    assert_eq!(ended(), 0, "one append is not settled");
    for link in &links[..2] {
        link.say(LinkEvent::Stored(ChunkSeq(101)));
    }
    second.await.unwrap();
    settle().await;
    assert_eq!(ended(), 3);
}

/// Nothing waits for ever when the runtime that ran the writer is gone.
#[test]
fn a_runtime_that_is_shut_down_leaves_appends_in_doubt() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (scripted, pending) = first.block_on(async {
        let scripted = scripted(WINDOW, LONG);
        let pending = scripted.writer.append(payload(1)).await.unwrap();
        (scripted, pending)
    });
    drop(first);
    runtime().block_on(async {
        let error = pending.await.unwrap_err();
        assert!(matches!(error, AppendError::Stopped { fate: Fate::Unknown, .. }), "{error:?}");
        let error = scripted.writer.append(payload(1)).await.unwrap_err();
        assert!(matches!(error, AppendError::Stopped { fate: Fate::NeverStored, .. }), "{error:?}");
        assert_eq!(scripted.writer.flush().await.unwrap_err().fate(), Fate::Unknown);
    });
}
