//! Settling: from a believed line to what a store and a replica start from.
//!
//! Everything merges by maximum or by name, so the order of files does not matter, with one exception: a chunk stored
//! *after* a loss of it was recorded repairs the loss. Chunks never pass through a fence check: they were let in once.

use super::base::Base;
use super::files::{FileSeen, Role, quarantine};
use super::line::{InUse, Line};
use super::scan::Contents;
use super::{ReplayConfig, ReplayError};
use crate::store::{ChunkKey, Index, Place, ReplayReport, Replayed};
use quarry_protocol::ids::{ChunkSeq, DiskId, LogId, SegmentId};
use quarry_protocol::limits::{LOGS_PER_SHARD_MAX, LOSSES_PER_SHARD_MAX, RETIRED_IDENTITIES_MAX};
use quarry_protocol::ranges::SeqRanges;
use quarry_protocol::replica::{RestoredLog, RestoredSegment};
use quarry_protocol::snapshot::{ChunkRecord, FileRecord, IdentityRecord, LogRecord, LossRecord, Record, ScrubRecord};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

/// How far incarnations jump when files are missing: one of them may have been newer than all that are left, and may
/// come back.
const INCARNATIONS_SKIPPED: u64 = 1 << 16;

/// What settling works with.
pub(super) struct Settle<'a> {
    pub(super) config: &'a ReplayConfig,
    pub(super) base: &'a Base,
    pub(super) roles: &'a BTreeMap<u32, Role>,
    pub(super) files: &'a BTreeMap<u32, FileSeen>,
    pub(super) line: &'a Line<'a>,
    /// The highest incarnation in any header.
    pub(super) incarnation_max: u64,
}

/// A segment of a log.
type Segment = (LogId, SegmentId);

#[derive(Default)]
struct State {
    logs: BTreeMap<LogId, LogRecord>,
    watermarks: BTreeMap<Segment, ChunkSeq>,
    lost: BTreeMap<Segment, SeqRanges>,
    /// How far scrub had come, in order: the base's word first.
    scrubs: Vec<ScrubRecord>,
    index: Index,
}

