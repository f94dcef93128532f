//! A storage node: the real replica machine over a disk that keeps only what was confirmed.

use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::message::{Answer, Reply, Request};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::replica::{
    Identity, Replica, ReplicaEffect, ReplicaEvent, RestoredLog, RestoredSegment, Slot, Ticket, ToStore,
};
use quarry_protocol::snapshot::{LogRecord, Record};
use quarry_protocol::time::Micros;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) type Key = (LogId, SegmentId, ChunkSeq);

/// What a node says.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Stored,
    Reply(Reply),
    Chunk(ChunkHeader, Bytes),
}

pub(crate) struct Node {
    pub(crate) at: ReplicaRef,
    #[allow(dead_code, reason = "two test crates share this file, and one of them does not stop nodes")]
    pub(crate) running: bool,
    replica: Replica,
    slots: BTreeMap<Slot, Bytes>,
    next_slot: u32,
    /// Handed out for storing, not confirmed.
    unstored: VecDeque<(u64, ToStore)>,
    /// What survives a crash.
    pub(crate) chunks: BTreeMap<Key, (ChunkHeader, Bytes)>,
    records: BTreeMap<LogId, LogRecord>,
    /// What was lost and not stored again since (D6).
    losses: BTreeSet<Key>,
}

impl Node {
    pub(crate) fn new(number: u8, incarnation: u8) -> Self {
        let disk = DiskId([number + 1, incarnation, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        let at = ReplicaRef { disk, address: format!("node{number}:7000"), zone: format!("zone{number}") };
        let replica = Replica::new(Identity { current: disk, retired: Vec::new() }, []);
        Self {
            at,
            running: true,
            replica,
            slots: BTreeMap::new(),
            next_slot: 0,
            unstored: VecDeque::new(),
            chunks: BTreeMap::new(),
            records: BTreeMap::new(),
            losses: BTreeSet::new(),
        }
    }

    pub(crate) fn put(&mut self, from: Ticket, disk: DiskId, (header, copy): (ChunkHeader, bool), payload: Bytes) {
        let slot = Slot(self.next_slot);
        self.next_slot += 1;
        self.slots.insert(slot, payload);
        self.replica.handle(Micros(0), ReplicaEvent::Put { from, disk, header, slot, copy });
    }

    #[allow(dead_code, reason = "two test crates share this file, and one of them fills disks")]
    pub(crate) fn set_full(&mut self, is_full: bool) {
        self.replica.handle(Micros(0), ReplicaEvent::Fullness { full: is_full.then_some((9, 10)) });
    }

    /// Whether a deletion of the log is durable here.
    #[allow(dead_code, reason = "two test crates share this file, and one of them deletes")]
    pub(crate) fn has_deleted(&self, log: LogId) -> bool {
        self.records.get(&log).is_some_and(|record| record.deleted.0 > 0)
    }

    pub(crate) fn request(&mut self, from: Ticket, disk: DiskId, request: Request) {
        self.replica.handle(Micros(0), ReplicaEvent::Request { from, disk, request });
    }

    /// The oldest `count` unconfirmed writes become durable and are confirmed.
    pub(crate) fn persist(&mut self, count: usize) {
        let count = count.min(self.unstored.len());
        let through = self.write_down(count);
        if let Some(through) = through {
            self.replica.handle(Micros(0), ReplicaEvent::Stored { through });
        }
    }

    fn write_down(&mut self, count: usize) -> Option<u64> {
        let mut through = None;
        for (order, what) in self.unstored.drain(..count).collect::<Vec<_>>() {
            through = Some(order);
            match what {
                ToStore::Chunk { header, slot } => {
                    let payload = self.slots.remove(&slot).expect("a slot is given out once");
                    let key = (header.log, header.segment, header.seq);
                    self.losses.remove(&key);
                    self.chunks.insert(key, (header, payload));
                }
                ToStore::Control(Record::Log(record)) => {
                    let known = self.records.entry(record.log).or_insert(LogRecord { log: record.log, ..record });
                    known.merge(&record);
                }
                ToStore::Control(Record::Loss(loss)) => {
                    let seqs = loss.from.0..loss.to.0;
                    self.losses.extend(seqs.map(|seq| (loss.log, loss.segment, ChunkSeq(seq))));
                }
                ToStore::Control(other) => panic!("a replica does not store {other:?}"),
            }
        }
        through
    }

    /// Stops at once; of the unconfirmed writes the first `survive` became durable all the same. Comes back as what its disk
    /// says.
    pub(crate) fn crash(&mut self, survive: usize) {
        self.write_down(survive.min(self.unstored.len()));
        self.unstored.clear();
        self.slots.clear();
        // A replay takes nothing of a deleted log in.
        let records = &self.records;
        self.chunks.retain(|(log, ..), _| records.get(log).is_none_or(|record| record.deleted.0 == 0));
        self.replica = Replica::new(self.replica.identity().clone(), self.restored());
    }

    fn restored(&self) -> Vec<RestoredLog> {
        let mut logs: BTreeMap<LogId, RestoredLog> = BTreeMap::new();
        let mut log_of = |log: LogId| {
            let record = self.records.get(&log).copied().unwrap_or(LogRecord { log, ..LogRecord::default() });
            logs.entry(log).or_insert(RestoredLog { record, segments: Vec::new() }).clone()
        };
        let mut segments: BTreeMap<(LogId, SegmentId), RestoredSegment> = BTreeMap::new();
        self.records.keys().for_each(|log| _ = log_of(*log));
        for ((log, segment, seq), (header, _)) in &self.chunks {
            log_of(*log);
            let found =
                segments.entry((*log, *segment)).or_insert(RestoredSegment { segment: *segment, ..Default::default() });
            found.held.insert(*seq, seq.next());
            found.watermark = found.watermark.max(header.watermark);
        }
        for &(log, segment, seq) in &self.losses {
            log_of(log);
            let found = segments.entry((log, segment)).or_insert(RestoredSegment { segment, ..Default::default() });
            found.lost.insert(seq, seq.next());
        }
        for ((log, _), segment) in segments {
            logs.get_mut(&log).expect("put there above").segments.push(segment);
        }
        logs.into_values().collect()
    }

    /// A chunk cannot be read any more, and the node knows: by a replay, too, which tells rot from what never was (D4).
    pub(crate) fn lose(&mut self, key: Key) {
        if self.chunks.remove(&key).is_some() {
            let (log, segment, from) = key;
            self.losses.insert(key);
            self.replica.handle(Micros(0), ReplicaEvent::Lost { log, segment, from, to: from.next() });
        }
    }

    pub(crate) fn drain(&mut self) -> Vec<(Ticket, Said)> {
        let mut said = Vec::new();
        while let Some(effect) = self.replica.poll_effect() {
            match effect {
                ReplicaEffect::Store { order, what } => self.unstored.push_back((order, what)),
                ReplicaEffect::Release { slot } => {
                    self.slots.remove(&slot).expect("a slot is released once");
                }
                ReplicaEffect::PutStored { to, .. } => said.push((to, Said::Stored)),
                ReplicaEffect::Reply { to, reply } => said.push((to, Said::Reply(reply))),
                ReplicaEffect::Read { to, log, segment, from, .. } => {
                    let chunk = self.chunks.get(&(log, segment, from)).cloned();
                    let unread = Reply::ReadEnd { next: from, answer: Answer::Unknown };
                    said.push((
                        to,
                        chunk.map_or(Said::Reply(unread), |(header, payload)| Said::Chunk(header, payload)),
                    ));
                }
                ReplicaEffect::FreeSegment { log, segment, seqs } => {
                    let gone = |of: LogId, in_segment, seq| of == log && in_segment == segment && seqs.contains(seq);
                    self.chunks.retain(|&(of, in_segment, seq), _| !gone(of, in_segment, seq));
                }
                ReplicaEffect::Free { log, below } => {
                    self.chunks.retain(|(of, _, seq), _| *of != log || below.is_some_and(|floor| *seq >= floor));
                }
            }
        }
        self.replica.invariants();
        said
    }
}
