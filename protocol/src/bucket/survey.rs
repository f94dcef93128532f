//! Where a segment ends on one bucket: found by probing slots, without a listing.
//!
//! ```text
//!  gallop            ahead                   beyond                behind
//!  1, 2, 4, 8 ...    a few slots above       mark newest + window  every slot from the
//!  then 16 between   the newest one found,   (if it is to fence)   watermark to the newest
//!  hit and miss      and some far above it
//!     │  ▲  ▲           │                       │
//!     ▼  │  └───────────┘ a newer one           │
//!        └──────────────────────────────────────┘ a chunk is there
//! ```
//! A machine that has surveyed the segment before begins ahead of what it found, not at the gallop; and one that only looks keeps
//! what it has found, for a chunk in a slot stays there.
//!
//! A miss proves nothing: the chunks of one bucket have holes, inside the window because puts overtake each other, and longer
//! ones where it was left behind for a while (P10). So the newest one found may be too low, and all that rests on it bears
//! that: a walk starts lower for it, and meets what lies higher slot by slot; a writer meets a mark that lies lower, or passes by
//! it. To look through all of the window would not change that, and costs hundreds of requests where a few say the same:
//! puts begin in the order of their seqs and few are under way at once, so what lies behind a run of empty slots begins before
//! `newest + window`, and then the mark meets it there: unless the bucket was left behind for longer.
//!
//! So far slots are tried, too: one in each octave above the newest chunk, and another one in it each time ([`far`]). A fence and
//! a first look try all octaves at once, a later look only one. What is at least as long as the hole before it is found by any
//! fence and first look, and by `2 * FAR_AT_FIRST` later looks; what is `n` times shorter, by some `4 * n` times as many. Until then
//! a tail that nobody fenced may be told lower than it is, which it may be anyway (P15).
//!
//! The mark is what a writer that keeps up cannot pass: it puts no seq at or beyond `committed + window`, and on a bucket whose
//! newest chunk is `n` at most `n` was committed with its help, so `n + window` is the last slot it may have reached.
//! It does *not* follow that nothing beyond the mark is stored here, or ever will be. A bucket that lags has its mark far below
//! what the others committed, and puts for slots beyond it may be on their way. So a mark only ends the race; what
//! a slot holds for ever is said slot by slot ([`super`]).

use super::key::SlotName;
use super::known::KnownSegment;
use super::slot::SlotContent;
use crate::ids::{ChunkSeq, Epoch, LogId};
use crate::message::{Answer, Run, SegmentView};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// Jumps of a gallop that are made at once.
const JUMPS_PER_ROUND: u32 = 8;
/// Empty slots above the newest chunk after which a fence looks no further.
const EMPTY_BEFORE_MARK: u64 = 16;
/// The same for whoever only looks. Followers look often.
const EMPTY_BEFORE_END: u64 = 4;
/// Octaves above the newest chunk in which far slots are tried, the nearest and the furthest: 4 to 7 slots above it, and half a
/// million to a million. A segment of small chunks is not much longer.
const FAR_OCTAVES: RangeInclusive<u32> = EMPTY_BEFORE_END.ilog2()..=19;
/// Far slots that a fence tries at once, and whoever looks for the first time: one in each octave.
const FAR_AT_FIRST: u64 = (*FAR_OCTAVES.end() - *FAR_OCTAVES.start() + 1) as u64;
/// Far slots tried by each later look.
const FAR_AGAIN: u64 = 1;
/// Slots probed at once between a hit and a miss.
const PROBES_PER_ROUND: u64 = 16;
/// How often it is looked ahead again because there was a newer chunk. A writer that goes on must not keep the
/// search going.
const PASSES_MAX: u32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Galloping,
    Ahead,
    Beyond,
    Behind,
    Done,
}

/// One segment's survey.
#[derive(Clone, Debug)]
pub(super) struct Survey {
    log: LogId,
    pub(super) segment: KnownSegment,
    /// The first slot that may hold anything: the segment's base, or the floor.
    from: u64,
    /// The epoch to mark with; none to look only.
    mark_with: Option<Epoch>,
    stage: Stage,
    /// How far it is looked ahead of the newest chunk.
    enough: u64,
    /// How many far slots are tried besides each time, and how many were, here and by the surveys before.
    far_at_once: u64,
    far_tried: u64,
    /// The newest chunk found.
    newest: Option<u64>,
    /// The lowest slot above it that was probed and holds none.
    missed: u64,
    /// Jumps that hit since the gallop began.
    jumps: u32,
    /// Where the look ahead began, and how many there were.
    pass_from: u64,
    passes: u32,
    /// How many windows ahead of the newest chunk the mark goes: a writer may outrun it while it is being made.
    ahead: u64,
    /// The highest watermark in the chunks found (P6).
    watermark: ChunkSeq,
    /// What was found, of the last window's slots.
    slots: BTreeMap<u64, SlotContent>,
    /// The highest epoch that made a marker found.
    pub(super) marked_by: Epoch,
    /// The slot that keeps the writer from going on.
    pub(super) mark: Option<ChunkSeq>,
    /// Slots asked about and not answered.
    outstanding: usize,
}