impl Settle<'_> {
    /// Everything a shard starts from.
    pub(super) fn settle(&self) -> Result<Replayed, ReplayError> {
        let mut state = State::default();
        for record in &self.base.logs {
            state.merge(record);
        }
        state.scrubs.extend(self.base.scrub);
        self.merge_controls(&mut state);
        let (listed, newer): (Vec<_>, Vec<_>) =
            self.line.files.iter().enumerate().partition(|(at, _)| self.is_before_base(*at));
        for (at, file) in listed {
            self.take_file(&mut state, at, file, |_| true);
        }
        for loss in &self.base.losses {
            state.lose(loss);
        }
        for (at, file) in newer {
            self.take_file(&mut state, at, file, |number| number > self.base.last);
        }
        if state.logs.len() > LOGS_PER_SHARD_MAX {
            return Err(ReplayError::TooManyLogs { logs: state.logs.len() });
        }
        let mut replayed = self.files();
        take_scrubs(&mut replayed, &state.scrubs);
        let why = self.unspecific(&replayed.quarantined);
        self.finish(&mut replayed, state, why)?;
        Ok(replayed)
    }

    /// Whether the base's snapshot counts in all of the file's control entries and losses.
    fn is_before_base(&self, at: usize) -> bool {
        let file = &self.line.files[at];
        !file.open_end || (file.number == self.base.file && self.base.closing)
    }

    /// Control entries behind the base, before any chunk is looked at: floors decide which chunks count.
    fn merge_controls(&self, state: &mut State) {
        for (_, (_, sighting)) in self
            .line
            .batches
            .range((Excluded(self.base.last), Unbounded))
            .take_while(|(number, _)| **number <= self.line.end)
        {
            let Contents::Data { controls, .. } = &sighting.contents else { continue };
            for control in controls {
                match control {
                    Record::Log(record) => state.merge(record),
                    Record::Scrub(record) => state.scrubs.push(*record),
                    _ => {}
                }
            }
        }
    }

    fn take_file(&self, state: &mut State, at: usize, file: &InUse<'_>, counts: impl Fn(u64) -> bool) {
        if let Some(index) = file.seen.index.as_ref().filter(|_| file.seen.scanned.is_none()) {
            index.iter().for_each(|chunk| state.store(file.number, chunk));
            return;
        }
        for (&number, (owner, sighting)) in
            self.line.batches.range(file.from..).take_while(|(number, _)| **number <= file.to.min(self.line.end))
        {
            let Contents::Data { chunks, rotten, controls } = &sighting.contents else { continue };
            if *owner != at || !counts(number) {
                continue;
            }
            // Losses first: a chunk can be put again in the batch that records its loss, and cannot be lost in the one that
            // holds it, since it is read only once that is confirmed.
            if number > self.base.last {
                for control in controls {
                    if let Record::Loss(loss) = control {
                        state.lose(loss);
                    }
                }
            }
            chunks.iter().for_each(|chunk| state.store(file.number, chunk));
            rotten.iter().for_each(|chunk| state.rot(file.number, chunk));
        }
    }

    /// Which files are in use, free, and not to be touched.
    fn files(&self) -> Replayed {
        let mut replayed = Replayed::default();
        let in_use: BTreeMap<u32, FileRecord> = (self.line.files.iter().enumerate())
            .filter(|(at, file)| file.from <= self.line.end && !self.line.is_lost(*at))
            .map(|(_, file)| {
                let InUse { number, incarnation, opening, .. } = *file;
                // Of a file that was opened after the base nobody knows when that was.
                let listed = self.base.files.iter().find(|listed| listed.incarnation == incarnation);
                let (first, last) = (opening, self.line.last_in(file));
                (number, FileRecord { number, incarnation, first, last, ..listed.copied().unwrap_or_default() })
            })
            .collect();
        for (&number, role) in self.roles {
            match (in_use.get(&number), role) {
                (Some(record), _) => replayed.files.push(*record),
                (None, Role::Listed(record) | Role::Quarantined(record)) => replayed.quarantined.push(*record),
                (None, Role::Doubtful(_)) => replayed.quarantined.push(quarantine(number)),
                // Opened after the line's end: nothing in it was ever confirmed.
                (None, Role::Own | Role::Newer(_) | Role::Free) => replayed.free_files.push(number),
            }
        }
        replayed
    }

    /// Why nobody can say what was lost, if something may have been that the identity in force has acknowledged.
    fn unspecific(&self, quarantined: &[FileRecord]) -> Vec<String> {
        let since = self.base.identity().since;
        let mut why = Vec::new();
        for (&number, role) in self.roles {
            match role {
                Role::Own | Role::Newer(_) if self.is_cut_short(number) => {
                    why.push(format!("chunk file {number} was being written and cannot be read to its end"));
                }
                Role::Doubtful(what) => why.push(format!("chunk file {number} {what} and may have been in use")),
                Role::Listed(record) if quarantined.contains(record) && record.last >= since => {
                    why.push(format!(
                        "chunk file {number} is in use and its batches {}..={} are gone",
                        record.first, record.last
                    ));
                }
                _ => {}
            }
        }
        let missing: Vec<u64> = self.line.missing(self.base).into_iter().filter(|number| *number >= since).collect();
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            why.push(format!("{} confirmed batches between {first} and {last} are damaged", missing.len()));
        }
        why
    }

    fn is_cut_short(&self, number: u32) -> bool {
        self.files.get(&number).is_some_and(|seen| seen.unreadable || seen.bytes < self.config.file_bytes)
    }

    fn finish(&self, replayed: &mut Replayed, mut state: State, why: Vec<String>) -> Result<(), ReplayError> {
        replayed.next_batch = self.line.end + 1;
        replayed.next_incarnation = self.incarnation_max + 1;
        replayed.identities.clone_from(&self.base.identities);
        replayed.losses = state.losses();
        let mut why = why;
        if replayed.losses.len() > LOSSES_PER_SHARD_MAX {
            why.push(format!(
                "{} losses are known, the most carried forward are {LOSSES_PER_SHARD_MAX}",
                replayed.losses.len()
            ));
            for loss in replayed.losses.drain(LOSSES_PER_SHARD_MAX..) {
                state.forget(&loss);
            }
        }
        let newly_lost = state.newly_lost(&self.base.losses);
        let torn =
            self.line.files.iter().filter(|file| file.open_end).flat_map(|file| file.seen.scanned.iter().flatten());
        let mut report = ReplayReport {
            files: replayed.files.len() as u64,
            files_scanned: self.line.files.iter().filter(|file| file.seen.scanned.is_some()).count() as u64,
            torn_batches: torn.filter(|sighting| sighting.header.number > self.line.end).count() as u64,
            lost_chunks: newly_lost,
            logs: state.logs.len() as u64,
            ..ReplayReport::default()
        };
        if !why.is_empty() {
            report.retired = Some(retire(replayed, self.config.fresh)?);
            replayed.next_incarnation += INCARNATIONS_SKIPPED;
            report.notes = why;
        }
        if newly_lost > 0 {
            report.notes.push(format!("{newly_lost} chunks are damaged: they are answered unknown until repaired"));
        }
        report.chunks = state.index.len();
        replayed.logs = state.restored();
        replayed.index = state.index;
        replayed.report = report;
        Ok(())
    }
}

