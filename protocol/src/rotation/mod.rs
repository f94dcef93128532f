//! The writer of a log from segment to segment (P10, P11): appends, and the boundaries they cross.
//!
//! A pure machine around one [`Writer`] per segment. Whoever drives it calls [`RotatingWriter::handle`] with what happened, then
//! does every effect of [`RotatingWriter::poll_effect`] until there is none, and calls again with [`RotationEvent::Tick`] no later
//! than [`RotatingWriter::poll_timeout`].
//!
//! ```text
//!   Steady ──► Placing ──► Changing(plan) ──► Crossing ──► Changing(seal) ──► Steady
//!              replicas    boundary at L,     from L on    all below L is
//!                          in one swap        to the next  committed: swap
//!
//!   segment 7.0  ────────────────────────┤ L
//!   segment 7.1                          ├──────────────►   committed only once everything below L is
//! ```
//! Appends go on throughout: L lies as far ahead as appends get while the register answers ([`AHEAD_US`]). If the register is away,
//! they go on past the soft size; only if it does not say whether a boundary is on record do they stall there, since the
//! seqs from L on belong to one segment or the other, and nobody may guess which.

mod change;
mod config;
mod effect;
mod event;
mod pace;
mod part;
mod register;
mod standing;

mod wanted;

pub use config::{
    REPLICA_PATIENCE_US_DEFAULT, RotationConfig, RotationPolicy, RotationReason, SEGMENT_AGE_US_DEFAULT,
    SEGMENT_BYTES_SOFT_DEFAULT, SegmentShape,
};
pub use effect::RotationEffect;
pub use event::RotationEvent;
pub use pace::{AHEAD_CHUNKS_MAX, AHEAD_US};
pub use standing::{COOL_DOWN_US_MAX, COOL_DOWN_US_MIN, COOLING_MAX, REPLACE_PAUSE_US_MAX, REPLACE_PAUSE_US_MIN};

use crate::action::Action;
use crate::ids::{ChunkSeq, DiskId};
use crate::planted;
use crate::record::{LogRecord, Segment};
use crate::recovery::RequestNo;
use crate::time::Micros;
use crate::writer::{AppendFailure, AppendToken, Fate, StopReason, WriterEffect, WriterEvent};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use change::{Change, ChangeKind};
use pace::Pace;
use part::Part;
use standing::Standing;

/// How long replicas that lack the last chunks of a sealed segment are waited for, in microseconds. Repair does the rest.
pub const LINGER_US: u64 = 5_000_000;
/// Most segments that a writer puts into: one sealed whose last chunks are on their way, and two around a boundary.
pub const PARTS_MAX: usize = 3;

/// Where a rotation stands.
#[derive(Clone, Debug)]
enum Phase {
    /// None is under way.
    Steady,
    /// Replicas for the next segment are looked for.
    Placing { request: RequestNo, reason: RotationReason },
    /// The record is being changed.
    Changing(Change),
    /// The boundary is on record; not everything below it is committed.
    Crossing,
}

/// The one writer of a log.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, none a state of the rotation")]
pub struct RotatingWriter {
    config: RotationConfig,
    /// Oldest first: perhaps a sealed one, then the one or two that are not.
    parts: VecDeque<Part>,
    phase: Phase,
    /// Why the rotation under way was begun.
    reason: Option<RotationReason>,
    asked: bool,
    /// What segments are to be made like after a move that was not begun yet.
    moving: Option<SegmentShape>,
    pace: Pace,
    standing: Standing,
    /// When a rotation that did not come about may be tried again.
    retry_at: Micros,
    /// When replicas are looked at next: that walks the window, so it is not done with every event.
    check_at: Micros,
    stalled: bool,
    stopped: Option<StopReason>,
    stop_told: bool,
    next_request: RequestNo,
    effects: VecDeque<RotationEffect>,
    recording: bool,
    actions: VecDeque<Action>,
}