/// A slot to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) slot: SlotName,
    /// Mark it with this epoch, if it is empty.
    pub(super) mark_with: Option<Epoch>,
}

impl Survey {
    pub(super) fn new(log: LogId, segment: KnownSegment, floor: ChunkSeq, mark_with: Option<Epoch>) -> Self {
        let window = u64::from(segment.window_chunks);
        let enough =
            if mark_with.is_some() { EMPTY_BEFORE_MARK.min(window).max(EMPTY_BEFORE_END) } else { EMPTY_BEFORE_END };
        Self {
            log,
            segment,
            from: segment.base.max(floor).0,
            mark_with,
            stage: Stage::Galloping,
            enough,
            far_at_once: FAR_AT_FIRST,
            far_tried: 0,
            newest: None,
            missed: segment.limit().0,
            jumps: 0,
            pass_from: 0,
            passes: 0,
            ahead: 1,
            watermark: ChunkSeq(0),
            slots: BTreeMap::new(),
            marked_by: Epoch(0),
            mark: None,
            outstanding: 0,
        }
    }

    /// Another survey of the same segment, after this one: it begins where this one ended. Whoever only looks keeps what was found;
    /// a fence looks at every slot that it speaks of anew.
    pub(super) fn again(mut self, segment: KnownSegment, floor: ChunkSeq, mark_with: Option<Epoch>) -> Self {
        let mut next = Self::new(self.log, segment, floor, mark_with);
        next.watermark = self.watermark;
        next.newest = self.newest.filter(|newest| (next.from..segment.limit().0).contains(newest));
        // All octaves at once are those of one round: only together they leave out nothing long.
        next.far_tried = self.far_tried.next_multiple_of(FAR_AT_FIRST);
        if mark_with.is_none() {
            self.slots.retain(|_, content| matches!(content, SlotContent::Chunk(_) | SlotContent::Marker(_)));
            (next.slots, next.far_at_once, next.far_tried) = (self.slots, FAR_AGAIN, self.far_tried);
        }
        if next.newest.is_some() || mark_with.is_none() {
            (next.stage, next.pass_from) = (Stage::Ahead, next.first());
        }
        next
    }

    /// Looks through all of the window: what is not found will never be looked for again.
    pub(super) fn thorough(self) -> Self {
        Self { enough: u64::from(self.segment.window_chunks), ..self }
    }

    /// The slots to ask about next; none once it is done. Called whenever all earlier ones are answered.
    pub(super) fn next(&mut self) -> Vec<Probe> {
        assert!(self.outstanding == 0, "{} slots are being asked about", self.outstanding);
        while self.stage != Stage::Done {
            let (seqs, mark_with) = match self.stage {
                Stage::Galloping => (self.gallop(), None),
                Stage::Ahead => (self.look_ahead(), None),
                Stage::Beyond => (self.beyond().into_iter().collect(), self.mark_with),
                Stage::Behind => (self.newest.map_or_else(Vec::new, |n| self.unseen(self.behind_from(), n + 1)), None),
                Stage::Done => unreachable!("left before"),
            };
            self.outstanding = seqs.len();
            if !seqs.is_empty() {
                return seqs.into_iter().map(|seq| Probe { slot: self.slot(seq), mark_with }).collect();
            }
            self.enter_next();
        }
        Vec::new()
    }

    /// Takes what lies in a slot; true if all that was asked about is answered.
    pub(super) fn take(&mut self, seq: ChunkSeq, content: SlotContent) -> bool {
        self.outstanding -= 1;
        match &content {
            SlotContent::Chunk(header) => {
                self.watermark = self.watermark.max(header.watermark);
                if self.newest.is_none_or(|newest| newest < seq.0) {
                    self.newest = Some(seq.0);
                    if self.stage == Stage::Beyond {
                        // Outrun: look where it really ends, and go further ahead.
                        self.ahead *= 2;
                        self.gallop_again();
                    }
                }
            }
            SlotContent::Marker(by) => self.marked_by = self.marked_by.max(*by),
            SlotContent::Empty | SlotContent::Damaged(_) => {}
        }
        if self.stage == Stage::Beyond && content.is_blocked() {
            self.mark = Some(seq);
            self.stage = Stage::Behind;
        }
        self.slots.insert(seq.0, content);
        if self.outstanding == 0 {
            self.close_round();
        }
        self.outstanding == 0
    }

