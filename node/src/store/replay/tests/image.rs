//! Images: chunk files made batch by batch, without a store, on a sparse simulated disk.

use super::super::*;
use crate::store::first_file::{FIRST_FILE, first_batch};
use quarry_protocol::batch::{BatchHeader, encode_control, heads_crc, padded};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::digest::Digest;
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use quarry_protocol::limits::{BATCH_HEADER_BYTES, RECORD_BYTES};
use quarry_protocol::snapshot::{ChunkRecord, FileRecord, FooterRecord, IdentityRecord, LogRecord, LossRecord};

pub(super) const FILE_BYTES: u64 = FILE_BYTES_MIN;
pub(super) const DISK: DiskId = DiskId([7; 16]);
pub(super) const FRESH: DiskId = DiskId([8; 16]);

/// One file: its size, and the blocks that are not zero.
#[derive(Clone, Debug, Default)]
pub(super) struct SparseFile {
    pub(super) bytes: u64,
    pub(super) blocks: BTreeMap<u64, Vec<u8>>,
}

impl SparseFile {
    pub(super) fn write(&mut self, position: u64, bytes: &[u8]) {
        for (i, block) in bytes.chunks(BLOCK as usize).enumerate() {
            self.blocks.insert(position / BLOCK + i as u64, block.to_vec());
        }
    }

    pub(super) fn read(&self, position: u64, bytes: u32) -> Option<Vec<u8>> {
        if position + u64::from(bytes) > self.bytes {
            return None;
        }
        let mut read = vec![0; bytes as usize];
        for (at, block) in self.blocks.range(position / BLOCK..(position + u64::from(bytes)) / BLOCK) {
            let from = (at * BLOCK - position) as usize;
            read[from..from + block.len()].copy_from_slice(block);
        }
        Some(read)
    }

    pub(super) fn flip(&mut self, position: u64, bit: u8) {
        let block = self.blocks.entry(position / BLOCK).or_insert_with(|| vec![0; BLOCK as usize]);
        block[(position % BLOCK) as usize] ^= 1 << bit;
    }

    pub(super) fn cut(&mut self, bytes: u64) {
        self.bytes = bytes;
        self.blocks.retain(|at, _| at * BLOCK < bytes);
    }
}

/// A batch that was written, for tests that damage it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) file: u32,
    pub(super) position: u64,
    pub(super) header: BatchHeader,
}

#[derive(Clone, Debug)]
struct Open {
    record: FileRecord,
    position: u64,
    chunks: Vec<ChunkRecord>,
}

/// A disk, and a writer that keeps its own books.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) files: BTreeMap<u32, SparseFile>,
    pub(super) expected: BTreeSet<u32>,
    pub(super) batches: Vec<Written>,
    pub(super) chunks: Vec<(u64, ChunkRecord)>,
    pub(super) next: u64,
    /// How far marks trail the batch that carries them.
    pub(super) lag: u64,
    pub(super) logs: BTreeMap<LogId, LogRecord>,
    pub(super) losses: Vec<LossRecord>,
    pub(super) identities: Vec<IdentityRecord>,
    pub(super) closed: Vec<FileRecord>,
    pub(super) incarnation: u64,
    /// Records of a snapshot or index per batch.
    pub(super) part_records: usize,
    open: Option<Open>,
}

/// What goes into a data batch.
#[derive(Clone, Debug)]
pub(super) enum Put {
    Chunk { log: u8, seq: u64, bytes: usize },
    Control(Record),
}

pub(super) const fn log(n: u8) -> LogId {
    LogId([n; 16])
}

pub(super) const SEGMENT: SegmentId = SegmentId { epoch: Epoch(3), index: 0 };

impl Image {
    /// What `format` leaves.
    pub(super) fn formatted() -> Self {
        let mut image = Self {
            files: BTreeMap::new(),
            expected: BTreeSet::new(),
            batches: Vec::new(),
            chunks: Vec::new(),
            next: 2,
            lag: 1,
            logs: BTreeMap::new(),
            losses: Vec::new(),
            identities: vec![IdentityRecord { disk: DISK, since: 1, retired: false }],
            closed: Vec::new(),
            incarnation: 2,
            part_records: 4096,
            open: None,
        };
        image.make(FIRST_FILE);
        image.files.get_mut(&FIRST_FILE).unwrap().write(0, &first_batch(DISK));
        image
    }

    /// A file full of zeros.
    pub(super) fn make(&mut self, file: u32) {
        self.files.insert(file, SparseFile { bytes: FILE_BYTES, blocks: BTreeMap::new() });
        self.expected.insert(file);
    }

    /// Opens `file`, which is made or reused, with a snapshot.
    pub(super) fn open(&mut self, file: u32) -> &mut Self {
        if let Some(open) = self.open.take() {
            self.closed.push(open.record);
        }
        if !self.files.contains_key(&file) {
            self.make(file);
        }
        let record = FileRecord {
            number: file,
            incarnation: self.incarnation,
            first: self.next,
            last: self.next,
            ..FileRecord::default()
        };
        self.incarnation += 1;
        self.open = Some(Open { record, position: 0, chunks: Vec::new() });
        self.snapshot();
        self
    }

