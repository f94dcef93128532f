//! Copying forward: when free files run short, the chunks that still live in the emptiest file are read, verified and
//! stored again, header and payload unchanged, so that the file can be freed (D7).
//!
//! ```text
//!  choose a file ─> search the index ─> Read ─> verify ─> a batch ─> confirmed: the index points to the copy
//! ```
//! A chunk that cannot be read, not even a second time on its own, is reported lost and stays where it is (D6, P13).

use super::index::{ChunkKey, Place};
use super::pace::{
    COPY_BYTES_IN_HAND_MAX, COPY_EARLY_PERCENT, COPY_GAP_BYTES, COPY_LATE_PERCENT, COPY_LOOK_US, COPY_READ_BYTES,
    COPY_SEARCH_PAGES, COPY_SEARCH_US, FILES_COPY_AHEAD,
};
use super::room::usable_bytes;
use super::sweep::{Sweep, SweepRead, named, stored_bytes, verified};
use super::{Store, StoreEffect};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::limits::FILES_IN_RESERVE;
use quarry_protocol::planted;
use quarry_protocol::time::Micros;
use std::collections::{BTreeMap, VecDeque};

/// A chunk that waits to be stored again.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) header: ChunkHeader,
    /// Header and payload.
    pub(super) bytes: Vec<u8>,
    pub(super) from: Place,
}

#[derive(Debug, Default)]
pub(super) struct Copying {
    /// The file being emptied.
    victim: Option<Sweep>,
    /// What is to be read once more, each chunk on its own.
    again: VecDeque<(ChunkKey, Place)>,
    reads: BTreeMap<u64, SweepRead>,
    copies: VecDeque<Copy>,
    copies_bytes: u64,
    /// Bytes in `reads`, in `copies`, and in batches being written.
    in_hand_bytes: u64,
    search_at: Option<Micros>,
    budget_at: Option<Micros>,
    /// How many files were free when no file was worth copying.
    refused_at_free: Option<usize>,
    looked_at: Micros,
    /// When to look again, if something changed meanwhile.
    look_at: Option<Micros>,
}

impl Copying {
    pub(super) fn has_copies(&self) -> bool {
        !self.copies.is_empty()
    }

    pub(super) fn copies_bytes(&self) -> u64 {
        self.copies_bytes
    }

    pub(super) fn copies(&self) -> impl Iterator<Item = &Copy> + '_ {
        self.copies.iter()
    }

    pub(super) fn next_copy(&self) -> Option<&Copy> {
        self.copies.front()
    }

    pub(super) fn take_copy(&mut self) -> Copy {
        let copy = self.copies.pop_front().expect("a copy was there to be looked at");
        self.copies_bytes -= copy.bytes.len() as u64;
        copy
    }

    /// A copy with this payload length is confirmed.
    pub(super) fn copied(&mut self, length: u32) {
        let left = self.in_hand_bytes.checked_sub(stored_bytes(length));
        self.in_hand_bytes = left.expect("what is confirmed was in hand");
    }

    /// The disk failed. Reads in progress are still answered.
    pub(super) fn abandon(&mut self) {
        (self.victim, self.search_at, self.budget_at, self.look_at) = (None, None, None, None);
        self.copies.clear();
        self.again.clear();
        self.copies_bytes = 0;
    }

    /// When copying wants to go on, if it waits for time to pass. While chunks that were found wait for the budget, or for
    /// others in hand, the search does not go on whatever the time: what they wait for says when to come back.
    pub(super) fn due_at(&self) -> Option<Micros> {
        let search_at = self.search_at.filter(|_| self.victim.as_ref().is_some_and(Sweep::may_search));
        [search_at, self.budget_at, self.look_at].into_iter().flatten().min()
    }
}

impl Store {
    /// Takes the next step; says whether there was one.
    pub(super) fn copy_next(&mut self) -> bool {
        if self.copying.victim.is_none() && !self.choose_victim() {
            return false;
        }
        self.search() || self.read_next() || self.finish_victim()
    }

    fn choose_victim(&mut self) -> bool {
        self.copying.look_at = None;
        let (free, reserve) = (self.files_free(), FILES_IN_RESERVE as usize);
        if free > reserve + FILES_COPY_AHEAD {
            return false;
        }
        // Looking at every file is worth it only if something changed since the last look, and not with every trim.
        let again_at = self.copying.looked_at.plus(COPY_LOOK_US);
        if self.copying.refused_at_free == Some(free) && self.now < again_at {
            self.copying.look_at = self.files.changed().then_some(again_at);
            return false;
        }
        if self.copying.refused_at_free == Some(free) && !self.files.changed() {
            return false;
        }
        (self.copying.refused_at_free, self.copying.looked_at) = (Some(free), self.now);
        let percent = if free <= reserve { COPY_LATE_PERCENT } else { COPY_EARLY_PERCENT };
        let worth_it = usable_bytes(self.config.file_bytes, self.snapshot_records()) * percent / 100;
        let Some((file, live_bytes)) = self.files.emptiest(self.flights.confirmed()) else { return false };
        if live_bytes > worth_it {
            return false;
        }
        self.files.pin(file);
        self.copying.victim = Some(Sweep::new(file));
        true
    }

