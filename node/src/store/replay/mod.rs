//! Replay: rebuilding a shard's state from its chunk files after a stop, however it came about (D4, D5). Pure: it says
//! what to read and is handed the bytes.
//!
//! ```text
//!  survey   first and last block of every file
//!  base     the newest snapshot that is whole
//!  probe    do files that it does not list hold anything newer?
//!  scan     indexes; every batch of the files without one
//!  believe  the line of batches: marks tell rot from torn (see `line`); a base beyond its end: take the one before
//!  settle   index, logs, losses, identity
//!  sync     what is believed is made durable before anybody hears of it
//! ```
//! The time is that of reading two blocks and an index per file, plus the whole of every file that was left behind
//! without an index by an unclean stop.
//!
//! What it makes of damage:
//!
//! | found | made of it |
//! |---|---|
//! | batch above every mark, not intact | torn: never confirmed, it and all behind it are dropped |
//! | payload at or below a mark | that chunk is lost: answered *unknown* |
//! | padding, snapshot, index, footer | nothing is lost: the rest of the file says the same |
//! | batch or chunk header in a file without index | nobody knows what it held: the identity is retired (P8) |
//! | a file that is missing, cut short, swapped or cannot be read | likewise, unless it is known to be unused |
//!
//! What cannot be told (stated limits): rot of the last batches, those above every mark, is taken for a torn write; so
//! is the loss of *every* batch of the newest file if its size is right. A shard that falls quiet writes a mark within
//! milliseconds, which makes the first as small as it can be. Rot in a payload of a file with an index is found when the
//! chunk is read, not here.

mod base;
mod files;
mod line;
mod reads;
mod scan;
mod settle;
#[cfg(test)]
mod tests;
pub mod verify;

pub use reads::{REPLAY_READ_BYTES_MAX, REPLAY_READS_MAX};

use super::Replayed;
use base::{Base, Candidate};
use files::{FileSeen, Probed, Role, roles};
use line::Line;
use quarry_protocol::batch::BatchKind;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{
    BLOCK_BYTES, FILE_BYTES_MAX, FILE_BYTES_MIN, LOGS_PER_SHARD_MAX, RECORDS_PART_BYTES_MAX, RETIRED_IDENTITIES_MAX,
};
use quarry_protocol::planted;
use quarry_protocol::snapshot::Record;
use reads::{Finished, Purpose, Reads, Sink};
use scan::{Scan, Until, Wanted, whole_group};
use settle::Settle;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const BLOCK: u64 = BLOCK_BYTES as u64;
/// Least and most bytes at the beginning of an unlisted file that are searched for batches newer than the base. At least
/// one whole part of an opening snapshot fits in the most: the loss of any one batch does not hide a file.
const PROBE_BYTES_MIN: u64 = 128 << 10;
const PROBE_BYTES_MAX: u64 = RECORDS_PART_BYTES_MAX as u64 + 16 * BLOCK;
/// Most files that are being synced at a time.
const SYNCS_MAX: usize = 8;
const _: () = assert!(PROBE_BYTES_MIN <= PROBE_BYTES_MAX && PROBE_BYTES_MAX <= FILE_BYTES_MIN);

/// What a replay needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayConfig {
    /// The shard's disk as formatted: the name in every batch.
    pub disk: DiskId,
    /// A fresh random identity, used if this replay has to retire the one in force.
    pub fresh: DiskId,
    /// Size of a chunk file.
    pub file_bytes: u64,
    /// Number and size of every chunk file in the shard's directory.
    pub files: BTreeMap<u32, u64>,
    /// The files that were ever made, as the manifest tells (see [`super::manifest`]). One of them that is missing was
    /// taken away.
    pub expected: BTreeSet<u32>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayEvent<'a> {
    /// A read ended: exactly the bytes asked for, or why not.
    Read {
        /// The read's token.
        token: u64,
        /// The bytes.
        result: Result<&'a [u8], String>,
    },
    /// A sync ended.
    Synced {
        /// The file.
        file: u32,
        /// Why not.
        result: Result<(), String>,
    },
}