impl RotatingWriter {
    /// A writer that stands at the tail of the segment that recovery opened.
    ///
    /// # Panics
    /// If the record does not end in an open segment.
    #[must_use]
    pub fn new(mut config: RotationConfig, now: Micros) -> Self {
        let part = Part::first(&mut config, now);
        let (segment, replicas) = (part.segment.id, part.segment.replicas.clone());
        let mut writer = Self {
            config,
            parts: VecDeque::from([part]),
            phase: Phase::Steady,
            reason: None,
            asked: false,
            moving: None,
            pace: Pace::new(now),
            standing: Standing::new(now),
            retry_at: now,
            check_at: now,
            stalled: false,
            stopped: None,
            stop_told: false,
            next_request: 1,
            effects: VecDeque::from([RotationEffect::Attach { segment, replicas }]),
            recording: false,
            actions: VecDeque::new(),
        };
        writer.collect(now);
        writer
    }

    /// The seq of the next append.
    #[must_use]
    pub fn next_seq(&self) -> ChunkSeq {
        self.appending().writer.next_seq()
    }

    /// One past the last committed seq.
    #[must_use]
    pub fn committed(&self) -> ChunkSeq {
        let behind = self.parts.iter().find(|part| !part.is_committed());
        behind.expect("the open segment has no end that could be committed").writer.committed()
    }

