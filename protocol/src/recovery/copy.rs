//! P7.4: the kept chunks that are not proven on an ack quorum go into the new, not yet registered segment. The copies are
//! put by the very machine that puts appends: the segment's own [`Writer`].

use super::effect::RecoveryEffect;
use super::error::RecoveryError;
use super::fetch::{FETCHES_MAX, Fetcher, Wanted};
use super::plan::{Plan, owner_of};
use super::{Phase, Recovery};
use crate::action::Step;
use crate::chunk::ChunkHeader;
use crate::digest::Digest;
use crate::ids::{ChunkSeq, LogId, SegmentId};
use crate::limits::{STRAGGLER_BYTES_MAX, STRAGGLER_CHUNKS_MAX, WINDOW_BYTES_MAX, WINDOW_CHUNKS_MAX};
use crate::message::Refusal;
use crate::planted;
use crate::record::{Segment, Window};
use crate::time::Micros;
use crate::writer::{StopReason, Writer, WriterConfig, WriterEffect, WriterEvent};
use alloc::string::String;
use alloc::vec::Vec;

/// The copying of one plan.
#[derive(Clone, Debug)]
pub(super) struct Copying {
    pub(super) plan: Plan,
    /// The new segment's name.
    pub(super) segment: SegmentId,
    /// Its writer: at the plan's end once everything is copied.
    pub(super) writer: Writer,
    /// The last chunk copied, as it stood in the old segment.
    chain: Option<(usize, ChunkHeader)>,
}

/// The old segment's digest before a chunk.
enum ChainBefore {
    Digest(Digest),
    /// Not read yet.
    NotHere,
    /// The chunk before was trimmed: there is nothing to compare with.
    Trimmed,
}

impl Copying {
    fn is_copied(&self) -> bool {
        let reached = if planted!(CopyWithoutQuorum) { self.writer.next_seq() } else { self.writer.committed() };
        reached == self.plan.end
    }

    fn chain_before(
        &self,
        segment: &Segment,
        log: LogId,
        open: usize,
        seq: ChunkSeq,
        fetcher: &Fetcher,
    ) -> ChainBefore {
        if seq == segment.base {
            return ChainBefore::Digest(Digest::start(log, segment.id, segment.base));
        }
        let before = seq.minus(1);
        if let Some((_, header)) = self.chain.filter(|(of, header)| *of == open && header.seq == before) {
            return ChainBefore::Digest(header.digest);
        }
        match fetcher.got.get(&(open, before)) {
            Some(chunk) => ChainBefore::Digest(chunk.header.digest),
            None if self.plan.digest_at[open] == Some(before) => ChainBefore::NotHere,
            None => ChainBefore::Trimmed,
        }
    }

    pub(super) fn invariants(&self) {
        let (cut, end) = (self.plan.cut, self.plan.end);
        let (committed, next) = (self.writer.committed(), self.writer.next_seq());
        assert!(cut <= committed && next <= end, "copies stored to {committed}, put to {next}, planned {cut} to {end}");
    }
}

impl Recovery {
    /// Takes up a plan: goes on with the copying if that stays the same, or begins anew under a new name.
    pub(super) fn start_copying(&mut self, now: Micros, plan: Plan) {
        self.enter(now, Phase::Copying);
        let (copy_from, end) = (plan.cut, plan.end);
        let floor = self.claimed.as_ref().map_or(ChunkSeq(0), |claimed| claimed.record.floor);
        self.note(|epoch| Step::Settle { epoch, copy_from, end, floor });
        let claimed = self.claimed.as_ref().expect("copied after the claim");
        let is_copied = |seq: ChunkSeq| (plan.cut..plan.end).contains(&seq);
        self.fetcher.keep_only(|(open, seq)| {
            plan.digest_at[*open] == Some(*seq) || is_copied(*seq) && owner_of(&claimed.open, *seq) == *open
        });
        if let Some(copying) = &mut self.copying
            && copying.plan.copies_like(&plan)
        {
            copying.plan = plan;
            return;
        }
        let (log, segment) = (claimed.record.log, SegmentId { epoch: claimed.epoch, index: self.attempts });
        self.attempts += u32::from(!planted!(ReuseSegmentName));
        if plan.cut < plan.end {
            self.effects.push_back(RecoveryEffect::Attach { log, segment, replicas: plan.replicas.clone() });
        }
        let config = WriterConfig {
            log,
            segment,
            quorum: self.quorum.expect("a deletion copies nothing"),
            // Nothing is acknowledged on copies, so the only bound they need is one on memory (P5).
            window: Window { chunks: WINDOW_CHUNKS_MAX, bytes: WINDOW_BYTES_MAX },
            next_seq: plan.cut,
            digest: Digest::start(log, segment, plan.cut),
            carried: Vec::new(),
            // The recovery's own deadline bounds the copying.
            deadline_us: u64::MAX,
            straggler_chunks_max: STRAGGLER_CHUNKS_MAX,
            held: false,
            straggler_bytes_max: STRAGGLER_BYTES_MAX,
        };
        self.copying = Some(Copying { plan, segment, writer: Writer::new(config, now), chain: None });
    }

    /// One step; true if the phase changed.
    pub(super) fn copy(&mut self, now: Micros) -> bool {
        self.tick_copies(now);
        for wanted in self.wanted_now() {
            self.fetch(now, wanted);
        }
        while self.phase == Phase::Copying && self.append_copy(now) {}
        if self.phase != Phase::Copying {
            return true;
        }
        let Some(copying) = &self.copying else { return false };
        let sealable = copying.plan.digests().all(|wanted| self.fetcher.got.contains_key(&wanted));
        if !sealable || !copying.is_copied() || self.register.is_busy() {
            return false;
        }
        self.register_segment(now);
        true
    }

