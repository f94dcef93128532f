//! What replay knows of each chunk file, and what the base snapshot makes of it.

use super::base::Base;
use super::scan::Sighting;
use quarry_protocol::batch::{BatchHeader, BatchKind};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{BATCH_HEADER_BYTES, BLOCK_BYTES};
use quarry_protocol::snapshot::{ChunkRecord, FileRecord, FooterRecord, Record};
use std::collections::{BTreeMap, BTreeSet};

/// What a disk writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;
const _: () = assert!(BATCH_HEADER_BYTES <= SECTOR_BYTES);

/// One chunk file, as found.
#[derive(Debug, Default)]
pub(super) struct FileSeen {
    /// Its size, in whole blocks; 0 if it is missing.
    pub(super) bytes: u64,
    /// The header of the batch at position 0: the first part of an opening snapshot.
    pub(super) head: Option<BatchHeader>,
    /// What the first block is, if it is no head.
    pub(super) no_head: NoHead,
    /// The footer.
    pub(super) tail: Option<(BatchHeader, FooterRecord)>,
    /// What a probe found: the incarnation of a newer batch, or that it cannot be read.
    pub(super) probed: Option<Probed>,
    /// The index, once it was read and is whole.
    pub(super) index: Option<Vec<ChunkRecord>>,
    /// Every batch, once the file was scanned.
    pub(super) scanned: Option<Vec<Sighting>>,
    /// Whether the scan met bytes that cannot be read.
    pub(super) unreadable: bool,
}

/// A first block that is not the head of this very file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NoHead {
    /// It cannot be read.
    #[default]
    Unreadable,
    /// Its header's sector is zeros: the file was never used, or the first write to it was torn.
    Zeros,
    /// Anything else: rot, or another file's. A torn write leaves the header's sector old or new, so it is not that.
    Foreign,
}

/// What probing a file found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probed {
    /// Nothing newer than the base, but batches of an earlier use.
    Stale,
    /// No batch of this file at all.
    Nothing,
    /// A batch of this incarnation, newer than the base.
    Newer(u64),
    /// It cannot be read.
    Unreadable,
}

impl FileSeen {
    /// Reads the first block.
    pub(super) fn set_head(&mut self, disk: DiskId, file: u32, block: Option<&[u8]>) {
        self.no_head = match block {
            None => NoHead::Unreadable,
            Some(block) if block[..SECTOR_BYTES].iter().all(|byte| *byte == 0) => NoHead::Zeros,
            Some(_) => NoHead::Foreign,
        };
        let header = block.and_then(|block| BatchHeader::decode(block).ok());
        self.head = header.filter(|h| {
            h.kind == BatchKind::Snapshot && h.part == 0 && h.disk == disk && h.file == file && h.position == 0
        });
    }

    /// Reads the last block.
    pub(super) fn set_tail(&mut self, disk: DiskId, file: u32, file_bytes: u64, block: Option<&[u8]>) {
        self.tail = block.and_then(|block| {
            let header = BatchHeader::decode(block).ok()?;
            let position = file_bytes - u64::from(BLOCK_BYTES);
            let here = header.disk == disk && header.file == file && header.position == position;
            let mut footer = None;
            header.verify_records(block, |record| footer = Some(record)).ok()?;
            let Some(Record::Footer(footer)) = footer else { return None };
            let whole = header.kind == BatchKind::Footer && header.entries == 1;
            let ordered =
                footer.index_position <= footer.snapshot_position && u64::from(footer.snapshot_position) <= position;
            let aligned = (footer.index_position | footer.snapshot_position).is_multiple_of(BLOCK_BYTES);
            (here && whole && ordered && aligned).then_some((header, footer))
        });
    }

    /// Drops a footer that an earlier use of the file left: its incarnation is not the head's.
    pub(super) fn drop_stale_tail(&mut self) {
        let Some((head, (tail, _))) = self.head.zip(self.tail) else { return };
        if head.incarnation != tail.incarnation {
            self.tail = None;
        }
    }

    /// Forgets what was read for another base.
    pub(super) fn forget_base(&mut self) {
        (self.probed, self.index, self.scanned, self.unreadable) = (None, None, None, false);
    }

    /// The footer's batch number, if it belongs to this incarnation.
    pub(super) fn footer_number(&self, incarnation: u64) -> Option<u64> {
        self.tail.filter(|(header, _)| header.incarnation == incarnation).map(|(header, _)| header.number)
    }
}

/// What the base snapshot makes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The base lies in it.
    Own,
    /// Opened after the base, as this incarnation; its own snapshot is not whole.
    Newer(u64),
    /// Listed by the base.
    Listed(FileRecord),
    /// Listed as not to be touched.
    Quarantined(FileRecord),
    /// Not in use.
    Free,
    /// Not listed, and nobody can tell any more whether it was in use.
    Doubtful(&'static str),
}

/// The role of every file that is there, is listed or should be there.
pub(super) fn roles(
    base: &Base,
    files: &BTreeMap<u32, FileSeen>,
    expected: &BTreeSet<u32>,
    file_bytes: u64,
) -> BTreeMap<u32, Role> {
    let listed: BTreeMap<u32, FileRecord> = base.files.iter().map(|record| (record.number, *record)).collect();
    let all: BTreeSet<u32> = files.keys().chain(listed.keys()).chain(expected).copied().collect();
    all.into_iter()
        .map(|number| {
            let role = match (files.get(&number), listed.get(&number)) {
                _ if number == base.file => Role::Own,
                (_, Some(record)) if record.incarnation == 0 => Role::Quarantined(*record),
                (_, Some(record)) => Role::Listed(*record),
                (Some(seen), None) => unlisted(base, seen, file_bytes),
                (None, None) => Role::Doubtful("is missing"),
            };
            (number, role)
        })
        .collect()
}

fn unlisted(base: &Base, seen: &FileSeen, file_bytes: u64) -> Role {
    match (seen.head, seen.probed) {
        (Some(head), _) if head.incarnation > base.incarnation => Role::Newer(head.incarnation),
        (_, Some(Probed::Newer(incarnation))) => Role::Newer(incarnation),
        _ if seen.bytes < file_bytes => Role::Doubtful("was cut short"),
        (_, Some(Probed::Unreadable)) => Role::Doubtful("cannot be read"),
        (None, _) if seen.no_head == NoHead::Unreadable => Role::Doubtful("cannot be read"),
        (None, Some(Probed::Nothing)) if seen.no_head == NoHead::Foreign => {
            Role::Doubtful("begins with what was not written to it")
        }
        _ => Role::Free,
    }
}

/// How the snapshots list a file that must not be touched and whose content nobody knows.
pub(super) const fn quarantine(number: u32) -> FileRecord {
    FileRecord { number, incarnation: 0, first: 0, last: 0, opened_at_s: 0, closed_at_s: 0, verified_at_s: 0 }
}
