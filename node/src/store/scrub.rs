//! Scrub: everything that lives is read again and verified, at a bounded rate, so that rot is found while there are other
//! copies to heal it from.
//!
//! ```text
//!  a pass is due ─> the next file ─> search the index ─> Read ─> verify ─> nothing left in it: a note ─> the next file
//!                                                  again ◄─┘ └─> Lost: recorded, unknown from then on, kept as it is
//! ```
//! A pass goes through the files that exist when it begins, in order of incarnation, which needs no clock; the open one is
//! its last. A note is a control entry ([`ScrubRecord`]): a restart goes on behind the last file that was noted. The next
//! pass begins one period after this one did. What was copied forward meanwhile was verified by that.
//!
//! Only the open file may take more while it is read; it is not called verified, its next pass does that.

use super::Store;
use super::files::FileState;
use super::index::{ChunkKey, Place};
use super::pace::{
    SCRUB_BYTES_PER_SECOND_MIN, SCRUB_GAP_BYTES, SCRUB_PERIOD_PERCENT, SCRUB_READ_BYTES, SCRUB_SEARCH_PAGES,
    SCRUB_SEARCH_US,
};
use super::room::cost;
use super::sweep::{Sweep, SweepRead, stored_bytes, verified};
use quarry_protocol::planted;
use quarry_protocol::snapshot::ScrubRecord;
use quarry_protocol::time::Micros;
use std::collections::VecDeque;

const MICROS_PER_SECOND: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Scrub {
    /// How long a pass may take, in microseconds; none if nothing is scrubbed.
    period_us: Option<u64>,
    /// How far it has come; the store's small state follows with every note.
    progress: ScrubRecord,
    /// When the next pass begins.
    pass_at: Micros,
    sweep: Option<FileSweep>,
    /// What is to be read once more, each chunk on its own.
    again: VecDeque<(ChunkKey, Place)>,
    reading: Option<(u64, SweepRead)>,
    /// Not before this is more read or looked for.
    not_before: Micros,
    /// When to come back, if it waits for time to pass.
    due_at: Option<Micros>,
    /// Waits to be written; nothing is begun before it is.
    note: Option<ScrubRecord>,
}

/// The file that is being read.
#[derive(Debug)]
struct FileSweep {
    chunks: Sweep,
    incarnation: u64,
    /// Whether it was closed, and all of it confirmed, before it was searched.
    whole: bool,
}

impl Scrub {
    /// Goes on where `progress` ended, at a time when the clock on the wall shows `now_s`.
    pub(super) fn new(period_us: Option<u64>, progress: Option<ScrubRecord>, now_s: u64) -> Self {
        let progress = progress.unwrap_or_default();
        let mut scrub = Self {
            period_us,
            progress,
            pass_at: Micros(0),
            sweep: None,
            again: VecDeque::new(),
            reading: None,
            not_before: Micros(0),
            due_at: None,
            note: None,
        };
        scrub.pass_at = scrub.next_pass_at(Micros(0), now_s);
        scrub
    }

    /// One period after this pass began, but no longer than that from now: a clock that jumped costs one period at most.
    fn next_pass_at(&self, now: Micros, now_s: u64) -> Micros {
        let period_s = self.period_us.unwrap_or(0).div_ceil(MICROS_PER_SECOND);
        let wait_s = (self.progress.began_at_s + period_s).saturating_sub(now_s).min(period_s);
        now.plus(wait_s * MICROS_PER_SECOND)
    }

    pub(super) fn is_on(&self) -> bool {
        self.period_us.is_some()
    }

    pub(super) fn progress(&self) -> ScrubRecord {
        self.progress
    }

    pub(super) fn due_at(&self) -> Option<Micros> {
        self.due_at
    }

    pub(super) fn note(&self) -> Option<ScrubRecord> {
        self.note
    }

    pub(super) fn note_placed(&mut self) {
        self.note = None;
    }

    /// The disk failed. A read in progress is still answered.
    pub(super) fn abandon(&mut self) {
        (self.period_us, self.sweep, self.due_at, self.note) = (None, None, None, None);
        self.again.clear();
    }
}

impl Store {
    /// Takes the next step; says whether there was one.
    pub(super) fn scrub_next(&mut self) -> bool {
        self.scrub.due_at = None;
        let waits = self.scrub.note.is_some() || self.scrub.reading.is_some();
        if !self.scrub.is_on() || self.stopping || waits || !self.is_open() {
            return false;
        }
        if self.scrub.sweep.is_none() && !self.choose_file_to_scrub() {
            return false;
        }
        if self.scrub.not_before > self.now {
            self.scrub.due_at = Some(self.scrub.not_before);
            return false;
        }
        self.search_to_scrub() || self.read_to_scrub() || self.finish_scrubbed_file()
    }

    fn choose_file_to_scrub(&mut self) -> bool {
        if !self.scrub.progress.is_under_way() {
            if self.scrub.pass_at > self.now {
                self.scrub.due_at = Some(self.scrub.pass_at);
                return false;
            }
            let before = self.scrub.progress;
            self.scrub.progress = ScrubRecord {
                through: 0,
                until: self.next_incarnation,
                began_at_s: self.wall_clock_s(),
                verified_at_s: 0,
                ended_at_s: before.ended_at_s,
                damaged: 0,
                damaged_before: before.damaged,
            };
        }
        let ScrubRecord { through, until, .. } = self.scrub.progress;
        let Some((number, incarnation)) = self.files.next_live(through, until) else {
            self.end_pass();
            return false;
        };
        let file = self.files.get(number);
        let whole = file.state == FileState::Closed && file.last <= self.flights.confirmed();
        self.scrub.sweep = Some(FileSweep { chunks: Sweep::new(number), incarnation, whole });
        true
    }

