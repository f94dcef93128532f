//! Reading and changing the register: P7.1 and P7.5, and what to do when it does not say what it did (pitfall 15).

use super::effect::RecoveryEffect;
use super::error::RecoveryError;
use super::event::{RegisterFailure, RequestNo, SwapOutcome};
use super::{Claimed, OpenMode, Phase, Purpose, Recovery};
use crate::action::Step;
use crate::backoff::Backoff;
use crate::ids::{Epoch, LogId};
use crate::planted;
use crate::record::{LogRecord, Version};
use crate::time::Micros;
use alloc::boxed::Box;
use alloc::string::String;

/// At most one request is under way.
#[derive(Clone, Debug)]
pub(super) struct RegisterTask {
    reading: Option<RequestNo>,
    swapping: Option<RequestNo>,
    /// Set if the record is to be read: when.
    read_at: Option<Micros>,
    backoff: Backoff,
    /// The last change asked for, and the version it compared.
    change: Option<(Option<Version>, Box<LogRecord>)>,
    /// Whether the last change may take place without this recovery knowing.
    pub(super) uncertain: bool,
    /// The last thing that went wrong.
    pub(super) trouble: Option<String>,
}

impl RegisterTask {
    pub(super) const fn new() -> Self {
        Self {
            reading: None,
            swapping: None,
            read_at: None,
            backoff: Backoff::new(),
            change: None,
            uncertain: false,
            trouble: None,
        }
    }

    /// Whether anything is under way or wanted.
    pub(super) const fn is_busy(&self) -> bool {
        self.reading.is_some() || self.swapping.is_some() || self.read_at.is_some()
    }

    pub(super) const fn wakes_at(&self) -> Option<Micros> {
        self.read_at
    }

    /// Whether a change may take place that this recovery does not know of.
    pub(super) const fn may_change(&self) -> bool {
        self.uncertain || self.swapping.is_some()
    }

    /// Whether a change was asked for at all.
    pub(super) const fn tried(&self) -> bool {
        self.change.is_some()
    }
}

impl Recovery {
    /// Has the record read, at once.
    pub(super) fn read_now(&mut self, now: Micros) {
        if !self.register.is_busy() {
            self.register.read_at = Some(now);
        }
    }

    /// Has the record read after a pause.
    pub(super) fn read_later(&mut self, now: Micros) {
        if !self.register.is_busy() {
            self.register.read_at = Some(self.register.backoff.after(now));
        }
    }

    /// Reads if it is time to.
    pub(super) fn drive_register(&mut self, now: Micros) {
        if self.register.read_at.is_some_and(|at| now >= at) {
            self.register.read_at = None;
            let (request, name) = (self.new_request(), self.config.name.clone());
            self.register.reading = Some(request);
            self.effects.push_back(RecoveryEffect::ReadRecord { request, name });
        }
    }

    pub(super) fn swap(&mut self, expected: Option<Version>, record: LogRecord) {
        assert!(!self.register.is_busy(), "a change asked for while {:?} is under way", self.register);
        let (request, record) = (self.new_request(), Box::new(record));
        self.register.swapping = Some(request);
        self.register.change = Some((expected.clone(), record.clone()));
        self.effects.push_back(RecoveryEffect::Swap { request, expected, record });
    }

    pub(super) fn swapped(&mut self, now: Micros, request: RequestNo, outcome: SwapOutcome) {
        if self.register.swapping != Some(request) {
            return;
        }
        self.register.swapping = None;
        match outcome {
            SwapOutcome::Done(version) => {
                let (_, record) = self.register.change.clone().expect("a swap that was answered was asked for");
                self.landed(now, version, *record);
            }
            SwapOutcome::Conflict => self.read_now(now),
            SwapOutcome::Ambiguous(_) if planted!(OpenWithoutTheSwap) => {
                let (version, record) = self.register.change.clone().expect("a swap that was answered was asked for");
                self.landed(now, version.unwrap_or(Version(alloc::vec::Vec::new())), *record);
            }
            SwapOutcome::Ambiguous(why) => {
                self.register.uncertain = true;
                self.register.trouble = Some(why);
                self.read_later(now);
            }
            SwapOutcome::Failed(why) => {
                self.register.trouble = Some(why);
                self.read_later(now);
            }
        }
    }

    pub(super) fn record_read(
        &mut self,
        now: Micros,
        request: RequestNo,
        result: Result<Option<(Version, LogRecord)>, RegisterFailure>,
    ) {
        if self.register.reading != Some(request) {
            return;
        }
        self.register.reading = None;
        match result {
            Err(RegisterFailure::Unavailable(why)) => {
                self.register.trouble = Some(why);
                self.read_later(now);
            }
            Err(RegisterFailure::Unusable(why)) => {
                self.fail(RecoveryError::RecordUnusable { name: self.config.name.clone(), why });
            }
            Ok(found) => {
                self.register.trouble = None;
                if self.phase == Phase::Claiming {
                    self.claim(now, found);
                } else {
                    self.read_again(now, found);
                }
            }
        }
    }

