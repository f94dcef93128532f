//! Verifying a shard's files without changing anything: a replay, then every batch of every file in use, with every
//! payload. What a start would make of the files is in the report, and what only reading everything shows.

use super::reads::{Finished, Purpose, Reads, Sink};
use super::scan::{Contents, Scan, Sighting, Until, Wanted};
use super::{Replay, ReplayConfig, ReplayEffect, ReplayEvent};
use crate::store::{ChunkKey, Index, ReplayReport, Replayed};
use quarry_protocol::batch::BatchKind;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::ranges::SeqRanges;
use quarry_protocol::snapshot::{ChunkRecord, FileRecord};
use std::collections::BTreeMap;

/// Most problems of one file that are spelled out; the rest are counted.
const PROBLEMS_SPELLED_OUT_MAX: usize = 16;

/// Reads of the scan are numbered from here, so that they are never mistaken for the replay's.
const TOKENS_FROM: u64 = 1 << 48;

/// What a file is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileUse {
    /// Its batches count.
    Live,
    /// It may be overwritten.
    Free,
    /// Neither trusted nor overwritten.
    Quarantined,
}

/// One chunk file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FileReport {
    /// Its number.
    pub number: u32,
    /// What it is used for.
    pub used_as: FileUse,
    /// Which use of it this is; 0 if unknown or unused.
    pub incarnation: u64,
    /// First and last batch.
    pub batches: Option<(u64, u64)>,
    /// Chunks found in it, trimmed ones included.
    pub chunks: u64,
    /// Chunks in it that are still needed.
    pub live_chunks: u64,
    /// Payload bytes of those.
    pub live_bytes: u64,
    /// Whether it has an index and a footer, so that a start need not scan it.
    pub indexed: bool,
    /// How many things are wrong with it.
    pub problem_count: u64,
    /// The first of them, one sentence each.
    pub problems: Vec<String>,
}

/// Seqs of a segment, ends exclusive.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SegmentReport {
    /// Which segment.
    pub segment: SegmentId,
    /// The highest watermark heard.
    pub watermark: ChunkSeq,
    /// What is held.
    pub held: Vec<(ChunkSeq, ChunkSeq)>,
    /// What is lost.
    pub lost: Vec<(ChunkSeq, ChunkSeq)>,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LogReport {
    /// Which log.
    pub log: LogId,
    /// Lower epochs are refused.
    pub fence: Epoch,
    /// It is trimmed below this.
    pub floor: ChunkSeq,
    /// The epoch that deleted it; 0 if none did.
    pub deleted: Epoch,
    /// Its segments.
    pub segments: Vec<SegmentReport>,
}

/// One shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ShardReport {
    /// The disk as formatted.
    pub disk: DiskId,
    /// Why the shard would not start, if so. Nothing below is known then.
    pub refused: Option<String>,
    /// The identity in force after a start.
    pub identity: DiskId,
    /// Identities that only serve reads and *unknown*.
    pub retired: Vec<DiskId>,
    /// What the replay did and found.
    pub replay: ReplayReport,
    /// The last batch that is believed.
    pub last_batch: u64,
    /// Every chunk file.
    pub files: Vec<FileReport>,
    /// Every log.
    pub logs: Vec<LogReport>,
    /// Chunks known to be lost, those found by this verification included.
    pub lost_chunks: u64,
    /// Everything that is wrong, counted.
    pub problem_count: u64,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum VerifyEffect {
    /// Read whole blocks.
    Read {
        /// Names the read.
        token: u64,
        /// The file.
        file: u32,
        /// Byte position.
        position: u64,
        /// How many bytes.
        bytes: u32,
    },
    /// The end.
    Done(Box<ShardReport>),
}

#[derive(Debug)]
enum Phase {
    Replay(Box<Replay>),
    Scan(Box<Replayed>),
    Ended,
}

/// The machine: [`Self::poll_effect`] and [`Self::handle`] in turn, until the report comes.
#[derive(Debug)]
pub struct Verify {
    disk: DiskId,
    file_bytes: u64,
    sizes: BTreeMap<u32, u64>,
    phase: Phase,
    reads: Reads,
    scans: BTreeMap<u32, Scan>,
}

