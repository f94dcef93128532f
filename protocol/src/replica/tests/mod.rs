//! Tests of the replica, by subject. [`Driven`] plays the driver: it answers store effects when a test says so.

mod answers;
mod crashes;
mod fences;
mod losses;
mod puts;
mod random;
mod sealed;
mod trims;

use super::{Identity, Replica, ReplicaEffect, ReplicaEvent, RestoredLog, Slot, Ticket};
use crate::chunk::ChunkHeader;
use crate::digest::Digest;
use crate::ids::{ChunkSeq, DiskId, Epoch, LogId, RecordNumber, SegmentId};
use crate::message::{Answer, Refusal, Reply, Request, Run};
use crate::time::Micros;
use alloc::vec::Vec;

const DISK: DiskId = DiskId([1; 16]);
const RETIRED: DiskId = DiskId([2; 16]);
const STRANGER: DiskId = DiskId([3; 16]);
const LOG: LogId = LogId([7; 16]);

fn segment(epoch: u64) -> SegmentId {
    SegmentId { epoch: Epoch(epoch), index: 0 }
}

fn header(epoch: u64, seq: u64) -> ChunkHeader {
    ChunkHeader {
        log: LOG,
        segment: segment(epoch),
        seq: ChunkSeq(seq),
        watermark: ChunkSeq(0),
        length: 100,
        payload_crc: 0xabcd,
        digest: Digest([seq as u8; 16]),
    }
}

fn run(from: u64, to: u64, answer: Answer) -> Run {
    Run { from: ChunkSeq(from), to: ChunkSeq(to), answer }
}

fn identity() -> Identity {
    Identity { current: DISK, retired: [RETIRED].to_vec() }
}

struct Driven {
    replica: Replica,
    slots: u32,
    tickets: Ticket,
}

impl Driven {
    fn new() -> Self {
        Self::restored(Vec::new())
    }

    fn restored(logs: Vec<RestoredLog>) -> Self {
        Self { replica: Replica::new(identity(), logs), slots: 0, tickets: 0 }
    }

    fn handle(&mut self, event: ReplicaEvent) -> Vec<ReplicaEffect> {
        self.replica.handle(Micros(0), event);
        self.replica.invariants();
        core::iter::from_fn(|| self.replica.poll_effect()).collect()
    }

    /// Puts a chunk; the effects.
    fn put_header(&mut self, disk: DiskId, header: ChunkHeader) -> Vec<ReplicaEffect> {
        self.slots += 1;
        self.tickets += 1;
        self.handle(ReplicaEvent::Put { from: self.tickets, disk, header, slot: Slot(self.slots), copy: false })
    }

    /// Has a repair copy a chunk here; the effects.
    fn copy_as(&mut self, disk: DiskId, header: ChunkHeader) -> Vec<ReplicaEffect> {
        self.slots += 1;
        self.tickets += 1;
        self.handle(ReplicaEvent::Put { from: self.tickets, disk, header, slot: Slot(self.slots), copy: true })
    }

    fn copy(&mut self, epoch: u64, seq: u64) -> Vec<ReplicaEffect> {
        self.copy_as(DISK, header(epoch, seq))
    }

    fn pin(&mut self, word: u64) -> Vec<ReplicaEffect> {
        self.ask(Request::Pin { log: LOG, word: RecordNumber(word) })
    }

    fn free(&mut self, word: u64, of: u64) -> Vec<ReplicaEffect> {
        self.ask(Request::Free { log: LOG, segment: segment(of), word: RecordNumber(word) })
    }

    fn inventory(&mut self, of: u64, from: u64, to: u64) -> Reply {
        let (segment, from, to) = (segment(of), ChunkSeq(from), ChunkSeq(to));
        only_reply(&self.ask(Request::Inventory { log: LOG, segment, from, to }))
    }

    fn put(&mut self, epoch: u64, seq: u64) -> Vec<ReplicaEffect> {
        self.put_header(DISK, header(epoch, seq))
    }