    /// The segment that takes appends now.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.appending().segment
    }

    /// The record as this writer last knew it.
    #[must_use]
    pub const fn record(&self) -> &LogRecord {
        &self.config.record
    }

    /// Chunks and payload bytes put beyond what is committed.
    #[must_use]
    pub fn in_flight(&self) -> (u64, u64) {
        let in_flight = self.parts.iter().map(|part| part.writer.in_flight());
        in_flight.fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }

    /// Committed chunks and payload bytes that are kept for replicas that lag.
    #[must_use]
    pub fn kept_for_stragglers(&self) -> (u64, u64) {
        let kept = self.parts.iter().map(|part| part.writer.kept_for_stragglers());
        kept.fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }

    /// Whether an append of `bytes` may be made now: it fits in the window, over both sides of a boundary, and no boundary
    /// that is in doubt stands before it.
    #[must_use]
    pub fn would_fit(&self, bytes: u64) -> bool {
        let ((chunks, in_flight), window) = (self.in_flight(), self.appending().segment.window);
        chunks < u64::from(window.chunks)
            && in_flight.saturating_add(bytes) <= window.bytes
            && self.stalled_at().is_none()
    }

    /// The largest payload that this writer's window ever holds, in bytes.
    #[must_use]
    pub fn window_bytes(&self) -> u64 {
        self.appending().segment.window.bytes
    }

    /// Why appends wait at a boundary, if they do, and where.
    #[must_use]
    pub fn stalled_at(&self) -> Option<(ChunkSeq, String)> {
        let Phase::Changing(change) = &self.phase else { return None };
        let ChangeKind::Plan { at, .. } = change.kind else { return None };
        if self.next_seq() < at || planted!(PutBeyondPlan) {
            return None;
        }
        let why = change.trouble.clone().unwrap_or_else(|| "it has not answered yet".into());
        Some((at, alloc::format!("the register does not say whether the boundary at {at} is on record: {why}")))
    }

    /// Why the writer stopped, if it did.
    #[must_use]
    pub const fn stopped(&self) -> Option<&StopReason> {
        self.stopped.as_ref()
    }

    /// What is wrong with each replica of the segment that takes appends: `None` for those that take puts.
    #[must_use]
    pub fn troubles(&self) -> Vec<Option<String>> {
        let part = self.appending();
        (0..part.segment.replicas.len()).map(|replica| part.writer.trouble(replica)).collect()
    }

    /// Has every step of its writers noted from now on, for [`Self::poll_action`].
    pub fn record_actions(&mut self) {
        self.recording = true;
        self.parts.iter_mut().for_each(record_part);
    }

    /// The next step noted, until none is left.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<RotationEffect> {
        self.effects.pop_front()
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Micros, event: RotationEvent) {
        match event {
            RotationEvent::Append { token, payload, payload_crc } => self.append(now, token, payload, payload_crc),
            RotationEvent::Link { segment, event } => {
                if let Some(part) = self.parts.iter_mut().find(|part| part.segment.id == segment) {
                    part.writer.handle(now, event);
                }
            }
            _ if self.stopped.is_some() => {}
            RotationEvent::Placed { request, result } => self.placed(now, request, result),
            RotationEvent::RecordRead { request, result } => self.record_read(now, request, result),
            RotationEvent::Swapped { request, outcome } => self.swapped(now, request, outcome),
            RotationEvent::Rotate => self.asked = true,
            RotationEvent::Move(shape) => self.moving = Some(shape),
            RotationEvent::Unwanted { disks } => self.standing.want_not(disks),
            RotationEvent::Tick => {
                for part in self.parts.iter_mut().filter(|part| part.writer.poll_timeout().is_some_and(|at| at <= now))
                {
                    part.writer.handle(now, WriterEvent::Tick);
                }
            }
        }
        self.collect(now);
        self.invariants();
    }

    /// When [`RotationEvent::Tick`] is wanted next, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Micros> {
        if self.stopped.is_some() {
            return None;
        }
        let parts = self.parts.iter().flat_map(|part| part.writer.poll_timeout().into_iter().chain(part.sealed_until));
        let phase = match &self.phase {
            Phase::Changing(change) => change.wakes_at(),
            Phase::Steady => self.wanted_at(),
            Phase::Placing { .. } | Phase::Crossing => None,
        };
        parts.chain(phase).min()
    }

    /// Checks what must hold between any two events.
    ///
    /// # Panics
    /// If it does not.
    pub fn invariants(&self) {
        let unsealed = self.parts.iter().filter(|part| part.sealed_until.is_none()).count();
        assert!((1..=2).contains(&unsealed), "P11: {unsealed} segments are not sealed");
        assert!(self.parts.len() <= PARTS_MAX, "{} segments are written, the most is {PARTS_MAX}", self.parts.len());
        for (part, next) in self.parts.iter().zip(self.parts.iter().skip(1)) {
            let (end, base) = (part.end, next.segment.base);
            assert!(end == Some(base), "segment {} ends at {end:?}, the next begins at {base}", part.segment.id);
            assert!(part.writer.next_seq() <= base, "P11: chunk {base} lies on both sides of its boundary");
            let (committed, begun) = (part.writer.committed(), next.writer.committed() > base);
            assert!(!begun || committed == base, "P2: committed {committed} in {}, and beyond {base}", part.segment.id);
        }
        // A move may narrow the window: what was put under the wider one is still in flight.
        let windows = self.parts.iter().map(|part| part.segment.window);
        let most = windows.fold((0, 0), |most, window| (window.chunks.max(most.0), window.bytes.max(most.1)));
        let (chunks, bytes) = self.in_flight();
        let fits = chunks <= u64::from(most.0) && bytes <= most.1;
        assert!(fits || self.stopped.is_some(), "P6: {chunks} chunks and {bytes} bytes in flight, at most {most:?}");
    }

    /// The segment that takes the next append: the first one that is not handed out up to its boundary.
    fn appending(&self) -> &Part {
        self.parts.iter().find(|part| !part.is_complete()).unwrap_or_else(|| self.open_part())
    }

    /// The last segment, whose end is not planned.
    fn open_part(&self) -> &Part {
        self.parts.back().expect("a segment is written")
    }

    fn append(&mut self, now: Micros, token: AppendToken, payload: Bytes, payload_crc: u32) {
        let bytes = payload.len() as u64;
        if self.stopped.is_none() {
            let window_bytes = self.window_bytes();
            let why = match self.stalled_at() {
                Some((at, why)) => Some(AppendFailure::AtBoundary { at, why }),
                None if bytes > window_bytes => Some(AppendFailure::LargerThanWindow { bytes, window_bytes }),
                None if !self.would_fit(bytes) => {
                    let (chunks, bytes) = self.in_flight();
                    Some(AppendFailure::WindowFull { chunks: chunks as u32, bytes })
                }
                None => None,
            };
            if let Some(why) = why {
                let (seq, fate) = (None, Fate::NeverStored);
                return self.effects.push_back(RotationEffect::Failed { token, seq, fate, why });
            }
        }
        let at = self.parts.iter().position(|part| !part.is_complete()).unwrap_or(self.parts.len() - 1);
        let part = &mut self.parts[at];
        part.bytes += bytes;
        part.writer.handle(now, WriterEvent::Append { token, payload, payload_crc });
        self.pace.note(now);
    }

    /// Takes over what the segments' writers want done, in the log's order, and goes on with the rotation.
    fn collect(&mut self, now: Micros) {
        self.look(now);
        loop {
            let stopped = self.parts.iter().find_map(|part| part.writer.stopped().cloned());
            if let Some(why) = stopped.filter(|_| self.stopped.is_none()) {
                self.stop(&why);
            }
            for part in 0..self.parts.len() {
                self.drain(part);
            }
            if self.stopped.is_some() || !self.advance(now) {
                break;
            }
        }
        self.retire(now);
        self.note_stall();
    }

    /// One step of the rotation. True if writers may have something new to be done.
    fn advance(&mut self, now: Micros) -> bool {
        match &self.phase {
            Phase::Steady => self.consider(now),
            Phase::Crossing => {
                let crossing = self.parts.len() - 2;
                if !self.parts[crossing].is_committed() {
                    return false;
                }
                self.parts[crossing + 1].writer.release(now);
                self.seal();
                return true;
            }
            Phase::Placing { .. } | Phase::Changing(_) => {}
        }
        false
    }

    fn drain(&mut self, part: usize) {
        let segment = self.parts[part].segment.id;
        while let Some(action) = self.parts[part].writer.poll_action() {
            self.actions.push_back(action);
        }
        while let Some(effect) = self.parts[part].writer.poll_effect() {
            let effect = match effect {
                WriterEffect::Put { replica, header, payload } => {
                    RotationEffect::Put { segment, replica, header, payload }
                }
                WriterEffect::Committed { token, seq } => RotationEffect::Committed { token, seq },
                WriterEffect::Failed { token, seq, fate, why } => RotationEffect::Failed { token, seq, fate, why },
                WriterEffect::LeftBehind { replica, why } => RotationEffect::LeftBehind { segment, replica, why },
                WriterEffect::Rejoined { replica, lacks_from, lacks_to } => {
                    RotationEffect::Rejoined { segment, replica, lacks_from, lacks_to }
                }
                // Said once, for all segments.
                WriterEffect::Stopped { .. } if self.stop_told => continue,
                WriterEffect::Stopped { why } => {
                    self.stop_told = true;
                    RotationEffect::Stopped { segment, why }
                }
            };
            self.effects.push_back(effect);
        }
    }

    /// Stops all segments: their appends fail in the log's order, whichever of them found out.
    fn stop(&mut self, why: &StopReason) {
        self.stopped = Some(why.clone());
        self.phase = Phase::Steady;
        self.parts.iter_mut().for_each(|part| part.writer.stop_for(why));
    }

    /// Lets go of a sealed segment that nobody lacks anything of, or that was waited for long enough.
    fn retire(&mut self, now: Micros) {
        while let Some(part) = self.parts.front() {
            let Some(until) = part.sealed_until else { return };
            let crowded = self.parts.iter().filter(|part| part.sealed_until.is_some()).count() > 1;
            if part.writer.kept_for_stragglers().0 > 0 && now < until && !crowded && self.stopped.is_none() {
                return;
            }
            let segment = part.segment.id;
            self.parts.pop_front();
            self.effects.push_back(RotationEffect::Detach { segment });
        }
    }

    fn note_stall(&mut self) {
        // While the register has not answered at all, nothing is wrong yet.
        let in_doubt = matches!(&self.phase, Phase::Changing(change) if change.trouble.is_some());
        let stall = if in_doubt { self.stalled_at() } else { None };
        if let (Some((at, why)), false) = (&stall, self.stalled) {
            self.effects.push_back(RotationEffect::Stalled { at: *at, why: why.clone() });
        }
        self.stalled = stall.is_some();
    }

    fn add_part(&mut self, mut part: Part) {
        if self.recording {
            record_part(&mut part);
        }
        self.parts.push_back(part);
    }

    const fn new_request(&mut self) -> RequestNo {
        self.next_request += 1;
        self.next_request - 1
    }
}

fn record_part(part: &mut Part) {
    let names: Vec<DiskId> = part.segment.replicas.iter().map(|replica| replica.disk).collect();
    part.writer.record_actions(&names);
}