/// What to do.
#[derive(Clone, Debug)]
pub enum ReplayEffect {
    /// Read whole blocks.
    Read {
        /// Names the read.
        token: u64,
        /// The file.
        file: u32,
        /// Byte position.
        position: u64,
        /// How many bytes, at most [`REPLAY_READ_BYTES_MAX`].
        bytes: u32,
    },
    /// Make what was read durable: `fdatasync`.
    Sync {
        /// The file.
        file: u32,
    },
    /// The end.
    Done(Box<Replayed>),
    /// The end: the shard must not start.
    Failed(ReplayError),
}

/// Why a shard must not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// There is not one whole snapshot.
    #[error(
        "none of {files} chunk files holds a whole snapshot: this disk's state is lost; keep the directory if somebody is \
         to look at it, format a new one, and let the other zones repair it"
    )]
    NoSnapshot {
        /// How many files there are.
        files: usize,
    },
    /// A file that is believed could not be synced.
    #[error("chunk file {file} could not be synced ({why}): the disk has failed, replace it")]
    Sync {
        /// The file.
        file: u32,
        /// What the system answered.
        why: String,
    },
    /// Too many identities were retired.
    #[error(
        "{retired} identities of this disk are retired already, at most {RETIRED_IDENTITIES_MAX}: replace the disk and format it"
    )]
    TooManyIdentities {
        /// How many.
        retired: usize,
    },
    /// More logs than a shard serves: written by a build with other limits.
    #[error(
        "{logs} logs are stored here, this build serves {LOGS_PER_SHARD_MAX} per shard: start the build that wrote them"
    )]
    TooManyLogs {
        /// How many.
        logs: usize,
    },
}

#[derive(Debug)]
enum Phase {
    Survey,
    Base,
    Probe,
    Scan,
    Sync { waiting: VecDeque<u32>, in_flight: BTreeSet<u32>, replayed: Box<Replayed> },
    Ended,
}

/// The machine. See the module's documentation.
#[derive(Debug)]
pub struct Replay {
    config: ReplayConfig,
    phase: Phase,
    files: BTreeMap<u32, FileSeen>,
    reads: Reads,
    /// Snapshots not looked at yet, the newest last.
    candidates: Vec<Candidate>,
    /// The one that is being read.
    candidate: Option<Candidate>,
    base: Option<Base>,
    roles: BTreeMap<u32, Role>,
    outbox: VecDeque<ReplayEffect>,
}

impl Replay {
    /// A replay of the files that `config` names.
    ///
    /// # Panics
    /// If the size of files is not one that `format` allows.
    #[must_use]
    pub fn new(config: ReplayConfig) -> Self {
        let sizes = FILE_BYTES_MIN..=FILE_BYTES_MAX;
        assert!(
            sizes.contains(&config.file_bytes) && config.file_bytes.is_multiple_of(BLOCK),
            "files of {}",
            config.file_bytes
        );
        let mut replay = Self {
            files: BTreeMap::new(),
            phase: Phase::Survey,
            reads: Reads::default(),
            candidates: Vec::new(),
            candidate: None,
            base: None,
            roles: BTreeMap::new(),
            outbox: VecDeque::new(),
            config,
        };
        for (&file, &bytes) in &replay.config.files {
            let bytes = bytes.min(replay.config.file_bytes) / BLOCK * BLOCK;
            replay.files.insert(file, FileSeen { bytes, ..FileSeen::default() });
            if bytes > 0 {
                replay.reads.start(Purpose::Head, file, 0, BLOCK, Sink::Block(None));
            }
            if bytes == replay.config.file_bytes {
                replay.reads.start(Purpose::Tail, file, bytes - BLOCK, bytes, Sink::Block(None));
            }
        }
        replay.go_on();
        replay
    }