/// What scrub said of a file after the base was written is said of the file; its last word says how far it has come.
fn take_scrubs(replayed: &mut Replayed, scrubs: &[ScrubRecord]) {
    for scrub in scrubs.iter().filter(|scrub| scrub.verified_at_s > 0) {
        let file = replayed.files.iter_mut().find(|file| file.incarnation == scrub.through);
        if let Some(file) = file {
            file.verified_at_s = scrub.verified_at_s;
        }
    }
    replayed.scrub = scrubs.last().copied();
}

/// P8: the identity in force goes, a fresh one comes; gives back the one that went.
fn retire(replayed: &mut Replayed, fresh: DiskId) -> Result<DiskId, ReplayError> {
    if replayed.identities.len() > RETIRED_IDENTITIES_MAX {
        return Err(ReplayError::TooManyIdentities { retired: replayed.identities.len() });
    }
    let mut went = DiskId::ZERO;
    for identity in &mut replayed.identities {
        if !identity.retired {
            identity.retired = true;
            went = identity.disk;
        }
    }
    replayed.identities.push(IdentityRecord { disk: fresh, since: replayed.next_batch, retired: false });
    Ok(went)
}

impl State {
    fn merge(&mut self, record: &LogRecord) {
        self.logs.entry(record.log).or_insert(LogRecord { log: record.log, ..LogRecord::default() }).merge(record);
    }

    /// Counts a chunk's epoch and watermark in; returns whether it is above the floor of a log that is not deleted.
    fn hear(&mut self, chunk: &ChunkRecord) -> bool {
        let log = self.logs.entry(chunk.log).or_insert(LogRecord { log: chunk.log, ..LogRecord::default() });
        log.fence = log.fence.max(chunk.segment.epoch);
        let watermark = self.watermarks.entry((chunk.log, chunk.segment)).or_default();
        *watermark = chunk.watermark.max(*watermark);
        log.deleted.0 == 0 && chunk.seq >= log.floor
    }

    fn store(&mut self, file: u32, chunk: &ChunkRecord) {
        if self.hear(chunk) {
            self.index.insert(key(chunk), place(file, chunk));
            if let Some(lost) = self.lost.get_mut(&(chunk.log, chunk.segment)) {
                lost.remove(chunk.seq, chunk.seq.next());
            }
        }
    }

