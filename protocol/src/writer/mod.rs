//! The writer: from append to committed (P2, P6, P9, P10).
//!
//! A pure machine over one open segment. Whoever drives it calls [`Writer::handle`] with what happened, then does
//! every effect of [`Writer::poll_effect`] until there is none, and calls again with [`WriterEvent::Tick`] no later
//! than [`Writer::poll_timeout`].
//!
//! ```text
//!            first          committed             next
//!              | kept for     |  in flight          |
//!   ...  ------+--stragglers--+--(the window)-------+
//!              | <= STRAGGLER |  <= window          |
//! ```

mod config;
mod effect;
mod error;
mod event;
mod kept;
mod lane;

pub use config::{Carried, WRITER_DEADLINE_US_DEFAULT, WriterConfig};
pub use effect::WriterEffect;
pub use error::{AppendFailure, Fate, LeftBehindReason, StopReason, Trouble};
pub use event::{AppendToken, WriterEvent};

use crate::action::{Action, Actions, Step};
use crate::chunk::{ChunkHeader, check_length};
use crate::digest::Digest;
use crate::ids::{ChunkSeq, DiskId};
use crate::message::Refusal;
use crate::planted;
use crate::quorum::ReplicaSet;
use crate::time::Micros;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use kept::{Kept, KeptChunks};
use lane::Lane;

/// The one writer of one open segment.
#[derive(Clone, Debug)]
pub struct Writer {
    config: WriterConfig,
    chunks: KeptChunks,
    lanes: Vec<Lane>,
    digest: Digest,
    stopped: Option<StopReason>,
    effects: VecDeque<WriterEffect>,
    actions: Actions,
    /// The replicas' names, for the notes.
    names: Vec<DiskId>,
}

impl Writer {
    /// A writer that stands at the tail of its segment.
    ///
    /// # Panics
    /// If `config.carried` is not dense below `config.next_seq`.
    #[must_use]
    pub fn new(mut config: WriterConfig, now: Micros) -> Self {
        let chunks = KeptChunks::new(config.next_seq, core::mem::take(&mut config.carried), now);
        let lanes = (0..config.quorum.replicas()).map(|_| Lane::new(chunks.first(), now)).collect();
        let digest = config.digest;
        let (effects, actions, names) = (VecDeque::new(), Actions::default(), Vec::new());
        let mut writer = Self { config, chunks, lanes, digest, stopped: None, effects, actions, names };
        writer.forget_stored();
        writer.bound_stragglers(now);
        writer.invariants();
        writer
    }

    /// The seq of the next append.
    #[must_use]
    pub fn next_seq(&self) -> ChunkSeq {
        self.chunks.next()
    }

    /// One past the last committed seq.
    #[must_use]
    pub const fn committed(&self) -> ChunkSeq {
        self.chunks.committed()
    }

    /// The watermark that the next chunk carries: one past the highest seq known to be committed (P2), or 0 while chunks of the
    /// segment before are not.
    #[must_use]
    pub fn watermark(&self) -> ChunkSeq {
        if self.config.held && !planted!(WatermarkWhileHeld) {
            return ChunkSeq(0);
        }
        if planted!(WatermarkRunsAhead) { self.chunks.next() } else { self.chunks.committed() }
    }

    /// Chunks and payload bytes put beyond what is committed.
    #[must_use]
    pub fn in_flight(&self) -> (u64, u64) {
        self.chunks.in_flight()
    }

    /// Committed chunks and payload bytes that are kept for replicas that lag.
    #[must_use]
    pub const fn kept_for_stragglers(&self) -> (u64, u64) {
        self.chunks.behind()
    }

    /// Whether an append of `bytes` fits in the window now.
    #[must_use]
    pub fn would_fit(&self, bytes: u64) -> bool {
        let (chunks, in_flight_bytes) = self.chunks.in_flight();
        chunks < u64::from(self.config.window.chunks)
            && in_flight_bytes.saturating_add(bytes) <= self.config.window.bytes
    }

    /// Why the writer stopped, if it did.
    #[must_use]
    pub const fn stopped(&self) -> Option<&StopReason> {
        self.stopped.as_ref()
    }

