//! The base: the snapshot that a replay starts from.

use super::scan::{Scan, whole_group};
use quarry_protocol::batch::BatchKind;
use quarry_protocol::snapshot::{FileRecord, IdentityRecord, LogRecord, LossRecord, Record, ScrubRecord};

/// Where a snapshot may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// Incarnation of the file. First, because it orders what number alone cannot: after a torn end numbers are used
    /// again, by a later incarnation.
    pub(super) incarnation: u64,
    /// Whether it is the closing snapshot, which is newer than the opening one.
    pub(super) closing: bool,
    pub(super) file: u32,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// A whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) file: u32,
    pub(super) incarnation: u64,
    pub(super) closing: bool,
    /// Batch numbers of its first and last part.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Bytes of its first part on disk.
    pub(super) part_bytes: u32,
    pub(super) logs: Vec<LogRecord>,
    pub(super) losses: Vec<LossRecord>,
    pub(super) files: Vec<FileRecord>,
    pub(super) identities: Vec<IdentityRecord>,
    pub(super) scrub: Option<ScrubRecord>,
}

impl Base {
    /// The snapshot that a scan found, if all of it is there and makes sense.
    pub(super) fn read(candidate: &Candidate, scan: &Scan) -> Option<Self> {
        let (first, last, records) = whole_group(&scan.sightings, BatchKind::Snapshot)?;
        let mut base = Self {
            file: candidate.file,
            incarnation: candidate.incarnation,
            closing: candidate.closing,
            first: first.number,
            last: last.number,
            part_bytes: first.disk_bytes(),
            logs: Vec::new(),
            losses: Vec::new(),
            files: Vec::new(),
            identities: Vec::new(),
            scrub: None,
        };
        for record in records {
            match record {
                Record::Log(record) => base.logs.push(record),
                Record::Loss(record) => base.losses.push(record),
                Record::File(record) => base.files.push(record),
                Record::Identity(record) => base.identities.push(record),
                Record::Scrub(record) => base.scrub = Some(record),
                Record::Chunk(_) | Record::Footer(_) => return None,
            }
        }
        (base.identities.iter().filter(|identity| !identity.retired).count() == 1).then_some(base)
    }

    /// The identity in force.
    pub(super) fn identity(&self) -> &IdentityRecord {
        self.identities.iter().find(|identity| !identity.retired).expect("read() refuses a snapshot without one")
    }
}