    /// A chunk whose payload does not verify: lost, unless there is another copy of it. Its place stays in the index, so
    /// that its file is kept as it is (P13).
    fn rot(&mut self, file: u32, chunk: &ChunkRecord) {
        if self.hear(chunk) && self.index.get(&key(chunk)).is_none() {
            self.index.insert(key(chunk), place(file, chunk));
            self.lost.entry((chunk.log, chunk.segment)).or_default().insert(chunk.seq, chunk.seq.next());
        }
    }

    fn lose(&mut self, loss: &LossRecord) {
        let log = self.logs.get(&loss.log).copied().unwrap_or_default();
        if log.deleted.0 == 0 {
            self.lost.entry((loss.log, loss.segment)).or_default().insert(loss.from.max(log.floor), loss.to);
        }
    }

    fn losses(&self) -> Vec<LossRecord> {
        let all = self.lost.iter().flat_map(|(&(log, segment), lost)| {
            lost.iter().map(move |(from, to)| LossRecord { log, segment, from, to })
        });
        all.collect()
    }

    /// How many lost seqs the base did not know of.
    fn newly_lost(&self, known: &[LossRecord]) -> u64 {
        let mut lost = self.lost.clone();
        for loss in known {
            if let Some(lost) = lost.get_mut(&(loss.log, loss.segment)) {
                lost.remove(loss.from, loss.to);
            }
        }
        lost.values().map(SeqRanges::len).sum()
    }

    /// Under a retired identity a chunk that is not in the index is unknown: one record fewer to carry.
    fn forget(&mut self, loss: &LossRecord) {
        for seq in loss.from.0..loss.to.0 {
            self.index.remove(&ChunkKey { log: loss.log, segment: loss.segment, seq: ChunkSeq(seq) });
        }
        if let Some(lost) = self.lost.get_mut(&(loss.log, loss.segment)) {
            lost.remove(loss.from, loss.to);
        }
    }

    fn restored(&self) -> Vec<RestoredLog> {
        let mut segments: BTreeMap<Segment, RestoredSegment> = BTreeMap::new();
        let restored = |segment: Segment| RestoredSegment {
            segment: segment.1,
            watermark: self.watermarks.get(&segment).copied().unwrap_or_default(),
            ..RestoredSegment::default()
        };
        for (segment, (from, to)) in runs(&self.index) {
            segments.entry(segment).or_insert_with(|| restored(segment)).held.insert(from, to);
        }
        for (&segment, lost) in self.lost.iter().filter(|(_, lost)| !lost.is_empty()) {
            let entry = segments.entry(segment).or_insert_with(|| restored(segment));
            lost.iter().for_each(|(from, to)| entry.held.remove(from, to));
            entry.lost = lost.clone();
        }
        let mut logs: BTreeMap<LogId, RestoredLog> = (self.logs.iter())
            .map(|(&log, record)| (log, RestoredLog { record: *record, segments: Vec::new() }))
            .collect();
        for ((log, _), segment) in segments {
            let fresh = || RestoredLog { record: LogRecord { log, ..LogRecord::default() }, segments: Vec::new() };
            logs.entry(log).or_insert_with(fresh).segments.push(segment);
        }
        logs.into_values().collect()
    }
}

/// The runs of seqs in an index.
fn runs(index: &Index) -> Vec<(Segment, (ChunkSeq, ChunkSeq))> {
    let mut runs: Vec<(Segment, (ChunkSeq, ChunkSeq))> = Vec::new();
    for (key, _) in index.iter() {
        match runs.last_mut() {
            Some((segment, (_, to))) if *segment == (key.log, key.segment) && *to == key.seq => *to = key.seq.next(),
            _ => runs.push(((key.log, key.segment), (key.seq, key.seq.next()))),
        }
    }
    runs
}

const fn key(chunk: &ChunkRecord) -> ChunkKey {
    ChunkKey { log: chunk.log, segment: chunk.segment, seq: chunk.seq }
}

const fn place(file: u32, chunk: &ChunkRecord) -> Place {
    Place { file, position: chunk.position, length: chunk.length }
}