    /// Looks for chunks of the victim, a bounded number of pages at a time.
    fn search(&mut self) -> bool {
        let Some(victim) = &mut self.copying.victim else { return false };
        if !victim.may_search() || self.copying.search_at.is_some_and(|at| at > self.now) {
            return false;
        }
        let more = victim.search(&self.index, COPY_SEARCH_PAGES);
        self.copying.search_at = more.then(|| self.now.plus(COPY_SEARCH_US));
        true
    }

    fn read_next(&mut self) -> bool {
        self.copying.budget_at = None;
        if let Some(&(_, place)) = self.copying.again.front() {
            return self.may_read(stored_bytes(place.length)) && {
                let chunks = self.copying.again.pop_front().into_iter().collect();
                self.read(chunks, true);
                true
            };
        }
        let Some(victim) = &self.copying.victim else { return false };
        let Some((count, bytes)) = victim.next_run(COPY_GAP_BYTES, COPY_READ_BYTES) else { return false };
        if !self.may_read(bytes) {
            return false;
        }
        let victim = self.copying.victim.as_mut().expect("it was just looked at");
        let chunks = victim.take(count);
        self.read(chunks, false);
        true
    }

    /// Background work yields to appends, unless appends wait for it (D2, D7).
    fn may_read(&mut self, bytes: u64) -> bool {
        let in_hand = self.copying.in_hand_bytes;
        if in_hand > 0 && in_hand + bytes > COPY_BYTES_IN_HAND_MAX {
            return false;
        }
        // Read once, written once.
        if self.files.free() as u64 <= FILES_IN_RESERVE || self.is_idle() {
            self.budget.spend(2 * bytes);
            return true;
        }
        self.copying.budget_at = self.budget.take(self.now, 2 * bytes).err();
        self.copying.budget_at.is_none()
    }

    fn read(&mut self, chunks: Vec<(ChunkKey, Place)>, again: bool) {
        let read = SweepRead::of(chunks, again);
        self.copying.in_hand_bytes += u64::from(read.bytes);
        let token = self.begin_read(&read);
        self.copying.reads.insert(token, read);
    }

    /// Begins a read in the background; hands back its token.
    pub(super) fn begin_read(&mut self, read: &SweepRead) -> u64 {
        self.last_read += 1;
        self.files.pin(read.file);
        let (token, file, position, bytes) = (self.last_read, read.file, u64::from(read.position), read.bytes);
        self.outbox.push_back(StoreEffect::Read { token, file, position, bytes });
        token
    }

    pub(super) fn copy_read(&mut self, token: u64, result: &Result<&[u8], String>) {
        let read = self.copying.reads.remove(&token).unwrap_or_else(|| panic!("no read {token} is in progress"));
        self.copying.in_hand_bytes -= u64::from(read.bytes);
        self.unpin(read.file);
        if self.failed.is_some() {
            return;
        }
        let check = if planted!(CopiesUnverified) { named } else { verified };
        for &(key, place) in &read.chunks {
            if self.index.get(&key) != Some(place) {
                continue;
            }
            match read.slice(place, result).and_then(|bytes| check(&key, bytes).map(|header| (header, bytes))) {
                Ok((header, bytes)) => {
                    self.copying.in_hand_bytes += bytes.len() as u64;
                    self.copying.copies_bytes += bytes.len() as u64;
                    self.copying.copies.push_back(Copy { header, bytes: bytes.to_vec(), from: place });
                }
                Err(_) if !read.again => self.copying.again.push_back((key, place)),
                Err(why) => {
                    self.files.set_damaged(place.file);
                    self.lose(key, place, &why);
                }
            }
        }
    }

    /// Lets go of the victim once nothing of it is on its way.
    fn finish_victim(&mut self) -> bool {
        let copying = &mut self.copying;
        if copying.in_hand_bytes > 0
            || !copying.again.is_empty()
            || !copying.victim.as_ref().is_some_and(Sweep::is_done)
        {
            return false;
        }
        let Some(victim) = copying.victim.take() else { return false };
        let file = self.files.get(victim.file);
        assert!(
            file.live_chunks == 0 || file.damaged,
            "file {} was copied, yet {} chunks live in it",
            victim.file,
            file.live_chunks
        );
        self.statistics.copied_files += 1;
        self.unpin(victim.file);
        true
    }
}