    /// What is to be read: the chunks whose digests the seals need, and the next copies.
    fn wanted_now(&self) -> Vec<Wanted> {
        let Some(Copying { plan, writer, .. }) = &self.copying else { return Vec::new() };
        let claimed = self.claimed.as_ref().expect("copied after the claim");
        let mut wanted: Vec<Wanted> = plan.digests().collect();
        let mut seq = writer.next_seq();
        while seq < plan.end && wanted.len() < FETCHES_MAX {
            wanted.push((owner_of(&claimed.open, seq), seq));
            seq = seq.next();
        }
        wanted
    }

    /// Hands the next copy to the writer, if it is here and there is room.
    fn append_copy(&mut self, now: Micros) -> bool {
        let Some(copying) = &mut self.copying else { return false };
        let claimed = self.claimed.as_ref().expect("copied after the claim");
        let seq = copying.writer.next_seq();
        if seq >= copying.plan.end {
            return false;
        }
        let open = owner_of(&claimed.open, seq);
        let Some(chunk) = self.fetcher.got.get(&(open, seq)) else { return false };
        if !copying.writer.would_fit(u64::from(chunk.header.length)) {
            return false;
        }
        match copying.chain_before(&claimed.open[open], claimed.record.log, open, seq, &self.fetcher) {
            ChainBefore::NotHere => return false,
            ChainBefore::Digest(digest) if !digest.continues_with(&chunk.header) => {
                // P1 says that this cannot be. Whatever it is, it is not the chunk that was committed.
                self.fetch_is_damaged(now, (open, seq));
                return false;
            }
            ChainBefore::Digest(_) | ChainBefore::Trimmed => {}
        }
        copying.chain = Some((open, chunk.header));
        let (payload, payload_crc) = (chunk.payload.clone(), chunk.header.payload_crc);
        copying.writer.handle(now, WriterEvent::Append { token: seq.0, payload, payload_crc });
        if copying.plan.digest_at[open] != Some(seq) {
            self.fetcher.got.remove(&(open, seq));
        }
        self.take_writer_effects(now);
        true
    }

    fn take_writer_effects(&mut self, now: Micros) {
        let Some(copying) = &mut self.copying else { return };
        let mut stopped = None;
        while let Some(effect) = copying.writer.poll_effect() {
            match effect {
                WriterEffect::Put { replica, header, payload } => {
                    let to = copying.plan.replicas[replica].clone();
                    let (epoch, disk) = (header.segment.epoch, to.disk);
                    let ChunkHeader { segment, seq, digest: content, payload_crc, .. } = header;
                    self.actions.note(header.log, || Step::Copy {
                        epoch,
                        replica: disk,
                        segment,
                        seq,
                        content,
                        payload: payload_crc,
                    });
                    self.effects.push_back(RecoveryEffect::Copy { replica, to, header, payload });
                }
                WriterEffect::Stopped { why } => stopped = Some(why),
                // Nothing of this is told to anybody before the swap (P5).
                WriterEffect::Committed { .. }
                | WriterEffect::Failed { .. }
                | WriterEffect::LeftBehind { .. }
                | WriterEffect::Rejoined { .. } => {}
            }
        }
        match stopped {
            Some(StopReason::Fenced { by, .. } | StopReason::Deleted { at: by }) => self.fenced_above(now, by),
            Some(StopReason::Broken { refusal }) => {
                self.fail(RecoveryError::Broken { name: self.config.name.clone(), refusal });
            }
            Some(StopReason::NoQuorum { .. }) | None => {}
        }
    }

    /// Passes on what happened at the new segment, if it is still the one that is planned.
    fn tell_writer(&mut self, now: Micros, segment: SegmentId, event: WriterEvent) {
        if let Some(copying) = &mut self.copying
            && copying.segment == segment
        {
            copying.writer.handle(now, event);
            self.take_writer_effects(now);
        }
    }

    pub(super) fn copy_stored(&mut self, now: Micros, replica: usize, segment: SegmentId, seq: ChunkSeq) {
        self.tell_writer(now, segment, WriterEvent::Stored { replica, seq });
    }

    pub(super) fn copy_refused(
        &mut self,
        now: Micros,
        replica: usize,
        segment: SegmentId,
        seq: ChunkSeq,
        refusal: Refusal,
    ) {
        self.tell_writer(now, segment, WriterEvent::Refused { replica, seq, refusal });
    }

    pub(super) fn copy_link_up(&mut self, now: Micros, replica: usize, segment: SegmentId) {
        self.tell_writer(now, segment, WriterEvent::Up { replica });
    }

    pub(super) fn copy_link_down(&mut self, now: Micros, replica: usize, segment: SegmentId, why: String) {
        self.tell_writer(now, segment, WriterEvent::Down { replica, why });
    }

    /// Lets the writer put again what was refused for a while.
    pub(super) fn tick_copies(&mut self, now: Micros) {
        if let Some(segment) = self.copying.as_ref().map(|copying| copying.segment) {
            self.tell_writer(now, segment, WriterEvent::Tick);
        }
    }

    pub(super) fn copying_wakes_at(&self) -> Option<Micros> {
        if self.phase != Phase::Copying {
            return None;
        }
        let writer = self.copying.as_ref().and_then(|copying| copying.writer.poll_timeout());
        writer.into_iter().chain(self.fetcher.wakes_at()).min()
    }
}
