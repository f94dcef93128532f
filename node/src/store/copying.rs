//! Copying forward: when free files run short, the chunks that still live in the emptiest file are read, verified and
//! stored again, header and payload unchanged, so that the file can be freed (D7).
//!
//! ```text
//!  choose a file ─> search the index ─> Read ─> verify ─> a batch ─> confirmed: the index points to the copy
//! ```
//! A chunk that cannot be read, not even a second time on its own, is reported lost and stays where it is (D6, P13).

use super::index::{ChunkKey, Cursor, Place};
use super::pace::{
    COPY_BYTES_IN_HAND_MAX, COPY_EARLY_PERCENT, COPY_GAP_BYTES, COPY_LATE_PERCENT, COPY_LOOK_US, COPY_READ_BYTES,
    COPY_SEARCH_PAGES, COPY_SEARCH_US, FILES_COPY_AHEAD,
};
use super::room::usable_bytes;
use super::{Store, StoreEffect};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, FILES_IN_RESERVE};
use quarry_protocol::planted;
use quarry_protocol::replica::ToStore;
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

/// A read in progress.
#[derive(Debug)]
struct CopyRead {
    position: u32,
    bytes: u32,
    /// The chunks in it, by position.
    chunks: Vec<(ChunkKey, Place)>,
    /// Whether these chunks were read before, in vain.
    again: bool,
}

/// The file being emptied.
#[derive(Debug)]
struct Victim {
    file: u32,
    cursor: Option<Cursor>,
    searched: bool,
    /// Chunks found and not read yet, by position.
    found: VecDeque<(ChunkKey, Place)>,
}

impl Victim {
    /// Whether there is more to look for, and room for what may be found.
    fn may_search(&self) -> bool {
        !self.searched && self.found.is_empty()
    }
}

#[derive(Debug, Default)]
pub(super) struct Copying {
    victim: Option<Victim>,
    /// What is to be read once more, each chunk on its own.
    again: VecDeque<(ChunkKey, Place)>,
    reads: BTreeMap<u64, CopyRead>,
    next_token: u64,
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

const fn stored_bytes(length: u32) -> u64 {
    CHUNK_HEADER_BYTES as u64 + length as u64
}

impl Copying {
    pub(super) fn has_copies(&self) -> bool {
        !self.copies.is_empty()
    }

    pub(super) fn copies_bytes(&self) -> u64 {
        self.copies_bytes
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
        let search_at = self.search_at.filter(|_| self.victim.as_ref().is_some_and(Victim::may_search));
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
        self.copying.victim = Some(Victim { file, cursor: None, searched: false, found: VecDeque::new() });
        true
    }

    /// Looks for chunks of the victim, a bounded number of pages at a time.
    fn search(&mut self) -> bool {
        let Some(victim) = &mut self.copying.victim else { return false };
        if !victim.may_search() || self.copying.search_at.is_some_and(|at| at > self.now) {
            return false;
        }
        let mut found = Vec::new();
        victim.cursor = self.index.find_in_file(victim.file, victim.cursor, COPY_SEARCH_PAGES, &mut found);
        victim.searched = victim.cursor.is_none();
        self.copying.search_at = (!victim.searched).then(|| self.now.plus(COPY_SEARCH_US));
        found.sort_unstable_by_key(|(_, place)| place.position);
        victim.found = found.into();
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
        let count = run_length(&victim.found);
        if count == 0 {
            return false;
        }
        let (first, last) = (victim.found[0].1, victim.found[count - 1].1);
        let bytes = u64::from(last.position - first.position) + stored_bytes(last.length);
        if !self.may_read(bytes) {
            return false;
        }
        let victim = self.copying.victim.as_mut().expect("it was just looked at");
        let chunks: Vec<_> = victim.found.drain(..count).collect();
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
        let (first, last) = (chunks[0].1, chunks[chunks.len() - 1].1);
        let bytes = last.position - first.position + stored_bytes(last.length) as u32;
        let (token, file, position) = (self.copying.next_token, first.file, first.position);
        self.copying.next_token += 1;
        self.copying.in_hand_bytes += u64::from(bytes);
        self.files.pin(file);
        self.copying.reads.insert(token, CopyRead { position, bytes, chunks, again });
        self.outbox.push_back(StoreEffect::Read { token, file, position: u64::from(position), bytes });
    }

