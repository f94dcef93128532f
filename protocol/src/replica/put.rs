//! Puts: what is taken, and what is refused.

use super::durable::Durable;
use super::log::{Log, Pending};
use super::{InFlight, Key, Replica, ReplicaEffect, Slot, Ticket, ToStore, Waiting};
use crate::chunk::{ChunkHeader, check_length};
use crate::ids::{ChunkSeq, DiskId, Epoch};
use crate::limits::LOGS_PER_SHARD_MAX;
use crate::message::Refusal;
use crate::planted;

/// What becomes of a put that is not refused.
enum Taken {
    /// It is new: store it.
    New,
    /// The same chunk is on its way with this order.
    OnItsWay { order: u64 },
    /// The same chunk is durable here.
    Held(Durable),
    /// It lies below the floor, which is durable.
    Trimmed(Durable),
    /// It lies below the floor, which will be durable with this order.
    BeingTrimmed { order: u64 },
}

impl Replica {
    /// A put, or a copy that a repair makes of a segment that is sealed (P16).
    pub(super) fn put(&mut self, from: Ticket, disk: DiskId, header: &ChunkHeader, (slot, copy): (Slot, bool)) {
        let taken = match self.judge_put(disk, header, copy) {
            Ok(taken) => taken,
            Err(refusal) => {
                self.effects.push_back(ReplicaEffect::Release { slot });
                return self.refuse(from, refusal);
            }
        };
        self.hear_watermark(header);
        if !matches!(taken, Taken::New) {
            self.effects.push_back(ReplicaEffect::Release { slot });
        }
        let key = Key { log: header.log, segment: header.segment, seq: header.seq };
        match taken {
            Taken::New => self.store_chunk(from, header, (slot, copy)),
            // Pitfall 10: the second copy of a put is answered no sooner than the first.
            Taken::OnItsWay { order } => {
                let order = if planted!(DuplicateStoredEarly) { self.stored } else { order };
                self.wait(order, Waiting::Put { to: from, key, copy });
            }
            Taken::BeingTrimmed { order } => self.wait(order, Waiting::PutBelowFloor { to: from, key, copy }),
            Taken::Held(proof) | Taken::Trimmed(proof) => {
                self.note_stored(key, copy);
                self.effects.push_back(ReplicaEffect::PutStored { to: from, proof });
            }
        }
    }

    fn judge_put(&self, disk: DiskId, header: &ChunkHeader, copy: bool) -> Result<Taken, Refusal> {
        self.check_takes_changes(disk)?;
        self.check_not_retired(disk)?;
        check_header(header)?;
        let Some(log) = self.logs.get(&header.log) else {
            self.check_room_for_log()?;
            self.check_not_full()?;
            return Ok(Taken::New);
        };
        // P3, pitfall 9: the fence comes first, for retransmissions too.
        // Copies are of segments that are sealed: their writers are fenced off, that is how they were sealed.
        if header.segment.epoch < log.told.fence && !copy && !planted!(NoFence) {
            return Err(Refusal::Fenced { by: log.told.fence });
        }
        if !(copy && planted!(CopyIntoDeletedLog)) {
            log.check_not_deleted()?;
        }
        let taken = log.judge_put(header, self.stored)?;
        if matches!(taken, Taken::New) {
            self.check_not_full()?;
        }
        Ok(taken)
    }

    fn hear_watermark(&mut self, header: &ChunkHeader) {
        // A segment that is not known yet becomes known when its chunk is stored.
        let segment = self.logs.get_mut(&header.log).and_then(|log| log.segments.get_mut(&header.segment));
        if let Some(segment) = segment {
            segment.watermark = segment.watermark.max(header.watermark);
        }
    }

