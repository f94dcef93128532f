//! The line: the batches of the files in use, by number; how far it is believed; and what is missing in it (D4).
//!
//! ```text
//!   numbers   ... 41  42  43 | 44  45  46  47
//!                         ^       ^     ^
//!                  highest mark   torn  intact, but beyond a gap: never confirmed
//! ```
//! Up to the highest mark everything was confirmed, so whatever is damaged there is rot. Above it, batches are believed
//! one after the other as long as they are intact; the first that is not ends the line, for ever: the next file begins
//! with its number. So numbers are used twice on a disk, and a batch counts only if no file of a later incarnation
//! begins at or below its number.

use super::base::Base;
use super::files::{FileSeen, Role};
use super::scan::{Contents, Sighting};
use quarry_protocol::batch::BatchKind;
use quarry_protocol::planted;
use quarry_protocol::snapshot::FileRecord;
use std::collections::BTreeMap;

/// A file in use, and the batch numbers in it that may count.
#[derive(Debug)]
pub(super) struct InUse<'a> {
    pub(super) number: u32,
    pub(super) incarnation: u64,
    pub(super) seen: &'a FileSeen,
    /// Number of the first batch in the file: the first part of its opening snapshot.
    pub(super) opening: u64,
    /// The numbers that may count, both ends included.
    pub(super) from: u64,
    pub(super) to: u64,
    /// Its end was not yet known when the base was written.
    pub(super) open_end: bool,
}

/// The line of a base.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// Files in use, in order of incarnation.
    pub(super) files: Vec<InUse<'a>>,
    /// Scanned batches that count, by number, with the place of their file in `files`.
    pub(super) batches: BTreeMap<u64, (usize, &'a Sighting)>,
    /// The highest mark.
    pub(super) mark: u64,
    /// The last believed batch.
    pub(super) end: u64,
    /// Whether the base itself is believed.
    pub(super) base_believed: bool,
}

impl<'a> Line<'a> {
    /// The line of `base`, from what has been scanned so far.
    pub(super) fn new(base: &Base, roles: &BTreeMap<u32, Role>, files: &'a BTreeMap<u32, FileSeen>) -> Self {
        let files = in_use(base, roles, files);
        let (mut batches, mut mark) = (BTreeMap::new(), 0);
        for (at, file) in files.iter().enumerate() {
            let ends = [file.seen.head, file.seen.tail.map(|(header, _)| header)];
            for header in ends.into_iter().flatten() {
                if header.incarnation == file.incarnation && (file.from..=file.to).contains(&header.number) {
                    mark = mark.max(header.confirmed);
                }
            }
            for sighting in file.seen.scanned.iter().flatten() {
                let header = &sighting.header;
                let counts = header.incarnation == file.incarnation && (file.from..=file.to).contains(&header.number);
                if counts && !batches.contains_key(&header.number) {
                    mark = mark.max(header.confirmed);
                    batches.insert(header.number, (at, sighting));
                }
            }
        }
        let mark = if planted!(MarksIgnored) { mark.min(base.last) } else { mark };
        let mut end = mark;
        let intact =
            |number: u64| batches.get(&number).is_some_and(|(_, sighting): &(usize, &Sighting)| sighting.is_intact());
        while intact(end + 1) || (base.first..=base.last).contains(&(end + 1)) {
            end += 1;
        }
        let own_counts = files.iter().any(|file| file.number == base.file && base.last <= file.to);
        Self { base_believed: own_counts && base.last <= end, files, batches, mark, end }
    }

