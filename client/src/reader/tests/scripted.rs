//! Replicas that hold what the test gives them and answer as the test says.

use crate::capabilities::Tier;
use crate::cluster::{Cluster, PlaceError, PlaceRequest, Placement};
use crate::link::{Chunk, LinkError, LinkEvents, ReadAnswer, ReplicaLink, Subscription};
use crate::quorum_store::{QuorumStore, StoreDefaults};
use crate::register::{MemoryRegister, Register};
use async_trait::async_trait;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::message::{Answer, Refusal, Reply, Request, Run, SegmentView};
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment, SegmentEnd, Window};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const LOG: LogId = LogId([0x10; 16]);
pub(super) const NAME: &str = "log";

/// What a replica does with reads.
#[derive(Clone, Debug, Default)]
pub(super) enum Mood {
    #[default]
    Good,
    /// At most so many chunks per answer.
    Short(usize),
    /// No answer at all, to anything.
    Silent,
    /// No connection, for anything.
    Down,
    /// This chunk does not verify.
    Corrupt(u64),
    /// This chunk and what follows cannot be read here.
    Unknown(u64),
    /// It says that this and everything before is trimmed.
    Trimmed(u64),
    /// It says that the log is deleted.
    Deleted,
}

#[derive(Default)]
struct Held {
    mood: Mood,
    chunks: BTreeMap<(SegmentId, u64), Chunk>,
    watermarks: BTreeMap<SegmentId, u64>,
    /// Reads under way, the most that ever were, and all that ever were.
    reads: (usize, usize, usize),
}

pub(super) struct Replica {
    replica: ReplicaRef,
    held: Mutex<Held>,
}

impl Replica {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap()
    }

    pub(super) fn mood(&self, mood: Mood) {
        self.held().mood = mood;
    }

    pub(super) fn watermark(&self, segment: SegmentId, watermark: u64) {
        self.held().watermarks.insert(segment, watermark);
    }

    /// The most reads at once, and all reads.
    pub(super) fn reads(&self) -> (usize, usize) {
        let held = self.held();
        (held.reads.1, held.reads.2)
    }

    fn down(&self) -> LinkError {
        LinkError::Down { address: self.replica.address.clone(), why: "it is off".into() }
    }

    fn view(&self, segment: SegmentId) -> SegmentView {
        let held = self.held();
        let seqs = held.chunks.keys().filter(|(s, _)| *s == segment).map(|(_, seq)| ChunkSeq(*seq));
        let runs: Vec<Run> = seqs.map(|seq| Run { from: seq, to: seq.next(), answer: Answer::Have }).collect();
        let watermark = ChunkSeq(held.watermarks.get(&segment).copied().unwrap_or(0));
        SegmentView { segment, watermark, newest: runs.last().map(|run| run.from), runs }
    }

    fn answer(&self, segment: SegmentId, from: u64, chunks_max: u32, bytes_max: u32) -> Result<ReadAnswer, LinkError> {
        let held = self.held();
        let address = self.replica.address.clone();
        let (mut chunks, mut next, mut bytes) = (Vec::new(), from, 0);
        let at_most = if let Mood::Short(most) = held.mood { most } else { chunks_max as usize };
        let answer = loop {
            match held.mood {
                Mood::Corrupt(seq) if seq == next => {
                    return Err(LinkError::Corrupt { address, why: format!("{segment}/{seq}: rotten") });
                }
                Mood::Deleted => {
                    let refusal = Refusal::LogDeleted { log: LOG, at: Epoch(9) };
                    return Err(LinkError::Refused { address, refusal });
                }
                Mood::Trimmed(seq) if next <= seq => break Answer::Trimmed,
                Mood::Unknown(seq) if next >= seq => break Answer::Unknown,
                _ => {}
            }
            let Some(chunk) = held.chunks.get(&(segment, next)) else { break Answer::Never };
            bytes += chunk.payload.len();
            if chunks.len() == at_most.min(chunks_max as usize) || (bytes > bytes_max as usize && !chunks.is_empty()) {
                break Answer::Have;
            }
            chunks.push(chunk.clone());
            next += 1;
        };
        Ok(ReadAnswer { chunks, next: ChunkSeq(next), answer })
    }
}