impl Verify {
    /// A verification of the files that `config` names.
    #[must_use]
    pub fn new(config: ReplayConfig) -> Self {
        Self {
            disk: config.disk,
            file_bytes: config.file_bytes,
            sizes: config.files.clone(),
            phase: Phase::Replay(Box::new(Replay::new(config))),
            reads: Reads::numbered_from(TOKENS_FROM),
            scans: BTreeMap::new(),
        }
    }

    /// A read ended: exactly the bytes asked for, or why not.
    pub fn handle(&mut self, token: u64, result: Result<&[u8], String>) {
        match &mut self.phase {
            Phase::Replay(replay) => replay.handle(ReplayEvent::Read { token, result }),
            Phase::Scan(_) if token > TOKENS_FROM => self.reads.answer(token, result.ok()),
            // The late answer to a read that the replay did not need after all.
            Phase::Scan(_) | Phase::Ended => {}
        }
    }

    /// The next thing to do, until none is left.
    #[must_use]
    pub fn poll_effect(&mut self) -> Option<VerifyEffect> {
        while let Phase::Replay(replay) = &mut self.phase {
            match replay.poll_effect()? {
                ReplayEffect::Read { token, file, position, bytes } => {
                    return Some(VerifyEffect::Read { token, file, position, bytes });
                }
                // Nothing is going to be answered on the strength of this replay, and nothing may be changed.
                ReplayEffect::Sync { file } => replay.handle(ReplayEvent::Synced { file, result: Ok(()) }),
                ReplayEffect::Done(replayed) => self.scan(replayed),
                ReplayEffect::Failed(why) => {
                    self.phase = Phase::Ended;
                    let refused = Some(why.to_string());
                    let report = ShardReport { disk: self.disk, refused, problem_count: 1, ..ShardReport::default() };
                    return Some(VerifyEffect::Done(Box::new(report)));
                }
            }
        }
        for Finished { file, sink, .. } in self.reads.take_finished() {
            if let Sink::Scan(scan) = sink {
                self.scans.insert(file, scan);
            }
        }
        if let Some(read) = self.reads.poll() {
            return Some(VerifyEffect::Read {
                token: read.token,
                file: read.file,
                position: read.position,
                bytes: read.bytes,
            });
        }
        if !self.reads.is_idle() {
            return None;
        }
        let Phase::Scan(replayed) = std::mem::replace(&mut self.phase, Phase::Ended) else { return None };
        Some(VerifyEffect::Done(Box::new(self.report(&replayed))))
    }

    fn scan(&mut self, replayed: Box<Replayed>) {
        for record in &replayed.files {
            let bytes = self
                .sizes
                .get(&record.number)
                .map_or(0, |bytes| bytes.min(&self.file_bytes) / super::BLOCK * super::BLOCK);
            let (wanted, until) = (Wanted::Incarnation(record.incarnation), Until::Number(record.last));
            let scan = Scan::new(self.disk, record.number, self.file_bytes, 0, bytes, wanted, until);
            self.reads.start(Purpose::Whole, record.number, 0, bytes, Sink::Scan(scan));
        }
        self.phase = Phase::Scan(replayed);
    }

    fn report(&self, replayed: &Replayed) -> ShardReport {
        let identity = replayed.identity();
        let mut live: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for (_, place) in replayed.index.iter() {
            let (chunks, bytes) = live.entry(place.file).or_default();
            *chunks += 1;
            *bytes += u64::from(place.length);
        }
        let mut lost: BTreeMap<(LogId, SegmentId), SeqRanges> = BTreeMap::new();
        for loss in &replayed.losses {
            lost.entry((loss.log, loss.segment)).or_default().insert(loss.from, loss.to);
        }
        let mut files: Vec<FileReport> = Vec::new();
        for record in &replayed.files {
            let mut report = self.file(record, &replayed.index, &mut lost);
            (report.live_chunks, report.live_bytes) = live.get(&record.number).copied().unwrap_or_default();
            files.push(report);
        }
        files.extend(replayed.free_files.iter().map(|number| unused(*number, FileUse::Free)));
        files.extend(replayed.quarantined.iter().map(|record| unused(record.number, FileUse::Quarantined)));
        files.sort_by_key(|file| file.number);
        let lost_chunks = lost.values().map(SeqRanges::len).sum();
        let in_files: u64 = files.iter().map(|file| file.problem_count).sum();
        ShardReport {
            disk: self.disk,
            refused: None,
            identity: identity.current,
            retired: identity.retired,
            problem_count: in_files + lost_chunks + u64::from(replayed.report.retired.is_some()),
            replay: replayed.report.clone(),
            last_batch: replayed.next_batch - 1,
            files,
            logs: logs(replayed, &lost),
            lost_chunks,
        }
    }

