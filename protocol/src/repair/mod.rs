//! Repair: sealed segments whose copies are missing, unknown or corrupt get new ones (P16). One machine per log.
//!
//! A pure machine. Whoever drives it calls [`Repair::handle`] with what happened, then does every effect of
//! [`Repair::poll_effect`] until there is none, and calls again with [`RepairEvent::Tick`] no later than
//! [`Repair::poll_timeout`]. [`RepairEffect::Finished`] is the last effect.
//!
//! ```text
//! Reading ─► Surveying ──────────► Placing ─► Pinning ─► Copying ─► Swapping ─┐ segment by segment
//! record     inventories           new ones   N + 1      chunks     holders   │
//!    ▲          ▲   │ whole, lost, or nothing can be done now: the next one   │
//!    │          └───┴──────────────◄──── the holders are asked again ◄────────┤
//!    └─────────────────────◄──── the record was changed, or may have been ────┘
//! ```
//! Nothing but the record and the inventories is state: a repair that is cut short anywhere, and begun again by anybody, finds
//! what is there and copies only what lacks. Several may repair one log: the swaps compare the record as read, so one of them
//! wins, and the others read again and find less to do (pitfall 14).
//!
//! A word is pinned at every replica that gets a copy, *before* what it holds is looked at: the number of the record that is
//! going to name it. From then on no client that read an older record frees there what is being copied or was found
//! (`tla/MODULES.md`, finding 1).
//!
//! What is copied is verified: each chunk against its header, and the chain of digests through it from the base, or from its
//! neighbours, to the seal. Of a segment whose prefix is trimmed the first kept chunk's own digest begins the chain.

mod budget;
mod config;
mod copying;
mod effect;
mod event;
pub mod impact;
pub mod judge;
mod party;
mod pinning;
mod register;
mod report;
mod segment;
mod survey;

pub use budget::REPAIR_BYTES_PER_S_DEFAULT;
pub use config::{REPAIR_PATIENCE_US_DEFAULT, RepairConfig};
pub use effect::RepairEffect;
pub use event::{CopyFailure, RepairEvent, Unanswered};
pub use report::{Lacking, RepairFailure, RepairProgress, RepairReport, SegmentOutcome, SegmentReport};

use crate::ids::{ChunkSeq, DiskId, SegmentId};
use crate::planted;
use crate::record::{LogRecord, Version, check_log_name};
use crate::recovery::RequestNo;
use crate::time::Micros;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use budget::Budget;
use copying::Copying;
use register::Register;
use segment::Job;

/// How often one segment is begun anew in one pass before it is left for the next one.
const ATTEMPTS_MAX: u32 = 8;
/// After how long holders that did not answer are asked again, in microseconds.
const RECHECK_US: u64 = 5_000_000;

/// Where a repair stands.
#[derive(Clone, Debug)]
enum Phase {
    /// The record is read, or changed.
    Register(Register),
    /// The holders of the job's segment are asked what they hold.
    Surveying,
    /// New holders are looked for.
    Placing(RequestNo),
    /// Those that get copies are pinned, and new ones asked what they hold.
    Pinning,
    Copying(Box<Copying>),
    /// Nothing is left to do but to ask again those that did not answer.
    Waiting(Micros),
    Over,
}

/// One run of repairing one log.
#[derive(Clone, Debug)]
pub struct Repair {
    config: RepairConfig,
    phase: Phase,
    next_request: RequestNo,
    /// The record as last read or changed.
    found: Option<(Version, LogRecord)>,
    /// Segments to look at in this pass.
    queue: VecDeque<SegmentId>,
    /// Segments with holders that do not answer, and for which that may be waited.
    postponed: BTreeSet<SegmentId>,
    /// Where sealed segments that were looked at, or are to be, lie.
    listed: Vec<SegmentId>,
    job: Option<Job>,
    outcomes: BTreeMap<SegmentId, SegmentReport>,
    /// Since when a disk has not answered.
    silent_since: BTreeMap<DiskId, Micros>,
    /// Disks that took no copies in this run.
    unfit: BTreeSet<DiskId>,
    /// Chunks that broke the chain of digests: their replica says "have", and has something else.
    distrusted: BTreeSet<(DiskId, SegmentId, ChunkSeq)>,
    /// Whether chunks are read from one holder as far as that goes: where the chain breaks, that tells who is wrong.
    one_source: bool,
    budget: Budget,
    progress: RepairProgress,
    effects: VecDeque<RepairEffect>,
}