#[async_trait]
impl ReplicaLink for Replica {
    fn replica(&self) -> &ReplicaRef {
        &self.replica
    }

    fn put(&self, _header: ChunkHeader, _payload: Bytes) {
        unreachable!("readers put nothing");
    }

    async fn call(&self, request: Request) -> Result<Reply, LinkError> {
        let mood = self.held().mood.clone();
        match (mood, request) {
            (Mood::Silent, _) => std::future::pending().await,
            (Mood::Down, _) => Err(self.down()),
            (_, Request::Inspect { segments, .. }) => Ok(Reply::Inspected {
                fence: Epoch(1),
                floor: ChunkSeq(0),
                segments: segments.into_iter().map(|segment| self.view(segment)).collect(),
            }),
            (_, other) => panic!("a reader asked {other:?}"),
        }
    }

    async fn read(
        &self,
        log: LogId,
        segment: SegmentId,
        from: ChunkSeq,
        chunks_max: u32,
        bytes_max: u32,
    ) -> Result<ReadAnswer, LinkError> {
        assert_eq!(log, LOG);
        let now = {
            let mut held = self.held();
            held.reads.0 += 1;
            held.reads.2 += 1;
            held.reads.1 = held.reads.1.max(held.reads.0);
            held.mood.clone()
        };
        let _under_way = UnderWay(self);
        match now {
            Mood::Silent => std::future::pending().await,
            Mood::Down => Err(self.down()),
            _ => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.answer(segment, from.0, chunks_max, bytes_max)
            }
        }
    }

    fn subscribe(&self, _: LogId, _: SegmentId, _: usize, _: LinkEvents) -> Subscription {
        unreachable!("readers listen to no puts");
    }
}

struct UnderWay<'a>(&'a Replica);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.held().reads.0 -= 1;
    }
}

/// Three replicas, one record, and a store over them.
pub(super) struct World {
    pub(super) replicas: Vec<Arc<Replica>>,
    register: Arc<MemoryRegister>,
    pub(super) record: Mutex<LogRecord>,
    /// Payload of every chunk made, by seq.
    pub(super) payloads: Mutex<BTreeMap<u64, Bytes>>,
    digests: Mutex<BTreeMap<SegmentId, Digest>>,
}

struct Replicas(Vec<Arc<Replica>>);

#[async_trait]
impl Cluster for Replicas {
    fn link(&self, replica: &ReplicaRef) -> Arc<dyn ReplicaLink> {
        let found = self.0.iter().find(|link| link.replica == *replica).expect("a replica of the test");
        Arc::<Replica>::clone(found)
    }

    async fn place(&self, _: PlaceRequest<'_>) -> Result<Placement, PlaceError> {
        unreachable!("readers place nothing");
    }
}

pub(super) fn segment_id(epoch: u64) -> SegmentId {
    SegmentId { epoch: Epoch(epoch), index: 0 }
}

impl World {
    pub(super) fn new() -> Self {
        let replica =
            |i: u8| ReplicaRef { disk: DiskId([i; 16]), address: format!("node{i}:1"), zone: format!("z{i}") };
        let replicas = (1..=3).map(|i| Arc::new(Replica { replica: replica(i), held: Mutex::default() })).collect();
        let mut record = LogRecord::new(NAME, LOG);
        record.epoch = Epoch(100);
        record.number = quarry_protocol::ids::RecordNumber(100);
        Self {
            replicas,
            register: Arc::new(MemoryRegister::new()),
            record: Mutex::new(record),
            payloads: Mutex::default(),
            digests: Mutex::default(),
        }
    }

