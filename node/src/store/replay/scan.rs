//! Scanning a stretch of a chunk file: every batch of one incarnation that is there, and what is wrong with it.
//!
//! A block that is not the header of such a batch is stepped over, one block at a time: so batches behind a damaged one
//! are found, and their marks say what the damage means (D4). What lies inside a batch is never taken for a batch.

use quarry_protocol::batch::{BatchError, BatchHeader, BatchKind, Entry};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{BLOCK_BYTES, CHUNK_HEADER_BYTES};
use quarry_protocol::snapshot::{ChunkRecord, Record};

const BLOCK: usize = BLOCK_BYTES as usize;

/// Which batches a scan looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those of this incarnation.
    Incarnation(u64),
    /// Those of any incarnation above this one; the scan ends at the first.
    Above(u64),
}

/// Where a scan may end before the end of its stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Nowhere.
    End,
    /// Behind this batch number.
    Number(u64),
    /// Behind the last part of the snapshot or index that the stretch begins with.
    Group,
}

/// What a batch holds, as far as it could be verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// A data batch all of whose headers verify.
    Data {
        /// Its chunks whose payloads verify, `position` being the one in the file.
        chunks: Vec<ChunkRecord>,
        /// Its chunks whose payloads do not.
        rotten: Vec<ChunkRecord>,
        /// Its control entries.
        controls: Vec<Record>,
    },
    /// A whole snapshot, index or footer batch.
    Records(Vec<Record>),
    /// The header verifies and what follows does not.
    Damaged(BatchError),
}

/// One batch that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// Its header.
    pub(super) header: BatchHeader,
    /// What it holds.
    pub(super) contents: Contents,
    /// Whether its padding is zero, as it was written.
    pub(super) padding_ok: bool,
}

impl Sighting {
    /// Whether every byte is as it was written. Above every mark, anything less is a torn write.
    pub(super) fn is_intact(&self) -> bool {
        self.padding_ok
            && match &self.contents {
                Contents::Data { rotten, .. } => rotten.is_empty(),
                Contents::Records(_) => true,
                Contents::Damaged(_) => false,
            }
    }

    /// The position behind the batch.
    fn end(&self) -> u64 {
        self.header.position + u64::from(self.header.disk_bytes())
    }
}

/// A scan in progress, and then its result.
#[derive(Debug)]
pub(super) struct Scan {
    disk: DiskId,
    file: u32,
    file_end: u64,
    wanted: Wanted,
    until: Until,
    /// The end of the stretch; a batch may not reach beyond it.
    end: u64,
    /// Bytes that were fed and belong to a batch that is not complete yet; they begin at `at`.
    carry: Vec<u8>,
    at: u64,
    stopped: bool,
    /// What was found, by position.
    pub(super) sightings: Vec<Sighting>,
    /// Whether some of the stretch could not be read, twice (D6).
    pub(super) unreadable: bool,
    /// Whether batches of this file were met that are not wanted: what an earlier use of the file left.
    pub(super) met_stale: bool,
}

impl Scan {
    /// A scan of `from..end` of a file of `file_end` bytes.
    pub(super) fn new(
        disk: DiskId,
        file: u32,
        file_end: u64,
        from: u64,
        end: u64,
        wanted: Wanted,
        until: Until,
    ) -> Self {
        Self {
            disk,
            file,
            file_end,
            wanted,
            until,
            end,
            carry: Vec::new(),
            at: from,
            stopped: false,
            sightings: Vec::new(),
            unreadable: false,
            met_stale: false,
        }
    }

    /// Whether nothing more needs to be fed.
    pub(super) fn is_done(&self) -> bool {
        self.stopped || self.at + self.carry.len() as u64 >= self.end
    }

    /// Takes the next bytes of the stretch, whole blocks, in order; none for bytes that cannot be read.
    pub(super) fn feed(&mut self, bytes: u32, data: Option<&[u8]>) {
        let zeros;
        let data = if let Some(data) = data {
            assert!(data.len() == bytes as usize, "asked for {bytes} bytes, fed {}", data.len());
            data
        } else {
            self.unreadable = true;
            zeros = vec![0; bytes as usize];
            &zeros
        };
        if self.carry.is_empty() {
            let taken = self.take(data);
            self.carry.extend_from_slice(&data[taken..]);
        } else {
            let mut carry = std::mem::take(&mut self.carry);
            carry.extend_from_slice(data);
            let taken = self.take(&carry);
            carry.drain(..taken);
            self.carry = carry;
        }
        if self.stopped {
            self.carry = Vec::new();
        }
    }