    /// The segment's digest through the last append.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// What is wrong with a replica, for a status page: `None` if it takes puts.
    #[must_use]
    pub fn trouble(&self, replica: usize) -> Option<String> {
        let lane = &self.lanes[replica];
        if lane.takes_puts() { None } else { Some(lane.trouble()) }
    }

    /// Ends the writer and gives out the committed chunks that some replica may lack, for the next writer of the same
    /// segment ([`WriterConfig::carried`]).
    #[must_use]
    pub fn into_carried(self) -> Vec<Carried> {
        self.chunks.into_committed()
    }

    /// Since when something has been wrong with a replica: it is not connected, refuses puts, was left behind, or lacks a chunk
    /// that it was sent. `None` if it keeps up.
    #[must_use]
    pub fn ailing_since(&self, replica: usize) -> Option<Micros> {
        let slow = self.chunks.get(self.chunks.first_lacking(replica)).map(|kept| kept.since);
        self.lanes[replica].ailing_since().into_iter().chain(slow).min()
    }

    /// Whether any replica takes no puts, refuses them or was left behind.
    #[must_use]
    pub fn is_any_ailing(&self) -> bool {
        self.lanes.iter().any(|lane| lane.ailing_since().is_some())
    }

    /// Everything before this segment is committed: from now on, so is what has its quorum here.
    pub fn release(&mut self, now: Micros) {
        assert!(self.config.held, "a writer that was not held is released");
        self.config.held = false;
        if self.stopped.is_none() {
            self.commit(now);
        }
        self.invariants();
    }

    /// Stops the writer for a reason that came up elsewhere.
    pub fn stop_for(&mut self, why: &StopReason) {
        if self.stopped.is_none() {
            self.stop(why);
        }
    }

    /// Takes what happened.
    ///
    /// # Panics
    /// If an event names a replica that the segment does not have.
    pub fn handle(&mut self, now: Micros, event: WriterEvent) {
        match event {
            WriterEvent::Append { token, payload, payload_crc } => self.append(now, token, payload, payload_crc),
            _ if self.stopped.is_some() => {}
            WriterEvent::Stored { replica, seq } => self.stored(now, replica, seq),
            WriterEvent::Refused { replica, refusal, .. } => self.refused(now, replica, refusal),
            WriterEvent::Up { replica } => {
                self.lanes[replica].connected();
                self.resume(replica);
            }
            WriterEvent::Down { replica, why } => self.lanes[replica].disconnected(now, why),
            WriterEvent::Tick => {}
        }
        if self.stopped.is_none() {
            self.wake_lanes(now);
            self.check_deadline(now);
        }
        self.invariants();
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<WriterEffect> {
        self.effects.pop_front()
    }

    /// Has every step noted from now on, for [`Self::poll_action`]. `names` are the segment's replicas.
    ///
    /// # Panics
    /// If there are not as many as the segment has.
    pub fn record_actions(&mut self, names: &[DiskId]) {
        assert!(names.len() == self.lanes.len(), "{} names of {} replicas", names.len(), self.lanes.len());
        self.names = names.to_vec();
        self.actions.record();
    }

    /// The next step noted, until none is left.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.poll()
    }