    /// Puts chunks and confirms them.
    fn hold(&mut self, epoch: u64, seqs: core::ops::Range<u64>) {
        for seq in seqs {
            self.put(epoch, seq);
        }
        self.store_all();
    }

    fn ask_as(&mut self, disk: DiskId, request: Request) -> Vec<ReplicaEffect> {
        self.tickets += 1;
        self.handle(ReplicaEvent::Request { from: self.tickets, disk, request })
    }

    fn ask(&mut self, request: Request) -> Vec<ReplicaEffect> {
        self.ask_as(DISK, request)
    }

    fn fence(&mut self, epoch: u64, segments: &[u64]) -> Vec<ReplicaEffect> {
        let segments = segments.iter().map(|epoch| segment(*epoch)).collect();
        self.ask(Request::Fence { log: LOG, epoch: Epoch(epoch), segments })
    }

    fn freeze_as(&mut self, disk: DiskId, epoch: u64, of: u64, from: u64, to: u64) -> Reply {
        let (from, to) = (ChunkSeq(from), ChunkSeq(to));
        only_reply(
            &self.ask_as(disk, Request::Freeze { log: LOG, epoch: Epoch(epoch), segment: segment(of), from, to }),
        )
    }

    fn freeze(&mut self, epoch: u64, of: u64, from: u64, to: u64) -> Reply {
        self.freeze_as(DISK, epoch, of, from, to)
    }

    fn trim(&mut self, word: u64, floor: u64) -> Vec<ReplicaEffect> {
        self.ask(Request::Trim { log: LOG, word: RecordNumber(word), floor: ChunkSeq(floor) })
    }

    fn delete(&mut self, epoch: u64) -> Vec<ReplicaEffect> {
        self.ask(Request::Delete { log: LOG, epoch: Epoch(epoch) })
    }

    fn read(&mut self, of: u64, from: u64, chunks_max: u32) -> Vec<ReplicaEffect> {
        let (segment, from) = (segment(of), ChunkSeq(from));
        self.ask(Request::Read { log: LOG, segment, from, chunks_max, bytes_max: 1 << 20 })
    }

    fn stored(&mut self, through: u64) -> Vec<ReplicaEffect> {
        self.handle(ReplicaEvent::Stored { through })
    }

    fn store_all(&mut self) -> Vec<ReplicaEffect> {
        self.stored(self.replica.ordered)
    }

    fn fail(&mut self) -> Vec<ReplicaEffect> {
        self.handle(ReplicaEvent::DiskFailed { why: "write error".into() })
    }
}

/// Who was told "stored".
fn stored_to(effects: &[ReplicaEffect]) -> Vec<Ticket> {
    let to = |effect: &ReplicaEffect| match effect {
        ReplicaEffect::PutStored { to, .. } => Some(*to),
        _ => None,
    };
    effects.iter().filter_map(to).collect()
}

fn replies(effects: &[ReplicaEffect]) -> Vec<Reply> {
    let reply = |effect: &ReplicaEffect| match effect {
        ReplicaEffect::Reply { reply, .. } => Some(reply.clone()),
        _ => None,
    };
    effects.iter().filter_map(reply).collect()
}

#[track_caller]
fn only_reply(effects: &[ReplicaEffect]) -> Reply {
    let replies = replies(effects);
    assert_eq!(replies.len(), 1, "{effects:?}");
    replies[0].clone()
}

#[track_caller]
fn refusal(effects: &[ReplicaEffect]) -> Refusal {
    assert!(stored_to(effects).is_empty() && !has_store(effects), "{effects:?}");
    match only_reply(effects) {
        Reply::Refused(refusal) => refusal,
        reply => panic!("not refused: {reply:?}"),
    }
}

fn has_store(effects: &[ReplicaEffect]) -> bool {
    effects.iter().any(|effect| matches!(effect, ReplicaEffect::Store { .. }))
}

fn has_release(effects: &[ReplicaEffect]) -> bool {
    effects.iter().any(|effect| matches!(effect, ReplicaEffect::Release { .. }))
}