    /// Consumes whole batches and foreign blocks from `bytes`, which begin at `self.at`; returns how many bytes.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let fed_to = self.at + bytes.len() as u64;
        let mut taken = 0;
        while !self.stopped && taken + BLOCK <= bytes.len() {
            let rest = &bytes[taken..];
            let Some(header) = self.header(rest) else {
                taken += BLOCK;
                self.at += BLOCK as u64;
                self.stopped = self.until == Until::Group;
                continue;
            };
            let need = header.disk_bytes() as usize;
            if rest.len() < need && fed_to < self.end {
                break;
            }
            let sighting = verify(header, &rest[..need.min(rest.len())]);
            let step = need.min(rest.len());
            taken += step;
            self.at += step as u64;
            self.stopped = self.stops_after(&sighting);
            self.sightings.push(sighting);
        }
        taken
    }

    /// The header of a batch that this scan looks for, if `bytes` begin with one.
    fn header(&mut self, bytes: &[u8]) -> Option<BatchHeader> {
        let header = BatchHeader::decode(bytes).ok()?;
        let wanted = match self.wanted {
            Wanted::Incarnation(incarnation) => header.incarnation == incarnation,
            Wanted::Above(incarnation) => header.incarnation > incarnation,
        };
        let here = header.disk == self.disk && header.file == self.file && header.position == self.at;
        self.met_stale |= here && !wanted;
        (wanted && here && self.at + u64::from(header.disk_bytes()) <= self.file_end).then_some(header)
    }

    fn stops_after(&self, sighting: &Sighting) -> bool {
        let header = &sighting.header;
        match (self.wanted, self.until) {
            (Wanted::Above(_), _) => true,
            (_, Until::End) => sighting.end() >= self.end,
            (_, Until::Number(number)) => header.number >= number,
            (_, Until::Group) => header.part + 1 == header.parts || !sighting.is_intact(),
        }
    }
}

/// Verifies a batch whose header verified; `bytes` may be fewer than the batch has.
fn verify(header: BatchHeader, bytes: &[u8]) -> Sighting {
    match contents(&header, bytes) {
        Err(BatchError::Padding) => {
            // Only the padding: look at the rest all the same. Whether it counts depends on the marks.
            let mut bytes = bytes[..header.disk_bytes() as usize].to_vec();
            bytes[header.used as usize..].fill(0);
            let contents = contents(&header, &bytes).unwrap_or_else(Contents::Damaged);
            Sighting { header, contents, padding_ok: false }
        }
        Err(why) => Sighting { header, contents: Contents::Damaged(why), padding_ok: true },
        Ok(contents) => Sighting { header, contents, padding_ok: true },
    }
}

fn contents(header: &BatchHeader, bytes: &[u8]) -> Result<Contents, BatchError> {
    if header.kind != BatchKind::Data {
        let mut records = Vec::with_capacity(header.entries as usize);
        header.verify_records(bytes, |record| records.push(record))?;
        return Ok(Contents::Records(records));
    }
    let (mut chunks, mut rotten, mut controls) = (Vec::new(), Vec::new(), Vec::new());
    header.verify_data(bytes, |at, entry| match entry {
        Entry::Control(record) => controls.push(record),
        Entry::Chunk(chunk) => {
            let from = at as usize + CHUNK_HEADER_BYTES;
            // An entry that reaches beyond the batch is found out when the lengths are added up.
            let payload = bytes.get(from..from + chunk.length as usize).unwrap_or_default();
            let into = if chunk.verify_payload(payload).is_ok() { &mut chunks } else { &mut rotten };
            into.push(ChunkRecord {
                log: chunk.log,
                segment: chunk.segment,
                seq: chunk.seq,
                watermark: chunk.watermark,
                length: chunk.length,
                payload_crc: chunk.payload_crc,
                position: header.position as u32 + at,
            });
        }
    })?;
    Ok(Contents::Data { chunks, rotten, controls })
}

/// The records of a whole snapshot or index, if all of its parts are there, in order and intact: the first part's header,
/// the last part's, and every record.
pub(super) fn whole_group(sightings: &[Sighting], kind: BatchKind) -> Option<(BatchHeader, BatchHeader, Vec<Record>)> {
    let (first, last) = (sightings.first()?.header, sightings.last()?.header);
    let mut records = Vec::new();
    for (i, sighting) in sightings.iter().enumerate() {
        let header = &sighting.header;
        let follows = header.kind == kind
            && header.part as usize == i
            && header.parts as usize == sightings.len()
            && header.number == first.number + i as u64
            && sighting.is_intact();
        let Contents::Records(part) = &sighting.contents else { return None };
        if !follows {
            return None;
        }
        records.extend_from_slice(part);
    }
    Some((first, last, records))
}