    /// When [`WriterEvent::Tick`] is wanted next, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Micros> {
        if self.stopped.is_some() {
            return None;
        }
        let deadline = self.chunks.oldest_in_flight().map(|kept| kept.since.plus(self.config.deadline_us));
        self.lanes.iter().filter_map(Lane::wakes_at).chain(deadline).min()
    }

    /// Checks what must hold between any two events.
    ///
    /// # Panics
    /// If it does not.
    pub fn invariants(&self) {
        let (first, committed, next) = (self.chunks.first(), self.chunks.committed(), self.chunks.next());
        assert!(first <= committed && committed <= next, "first {first}, committed {committed}, next {next}");
        let ((chunks, bytes), window) = (self.chunks.in_flight(), self.config.window);
        assert!(chunks <= u64::from(window.chunks), "{chunks} chunks in flight, the window holds {}", window.chunks);
        assert!(bytes <= window.bytes, "{bytes} bytes in flight, the window holds {}", window.bytes);
        let (chunks, bytes) = self.chunks.behind();
        let (chunks_max, bytes_max) = (u64::from(self.config.straggler_chunks_max), self.config.straggler_bytes_max);
        assert!(
            chunks <= chunks_max && bytes <= bytes_max,
            "{chunks} of {chunks_max} chunks, {bytes} of {bytes_max} bytes kept"
        );
        assert!(
            self.lanes.len() == self.config.quorum.replicas(),
            "{} lanes of {:?}",
            self.lanes.len(),
            self.config.quorum
        );
        for lane in self.lanes.iter().filter(|_| self.stopped.is_none()) {
            assert!(lane.next <= next, "a lane stands at {}, the segment at {next}", lane.next);
        }
    }

    fn append(&mut self, now: Micros, token: AppendToken, payload: Bytes, payload_crc: u32) {
        let bytes = payload.len() as u64;
        if let Some(why) = self.refuse_append(bytes) {
            self.effects.push_back(WriterEffect::Failed { token, seq: None, fate: Fate::NeverStored, why });
            return;
        }
        let (seq, length) = (self.chunks.next(), bytes as u32);
        let before = if planted!(DigestStartsOver) { Digest::default() } else { self.digest };
        self.digest = before.chain(seq, length, payload_crc);
        let header = ChunkHeader {
            log: self.config.log,
            segment: self.config.segment,
            seq,
            watermark: self.watermark(),
            length,
            payload_crc,
            digest: self.digest,
        };
        let (token, stored) = (Some(token), ReplicaSet::default());
        self.chunks.push(Kept { header, payload, token, stored, handed: false, since: now });
        for replica in 0..self.lanes.len() {
            self.put_waiting(replica);
        }
    }

    fn refuse_append(&self, bytes: u64) -> Option<AppendFailure> {
        let window_bytes = self.config.window.bytes;
        if let Some(why) = &self.stopped {
            return Some(AppendFailure::Stopped(why.clone()));
        }
        if let Err(why) = check_length(bytes) {
            return Some(AppendFailure::Length(why));
        }
        if bytes > window_bytes {
            return Some(AppendFailure::LargerThanWindow { bytes, window_bytes });
        }
        if !self.would_fit(bytes) {
            let (chunks, bytes) = self.chunks.in_flight();
            return Some(AppendFailure::WindowFull { chunks: chunks as u32, bytes });
        }
        None
    }

    fn stored(&mut self, now: Micros, replica: usize, seq: ChunkSeq) {
        if seq >= self.chunks.next() {
            return;
        }
        let keeps_up_again = self.lanes[replica].stored(seq);
        if let Some(kept) = self.chunks.get_mut(seq) {
            kept.stored.insert(replica);
        }
        self.commit(now);
        if keeps_up_again {
            self.resume(replica);
            self.forget_stored();
        }
    }

    /// Commits what has its quorum, unless chunks before it do not have theirs (P2, P11).
    fn commit(&mut self, now: Micros) {
        if self.config.held && !planted!(CommitPerSegment) {
            return;
        }
        while let Some((seq, token)) = self.chunks.commit_next(self.config.quorum.ack()) {
            self.actions.note(self.config.log, || Step::Commit { segment: self.config.segment, seq });
            if let Some(token) = token {
                self.effects.push_back(WriterEffect::Committed { token, seq });
            }
        }
        self.forget_stored();
        self.bound_stragglers(now);
    }

    fn refused(&mut self, now: Micros, replica: usize, refusal: Refusal) {
        let mine = self.config.segment.epoch;
        match refusal {
            // The fence of a log only rises, so one replica's word is enough, and it is final.
            Refusal::Fenced { by } if by > mine => self.stop(&StopReason::Fenced { mine, by }),
            Refusal::LogDeleted { at, .. } => self.stop(&StopReason::Deleted { at }),
            Refusal::Different { .. } => self.stop(&StopReason::Broken { refusal }),
            passing => self.lanes[replica].pause(now, passing.to_string()),
        }
    }

    /// Puts to `replica` whatever it lacks: after a connection was made, after a pause, and when it keeps up again.
    fn resume(&mut self, replica: usize) {
        let committed = self.chunks.committed();
        match self.lanes[replica].rejoin(committed) {
            Some(lacks_from) if lacks_from < committed => {
                self.effects.push_back(WriterEffect::Rejoined { replica, lacks_from, lacks_to: committed });
            }
            Some(_) => {}
            None => self.lanes[replica].next = self.chunks.first_lacking(replica),
        }
        self.put_waiting(replica);
    }

    fn put_waiting(&mut self, replica: usize) {
        let lane = &mut self.lanes[replica];
        if !lane.takes_puts() {
            return;
        }
        lane.next = lane.next.max(self.chunks.first());
        while let Some(kept) = self.chunks.get_mut(lane.next) {
            lane.next = lane.next.next();
            if !kept.stored.contains(replica) {
                kept.handed = true;
                let (header, payload) = (kept.header, kept.payload.clone());
                self.actions.note(header.log, || put_noted(self.names[replica], &header));
                self.effects.push_back(WriterEffect::Put { replica, header, payload });
            }
        }
    }

    /// Forgets committed chunks that every replica kept for has stored.
    fn forget_stored(&mut self) {
        while self.chunks.first() < self.chunks.committed() && self.lacking_front().count() == 0 {
            self.chunks.pop_committed();
        }
    }

    /// Leaves behind whoever makes the writer keep more than the bound (P10, pitfall 34).
    fn bound_stragglers(&mut self, now: Micros) {
        let (chunks_max, bytes_max) = (self.config.straggler_chunks_max, self.config.straggler_bytes_max);
        loop {
            let (chunks, bytes) = self.chunks.behind();
            if chunks <= u64::from(chunks_max) && bytes <= bytes_max || planted!(StragglersUnbounded) {
                return;
            }
            let lacks_from = self.chunks.first();
            for replica in self.lacking_front().iter() {
                let lane = &mut self.lanes[replica];
                lane.leave_behind(now, lacks_from);
                let why = LeftBehindReason { chunks, bytes, chunks_max, bytes_max, trouble: lane.trouble() };
                self.effects.push_back(WriterEffect::LeftBehind { replica, why });
            }
            self.forget_stored();
        }
    }

    /// The replicas for which the oldest chunk is kept.
    fn lacking_front(&self) -> ReplicaSet {
        let mut lacking = ReplicaSet::default();
        if let Some(front) = self.chunks.front() {
            for (replica, lane) in self.lanes.iter().enumerate() {
                if lane.is_kept_for() && !front.stored.contains(replica) {
                    lacking.insert(replica);
                }
            }
        }
        lacking
    }

    fn wake_lanes(&mut self, now: Micros) {
        for replica in 0..self.lanes.len() {
            if self.lanes[replica].wake(now) {
                self.resume(replica);
            }
        }
    }

    fn check_deadline(&mut self, now: Micros) {
        let Some(oldest) = self.chunks.oldest_in_flight() else { return };
        let waited_us = now.since(oldest.since);
        if waited_us < self.config.deadline_us {
            return;
        }
        let trouble_of = |(replica, lane): (usize, &Lane)| Trouble { replica, why: lane.trouble() };
        let missing = self.lanes.iter().enumerate().filter(|(replica, _)| !oldest.stored.contains(*replica));
        let why = StopReason::NoQuorum {
            seq: oldest.header.seq,
            stored: oldest.stored.count(),
            needed: self.config.quorum.ack(),
            waited_us,
            troubles: missing.map(trouble_of).collect(),
        };
        self.stop(&why);
    }

    /// Stops for good: nothing is put, committed or taken any more (P9).
    fn stop(&mut self, why: &StopReason) {
        self.stopped = Some(why.clone());
        self.actions.note(self.config.log, || Step::Stop { segment: self.config.segment });
        self.effects.push_back(WriterEffect::Stopped { why: why.clone() });
        for kept in self.chunks.drain_in_flight() {
            if let Some(token) = kept.token {
                let fate =
                    if kept.handed && !planted!(HandedIsNeverStored) { Fate::Unknown } else { Fate::NeverStored };
                let why = AppendFailure::Stopped(why.clone());
                self.effects.push_back(WriterEffect::Failed { token, seq: Some(kept.header.seq), fate, why });
            }
        }
    }
}

fn put_noted(replica: DiskId, header: &ChunkHeader) -> Step {
    let ChunkHeader { segment, seq, watermark, digest: content, payload_crc: payload, .. } = *header;
    Step::Put { epoch: segment.epoch, replica, segment, seq, watermark, content, payload }
}