    /// The parts of a batch of records: their positions.
    fn records(&mut self, kind: BatchKind, records: &[Record]) -> (u32, u32) {
        let parts: Vec<&[Record]> =
            if records.is_empty() { vec![&[]] } else { records.chunks(self.part_records).collect() };
        let position = self.open.as_ref().unwrap().position;
        for (part, records) in parts.iter().enumerate() {
            let body: Vec<u8> = records.iter().flat_map(Record::encode).collect();
            let used = (BATCH_HEADER_BYTES + records.len() * RECORD_BYTES) as u32;
            let crc = crc32c::crc32c(&body);
            self.batch(kind, records.len() as u32, used, crc, (part as u32, parts.len() as u32), &body);
        }
        (position as u32, parts.len() as u32)
    }

    fn snapshot(&mut self) -> (u32, u32) {
        let mut records: Vec<Record> = self.identities.iter().map(|r| Record::Identity(*r)).collect();
        records.extend(self.logs.values().map(|r| Record::Log(*r)));
        records.extend(self.losses.iter().map(|r| Record::Loss(*r)));
        records.extend(self.closed.iter().map(|r| Record::File(*r)));
        records.extend(self.open.iter().map(|open| Record::File(open.record)));
        self.records(BatchKind::Snapshot, &records)
    }

    fn batch(&mut self, kind: BatchKind, entries: u32, used: u32, heads_crc: u32, part: (u32, u32), body: &[u8]) {
        let open = self.open.as_mut().expect("a file is open");
        let header = BatchHeader {
            kind,
            disk: DISK,
            file: open.record.number,
            incarnation: open.record.incarnation,
            position: open.position,
            number: self.next,
            confirmed: self.next.saturating_sub(self.lag),
            entries,
            used,
            heads_crc,
            part: part.0,
            parts: part.1,
        };
        let mut bytes = [&header.encode()[..], body].concat();
        assert_eq!(bytes.len(), used as usize);
        bytes.resize(padded(used) as usize, 0);
        self.files.get_mut(&header.file).unwrap().write(header.position, &bytes);
        self.batches.push(Written { file: header.file, position: header.position, header });
        open.position += u64::from(padded(used));
        open.record.last = self.next;
        self.next += 1;
    }

    /// One data batch.
    pub(super) fn data(&mut self, puts: &[Put]) -> &mut Self {
        let (mut body, mut crc) = (Vec::new(), 0);
        for put in puts {
            let at = BATCH_HEADER_BYTES + body.len();
            let (head, payload) = match put {
                Put::Control(record) => {
                    if let Record::Log(record) = record {
                        self.logs.entry(record.log).or_insert(*record).merge(record);
                    }
                    (encode_control(record), Vec::new())
                }
                Put::Chunk { log: n, seq, bytes } => {
                    let payload = payload(*n, *seq, *bytes);
                    let header = ChunkHeader {
                        log: log(*n),
                        segment: SEGMENT,
                        seq: ChunkSeq(*seq),
                        watermark: ChunkSeq(seq.saturating_sub(1)),
                        length: *bytes as u32,
                        payload_crc: crc32c::crc32c(&payload),
                        digest: Digest::default(),
                    };
                    self.book(&header, at);
                    (header.encode(), payload)
                }
            };
            crc = heads_crc(crc, &head);
            body.extend_from_slice(&head);
            body.extend_from_slice(&payload);
        }
        let used = (BATCH_HEADER_BYTES + body.len()) as u32;
        self.batch(BatchKind::Data, puts.len() as u32, used, crc, (0, 1), &body);
        self
    }

    fn book(&mut self, header: &ChunkHeader, at: usize) {
        let log = LogRecord { log: header.log, fence: header.segment.epoch, ..LogRecord::default() };
        self.logs.entry(header.log).or_insert(log).merge(&log);
        let open = self.open.as_mut().expect("a file is open");
        let record = ChunkRecord {
            log: header.log,
            segment: header.segment,
            seq: header.seq,
            watermark: header.watermark,
            length: header.length,
            payload_crc: header.payload_crc,
            position: open.position as u32 + at as u32,
        };
        open.chunks.push(record);
        self.chunks.push((self.next, record));
    }

    /// One chunk of a log in a batch of its own.
    pub(super) fn chunk(&mut self, log: u8, seq: u64, bytes: usize) -> &mut Self {
        self.data(&[Put::Chunk { log, seq, bytes }])
    }

    /// A bare mark.
    pub(super) fn mark(&mut self) -> &mut Self {
        self.data(&[])
    }