    /// Takes one event in.
    pub fn handle(&mut self, event: ReplayEvent<'_>) {
        match event {
            ReplayEvent::Read { token, result } => {
                self.reads.answer(token, result.ok());
                self.go_on();
            }
            ReplayEvent::Synced { file, result } => self.synced(file, result),
        }
        self.invariants();
    }

    /// The next thing to do, until none is left.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<ReplayEffect> {
        if let Some(effect) = self.outbox.pop_front() {
            return Some(effect);
        }
        if let Phase::Sync { waiting, in_flight, .. } = &mut self.phase {
            if in_flight.len() >= SYNCS_MAX {
                return None;
            }
            let file = waiting.pop_front()?;
            in_flight.insert(file);
            return Some(ReplayEffect::Sync { file });
        }
        let read = self.reads.poll()?;
        Some(ReplayEffect::Read { token: read.token, file: read.file, position: read.position, bytes: read.bytes })
    }

    /// Asserts what always holds.
    pub fn invariants(&self) {
        let (reading, ended) = (!self.reads.is_idle(), matches!(self.phase, Phase::Sync { .. } | Phase::Ended));
        assert!(!(reading && ended), "a replay that has settled still reads");
        assert!(reading || ended || !self.outbox.is_empty(), "a replay waits for nothing in {:?}", self.phase);
    }

    /// Takes what was read, and goes to the next phase while nothing is left to read in this one.
    fn go_on(&mut self) {
        loop {
            for finished in self.reads.take_finished() {
                self.finished(finished);
            }
            if !self.reads.is_idle() || matches!(self.phase, Phase::Sync { .. } | Phase::Ended) {
                return;
            }
            match self.phase {
                Phase::Survey => self.collect_candidates(),
                Phase::Base => self.next_base(),
                Phase::Probe => self.scan(),
                Phase::Scan => self.believe(),
                Phase::Sync { .. } | Phase::Ended => unreachable!("returned above"),
            }
        }
    }

    fn finished(&mut self, finished: Finished) {
        let Finished { purpose, file, sink } = finished;
        let seen = self.files.get_mut(&file).expect("only files that exist are read");
        let disk = self.config.disk;
        match (purpose, sink) {
            (Purpose::Head, Sink::Block(block)) => seen.set_head(disk, file, block.as_deref()),
            (Purpose::Tail, Sink::Block(block)) => seen.set_tail(disk, file, self.config.file_bytes, block.as_deref()),
            (Purpose::Base, Sink::Scan(scan)) => {
                let candidate = self.candidate.take().expect("a base is read for a candidate");
                self.base = Base::read(&candidate, &scan);
            }
            (Purpose::Probe, Sink::Scan(scan)) => {
                seen.probed = Some(match scan.sightings.first() {
                    Some(sighting) => Probed::Newer(sighting.header.incarnation),
                    None if scan.unreadable => Probed::Unreadable,
                    None if scan.met_stale => Probed::Stale,
                    None => Probed::Nothing,
                });
            }
            (Purpose::Index, Sink::Scan(scan)) => self.take_index(file, &scan),
            (Purpose::Whole, Sink::Scan(scan)) => {
                seen.unreadable = scan.unreadable;
                seen.scanned = Some(scan.sightings);
            }
            (purpose, _) => unreachable!("{purpose:?} was read into the wrong sink"),
        }
    }

    fn collect_candidates(&mut self) {
        for (&file, seen) in &mut self.files {
            seen.drop_stale_tail();
            if let Some(head) = seen.head {
                let part = u64::from(head.disk_bytes().max(RECORDS_PART_BYTES_MAX + BLOCK_BYTES));
                let to = if head.parts == 1 {
                    u64::from(head.disk_bytes())
                } else {
                    u64::from(head.parts).saturating_mul(part)
                };
                let to = to.min(seen.bytes);
                self.candidates.push(Candidate { incarnation: head.incarnation, closing: false, file, from: 0, to });
            }
            if let Some((tail, footer)) = seen.tail {
                let (from, to) = (u64::from(footer.snapshot_position), self.config.file_bytes - BLOCK);
                self.candidates.push(Candidate { incarnation: tail.incarnation, closing: true, file, from, to });
            }
        }
        self.candidates.sort_unstable();
        self.phase = Phase::Base;
        self.try_candidate();
    }

    /// Reads the newest snapshot that was not looked at yet.
    fn try_candidate(&mut self) {
        self.base = None;
        let Some(candidate) = self.candidates.pop() else {
            return self.fail(ReplayError::NoSnapshot { files: self.config.files.len() });
        };
        self.phase = Phase::Base;
        self.candidate = Some(candidate);
        let wanted = Wanted::Incarnation(candidate.incarnation);
        let Candidate { file, from, to, .. } = candidate;
        let scan = self.scanner(file, from, to, wanted, Until::Group);
        self.reads.start(Purpose::Base, file, from, to, scan);
    }

    fn scanner(&self, file: u32, from: u64, to: u64, wanted: Wanted, until: Until) -> Sink {
        Sink::Scan(Scan::new(self.config.disk, file, self.config.file_bytes, from, to, wanted, until))
    }

    /// The candidate was read: if it is whole, look for anything newer than it.
    fn next_base(&mut self) {
        let Some(base) = &self.base else { return self.try_candidate() };
        self.files.values_mut().for_each(FileSeen::forget_base);
        let wanted = Wanted::Above(base.incarnation);
        let bytes = (2 * u64::from(base.part_bytes)).clamp(PROBE_BYTES_MIN, PROBE_BYTES_MAX) / BLOCK * BLOCK;
        let roles = self.roles();
        for file in roles.into_iter().filter(|(_, role)| *role == Role::Free).map(|(file, _)| file) {
            let sink = self.scanner(file, 0, bytes, wanted, Until::End);
            self.reads.start(Purpose::Probe, file, 0, bytes, sink);
        }
        self.phase = Phase::Probe;
    }

    fn roles(&self) -> BTreeMap<u32, Role> {
        let base = self.base.as_ref().expect("roles are those of a base");
        roles(base, &self.files, &self.config.expected, self.config.file_bytes)
    }

    /// Reads indexes where there are any, and scans the files in use that have none.
    fn scan(&mut self) {
        self.phase = Phase::Scan;
        self.roles = self.roles();
        let closing = self.base.as_ref().is_some_and(|base| base.closing);
        let mut indexed = Vec::new();
        let mut whole = Vec::new();
        for (&file, role) in &self.roles {
            let Some(seen) = self.files.get(&file) else { continue };
            match role {
                Role::Own if closing => indexed.push(file),
                Role::Listed(record) => {
                    let footer = seen.footer_number(record.incarnation);
                    let has_index = footer.is_some_and(|number| (record.first..=record.last).contains(&number));
                    if has_index { &mut indexed } else { &mut whole }.push(file);
                }
                Role::Own | Role::Newer(_) => whole.push(file),
                Role::Quarantined(_) | Role::Free | Role::Doubtful(_) => {}
            }
        }
        indexed.into_iter().for_each(|file| self.read_index(file));
        whole.into_iter().for_each(|file| self.scan_whole(file));
    }

    fn read_index(&mut self, file: u32) {
        let (tail, footer) = self.files[&file].tail.expect("a file with an index has a footer");
        let (from, to) = (u64::from(footer.index_position), u64::from(footer.snapshot_position));
        let sink = self.scanner(file, from, to, Wanted::Incarnation(tail.incarnation), Until::Group);
        self.reads.start(Purpose::Index, file, from, to, sink);
    }

    /// An index was read. If it is not whole, the file's batches say the same.
    fn take_index(&mut self, file: u32, scan: &Scan) {
        let seen = self.files.get_mut(&file).expect("only files that exist are read");
        let (_, footer) = seen.tail.expect("a file with an index has a footer");
        let records = match whole_group(&scan.sightings, BatchKind::Index) {
            Some((_, last, records)) if last.parts == footer.index_parts => Some(records),
            None if footer.index_parts == 0 => Some(Vec::new()),
            _ => None,
        };
        let chunk = |record| match record {
            Record::Chunk(chunk) if u64::from(chunk.position) < self.config.file_bytes => Some(chunk),
            _ => None,
        };
        seen.index = records.and_then(|records| records.into_iter().map(chunk).collect());
        if seen.index.is_none() {
            self.scan_whole(file);
        }
    }

    fn scan_whole(&mut self, file: u32) {
        let (incarnation, until) = match (&self.roles[&file], &self.base) {
            (Role::Listed(record), _) => (record.incarnation, Until::Number(record.last)),
            (Role::Newer(incarnation), _) => (*incarnation, Until::End),
            (Role::Own, Some(base)) => (base.incarnation, Until::End),
            (role, _) => unreachable!("chunk file {file} is scanned as {role:?}"),
        };
        let to = self.files[&file].bytes;
        let sink = self.scanner(file, 0, to, Wanted::Incarnation(incarnation), until);
        self.reads.start(Purpose::Whole, file, 0, to, sink);
    }

    /// Everything asked for was read: is it enough, and does the base hold?
    fn believe(&mut self) {
        let base = self.base.as_ref().expect("a line is that of a base");
        let line = Line::new(base, &self.roles, &self.files);
        if let Some(file) = line.unscanned_above_the_mark() {
            return self.scan_whole(file);
        }
        if !line.base_believed {
            return self.try_candidate();
        }
        let settle = Settle {
            config: &self.config,
            base,
            roles: &self.roles,
            files: &self.files,
            line: &line,
            incarnation_max: incarnation_max(&self.files, base),
        };
        match settle.settle() {
            Ok(replayed) => self.sync(replayed),
            Err(why) => self.fail(why),
        }
    }

    fn sync(&mut self, replayed: Replayed) {
        let waiting = replayed.files.iter().filter(|_| !planted!(ReplayUnsynced)).map(|record| record.number).collect();
        self.phase = Phase::Sync { waiting, in_flight: BTreeSet::new(), replayed: Box::new(replayed) };
        self.end_when_synced();
    }

    fn synced(&mut self, file: u32, result: Result<(), String>) {
        let Phase::Sync { in_flight, .. } = &mut self.phase else { return };
        assert!(in_flight.remove(&file), "chunk file {file} is not being synced");
        match result {
            Ok(()) => self.end_when_synced(),
            Err(why) => self.fail(ReplayError::Sync { file, why }),
        }
    }

    fn end_when_synced(&mut self) {
        if let Phase::Sync { waiting, in_flight, replayed } = &mut self.phase
            && waiting.is_empty()
            && in_flight.is_empty()
        {
            let replayed = std::mem::take(replayed);
            self.phase = Phase::Ended;
            self.outbox.push_back(ReplayEffect::Done(replayed));
        }
    }

    fn fail(&mut self, why: ReplayError) {
        self.phase = Phase::Ended;
        self.outbox.push_back(ReplayEffect::Failed(why));
    }
}

/// The highest incarnation in any header.
fn incarnation_max(files: &BTreeMap<u32, FileSeen>, base: &Base) -> u64 {
    let listed = base.files.iter().map(|record| record.incarnation);
    let seen = files.values().flat_map(|seen| {
        let ends = [seen.head, seen.tail.map(|(header, _)| header)];
        let probed = match seen.probed {
            Some(Probed::Newer(incarnation)) => Some(incarnation),
            _ => None,
        };
        ends.into_iter().flatten().map(|header| header.incarnation).chain(probed)
    });
    listed.chain(seen).chain([base.incarnation]).max().unwrap_or(base.incarnation)
}
