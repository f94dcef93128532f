//! Puts: create the slot's object, or learn what keeps the slot.

use super::durable::Durable;
use super::operation::{Finding, Question};
use super::pool::Owner;
use super::{Bucket, BucketEffect};
use crate::chunk::{ChunkHeader, check_length};
use crate::ids::{ChunkSeq, DiskId, Epoch};
use crate::limits::BUCKET_PUTS_MAX;
use crate::message::Refusal;
use crate::replica::Ticket;
use crate::time::Micros;
use bytes::Bytes;

/// A put that waits until the bucket's identity was looked at.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) from: Ticket,
    header: ChunkHeader,
    payload: Bytes,
}

impl Bucket {
    pub(super) fn put(&mut self, now: Micros, from: Ticket, disk: DiskId, header: ChunkHeader, payload: Bytes) {
        if let Err(refusal) = self.judge_put(disk, &header, &payload) {
            return self.refuse(from, refusal);
        }
        let put = Waiting { from, header, payload };
        if self.is_named(now) {
            self.start_put(put);
        } else {
            self.waiting_puts.push_back(put);
        }
    }

    fn judge_put(&self, disk: DiskId, header: &ChunkHeader, payload: &Bytes) -> Result<(), Refusal> {
        self.check_disk(disk)?;
        check_put(header, payload)?;
        if header.log != self.log {
            let why = alloc::format!("a put of log {} at the machine of log {}", header.log, self.log);
            return Err(Refusal::BadRequest { why });
        }
        self.check_not_deleted()?;
        // P3, pitfall 9. A marker of a higher epoch was seen: whoever made it had claimed the log. What lies below the end that the
        // register has for the segment was kept by whoever sealed it, and is the same bytes whoever brings it: a copy, from another
        // tier, or its writer's own put once more (P1). A slot that was marked takes neither.
        if header.segment.epoch < self.fence && !self.known.is_kept(header.segment, header.seq) {
            return Err(Refusal::Fenced { by: self.fence });
        }
        if self.waiting_puts.len() + self.pool.puts() >= BUCKET_PUTS_MAX {
            let why = alloc::format!("{BUCKET_PUTS_MAX} puts wait for it, the most that may");
            return Err(Refusal::DiskFailed { why });
        }
        Ok(())
    }

    pub(super) fn start_put(&mut self, put: Waiting) {
        let Waiting { from: to, header, payload } = put;
        if let Some(proof) = Durable::by_floor(header.seq, self.known.dropped_of(header.segment)) {
            self.effects.push_back(BucketEffect::PutStored { to, proof });
        } else {
            self.pool.ask(Owner::Put(to), Question::Put { header, payload });
        }
    }

    pub(super) fn put_found(&mut self, to: Ticket, finding: Finding) {
        match finding {
            Finding::Put(Ok(proof)) => self.effects.push_back(BucketEffect::PutStored { to, proof }),
            Finding::Put(Err(refusal)) => {
                if let Refusal::Fenced { by } = refusal {
                    self.fence = self.fence.max(by);
                }
                self.refuse(to, refusal);
            }
            // It may be stored, or may be yet: as after a lost connection, the writer puts it again.
            Finding::Failed(why) => self.refuse(to, Refusal::DiskFailed { why }),
            other => unreachable!("a chunk was put, got {other:?}"),
        }
    }

    pub(super) fn check_disk(&self, named: DiskId) -> Result<(), Refusal> {
        if named == self.disk { Ok(()) } else { Err(Refusal::WrongDisk { named, here: self.disk }) }
    }

    pub(super) fn check_not_deleted(&self) -> Result<(), Refusal> {
        if self.deleted == Epoch(0) { Ok(()) } else { Err(Refusal::LogDeleted { log: self.log, at: self.deleted }) }
    }
}

fn check_put(header: &ChunkHeader, payload: &Bytes) -> Result<(), Refusal> {
    let bad = |why| Err(Refusal::BadRequest { why });
    if header.segment.epoch == Epoch(0) {
        return bad("a put of epoch 0: epochs of writers begin at 1".into());
    }
    if header.seq == ChunkSeq(u64::MAX) {
        return bad(alloc::format!("a put of seq {}: the last seq of a log is one less", header.seq));
    }
    if header.watermark > header.seq {
        return bad(alloc::format!("watermark {} is above the chunk's own seq {}", header.watermark, header.seq));
    }
    if payload.len() != header.length as usize {
        return bad(alloc::format!("{} payload bytes, the header says {}", payload.len(), header.length));
    }
    check_length(u64::from(header.length)).or_else(|why| bad(alloc::format!("{why}")))
}