    fn end_pass(&mut self) {
        let now_s = self.wall_clock_s();
        let progress = &mut self.scrub.progress;
        (progress.through, progress.ended_at_s) = (progress.until - 1, now_s);
        let at = self.scrub.next_pass_at(self.now, now_s).max(self.now.plus(MICROS_PER_SECOND));
        (self.scrub.pass_at, self.scrub.due_at) = (at, Some(at));
    }

    fn search_to_scrub(&mut self) -> bool {
        let Some(sweep) = &mut self.scrub.sweep else { return false };
        if !self.scrub.again.is_empty() || !sweep.chunks.may_search() {
            return false;
        }
        if sweep.chunks.search(&self.index, SCRUB_SEARCH_PAGES) {
            self.scrub.not_before = self.now.plus(SCRUB_SEARCH_US);
        }
        true
    }

    /// Reads the next run. It takes its turn and its bytes like all background work (D2), and never more than its own
    /// rate, however idle the shard is.
    fn read_to_scrub(&mut self) -> bool {
        let Some(sweep) = &self.scrub.sweep else { return false };
        let again = self.scrub.again.front().map(|(_, place)| (1, stored_bytes(place.length)));
        let Some((count, bytes)) = again.or_else(|| sweep.chunks.next_run(SCRUB_GAP_BYTES, SCRUB_READ_BYTES)) else {
            return false;
        };
        if let Err(at) = self.budget.take(self.now, bytes) {
            self.scrub.due_at = Some(at);
            return false;
        }
        let chunks: Vec<_> = if again.is_some() {
            self.scrub.again.pop_front().into_iter().collect()
        } else {
            self.scrub.sweep.as_mut().expect("it was just looked at").chunks.take(count)
        };
        self.scrub.not_before = self.now.plus(self.scrub_pause_us(&chunks));
        // What moved, was trimmed or is known to be lost meanwhile is not worth a read.
        let worth_it =
            |(key, place): &(ChunkKey, Place)| self.index.get(key) == Some(*place) && !self.state.is_lost(key);
        if !chunks.iter().any(worth_it) {
            return true;
        }
        let read = SweepRead::of(chunks, again.is_some());
        let token = self.begin_read(&read);
        self.scrub.reading = Some((token, read));
        true
    }

    /// How long these chunks may take: all that lives, in nine tenths of a period.
    fn scrub_pause_us(&self, chunks: &[(ChunkKey, Place)]) -> u64 {
        let period_us = self.scrub.period_us.expect("nothing is read while scrub is off");
        let in_time_us = (period_us * SCRUB_PERIOD_PERCENT / 100).max(1);
        let whole = u128::from(self.files.live_bytes()) * u128::from(MICROS_PER_SECOND) / u128::from(in_time_us);
        let rate = (whole as u64).max(SCRUB_BYTES_PER_SECOND_MIN);
        let bytes: u64 = chunks.iter().map(|(_, place)| cost(place.length)).sum();
        bytes * MICROS_PER_SECOND / rate
    }

    /// Whether this read was one of scrub's.
    pub(super) fn scrub_read(&mut self, token: u64, result: &Result<&[u8], String>) -> bool {
        let Some((_, read)) = self.scrub.reading.take_if(|(reading, _)| *reading == token) else { return false };
        self.unpin(read.file);
        if self.failed.is_some() {
            return true;
        }
        for &(key, place) in &read.chunks {
            if self.index.get(&key) != Some(place) || self.state.is_lost(&key) {
                continue;
            }
            let checked = read.slice(place, result).and_then(|bytes| verified(&key, bytes));
            match checked {
                Err(_) if !read.again && !planted!(ScrubUnverified) => self.scrub.again.push_back((key, place)),
                Err(why) if !planted!(ScrubUnverified) => self.found_damaged(key, place, &why),
                _ => {
                    self.statistics.scrubbed_chunks += 1;
                    self.statistics.scrubbed_bytes += u64::from(place.length);
                }
            }
        }
        true
    }

    fn found_damaged(&mut self, key: ChunkKey, place: Place, why: &str) {
        if !self.lose(key, place, why) {
            return;
        }
        self.statistics.scrub_damaged += 1;
        let damaged = &mut self.scrub.progress.damaged;
        *damaged = damaged.saturating_add(1);
        if planted!(ScrubFreesDamage) {
            self.index.remove(&key);
            self.forget(place);
        }
    }

    /// Notes that the file is done with.
    fn finish_scrubbed_file(&mut self) -> bool {
        let nothing_left = self.scrub.again.is_empty();
        let done = |sweep: &mut FileSweep| nothing_left && sweep.chunks.is_done();
        let Some(FileSweep { incarnation, whole, .. }) = self.scrub.sweep.take_if(done) else { return false };
        let now_s = self.wall_clock_s();
        let progress = &mut self.scrub.progress;
        (progress.through, progress.verified_at_s) = (incarnation, if whole { now_s } else { 0 });
        let mut note = *progress;
        if self.files.next_live(progress.through, progress.until).is_none() {
            self.end_pass();
            // One note for the file and for the end of the pass: the file's number is the one that counts for both.
            note.ended_at_s = now_s;
        }
        self.scrub.note = Some(note);
        true
    }

    /// Files that the present pass is done with, and all that it goes through: their live bytes.
    pub(super) fn scrubbed(&self) -> (u64, u64) {
        let ScrubRecord { through, until, .. } = self.scrub.progress;
        (self.files.live_bytes_of(0, through), self.files.live_bytes_of(0, until.saturating_sub(1)))
    }
}
