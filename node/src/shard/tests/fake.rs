//! io in memory. The disk keeps what was written, reports writes in any order a test likes, and can be told to fail or
//! to rot. Preparation steps succeed at once. The network is three lists of what was sent.

use crate::shard::{ConnectionId, ReadOutcome, Shard, ShardConfig, ShardEffect, ShardEvent};
use crate::store::{ChunkKey, Part, Place, Replayed, StoreConfig};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::frame::FrameHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use quarry_protocol::limits::{BLOCK_BYTES, CHUNK_HEADER_BYTES, FILE_BYTES_MIN, FRAME_HEADER_BYTES};
use quarry_protocol::message::{NodeInfo, Reply, Request, ShardAddress};
use quarry_protocol::replica::Slot;
use quarry_protocol::time::Micros;
use std::collections::{BTreeMap, VecDeque};

pub(super) const DISK: DiskId = DiskId([1; 16]);
pub(super) const LOG: LogId = LogId([7; 16]);
pub(super) const ONE: ConnectionId = ConnectionId(1);
pub(super) const TWO: ConnectionId = ConnectionId(2);
const BLOCK: usize = BLOCK_BYTES as usize;
/// Bounds every loop of a test.
const STEPS_MAX: usize = 200_000;

/// A write that was asked for and not reported.
pub(super) struct Writing {
    number: u64,
    bytes: u32,
}

/// A read that was asked for and not done.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) token: u64,
    pub(super) connection: ConnectionId,
    pub(super) request_id: u64,
    pub(super) chunks: Vec<(ChunkKey, Place)>,
}

pub(super) struct Fake {
    pub(super) shard: Shard,
    pub(super) now: Micros,
    blocks: BTreeMap<(u32, u64), Box<[u8; BLOCK]>>,
    slots: BTreeMap<Slot, Vec<u8>>,
    pub(super) writing: VecDeque<Writing>,
    pub(super) reading: VecDeque<Reading>,
    /// Puts said to be stored, in order.
    pub(super) stored: Vec<(ConnectionId, u64)>,
    /// Replies, in order.
    pub(super) replies: Vec<(ConnectionId, u64, Reply)>,
    /// Chunks sent to readers, in order.
    pub(super) sent: Vec<(ConnectionId, u64, ChunkHeader)>,
    pub(super) closed: Vec<ConnectionId>,
    pub(super) failed: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) settled: bool,
}

pub(super) fn segment(epoch: u64) -> SegmentId {
    SegmentId { epoch: Epoch(epoch), index: 0 }
}

/// A chunk whose bytes follow from its name.
pub(super) fn chunk(epoch: u64, seq: u64, length: u32) -> (ChunkHeader, Vec<u8>) {
    let payload = vec![(seq % 251) as u8 ^ epoch as u8; length as usize];
    let header = ChunkHeader {
        log: LOG,
        segment: segment(epoch),
        seq: ChunkSeq(seq),
        watermark: ChunkSeq(0),
        length,
        payload_crc: crc32c::crc32c(&payload),
        digest: Digest([seq as u8; 16]),
    };
    (header, payload)
}

impl Fake {
    /// A freshly formatted shard of `files` smallest chunk files, with connections [`ONE`] and [`TWO`].
    pub(super) fn new(files: u32) -> Self {
        let node = NodeInfo {
            cluster: "here".into(),
            zone: "a".into(),
            advertise: "localhost:1".into(),
            shards: vec![ShardAddress { disk: DISK, retired: Vec::new(), port: 1 }],
            shard: 0,
        };
        let store = StoreConfig {
            disk: DISK,
            file_bytes: FILE_BYTES_MIN,
            files_max: files,
            wall_clock_at_zero_s: 1_700_000_000,
            scrub_period_us: None,
        };
        let mut fake = Self {
            shard: Shard::new(ShardConfig { node, store }, Replayed::fresh(DISK)),
            now: Micros(1),
            blocks: BTreeMap::new(),
            slots: BTreeMap::new(),
            writing: VecDeque::new(),
            reading: VecDeque::new(),
            stored: Vec::new(),
            replies: Vec::new(),
            sent: Vec::new(),
            closed: Vec::new(),
            failed: None,
            warnings: Vec::new(),
            settled: false,
        };
        fake.handle(ShardEvent::Connected { connection: ONE });
        fake.handle(ShardEvent::Connected { connection: TWO });
        fake.settle();
        fake
    }

    pub(super) fn handle(&mut self, event: ShardEvent<'_>) {
        self.shard.handle(self.now, event);
        self.shard.invariants();
    }