    pub(super) fn store(&self) -> QuorumStore {
        let cluster = Arc::new(Replicas(self.replicas.clone()));
        let register = Arc::<MemoryRegister>::clone(&self.register);
        QuorumStore::new(cluster, register, Vec::new(), StoreDefaults::for_replicas(3), Tier::MEMORY)
    }

    /// Opens a segment at `base`, in the record in hand.
    pub(super) fn open_segment(&self, epoch: u64, base: u64) {
        let id = segment_id(epoch);
        self.digests.lock().unwrap().insert(id, Digest::start(LOG, id, ChunkSeq(base)));
        self.record.lock().unwrap().segments.push(Segment {
            id,
            base: ChunkSeq(base),
            end: SegmentEnd::Open,
            replicas: self.replicas.iter().map(|r| r.replica.clone()).collect(),
            ack_quorum: 2,
            window: Window { chunks: 64, bytes: 1 << 20 },
        });
    }

    /// Seals the last segment at `at`.
    pub(super) fn seal(&self, at: u64) {
        let mut record = self.record.lock().unwrap();
        let last = record.segments.last_mut().unwrap();
        let digest = self.digests.lock().unwrap()[&last.id];
        last.end = SegmentEnd::Sealed { at: ChunkSeq(at), digest };
    }

    /// Stores new chunks of segment `epoch` on some replicas, each carrying `watermark`.
    pub(super) fn chunks(&self, epoch: u64, seqs: Range<u64>, watermark: u64, on: &[usize]) {
        for seq in seqs {
            let payload = Bytes::from(format!("{epoch}/{seq}").repeat(1 + seq as usize % 7));
            self.chunk(epoch, seq, watermark, on, &payload);
        }
    }

    pub(super) fn chunk(&self, epoch: u64, seq: u64, watermark: u64, on: &[usize], payload: &Bytes) {
        let segment = segment_id(epoch);
        let payload_crc = crc32c::crc32c(payload);
        let length = payload.len() as u32;
        let mut digests = self.digests.lock().unwrap();
        let digest = digests[&segment].chain(ChunkSeq(seq), length, payload_crc);
        digests.insert(segment, digest);
        let (log, seq_id, watermark) = (LOG, ChunkSeq(seq), ChunkSeq(watermark));
        let header = ChunkHeader { log, segment, seq: seq_id, watermark, length, payload_crc, digest };
        self.payloads.lock().unwrap().insert(seq, payload.clone());
        for index in on {
            let chunk = Chunk { header, payload: payload.clone() };
            self.replicas[*index].held().chunks.insert((segment, seq), chunk);
        }
    }

    /// Removes a chunk from a replica.
    pub(super) fn lose(&self, index: usize, epoch: u64, seq: u64) {
        self.replicas[index].held().chunks.remove(&(segment_id(epoch), seq));
    }

    /// Puts the record in hand into the register.
    pub(super) async fn publish(&self) {
        let record = self.record.lock().unwrap().clone();
        let version = self.register.read(NAME).await.unwrap().map(|(version, _)| version);
        self.register.compare_and_swap(version.as_ref(), &record).await.unwrap();
    }

    /// Segment 1 with seqs 0..20, sealed, and segment 2 with 20..40, open; 38 is the highest watermark, 38 lies on an ack
    /// quorum, 39 on one replica only.
    pub(super) async fn two_segments() -> Self {
        let world = Self::new();
        world.open_segment(1, 0);
        world.chunks(1, 0..20, 0, &[0, 1, 2]);
        world.seal(20);
        world.open_segment(2, 20);
        world.chunks(2, 20..38, 0, &[0, 1, 2]);
        world.chunks(2, 38..39, 38, &[0, 2]);
        world.chunks(2, 39..40, 38, &[2]);
        world.replicas[2].watermark(segment_id(2), 38);
        world.publish().await;
        world
    }
}
