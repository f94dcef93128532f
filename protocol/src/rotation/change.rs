//! One change of the record, and what to do when the register does not say what it did (pitfall 15).
//!
//! A change whose outcome is not known may take place at any time while the version that it compared is there. So it is either
//! seen in the record, by its own content, or asked for again just as it was, or given up once that version is gone.

use crate::backoff::Backoff;
use crate::ids::{ChunkSeq, SegmentId};
use crate::planted;
use crate::record::{LogRecord, Version};
use crate::recovery::RequestNo;
use crate::time::Micros;
use alloc::boxed::Box;
use alloc::string::String;

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeKind {
    /// Gives the open segment a boundary and registers the next one.
    Plan { at: ChunkSeq, next: SegmentId },
    /// Seals the segment before the boundary.
    Seal { segment: SegmentId },
}

/// Where it stands. One request at a time is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Swapping(RequestNo),
    Pausing(Micros),
    Reading(RequestNo),
}

/// A change that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) kind: ChangeKind,
    pub(super) record: Box<LogRecord>,
    pub(super) expected: Version,
    step: Step,
    backoff: Backoff,
    /// Whether it may take place without anybody hearing of it.
    pub(super) in_doubt: bool,
    /// The last thing that went wrong.
    pub(super) trouble: Option<String>,
}

impl Change {
    pub(super) fn new(kind: ChangeKind, expected: Version, record: LogRecord, request: RequestNo) -> Self {
        Self {
            kind,
            record: Box::new(record),
            expected,
            step: Step::Swapping(request),
            backoff: Backoff::new(),
            in_doubt: false,
            trouble: None,
        }
    }

    pub(super) fn is_swapping(&self, request: RequestNo) -> bool {
        self.step == Step::Swapping(request)
    }

    pub(super) fn is_reading(&self, request: RequestNo) -> bool {
        self.step == Step::Reading(request)
    }

    /// When the record is to be looked at.
    pub(super) const fn wakes_at(&self) -> Option<Micros> {
        match self.step {
            Step::Pausing(until) => Some(until),
            Step::Swapping(_) | Step::Reading(_) => None,
        }
    }

    /// Whether it may still take place: it was asked for, and no answer has said that it did not.
    pub(super) const fn may_take_place(&self) -> bool {
        self.in_doubt || matches!(self.step, Step::Swapping(_))
    }

    pub(super) fn swap_again(&mut self, request: RequestNo) {
        self.step = Step::Swapping(request);
    }

    pub(super) fn read(&mut self, request: RequestNo) {
        self.step = Step::Reading(request);
    }

    /// Looks at the record after a pause.
    pub(super) fn look_later(&mut self, now: Micros, trouble: String) {
        self.trouble = Some(trouble);
        self.step = Step::Pausing(self.backoff.after(now));
    }

    /// Looks at the record at once: somebody else has changed it.
    pub(super) const fn look_now(&mut self, now: Micros) {
        self.step = Step::Pausing(now);
    }

    /// Whether `record` holds it, by its own content: epoch and owner stood there before (pitfall 20e).
    pub(super) fn is_in(&self, record: &LogRecord) -> bool {
        let find = |id: SegmentId| record.segments.iter().find(|segment| segment.id == id);
        match self.kind {
            _ if planted!(PlanByOwner) => true,
            ChangeKind::Plan { next, .. } => find(next).is_some(),
            ChangeKind::Seal { segment } => find(segment).is_none_or(crate::record::Segment::is_sealed),
        }
    }
}
