//! The file table: every chunk file of the shard, what it is used for, and how much in it is still needed.
//!
//! ```text
//!  Creating ─> Allocated ─> Filling ─> Ready ─> Open ─> Closed ─> Freed ─┐
//!                                        ▲                               │ a snapshot without it is confirmed,
//!                                        └───────────────────────────────┘ no read pins it (D5, D7)
//! ```

use super::index::Place;
use super::room::cost;
use quarry_protocol::snapshot::FileRecord;
use std::collections::BTreeMap;

/// What a file is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileState {
    /// Being made.
    Creating,
    /// Has its bytes, but they are not written yet.
    Allocated,
    /// Being written full of zeros.
    Filling,
    /// May be overwritten.
    Ready,
    /// Takes batches.
    Open,
    /// Full, or left behind by an earlier start.
    Closed,
    /// Nothing in it is needed. Reused once the batch that ends the first snapshot without it is confirmed; none
    /// before there is such a snapshot.
    Freed { omitted_by: Option<u64> },
    /// Neither trusted nor reused.
    Quarantined,
}

const STATES: usize = 8;

const fn state_number(state: FileState) -> usize {
    match state {
        FileState::Creating => 0,
        FileState::Allocated => 1,
        FileState::Filling => 2,
        FileState::Ready => 3,
        FileState::Open => 4,
        FileState::Closed => 5,
        FileState::Freed { .. } => 6,
        FileState::Quarantined => 7,
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    pub(super) state: FileState,
    pub(super) incarnation: u64,
    /// First and last batch.
    pub(super) first: u64,
    pub(super) last: u64,
    /// When it was opened and closed, and when all that lives in it was last verified, in Unix seconds; 0 for not (known).
    pub(super) opened_at_s: u64,
    pub(super) closed_at_s: u64,
    pub(super) verified_at_s: u64,
    pub(super) live_bytes: u64,
    pub(super) live_chunks: u64,
    /// Reads in progress.
    pub(super) pins: u32,
    /// Holds chunks that cannot be read: kept as it is until they are trimmed (P13).
    pub(super) damaged: bool,
}

impl File {
    const fn new(state: FileState) -> Self {
        Self {
            state,
            incarnation: 0,
            first: 0,
            last: 0,
            opened_at_s: 0,
            closed_at_s: 0,
            verified_at_s: 0,
            live_bytes: 0,
            live_chunks: 0,
            pins: 0,
            damaged: false,
        }
    }

    const fn of(record: &FileRecord, state: FileState) -> Self {
        let mut file = Self::new(state);
        file.incarnation = record.incarnation;
        file.first = record.first;
        file.last = record.last;
        file.opened_at_s = record.opened_at_s;
        file.closed_at_s = record.closed_at_s;
        file.verified_at_s = record.verified_at_s;
        file
    }
}

#[derive(Debug, Default)]
pub(super) struct Files {
    table: BTreeMap<u32, File>,
    counts: [usize; STATES],
    live_bytes: u64,
    damaged: usize,
    /// Whether some closed file's live bytes fell, or one was closed or set aside, since this was last asked.
    changed: bool,
}

impl Files {
    pub(super) fn new(live: &[FileRecord], free: &[u32], quarantined: &[FileRecord]) -> Self {
        let mut files = Self::default();
        let live = live.iter().map(|record| (record.number, File::of(record, FileState::Closed)));
        let quarantined = quarantined.iter().map(|record| (record.number, File::of(record, FileState::Quarantined)));
        let free = free.iter().map(|&number| (number, File::new(FileState::Ready)));
        for (number, file) in live.chain(quarantined).chain(free) {
            files.counts[state_number(file.state)] += 1;
            let twice = files.table.insert(number, file);
            assert!(twice.is_none(), "file {number} is named twice: {twice:?} and {file:?}");
        }
        files.changed = true;
        files
    }

    pub(super) fn get(&self, number: u32) -> &File {
        self.table.get(&number).unwrap_or_else(|| panic!("no file {number}"))
    }

    fn get_mut(&mut self, number: u32) -> &mut File {
        self.table.get_mut(&number).unwrap_or_else(|| panic!("no file {number}"))
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn count(&self, state: FileState) -> usize {
        self.counts[state_number(state)]
    }

    /// Files that hold nothing and have their bytes: those that a shard can count on.
    pub(super) fn free(&self) -> usize {
        let freed = FileState::Freed { omitted_by: None };
        [FileState::Allocated, FileState::Filling, FileState::Ready, freed].map(|state| self.count(state)).iter().sum()
    }

    /// Files that cannot be used for now: set aside for what is in them.
    pub(super) fn set_aside(&self) -> usize {
        self.count(FileState::Quarantined) + self.damaged
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Moves a file along the arrows of the module's picture, and no other way.
    pub(super) fn set_state(&mut self, number: u32, to: FileState) {
        use FileState::{Allocated, Closed, Creating, Filling, Freed, Open, Ready};
        let file = self.get_mut(number);
        let from = file.state;
        let allowed = match (from, to) {
            (Closed, Freed { omitted_by: None }) => file.live_chunks == 0,
            (Creating, Allocated)
            | (Allocated, Filling)
            | (Filling, Ready)
            | (Ready, Open)
            | (Open, Closed)
            | (Freed { omitted_by: None }, Freed { omitted_by: Some(_) }) => true,
            (Freed { omitted_by: Some(_) }, Ready) => file.pins == 0,
            _ => false,
        };
        assert!(allowed, "file {number} cannot go from {from:?} to {to:?}: {file:?}");
        file.state = to;
        self.counts[state_number(from)] -= 1;
        self.counts[state_number(to)] += 1;
        self.changed |= to == Closed;
    }

    /// A new file, in [`FileState::Creating`]: the lowest number that is not taken.
    pub(super) fn create(&mut self) -> u32 {
        let number =
            (0..=u32::MAX).find(|number| !self.table.contains_key(number)).expect("there are more numbers than files");
        self.table.insert(number, File::new(FileState::Creating));
        self.counts[state_number(FileState::Creating)] += 1;
        number
    }

    /// Making this file failed: it does not exist.
    pub(super) fn forget(&mut self, number: u32) {
        let file = self.table.remove(&number).unwrap_or_else(|| panic!("no file {number}"));
        let unfinished = matches!(file.state, FileState::Creating | FileState::Allocated | FileState::Filling);
        assert!(unfinished, "file {number} exists: {file:?}");
        self.counts[state_number(file.state)] -= 1;
    }

    /// The lowest file in `state`.
    pub(super) fn first(&self, state: FileState) -> Option<u32> {
        if self.count(state) == 0 {
            return None;
        }
        self.table.iter().find(|(_, file)| file.state == state).map(|(number, _)| *number)
    }

    pub(super) fn open(&mut self, number: u32, incarnation: u64, first: u64, now_s: u64) {
        self.set_state(number, FileState::Open);
        let file = self.get_mut(number);
        (file.incarnation, file.first, file.last) = (incarnation, first, first);
        (file.opened_at_s, file.closed_at_s, file.verified_at_s) = (now_s, 0, 0);
    }

    /// Nothing more is appended to the open file.
    pub(super) fn closes(&mut self, number: u32, now_s: u64) {
        self.get_mut(number).closed_at_s = now_s;
    }

    /// What a stop left open ends with this start.
    pub(super) fn close_left_open(&mut self, now_s: u64) {
        let open = |file: &&mut File| file.state == FileState::Closed && file.closed_at_s == 0;
        self.table.values_mut().filter(open).for_each(|file| file.closed_at_s = now_s);
    }

    pub(super) fn placed(&mut self, number: u32, batch: u64) {
        let file = self.get_mut(number);
        assert!(file.state == FileState::Open && batch >= file.last, "batch {batch} goes to {number}: {file:?}");
        file.last = batch;
    }

    /// A chunk lies here now.
    pub(super) fn add_live(&mut self, place: Place) {
        let file = self.get_mut(place.file);
        file.live_bytes += cost(place.length);
        file.live_chunks += 1;
        self.live_bytes += cost(place.length);
    }

    /// Chunks that lay in this file are not needed any more, or lie elsewhere.
    pub(super) fn remove_live(&mut self, number: u32, bytes: u64, chunks: u64) {
        let file = self.get_mut(number);
        let left = file.live_bytes.checked_sub(bytes).zip(file.live_chunks.checked_sub(chunks));
        let left = left.unwrap_or_else(|| panic!("{chunks} chunks of {bytes} bytes never lived in {number}: {file:?}"));
        (file.live_bytes, file.live_chunks) = left;
        self.live_bytes -= bytes;
        self.changed = true;
    }

    /// Frees the file if it is closed, all of it is confirmed, and nothing in it is live.
    pub(super) fn free_if_dead(&mut self, number: u32, confirmed: u64) {
        let file = self.get_mut(number);
        if file.state == FileState::Closed && file.live_chunks == 0 && file.last <= confirmed {
            let damaged = std::mem::take(&mut file.damaged);
            self.damaged -= usize::from(damaged);
            self.set_state(number, FileState::Freed { omitted_by: None });
        }
    }

    /// Frees every file that [`Self::free_if_dead`] would.
    pub(super) fn free_all_dead(&mut self, confirmed: u64) {
        let closed = |file: &File| file.state == FileState::Closed && file.live_chunks == 0;
        let dead: Vec<_> = self.table.iter().filter(|(_, file)| closed(file)).map(|(number, _)| *number).collect();
        for number in dead {
            self.free_if_dead(number, confirmed);
        }
    }

    /// How many files a snapshot lists.
    pub(super) fn listed(&self) -> usize {
        [FileState::Open, FileState::Closed, FileState::Quarantined].map(|state| self.count(state)).iter().sum()
    }

    /// The files a snapshot lists.
    pub(super) fn to_records(&self) -> impl Iterator<Item = FileRecord> + '_ {
        let listed = |file: &File| matches!(file.state, FileState::Open | FileState::Closed | FileState::Quarantined);
        self.table.iter().filter(move |(_, file)| listed(file)).map(|(&number, file)| {
            let File { incarnation, first, last, opened_at_s, closed_at_s, verified_at_s, .. } = *file;
            FileRecord { number, incarnation, first, last, opened_at_s, closed_at_s, verified_at_s }
        })
    }

    /// All that lives in the file of this incarnation was verified; at 0 nothing is said of it.
    pub(super) fn verified(&mut self, incarnation: u64, at_s: u64) {
        if at_s > 0
            && let Some(file) = self.table.values_mut().find(|file| file.incarnation == incarnation)
        {
            file.verified_at_s = at_s;
        }
    }

    /// The first file in order of incarnation, above `through` and below `until`, in which something lives.
    pub(super) fn next_live(&self, through: u64, until: u64) -> Option<(u32, u64)> {
        let lives = |file: &File| {
            matches!(file.state, FileState::Open | FileState::Closed)
                && file.live_chunks > 0
                && (through + 1..until).contains(&file.incarnation)
        };
        let live = self.table.iter().filter(|(_, file)| lives(file));
        live.map(|(number, file)| (file.incarnation, *number)).min().map(|(incarnation, number)| (number, incarnation))
    }

    /// What lives in the files with an incarnation above `through`, up to `to`.
    pub(super) fn live_bytes_of(&self, through: u64, to: u64) -> u64 {
        let counts = |file: &&File| file.incarnation > through && file.incarnation <= to;
        self.table.values().filter(counts).map(|file| file.live_bytes).sum()
    }

    /// The freed files that no snapshot was known to omit so far.
    pub(super) fn newly_freed(&self) -> Vec<u32> {
        let freed = FileState::Freed { omitted_by: None };
        self.table.iter().filter(|(_, file)| file.state == freed).map(|(number, _)| *number).collect()
    }

    /// The snapshot that ends with `batch` does not list these files.
    pub(super) fn omitted(&mut self, numbers: &[u32], batch: u64) {
        for &number in numbers {
            if self.get(number).state == (FileState::Freed { omitted_by: None }) {
                self.set_state(number, FileState::Freed { omitted_by: Some(batch) });
            }
        }
    }

    /// Makes this file ready if a confirmed snapshot omits it and no read pins it.
    pub(super) fn reuse(&mut self, number: u32, confirmed: u64) {
        let file = self.get(number);
        if matches!(file.state, FileState::Freed { omitted_by: Some(batch) } if batch <= confirmed) && file.pins == 0 {
            self.set_state(number, FileState::Ready);
        }
    }

    pub(super) fn pin(&mut self, number: u32) {
        self.get_mut(number).pins += 1;
    }

    pub(super) fn unpin(&mut self, number: u32) {
        let file = self.get_mut(number);
        file.pins = file.pins.checked_sub(1).unwrap_or_else(|| panic!("file {number} is unpinned once too often"));
    }

    /// Something in this file cannot be read: it is kept as it is.
    pub(super) fn set_damaged(&mut self, number: u32) {
        let file = self.get_mut(number);
        if file.state == FileState::Closed && !file.damaged {
            file.damaged = true;
            self.damaged += 1;
            self.changed = true;
        }
    }

    /// Whether asking [`Self::emptiest`] again may give another answer than before.
    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    /// The closed file with the fewest live bytes, and how many.
    pub(super) fn emptiest(&mut self, confirmed: u64) -> Option<(u32, u64)> {
        self.changed = false;
        let may = |file: &File| file.state == FileState::Closed && !file.damaged && file.last <= confirmed;
        let closed = self.table.iter().filter(|(_, file)| may(file));
        closed.map(|(number, file)| (file.live_bytes, *number)).min().map(|(bytes, number)| (number, bytes))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &File)> + '_ {
        self.table.iter().map(|(number, file)| (*number, file))
    }
}