    pub(super) fn put(&mut self, connection: ConnectionId, request_id: u64, chunk: (ChunkHeader, Vec<u8>)) {
        self.put_unchecked(connection, request_id, chunk);
        self.shard.invariants();
    }

    /// Without looking at all invariants, which takes time once there are thousands of chunks.
    pub(super) fn put_unchecked(&mut self, connection: ConnectionId, request_id: u64, chunk: (ChunkHeader, Vec<u8>)) {
        self.put_as(connection, request_id, chunk, false);
    }

    /// As a repair does.
    pub(super) fn copy(&mut self, connection: ConnectionId, request_id: u64, chunk: (ChunkHeader, Vec<u8>)) {
        self.put_as(connection, request_id, chunk, true);
        self.shard.invariants();
    }

    fn put_as(
        &mut self,
        connection: ConnectionId,
        request_id: u64,
        (header, payload): (ChunkHeader, Vec<u8>),
        copy: bool,
    ) {
        // The lowest free slot, so that a slot released twice or too early is soon somebody else's.
        let free = (0..).zip(self.slots.keys()).find(|(at, slot)| slot.0 != *at).map(|(at, _)| at);
        let slot = Slot(free.unwrap_or(self.slots.len() as u32));
        self.slots.insert(slot, payload);
        self.shard.handle(self.now, ShardEvent::Put { connection, request_id, disk: DISK, header, slot, copy });
    }

    pub(super) fn ask(&mut self, connection: ConnectionId, request_id: u64, request: Request) {
        self.handle(ShardEvent::Request { connection, request_id, disk: DISK, request });
    }

    pub(super) fn fence(&mut self, connection: ConnectionId, request_id: u64, epoch: u64) {
        let segments = vec![segment(1)];
        self.ask(connection, request_id, Request::Fence { log: LOG, epoch: Epoch(epoch), segments });
    }

    pub(super) fn trim(&mut self, request_id: u64, floor: u64) {
        self.ask(ONE, request_id, Request::Trim { log: LOG, word: RecordNumber(1), floor: ChunkSeq(floor) });
    }

    pub(super) fn read(&mut self, connection: ConnectionId, request_id: u64, from: u64, bytes_max: u32) {
        let (segment, from) = (segment(1), ChunkSeq(from));
        self.ask(connection, request_id, Request::Read { log: LOG, segment, from, chunks_max: 1000, bytes_max });
    }

    /// Performs every effect there is; writes and reads are begun, not ended.
    pub(super) fn perform(&mut self) {
        for _ in 0..STEPS_MAX {
            let Some(effect) = self.shard.poll_effect() else { return };
            self.perform_one(effect);
        }
        panic!("effects without end");
    }

    fn perform_one(&mut self, effect: ShardEffect) {
        match effect {
            ShardEffect::Send { connection, frame } => {
                let header = FrameHeader::decode(&frame).expect("a shard sends whole frames");
                let body = &frame[FRAME_HEADER_BYTES..];
                header.verify_body(body).expect("with the right checksum");
                assert_eq!(header.disk, DISK);
                let reply = Reply::decode(body).expect("that decode");
                self.replies.push((connection, header.request_id, reply));
            }
            ShardEffect::Stored { connection, request_id, disk } => {
                assert_eq!(disk, DISK);
                self.stored.push((connection, request_id));
            }
            ShardEffect::Release { slot } => {
                self.slots.remove(&slot).expect("a slot is released once");
            }
            ShardEffect::Write { number, file, position, parts, bytes } => {
                self.write(number, file, position, &parts, bytes);
            }
            ShardEffect::Create { file, .. } | ShardEffect::Fill { file, .. } | ShardEffect::SyncFile { file } => {
                self.handle(ShardEvent::Prepared { file, result: Ok(()) });
            }
            ShardEffect::ReadChunks { token, connection, request_id, disk, chunks } => {
                assert_eq!(disk, DISK);
                assert!(!chunks.is_empty(), "a read of nothing");
                self.reading.push_back(Reading { token, connection, request_id, chunks });
            }
            ShardEffect::ReadForCopy { token, file, position, bytes } => {
                let bytes = self.bytes(file, position, bytes as usize);
                self.handle(ShardEvent::CopyRead { token, result: Ok(&bytes) });
            }
            ShardEffect::Close { connection, .. } => {
                self.closed.push(connection);
                self.handle(ShardEvent::Closed { connection });
            }
            ShardEffect::Admin { .. } => {}
            ShardEffect::Fail { why } => assert_eq!(self.failed.replace(why), None, "a disk fails once"),
            ShardEffect::Warn { what } => self.warnings.push(what),
            ShardEffect::Settled => assert!(!std::mem::replace(&mut self.settled, true), "a shard settles once"),
        }
    }