    /// What was found. Slots that hold nothing are unknown: nothing keeps them empty.
    pub(super) fn view(&self) -> SegmentView {
        let mut runs: Vec<Run> = Vec::new();
        if let Some(newest) = self.newest {
            for seq in (self.behind_from()..=newest).map(ChunkSeq) {
                let answer = self.slots.get(&seq.0).map_or(Answer::Unknown, answer_for);
                match runs.last_mut() {
                    Some(last) if last.answer == answer => last.to = seq.next(),
                    _ => runs.push(Run { from: seq, to: seq.next(), answer }),
                }
            }
        }
        let newest = self.newest.map(ChunkSeq);
        SegmentView { segment: self.segment.id, watermark: self.watermark, newest, runs }
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    fn slot(&self, seq: u64) -> SlotName {
        SlotName { log: self.log, segment: self.segment.id, seq: ChunkSeq(seq) }
    }

    fn window(&self) -> u64 {
        u64::from(self.segment.window_chunks)
    }

    /// The first slot above the newest chunk.
    fn first(&self) -> u64 {
        self.newest.map_or(self.from, |newest| newest + 1)
    }

    /// `newest + window`, the last slot that the writer may have reached, unless the segment ends before it: then nothing but that
    /// end has to keep the writer.
    fn beyond(&self) -> Option<u64> {
        let at = self.first().saturating_add(self.window().saturating_mul(self.ahead) - 1);
        (self.mark_with.is_some() && at < self.segment.limit().0).then_some(at)
    }

    fn enter_next(&mut self) {
        if self.stage == Stage::Ahead {
            self.far_tried += self.far_at_once;
        }
        match self.stage {
            Stage::Galloping => (self.stage, self.pass_from) = (Stage::Ahead, self.first()),
            Stage::Ahead if self.first() > self.pass_from && self.passes < PASSES_MAX => {
                self.passes += 1;
                self.gallop_again();
            }
            Stage::Ahead => self.stage = Stage::Beyond,
            Stage::Beyond => self.stage = Stage::Behind,
            Stage::Behind | Stage::Done => self.stage = Stage::Done,
        }
    }

    fn gallop_again(&mut self) {
        (self.stage, self.missed, self.jumps) = (Stage::Galloping, self.segment.limit().0, 0);
    }

    fn behind_from(&self) -> u64 {
        self.first().saturating_sub(self.window()).max(self.watermark.0).max(self.from)
    }

    fn gallop(&mut self) -> Vec<u64> {
        let (first, limit) = (self.first(), self.missed);
        if limit == self.segment.limit().0 {
            return self.jump();
        }
        if first.saturating_add(self.enough) >= limit {
            return Vec::new();
        }
        let step = (limit - first).div_ceil(PROBES_PER_ROUND + 1);
        (0..PROBES_PER_ROUND).map(|i| first + i * step).filter(|at| *at < limit).collect()
    }

    /// The next few jumps; from short ones again, if these would all lead out of the segment.
    fn jump(&mut self) -> Vec<u64> {
        let (first, limit) = (self.first(), self.segment.limit().0);
        let jumps = |from: u32| {
            let jumps = (from..u64::BITS).take(JUMPS_PER_ROUND as usize).map_while(|k| first.checked_add((1 << k) - 1));
            jumps.filter(|at| *at < limit).collect::<Vec<_>>()
        };
        let mut next = jumps(self.jumps);
        if next.is_empty() {
            self.jumps = 0;
            next = jumps(0);
        }
        self.jumps += JUMPS_PER_ROUND;
        next
    }

    /// The slots right above the newest chunk, and some far above it. A newer one that was among them is looked ahead of next.
    fn look_ahead(&self) -> Vec<u64> {
        if self.first() > self.pass_from {
            return Vec::new();
        }
        let far_slots =
            (self.far_tried..self.far_tried + self.far_at_once).map(far).filter(|ahead| *ahead >= self.enough);
        let slots = (0..self.enough).chain(far_slots).filter_map(|ahead| self.pass_from.checked_add(ahead));
        slots.filter(|seq| *seq < self.segment.limit().0 && !self.slots.contains_key(seq)).collect()
    }

    fn unseen(&self, from: u64, to: u64) -> Vec<u64> {
        (from..to.min(self.segment.limit().0)).filter(|seq| !self.slots.contains_key(seq)).collect()
    }

    /// All slots of a round are answered: where is the newest hit, and the first miss above it?
    fn close_round(&mut self) {
        let first = self.first();
        if self.stage == Stage::Galloping {
            let missed = self.slots.range(first..).next().map(|(seq, _)| *seq);
            self.missed = missed.unwrap_or(self.segment.limit().0).min(self.segment.limit().0);
        }
        // What lies outside the window is not looked at again.
        let keep_from = first.saturating_sub(self.window());
        self.slots = self.slots.split_off(&keep_from);
    }
}

/// How far above the newest chunk the `tried`th far slot lies. The octaves take turns; in each of them the first slot is followed by
/// the middle one, then by those half-way between, and so on, until it is done and begins again.
const fn far(tried: u64) -> u64 {
    let octave = *FAR_OCTAVES.start() + (tried % FAR_AT_FIRST) as u32;
    let round = tried / FAR_AT_FIRST;
    (1 << octave) + (round.reverse_bits() >> (u64::BITS - octave))
}

/// What is certain of a slot that holds this.
pub(super) const fn answer_for(content: &SlotContent) -> Answer {
    match content {
        SlotContent::Chunk(_) => Answer::Have,
        SlotContent::Marker(_) => Answer::Never,
        SlotContent::Empty | SlotContent::Damaged(_) => Answer::Unknown,
    }
}