    /// P7.1. A record that names this recovery's owner can only come from its own claim: the owner is fresh and random.
    fn claim(&mut self, now: Micros, found: Option<(Version, LogRecord)>) {
        let name = self.config.name.clone();
        match (found, self.config.mode) {
            (Some((version, record)), _) if record.owner == self.config.owner => self.claimed(now, version, record),
            (Some((version, record)), OpenMode::MustExist) if record.deleted => {
                if self.config.purpose == Purpose::Delete {
                    self.finish_already_deleted(version, record);
                } else {
                    self.fail(RecoveryError::NotFound { name });
                }
            }
            (None, OpenMode::MustExist) => self.fail(RecoveryError::NotFound { name }),
            (Some((version, record)), OpenMode::CreateIfMissing { .. } | OpenMode::MustNotExist { .. })
                if record.deleted && self.may_have_created(&version) =>
            {
                let (mine, by, owner) = (Epoch(1), record.epoch, record.owner);
                self.fail(RecoveryError::Superseded { name, mine, by, owner });
            }
            (found, OpenMode::CreateIfMissing { log } | OpenMode::MustNotExist { log })
                if found.as_ref().is_none_or(|(_, record)| record.deleted) =>
            {
                self.claim_new(found, log);
            }
            (Some(_), OpenMode::MustNotExist { .. }) => self.fail(RecoveryError::Exists { name }),
            (Some((version, mut record)), _) => {
                if let Err(full) = self.check_room(&record) {
                    return self.fail(full);
                }
                self.created = false;
                self.before = Some(record.clone());
                record.number = record.number.next();
                record.epoch = if planted!(ClaimKeepsEpoch) { record.epoch.max(Epoch(1)) } else { record.epoch.next() };
                record.owner = self.config.owner;
                self.swap(Some(version), record);
            }
            (None, _) => unreachable!("a missing log is created or not found"),
        }
    }

    /// P1, pitfall 16: whether a claim of this recovery may have made the log before it came to the tombstone at `version`.
    /// Somebody else deleted it then, and its id is used up. While the version is the one compared, it has not taken place.
    fn may_have_created(&self, version: &Version) -> bool {
        let compared = self.register.change.as_ref().and_then(|(expected, _)| expected.as_ref());
        self.register.uncertain && compared != Some(version)
    }

    /// Claims the first epoch of a log that does not exist: its id is new, so nothing of a deleted one can come back.
    fn claim_new(&mut self, found: Option<(Version, LogRecord)>, log: LogId) {
        let mut record = LogRecord::new(&self.config.name, log);
        record.epoch = Epoch(1);
        record.owner = self.config.owner;
        let (version, before) = found.unzip();
        // A tombstone's number goes on: nothing that the register ever held under this name comes back.
        record.number = before.as_ref().map_or(record.number, |before: &LogRecord| before.number).next();
        (self.created, self.before) = (true, before);
        self.swap(version, record);
    }

    fn claimed(&mut self, now: Micros, version: Version, record: LogRecord) {
        self.register.uncertain = false;
        self.register.backoff.reset();
        let open: alloc::vec::Vec<_> = record.unsealed().cloned().collect();
        self.witnesses = super::witness::Witness::of(&open);
        self.claimed = Some(Claimed { epoch: record.epoch, version, record, open });
        let client = self.config.owner;
        self.note(|epoch| Step::Claim { client, epoch });
        self.enter(now, Phase::Settling);
    }

    /// The record after the claim: is it still this recovery's, did its last change take place, did the floor move?
    fn read_again(&mut self, now: Micros, found: Option<(Version, LogRecord)>) {
        let mine = self.claimed.as_ref().expect("read again after a claim").epoch;
        let name = self.config.name.clone();
        let Some((version, record)) = found else {
            let why = "it is gone, although this recovery had claimed it: restore it from a copy".into();
            return self.fail(RecoveryError::RecordUnusable { name, why });
        };
        if record.owner != self.config.owner || record.epoch != mine {
            let (by, owner) = (record.epoch, record.owner);
            return self.fail(RecoveryError::Superseded { name, mine, by, owner });
        }
        if self.phase == Phase::Registering && self.contains_change(&record) {
            return self.landed(now, version, record);
        }
        if let Some(fence) = self.fence_seen {
            return self.fail(RecoveryError::RegisterBehind { name, fence, epoch: mine });
        }
        let claimed = self.claimed.as_mut().expect("read again after a claim");
        if self.phase == Phase::Registering && claimed.version == version {
            // The change may still be on its way. The very same one, comparing the same version, cannot do harm: at
            // most one of them takes place.
            let (expected, record) =
                self.register.change.clone().expect("registering means that a change was asked for");
            return self.swap(expected, *record);
        }
        // Any change that is still on its way compares a version that is gone for ever.
        self.register.uncertain = false;
        let record = if planted!(FloorNotReread) { claimed.record.clone() } else { record };
        (claimed.version, claimed.record) = (version, record);
        self.enter(now, Phase::Settling);
    }

    /// Whether `record` holds the change that this recovery asked for, by that change's own content: epoch and owner stood
    /// there before (pitfall 20e).
    fn contains_change(&self, record: &LogRecord) -> bool {
        match self.config.purpose {
            _ if planted!(SwapByEpochAndOwner) => true,
            Purpose::Delete => record.deleted,
            Purpose::Write { .. } => {
                let Some((_, change)) = &self.register.change else { return false };
                change.segments.last().map(|segment| segment.id) == record.segments.last().map(|segment| segment.id)
            }
        }
    }

    /// A change of this recovery is in the register.
    fn landed(&mut self, now: Micros, version: Version, record: LogRecord) {
        self.register.uncertain = false;
        self.register.trouble = None;
        match self.phase {
            Phase::Claiming => self.claimed(now, version, record),
            Phase::Registering => self.finish(now, version, record),
            phase => unreachable!("a change landed while {phase:?}"),
        }
    }
}