    /// A file that was not scanned although some of its batches lie above the highest mark, so that they count only if
    /// they are intact.
    pub(super) fn unscanned_above_the_mark(&self) -> Option<u32> {
        let above = |file: &&InUse<'_>| {
            let last =
                if file.open_end { file.seen.footer_number(file.incarnation).unwrap_or(file.from) } else { file.to };
            file.seen.scanned.is_none() && file.seen.bytes > 0 && last.min(file.to) > self.mark
        };
        self.files.iter().find(above).map(|file| file.number)
    }

    /// The numbers at or below the mark that are missing or so damaged that nobody knows what they held: unless their
    /// neighbours say that it was a part of a snapshot or index, which is lost without loss.
    pub(super) fn missing(&self, base: &Base) -> Vec<u64> {
        let mut missing = Vec::new();
        for (at, file) in self.files.iter().enumerate() {
            if file.seen.scanned.is_none() || self.is_lost(at) {
                continue;
            }
            // The base itself is whole, so its own numbers are not missing in the file that it opens.
            let from = if file.number == base.file && !base.closing { base.last + 1 } else { file.from };
            let to = if file.open_end { self.mark.min(file.to) } else { file.to.min(self.mark) };
            missing.extend((from..=to).filter(|number| !self.is_accounted_for(at, *number)));
        }
        missing
    }

    /// Whether nothing at all of a listed file was found although it was scanned.
    pub(super) fn is_lost(&self, at: usize) -> bool {
        let file = &self.files[at];
        !file.open_end && file.seen.scanned.is_some() && !self.batches.values().any(|(owner, _)| *owner == at)
    }

    fn is_accounted_for(&self, at: usize, number: u64) -> bool {
        let file = &self.files[at];
        if let Some((_, sighting)) = self.batches.get(&number) {
            let damaged = matches!(sighting.contents, Contents::Damaged(_));
            return !damaged || sighting.header.kind != BatchKind::Data;
        }
        if number == file.opening {
            return true;
        }
        let mut parts = file.seen.scanned.iter().flatten().map(|sighting| &sighting.header);
        if parts.any(|h| {
            let first = h.number - u64::from(h.part).min(h.number);
            h.kind != BatchKind::Data && (first..first + u64::from(h.parts)).contains(&number)
        }) {
            return true;
        }
        if let Some((header, footer)) = file.seen.tail.filter(|(header, _)| header.incarnation == file.incarnation) {
            let parts = u64::from(footer.index_parts) + u64::from(footer.snapshot_parts);
            if (header.number.saturating_sub(parts)..=header.number).contains(&number) {
                return true;
            }
        }
        // Behind a whole index comes the closing snapshot, behind that the footer.
        let Some((_, before)) = self.batches.get(&(number - 1)).filter(|(owner, _)| *owner == at) else { return false };
        let header = &before.header;
        let group_ends = header.part + 1 == header.parts;
        let opens_the_file = header.number - u64::from(header.part) == file.opening;
        group_ends && (header.kind == BatchKind::Index || header.kind == BatchKind::Snapshot && !opens_the_file)
    }

    /// The last number of a file that is believed.
    pub(super) fn last_in(&self, file: &InUse<'_>) -> u64 {
        if !file.open_end {
            return file.to;
        }
        let scanned = file.seen.scanned.iter().flatten().map(|sighting| sighting.header.number);
        let known = scanned.chain(file.seen.footer_number(file.incarnation));
        known.filter(|number| (file.from..=file.to.min(self.end)).contains(number)).max().unwrap_or(file.from)
    }
}

/// The files in use, in order of incarnation, each with the range of numbers that may count.
fn in_use<'a>(base: &Base, roles: &BTreeMap<u32, Role>, files: &'a BTreeMap<u32, FileSeen>) -> Vec<InUse<'a>> {
    let own = base.files.iter().find(|record| record.number == base.file && record.incarnation == base.incarnation);
    let mut all: Vec<InUse<'a>> = roles
        .iter()
        .filter_map(|(&number, role)| {
            let seen = files.get(&number)?;
            let (incarnation, opening, to, open_end) = match role {
                Role::Listed(FileRecord { incarnation, first, last, .. }) => (*incarnation, *first, *last, false),
                Role::Own => (base.incarnation, own_opening(base, own, seen), u64::MAX, true),
                Role::Newer(incarnation) => (*incarnation, newer_opening(*incarnation, seen)?, u64::MAX, true),
                Role::Quarantined(_) | Role::Free | Role::Doubtful(_) => return None,
            };
            Some(InUse { number, incarnation, seen, opening, from: opening, to, open_end })
        })
        .collect();
    all.sort_by_key(|file| file.incarnation);
    let mut next_opens = u64::MAX;
    for file in all.iter_mut().rev() {
        file.to = file.to.min(next_opens.saturating_sub(1));
        if file.open_end {
            next_opens = next_opens.min(file.opening);
        }
    }
    // A file that a later one left no number: nothing in it counts.
    all.retain(|file| file.from <= file.to);
    all
}

fn own_opening(base: &Base, own: Option<&FileRecord>, seen: &FileSeen) -> u64 {
    if !base.closing {
        return base.first;
    }
    let head = seen.head.filter(|head| head.incarnation == base.incarnation).map(|head| head.number);
    own.map(|record| record.first).or(head).unwrap_or(base.first)
}

/// Where a file begins whose opening snapshot may be damaged: at its head, or right before the first batch found.
fn newer_opening(incarnation: u64, seen: &FileSeen) -> Option<u64> {
    if let Some(head) = seen.head.filter(|head| head.incarnation == incarnation) {
        return Some(head.number);
    }
    let scanned = seen.scanned.as_deref()?;
    let first = &scanned.iter().find(|sighting| sighting.header.incarnation == incarnation)?.header;
    // A later part says where the first one was; anything else follows a snapshot of one part at least.
    let back = if first.kind == BatchKind::Snapshot { u64::from(first.part) } else { 1 };
    Some(first.number - back.min(first.number))
}