    pub(super) fn copy_read(&mut self, token: u64, result: &Result<&[u8], String>) {
        let read = self.copying.reads.remove(&token).unwrap_or_else(|| panic!("no read {token} is in progress"));
        self.copying.in_hand_bytes -= u64::from(read.bytes);
        self.unpin(read.chunks[0].1.file);
        if self.failed.is_some() {
            return;
        }
        for (key, place) in read.chunks {
            if self.index.get(&key) != Some(place) {
                continue;
            }
            let at = (place.position - read.position) as usize;
            let end = at + stored_bytes(place.length) as usize;
            let bytes = match result {
                Ok(bytes) if end <= bytes.len() => Ok(&bytes[at..end]),
                Ok(bytes) => Err(format!("{} of {} bytes were read", bytes.len(), read.bytes)),
                Err(why) => Err(why.clone()),
            };
            match bytes.and_then(|bytes| verify(&key, bytes).map(|header| (header, bytes))) {
                Ok((header, bytes)) => {
                    self.copying.in_hand_bytes += bytes.len() as u64;
                    self.copying.copies_bytes += bytes.len() as u64;
                    self.copying.copies.push_back(Copy { header, bytes: bytes.to_vec(), from: place });
                }
                Err(_) if !read.again => self.copying.again.push_back((key, place)),
                Err(why) => self.lose(key, place, &why),
            }
        }
    }

    fn lose(&mut self, key: ChunkKey, place: Place, why: &str) {
        self.files.set_damaged(place.file);
        if !self.is_newly_lost(&key, place) {
            return;
        }
        self.statistics.lost_chunks += 1;
        let ChunkKey { log, segment, seq } = key;
        let why = format!("file {} at byte {}: {why}", place.file, place.position);
        self.outbox.push_back(StoreEffect::Lost { log, segment, from: seq, to: seq.next(), why });
    }

    /// Whether a chunk that cannot be read where it lay is lost, and nobody knew. Not if its loss is recorded already, nor if
    /// it lies elsewhere by now, or is on its way there: put again, or copied while somebody read the original.
    pub fn is_newly_lost(&self, key: &ChunkKey, place: Place) -> bool {
        self.index.get(key) == Some(place) && !self.state.is_lost(key) && !self.is_on_its_way(key)
    }

    fn is_on_its_way(&self, key: &ChunkKey) -> bool {
        let is = |header: &ChunkHeader| (header.log, header.segment, header.seq) == (key.log, key.segment, key.seq);
        self.flights.iter().any(|flight| flight.chunks.iter().any(|chunk| chunk.key == *key))
            || self.copying.copies.iter().any(|copy| is(&copy.header))
            || self.queue.iter().any(|(_, what)| matches!(what, ToStore::Chunk { header, .. } if is(header)))
    }

    /// Lets go of the victim once nothing of it is on its way.
    fn finish_victim(&mut self) -> bool {
        let copying = &mut self.copying;
        let done = |victim: &Victim| victim.searched && victim.found.is_empty();
        if copying.in_hand_bytes > 0 || !copying.again.is_empty() || !copying.victim.as_ref().is_some_and(done) {
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

/// How many of the chunks found make up the next read: neighbours, up to a bound.
fn run_length(found: &VecDeque<(ChunkKey, Place)>) -> usize {
    let Some(first) = found.front() else { return 0 };
    let mut end = first.1.position;
    found
        .iter()
        .take_while(|(_, place)| {
            let next_end = place.position + stored_bytes(place.length) as u32;
            let near = place.position.saturating_sub(end) <= COPY_GAP_BYTES;
            let small = place.position == first.1.position || next_end - first.1.position <= COPY_READ_BYTES;
            end = next_end;
            near && small
        })
        .count()
}

/// The header at the front of `bytes`, if they are the chunk `key` and nothing else.
fn verify(key: &ChunkKey, bytes: &[u8]) -> Result<ChunkHeader, String> {
    let header = ChunkHeader::decode(bytes).map_err(|why| why.to_string())?;
    let found = ChunkKey { log: header.log, segment: header.segment, seq: header.seq };
    if found != *key {
        return Err(format!("{found:?} lies where {key:?} should"));
    }
    if !planted!(CopiesUnverified) {
        header.verify_payload(&bytes[CHUNK_HEADER_BYTES..]).map_err(|why| why.to_string())?;
    }
    Ok(header)
}