    fn store_chunk(&mut self, from: Ticket, header: &ChunkHeader, (slot, copy): (Slot, bool)) {
        let (log, segment, seq) = (header.log, header.segment, header.seq);
        if !copy {
            self.note_accepted(header);
        }
        let order = self.store(ToStore::Chunk { header: *header, slot }, InFlight::Chunk { log, segment, seq });
        let key = Key { log, segment, seq };
        let log = self.logs.entry(log).or_insert_with(|| Log::new(log));
        // The chunk is the durable word of its epoch: a replay merges the epochs of chunks into the fence.
        log.told.fence = log.told.fence.max(segment.epoch);
        let segment = log.segments.entry(segment).or_default();
        segment.watermark = segment.watermark.max(header.watermark);
        let known = segment.pending.get(seq);
        assert!(known.is_none(), "{seq} was on its way already: {known:?}");
        segment.pending.push(seq, Pending::new(order, header, copy));
        self.wait(order, Waiting::Put { to: from, key, copy });
    }

    pub(super) fn check_takes_changes(&self, disk: DiskId) -> Result<(), Refusal> {
        self.check_disk(disk)?;
        match &self.failed {
            Some(why) => Err(Refusal::DiskFailed { why: why.clone() }),
            None => Ok(()),
        }
    }

    /// P4: whether a request for the disk `named` is for this replica.
    pub fn check_disk(&self, named: DiskId) -> Result<(), Refusal> {
        if named == self.identity.current || self.identity.retired.contains(&named) || planted!(AnyDiskAnswers) {
            Ok(())
        } else {
            Err(Refusal::WrongDisk { named, here: self.identity.current })
        }
    }

    pub(super) fn check_not_retired(&self, named: DiskId) -> Result<(), Refusal> {
        if named == self.identity.current || planted!(AnyDiskAnswers) {
            Ok(())
        } else {
            Err(Refusal::Retired { named, here: self.identity.current })
        }
    }

    pub(super) fn check_room_for_log(&self) -> Result<(), Refusal> {
        if self.logs.len() < LOGS_PER_SHARD_MAX {
            Ok(())
        } else {
            Err(Refusal::TooManyLogs { max: LOGS_PER_SHARD_MAX as u32 })
        }
    }

    fn check_not_full(&self) -> Result<(), Refusal> {
        match self.full {
            Some((live_bytes, capacity_bytes)) => Err(Refusal::Full { live_bytes, capacity_bytes }),
            None => Ok(()),
        }
    }
}

impl Log {
    fn judge_put(&self, header: &ChunkHeader, stored: u64) -> Result<Taken, Refusal> {
        let (segment, seq) = (header.segment, header.seq);
        if seq < self.durable.floor {
            return Ok(Taken::Trimmed(Durable::by_floor(seq, self.durable.floor)));
        }
        if seq < self.told.floor {
            assert!(self.floor_order > stored, "floor {} is neither durable nor on its way", self.told.floor);
            return Ok(Taken::BeingTrimmed { order: self.floor_order });
        }
        let Some(known) = self.segments.get(&segment) else { return Ok(Taken::New) };
        if let Some(pending) = known.pending.get(seq) {
            // P1: a writer gives a seq one content.
            return if pending.is_same(header) {
                Ok(Taken::OnItsWay { order: pending.order })
            } else {
                Err(Refusal::Different { segment, seq })
            };
        }
        if known.held.contains(seq) {
            // What is held has left this machine; its bytes are not compared.
            return Ok(Taken::Held(Durable::by_inventory(&known.held, seq)));
        }
        Ok(Taken::New)
    }

    pub(super) fn check_not_deleted(&self) -> Result<(), Refusal> {
        if self.is_deleted() { Err(Refusal::LogDeleted { log: self.told.log, at: self.told.deleted }) } else { Ok(()) }
    }
}

fn check_header(header: &ChunkHeader) -> Result<(), Refusal> {
    let bad = |why: alloc::string::String| Err(Refusal::BadRequest { why });
    if header.segment.epoch == Epoch(0) {
        return bad("a put of epoch 0: epochs of writers begin at 1".into());
    }
    if header.seq == ChunkSeq(u64::MAX) {
        return bad(alloc::format!("a put of seq {}: the last seq of a log is one less", header.seq));
    }
    if header.watermark > header.seq {
        // A chunk is not committed before it is first sent (P6); believed, this would end a window short.
        return bad(alloc::format!("watermark {} is above the chunk's own seq {}", header.watermark, header.seq));
    }
    check_length(u64::from(header.length)).or_else(|why| bad(alloc::format!("{why}")))
}