impl Repair {
    /// Starts a repair.
    #[must_use]
    pub fn new(config: RepairConfig, now: Micros) -> Self {
        let mut repair = Self {
            budget: Budget::new(config.bytes_per_s, now),
            phase: Phase::Over,
            next_request: 1,
            found: None,
            queue: VecDeque::new(),
            postponed: BTreeSet::new(),
            listed: Vec::new(),
            job: None,
            outcomes: BTreeMap::new(),
            silent_since: BTreeMap::new(),
            unfit: BTreeSet::new(),
            distrusted: BTreeSet::new(),
            one_source: false,
            progress: RepairProgress::default(),
            effects: VecDeque::new(),
            config,
        };
        match check_log_name(&repair.config.name) {
            Ok(()) => repair.read_record(now),
            Err(why) => repair.finish(Err(RepairFailure::Record { why })),
        }
        repair.advance(now);
        repair
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Micros, event: RepairEvent) {
        match event {
            RepairEvent::RecordRead { request, result } => self.record_read(now, request, result),
            RepairEvent::Swapped { request, outcome } => self.swapped(now, request, outcome),
            RepairEvent::Placed { request, result } => self.placed(now, request, result),
            RepairEvent::Replied { request, result } => self.replied(now, request, result),
            RepairEvent::Fetched { request, result } => self.fetched(now, request, result),
            RepairEvent::Copied { request, result } => self.copied(now, request, result),
            RepairEvent::Tick => {}
        }
        self.advance(now);
        self.invariants();
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<RepairEffect> {
        self.effects.pop_front()
    }

    /// When [`RepairEvent::Tick`] is wanted next, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Micros> {
        match &self.phase {
            Phase::Register(register) => register.wakes_at(),
            Phase::Copying(copying) => copying.wakes_at(&self.budget),
            Phase::Waiting(until) => Some(*until),
            Phase::Surveying | Phase::Placing(_) | Phase::Pinning | Phase::Over => None,
        }
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> RepairProgress {
        let segments = self.listed.len() as u64;
        let left = self.queue.len() + self.postponed.len() + usize::from(self.job.is_some());
        let segments_done = segments.saturating_sub(left as u64);
        RepairProgress { segments, segments_done, bytes_per_s: self.budget.rate(), ..self.progress }
    }

    /// Checks what must hold between any two events.
    ///
    /// # Panics
    /// If it does not.
    pub fn invariants(&self) {
        if let Some(job) = &self.job {
            let sealed = job.segment.is_sealed() || planted!(RepairOfUnsealed);
            assert!(sealed, "P1: repairing {}, which is not sealed", job.segment.id);
            job.invariants();
        }
        if let Phase::Copying(copying) = &self.phase {
            copying.invariants();
        }
        let idle = matches!(self.phase, Phase::Waiting(_) | Phase::Over);
        assert!(!idle || self.job.is_none(), "nothing goes on for {:?}", self.job);
    }

    /// Does what follows from where it stands, as far as that goes without anybody's answer.
    fn advance(&mut self, now: Micros) {
        match &self.phase {
            Phase::Register(_) => self.drive_register(now),
            Phase::Copying(_) => self.drive_copying(now),
            Phase::Waiting(until) if now >= *until => {
                self.postponed.clear();
                self.read_record(now);
                self.drive_register(now);
            }
            Phase::Waiting(_) | Phase::Surveying | Phase::Placing(_) | Phase::Pinning | Phase::Over => {}
        }
    }

    /// The record is `self.found`: goes on with the segment in hand, if it is still there and sealed, or makes a list.
    fn begin(&mut self, now: Micros) {
        let (_, record) = self.found.as_ref().expect("a repair begins with a record");
        let wanted = |id: &SegmentId| self.config.only.as_ref().is_none_or(|only| only.contains(id));
        let may = |sealed: bool| sealed || planted!(RepairOfUnsealed);
        let sealed: Vec<SegmentId> = record.segments.iter().filter(|s| may(s.is_sealed())).map(|s| s.id).collect();
        let in_hand = self.job.take().map(|job| (job.segment.id, job.attempts, job.replaced));
        if self.listed.is_empty() || in_hand.is_none() {
            let undone = |id: &SegmentId| {
                wanted(id) && !matches!(self.outcomes.get(id).map(|done| &done.outcome), Some(SegmentOutcome::Whole))
            };
            self.queue = sealed.iter().copied().filter(|id| undone(id)).collect();
            self.listed = sealed.iter().copied().filter(wanted).collect();
        }
        match in_hand {
            Some((id, attempts, replaced)) if sealed.contains(&id) => {
                self.survey_segment(now, id, attempts + 1, replaced);
            }
            // It was trimmed meanwhile: nobody needs it.
            _ => self.next_segment(now),
        }
    }

    /// Goes on with the next segment, or ends.
    fn next_segment(&mut self, now: Micros) {
        self.job = None;
        if let Some(id) = self.queue.pop_front() {
            return self.survey_segment(now, id, 0, Vec::new());
        }
        if self.postponed.is_empty() {
            return self.finish(Ok(()));
        }
        self.phase = Phase::Waiting(now.plus(RECHECK_US));
    }

    fn finish(&mut self, result: Result<(), RepairFailure>) {
        self.phase = Phase::Over;
        self.job = None;
        let RepairProgress { chunks, bytes, .. } = self.progress;
        let segments = core::mem::take(&mut self.outcomes).into_values().collect();
        let report = result.map(|()| RepairReport { segments, chunks, bytes });
        self.effects.push_back(RepairEffect::Finished(Box::new(report)));
    }

    fn fail_record(&mut self, why: String) {
        self.finish(Err(RepairFailure::Record { why }));
    }

    fn new_request(&mut self) -> RequestNo {
        self.next_request += 1;
        self.next_request - 1
    }
}