    fn write(&mut self, number: u64, file: u32, position: u64, parts: &[Part], bytes: u32) {
        let mut whole = Vec::with_capacity(bytes as usize);
        for part in parts {
            match part {
                Part::Bytes(bytes) => whole.extend_from_slice(bytes),
                Part::Head(head) => whole.extend_from_slice(head),
                Part::Slot { slot, len } => whole.extend_from_slice(&self.slots[slot][..*len as usize]),
            }
        }
        whole.resize(bytes as usize, 0);
        for (block, bytes) in (position / BLOCK as u64..).zip(whole.chunks_exact(BLOCK)) {
            self.blocks.insert((file, block), Box::new(bytes.try_into().expect("whole blocks")));
        }
        self.writing.push_back(Writing { number, bytes });
    }

    fn bytes(&self, file: u32, position: u64, length: usize) -> Vec<u8> {
        let (first, skip) = (position / BLOCK as u64, position as usize % BLOCK);
        let mut bytes = Vec::with_capacity(skip + length + BLOCK);
        for block in first.. {
            if bytes.len() >= skip + length {
                break;
            }
            bytes.extend_from_slice(self.blocks.get(&(file, block)).map_or(&[0; BLOCK][..], |block| &block[..]));
        }
        bytes[skip..skip + length].to_vec()
    }

    /// Flips a bit of a chunk's payload on the disk.
    pub(super) fn rot(&mut self, place: Place) {
        let at = u64::from(place.position) + CHUNK_HEADER_BYTES as u64;
        let block = self.blocks.get_mut(&(place.file, at / BLOCK as u64)).expect("it was written");
        block[at as usize % BLOCK] ^= 1;
    }

    /// Ends the write that was begun as number `at` of those in progress.
    pub(super) fn end_write(&mut self, at: usize, error: Option<&str>) {
        let Writing { number, bytes } = self.writing.remove(at).expect("a write in progress");
        let result = error.map_or(Ok(bytes), |why| Err(why.to_owned()));
        self.handle(ShardEvent::Written { number, result });
        self.perform();
    }

    /// Ends the read that was begun as number `at` of those in progress: what io does, in memory.
    pub(super) fn end_read(&mut self, at: usize) {
        let Reading { token, connection, request_id, chunks } = self.reading.remove(at).expect("a read in progress");
        let mut sent = 0;
        let mut outcome = ReadOutcome::AllSent;
        for (key, place) in chunks {
            let bytes = self.bytes(place.file, u64::from(place.position), CHUNK_HEADER_BYTES + place.length as usize);
            let verified = ChunkHeader::decode(&bytes).and_then(|header| {
                header.verify_payload(&bytes[CHUNK_HEADER_BYTES..])?;
                Ok(header)
            });
            match verified {
                Ok(header) => {
                    assert_eq!((header.log, header.segment, header.seq), (key.log, key.segment, key.seq));
                    self.sent.push((connection, request_id, header));
                    sent += 1;
                }
                Err(why) => {
                    outcome = ReadOutcome::Unreadable { why: why.to_string() };
                    break;
                }
            }
        }
        self.handle(ShardEvent::ReadDone { token, sent, outcome });
        self.perform();
    }

    pub(super) fn tick(&mut self) {
        let due = self.shard.poll_timeout().map_or(self.now.plus(1), |due| due.max(self.now.plus(1)));
        self.now = due;
        self.handle(ShardEvent::Tick);
        self.perform();
    }

    /// Goes on until nothing is in progress; writes that overlap end in reverse order.
    pub(super) fn settle(&mut self) {
        self.perform();
        for _ in 0..STEPS_MAX {
            if let Some(last) = self.writing.len().checked_sub(1) {
                self.end_write(last, None);
            } else if !self.reading.is_empty() {
                self.end_read(0);
            } else if self.shard.poll_timeout().is_some() {
                self.tick();
            } else {
                return;
            }
        }
        panic!("the shard does not come to rest");
    }

    /// How many payloads the shard holds.
    pub(super) fn slots_held(&self) -> usize {
        self.slots.len()
    }

    /// The last reply to a request.
    #[track_caller]
    pub(super) fn reply(&self, request_id: u64) -> &Reply {
        let mut replies = self.replies.iter().rev().filter(|(_, id, _)| *id == request_id);
        &replies.next().unwrap_or_else(|| panic!("no reply to {request_id}: {:?}", self.replies)).2
    }

    pub(super) fn has_reply(&self, request_id: u64) -> bool {
        self.replies.iter().any(|(_, id, _)| *id == request_id)
    }
}
