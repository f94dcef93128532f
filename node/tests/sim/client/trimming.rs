//! Trimming: the floor goes on record first, then the replicas are told (P12), as `client/src/trim`.

use super::opening::{name_of, tell};
use super::views::Views;
use super::{Answered, Ask, Links, Outcome};
use crate::core::Core;
use crate::register::{RegisterNews, Wanted};
use quarry_protocol::action::Step;
use quarry_protocol::ids::{ChunkSeq, DiskId};
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::record::{LogRecord, Segment, SegmentEnd, Version};
use quarry_protocol::recovery::SwapOutcome;
use std::collections::BTreeSet;

/// How often a floor is tried to be put on record.
const ATTEMPTS: u32 = 16;

#[derive(Debug)]
pub(crate) struct Trimming {
    log: usize,
    /// Whether everything goes that may.
    all: bool,
    start: bool,
    found: Option<(Version, LogRecord)>,
    views: Option<Views>,
    target: Option<ChunkSeq>,
    change: Option<LogRecord>,
    attempts: u32,
    telling: usize,
    knows: BTreeSet<DiskId>,
    dropping: bool,
    pub(crate) over: Option<bool>,
}

impl Trimming {
    pub(crate) fn new(log: usize, all: bool) -> Self {
        Self {
            log,
            all,
            start: true,
            found: None,
            views: None,
            target: None,
            change: None,
            attempts: 0,
            telling: 0,
            knows: BTreeSet::new(),
            dropping: false,
            over: None,
        }
    }

    #[allow(clippy::unused_self, reason = "every role says when it is due")]
    pub(super) fn due(&self) -> Option<u64> {
        None
    }

    pub(super) fn tick(&mut self, core: &mut Core, links: &mut Links) {
        if std::mem::take(&mut self.start) {
            self.read(core, links);
        }
    }

    fn read(&self, core: &mut Core, links: &Links) {
        core.call_register(links.client, 0, Wanted::Read { name: name_of(self.log) });
    }

    pub(super) fn hear(&mut self, core: &mut Core, links: &mut Links, news: RegisterNews) {
        match news {
            RegisterNews::Read { result: Ok(Some((version, record))), .. } if !record.deleted => {
                let other = self.found.as_ref().is_some_and(|(_, known)| known.log != record.log);
                if other {
                    return self.over = Some(true);
                }
                self.found = Some((version, record));
                match self.target {
                    None => self.look(core, links),
                    Some(target) => self.raise(core, links, target),
                }
            }
            RegisterNews::Read { result: Ok(_), .. } => self.over = Some(true),
            RegisterNews::Read { .. } => self.over = Some(false),
            RegisterNews::Swapped { outcome, .. } if self.dropping => {
                let _ = outcome;
                self.over = Some(true);
            }
            RegisterNews::Swapped { outcome: SwapOutcome::Done(version), .. } => {
                let record = self.change.take().expect("a swap that took place was asked for");
                self.found = Some((version, record));
                self.tell(core, links);
            }
            RegisterNews::Swapped { outcome: SwapOutcome::Conflict | SwapOutcome::Ambiguous(_), .. }
                if self.attempts < ATTEMPTS =>
            {
                self.read(core, links);
            }
            RegisterNews::Swapped { .. } => self.over = Some(false),
        }
    }

    /// Finds out how far the log is committed.
    fn look(&mut self, core: &mut Core, links: &mut Links) {
        let (_, record) = self.found.as_ref().expect("it was read");
        let Some(open) = record.unsealed().next() else { return self.over = Some(true) };
        self.views = Some(Views::ask(core, links, record.log, open, record.floor));
    }

    pub(super) fn take(&mut self, core: &mut Core, links: &mut Links, outcome: Outcome) {
        match outcome {
            Outcome::Answered { ask: Ask::View(index), result } => {
                let Some(views) = &mut self.views else { return };
                views.take(index, result);
                let tail = views.tail(false);
                match tail {
                    None => {}
                    Some(Err(())) => self.over = Some(false),
                    Some(Ok(tail)) => {
                        self.views = None;
                        let (_, record) = self.found.as_ref().expect("it was read");
                        let room = tail.0.saturating_sub(record.floor.0);
                        let target = record.floor.plus(if self.all { room } else { core.numbers.below(room + 1) });
                        self.target = Some(target);
                        self.raise(core, links, target);
                    }
                }
            }
            Outcome::Answered { ask: Ask::Told(disk), result } => {
                if let Ok(Answered::Reply(Reply::Trimmed { .. })) = result {
                    self.knows.insert(disk);
                }
                self.telling = self.telling.saturating_sub(1);
                if self.telling == 0 {
                    self.drop_segments(core, links);
                }
            }
            _ => {}
        }
    }

    fn raise(&mut self, core: &mut Core, links: &mut Links, target: ChunkSeq) {
        let (version, record) = self.found.clone().expect("it was read");
        if record.floor >= target {
            return self.tell(core, links);
        }
        self.attempts += 1;
        let raised = LogRecord { floor: target, ..record };
        self.change = Some(raised.clone());
        core.call_register(links.client, 1, Wanted::Swap { expected: Some(version), record: Box::new(raised) });
    }

    fn tell(&mut self, core: &mut Core, links: &mut Links) {
        let (_, record) = self.found.clone().expect("it was read");
        core.effect("trimmed", [u64::from(links.client), record.epoch.0, record.floor.0, 0]);
        core.oracle.counts.trims += 1;
        core.trace.note(record.log, || Step::RaiseFloor { floor: record.floor });
        let what = Request::Trim { log: record.log, word: record.epoch, floor: record.floor };
        self.telling = tell(core, links, [Some(&record), None], &what);
        if self.telling == 0 {
            self.over = Some(true);
        }
    }

    /// Segments wholly below the floor leave the record, if each of their replicas knows the floor or stays on record.
    fn drop_segments(&mut self, core: &mut Core, links: &mut Links) {
        let (version, record) = self.found.clone().expect("it was read");
        let is_below = |segment: &Segment| matches!(segment.end, SegmentEnd::Sealed { at, .. } if at <= record.floor);
        let below = record.segments.iter().take_while(|segment| is_below(segment)).count();
        let disks =
            |segment: &Segment| -> Vec<DiskId> { segment.replicas.iter().map(|replica| replica.disk).collect() };
        let stays: BTreeSet<DiskId> = record.segments[below..].iter().flat_map(disks).collect();
        let droppable =
            |segment: &&Segment| disks(segment).iter().all(|disk| self.knows.contains(disk) || stays.contains(disk));
        let dropped = record.segments[..below].iter().take_while(droppable).count();
        if dropped == 0 {
            return self.over = Some(true);
        }
        self.dropping = true;
        let shorter = LogRecord { segments: record.segments[dropped..].to_vec(), ..record };
        core.call_register(links.client, 2, Wanted::Swap { expected: Some(version), record: Box::new(shorter) });
    }
}