    /// What reading all of a file shows.
    fn file(
        &self,
        record: &FileRecord,
        index: &Index,
        lost: &mut BTreeMap<(LogId, SegmentId), SeqRanges>,
    ) -> FileReport {
        let mut report = unused(record.number, FileUse::Live);
        report.incarnation = record.incarnation;
        report.batches = Some((record.first, record.last));
        let Some(scan) = self.scans.get(&record.number) else { return report };
        if scan.unreadable {
            report.problem("some of it cannot be read".to_owned());
        }
        let mut next = record.first;
        for sighting in scan.sightings.iter().filter(|s| (record.first..=record.last).contains(&s.header.number)) {
            let number = sighting.header.number;
            if number > next {
                report.problem(format!("batches {next}..{number} are damaged or missing"));
            }
            next = next.max(number + 1);
            report.indexed |= sighting.header.kind == BatchKind::Footer && sighting.is_intact();
            report.batch(sighting);
            if let Contents::Data { rotten, .. } = &sighting.contents {
                for chunk in rotten {
                    report.rotten(chunk, index, lost);
                }
            }
        }
        if next <= record.last {
            report.problem(format!("batches {next}..={} are damaged or missing", record.last));
        }
        report
    }
}

impl FileReport {
    fn problem(&mut self, what: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_SPELLED_OUT_MAX {
            self.problems.push(what);
        }
    }

    fn batch(&mut self, sighting: &Sighting) {
        let (number, position) = (sighting.header.number, sighting.header.position);
        match &sighting.contents {
            Contents::Data { chunks, rotten, .. } => self.chunks += (chunks.len() + rotten.len()) as u64,
            Contents::Records(_) => {}
            Contents::Damaged(why) => self.problem(format!("batch {number} at byte {position}: {why}")),
        }
        if !sighting.padding_ok {
            self.problem(format!("batch {number} at byte {position}: its padding is not zero"));
        }
    }

    /// A chunk whose payload does not verify: lost, if it is this copy that would be read.
    fn rotten(&mut self, chunk: &ChunkRecord, index: &Index, lost: &mut BTreeMap<(LogId, SegmentId), SeqRanges>) {
        let ChunkRecord { log, segment, seq, position, .. } = *chunk;
        let place = index.get(&ChunkKey { log, segment, seq });
        let needed = place.is_some_and(|place| (place.file, place.position) == (self.number, position));
        let not = if needed { "" } else { ", not needed any more" };
        self.problem(format!(
            "the payload of log {log} segment {segment} seq {seq} at byte {position} is damaged{not}"
        ));
        if needed {
            lost.entry((log, segment)).or_default().insert(seq, seq.next());
        }
    }
}

const fn unused(number: u32, used_as: FileUse) -> FileReport {
    FileReport {
        number,
        used_as,
        incarnation: 0,
        batches: None,
        chunks: 0,
        live_chunks: 0,
        live_bytes: 0,
        indexed: false,
        problem_count: if matches!(used_as, FileUse::Quarantined) { 1 } else { 0 },
        problems: Vec::new(),
    }
}

fn logs(replayed: &Replayed, lost: &BTreeMap<(LogId, SegmentId), SeqRanges>) -> Vec<LogReport> {
    let all = replayed.logs.iter().map(|log| {
        let record = log.record;
        let segments = log.segments.iter().map(|segment| {
            let lost = lost.get(&(record.log, segment.segment)).cloned().unwrap_or_default();
            let mut held = segment.held.clone();
            lost.iter().for_each(|(from, to)| held.remove(from, to));
            SegmentReport {
                segment: segment.segment,
                watermark: segment.watermark,
                held: held.iter().collect(),
                lost: lost.iter().collect(),
            }
        });
        LogReport {
            log: record.log,
            fence: record.fence,
            floor: record.floor,
            deleted: record.deleted,
            segments: segments.collect(),
        }
    });
    all.collect()
}