    /// Index, closing snapshot, footer.
    pub(super) fn close(&mut self) -> &mut Self {
        let open = self.open.as_ref().expect("a file is open");
        let index: Vec<Record> = open.chunks.iter().map(|r| Record::Chunk(*r)).collect();
        let (index_position, index_parts) = self.records(BatchKind::Index, &index);
        let (snapshot_position, snapshot_parts) = self.snapshot();
        self.open.as_mut().unwrap().position = FILE_BYTES - BLOCK;
        let footer = Record::Footer(FooterRecord { index_position, index_parts, snapshot_position, snapshot_parts });
        self.records(BatchKind::Footer, &[footer]);
        self.closed.push(self.open.take().unwrap().record);
        self
    }

    /// Forgets a closed file: the next snapshot does not list it.
    pub(super) fn free(&mut self, file: u32) -> &mut Self {
        self.closed.retain(|record| record.number != file);
        self
    }

    /// Goes on where a replay ended, with a fresh file.
    pub(super) fn restart(&mut self, replayed: &Replayed, file: u32) -> &mut Self {
        self.open = None;
        self.closed = replayed.files.iter().chain(&replayed.quarantined).copied().collect();
        self.next = replayed.next_batch;
        self.incarnation = replayed.next_incarnation;
        self.identities.clone_from(&replayed.identities);
        self.losses.clone_from(&replayed.losses);
        self.logs = replayed.logs.iter().map(|log| (log.record.log, log.record)).collect();
        self.batches.retain(|written| written.header.number < replayed.next_batch);
        self.chunks.retain(|(number, _)| *number < replayed.next_batch);
        self.open(file)
    }

    /// The batch with this number, as last written.
    pub(super) fn batch_at(&self, number: u64) -> Written {
        *self.batches.iter().rfind(|written| written.header.number == number).expect("it was written")
    }

    pub(super) fn file(&mut self, file: u32) -> &mut SparseFile {
        self.files.get_mut(&file).expect("the file exists")
    }

    /// Writes nonsense over a whole batch.
    pub(super) fn wipe(&mut self, number: u64) {
        let Written { file, position, header } = self.batch_at(number);
        self.file(file).write(position, &vec![0xa5; header.disk_bytes() as usize]);
    }
}

/// A payload that no other chunk has.
pub(super) fn payload(log: u8, seq: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|i| (i.wrapping_mul(31) ^ seq.wrapping_mul(131) ^ u64::from(log)) as u8).collect()
}

/// How a replay's reads are answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    /// Bytes read in all.
    pub(super) bytes: u64,
    /// Answers the newest read first.
    pub(super) newest_first: bool,
    /// Blocks that cannot be read, and how often.
    pub(super) errors: BTreeMap<(u32, u64), u32>,
    /// Files that were synced.
    pub(super) synced: BTreeSet<u32>,
    /// A file that cannot be synced.
    pub(super) sync_fails: Option<u32>,
}

impl Reader {
    /// Replays an image.
    pub(super) fn replay(&mut self, image: &Image) -> Result<Replayed, ReplayError> {
        let config = ReplayConfig {
            disk: DISK,
            fresh: FRESH,
            file_bytes: FILE_BYTES,
            files: image.files.iter().map(|(number, file)| (*number, file.bytes)).collect(),
            expected: image.expected.clone(),
        };
        let mut replay = Replay::new(config);
        let mut reads = VecDeque::new();
        loop {
            while let Some(effect) = replay.poll_effect() {
                match effect {
                    ReplayEffect::Read { token, file, position, bytes } => {
                        reads.push_back((token, file, position, bytes));
                    }
                    ReplayEffect::Sync { file } => {
                        self.synced.insert(file);
                        let result = if self.sync_fails == Some(file) { Err("EIO".into()) } else { Ok(()) };
                        replay.handle(ReplayEvent::Synced { file, result });
                    }
                    ReplayEffect::Done(replayed) => return Ok(*replayed),
                    ReplayEffect::Failed(why) => return Err(why),
                }
            }
            let read = if self.newest_first { reads.pop_back() } else { reads.pop_front() };
            let (token, file, position, bytes) = read.expect("a replay waits for something");
            self.bytes += u64::from(bytes);
            let data = if self.fails(file, position, bytes) { None } else { image.files[&file].read(position, bytes) };
            let result = data.as_deref().ok_or_else(|| "EIO".to_owned());
            replay.handle(ReplayEvent::Read { token, result });
        }
    }

    fn fails(&mut self, file: u32, position: u64, bytes: u32) -> bool {
        let blocks = (file, position / BLOCK)..(file, (position + u64::from(bytes)) / BLOCK);
        let mut failed = false;
        for (_, left) in self.errors.range_mut(blocks).filter(|(_, left)| **left > 0) {
            *left -= 1;
            failed = true;
        }
        failed
    }
}

/// Replays an image in the plainest way.
pub(super) fn replay(image: &Image) -> Replayed {
    Reader::default().replay(image).expect("the replay ends well")
}
