//! The shard's small state as of the last batch placed: what the next snapshot will hold (D5).
//!
//! It is derived from the entries themselves, in the order in which they are placed. So a snapshot says exactly what
//! the batches before it say, and is confirmed only after they are.

use super::index::ChunkKey;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use quarry_protocol::planted;
use quarry_protocol::ranges::SeqRanges;
use quarry_protocol::snapshot::{IdentityRecord, LogRecord, LossRecord, Record, ScrubRecord};
use std::collections::BTreeMap;

/// Logs, losses, identities, and how far scrub has come.
#[derive(Clone, Debug, Default)]
pub(super) struct SmallState {
    logs: BTreeMap<LogId, LogRecord>,
    losses: BTreeMap<(LogId, SegmentId), SeqRanges>,
    identities: Vec<IdentityRecord>,
    loss_records: usize,
    scrub: Option<ScrubRecord>,
}

impl SmallState {
    pub(super) fn new(
        logs: impl IntoIterator<Item = LogRecord>,
        losses: &[LossRecord],
        identities: &[IdentityRecord],
        scrub: Option<ScrubRecord>,
    ) -> Self {
        let mut state = Self { identities: identities.to_vec(), scrub, ..Self::default() };
        for loss in losses {
            state.apply(&Record::Loss(*loss));
        }
        for log in logs {
            state.apply(&Record::Log(log));
        }
        state
    }

    /// How many records a snapshot of it has, files not counted.
    pub(super) fn records(&self) -> usize {
        self.logs.len() + self.loss_records + self.identities.len() + usize::from(self.scrub.is_some())
    }

    /// How many losses are carried.
    pub(super) fn loss_records(&self) -> usize {
        self.loss_records
    }

    /// By how many records a snapshot may grow with a copy of a chunk of `log`.
    pub(super) fn growth_by_copy(&self, log: LogId) -> usize {
        usize::from(!self.logs.contains_key(&log))
    }

    /// By how many records a snapshot may grow with a chunk that is put: it may cut a range of losses in two.
    pub(super) fn growth_by_put(&self, header: &ChunkHeader) -> usize {
        let key = ChunkKey { log: header.log, segment: header.segment, seq: header.seq };
        self.growth_by_copy(header.log) + usize::from(self.is_lost(&key))
    }

    /// Whether the loss of this chunk is recorded, and it was not put again since.
    pub(super) fn is_lost(&self, key: &ChunkKey) -> bool {
        self.losses.get(&(key.log, key.segment)).is_some_and(|lost| lost.contains(key.seq))
    }

    /// By how many records a snapshot may grow with `record`.
    pub(super) fn growth_by_record(&self, record: &Record) -> usize {
        match record {
            Record::Log(log) => self.growth_by_copy(log.log),
            Record::Loss(_) | Record::Identity(_) => 1,
            Record::Scrub(_) => usize::from(self.scrub.is_none()),
            Record::File(_) | Record::Chunk(_) | Record::Footer(_) => 0,
        }
    }

    /// A chunk carries its writer's epoch, which is the fence that its replica was told of by it.
    pub(super) fn apply_copy(&mut self, header: &ChunkHeader) {
        self.apply(&Record::Log(LogRecord { log: header.log, fence: header.segment.epoch, ..LogRecord::default() }));
    }

    /// A chunk that is put again after its loss was recorded is held again: its loss must not be carried on. A copy says
    /// nothing of the kind: its replica goes on calling it lost.
    pub(super) fn apply_put(&mut self, header: &ChunkHeader) {
        self.apply_copy(header);
        self.remove_losses((header.log, header.segment), header.seq, header.seq.next());
    }

    pub(super) fn apply(&mut self, record: &Record) {
        match *record {
            Record::Log(record) => {
                let log = self.logs.entry(record.log).or_insert(LogRecord { log: record.log, ..LogRecord::default() });
                let floor = log.floor;
                log.merge(&record);
                let (now, deleted) = (log.floor, log.deleted > Epoch(0));
                if deleted {
                    self.forget_losses(record.log, ChunkSeq(u64::MAX));
                } else if now > floor {
                    if planted!(FenceForgottenWithFloor) {
                        log.fence = Epoch(0);
                    }
                    self.forget_losses(record.log, now);
                }
            }
            Record::Loss(loss) => {
                let ranges = self.losses.entry((loss.log, loss.segment)).or_default();
                self.loss_records -= ranges.iter().count();
                ranges.insert(loss.from, loss.to);
                self.loss_records += ranges.iter().count();
            }
            Record::Identity(identity) => {
                self.identities.retain(|known| known.disk != identity.disk);
                self.identities.push(identity);
            }
            Record::Scrub(scrub) => self.scrub = Some(scrub),
            Record::File(_) | Record::Chunk(_) | Record::Footer(_) => {
                panic!("not a control entry: {record:?}");
            }
        }
    }

    /// What was lost below the floor is not missed any more (D6).
    fn forget_losses(&mut self, log: LogId, below: ChunkSeq) {
        let first = SegmentId { epoch: Epoch(0), index: 0 };
        let last = SegmentId { epoch: Epoch(u64::MAX), index: u32::MAX };
        let of_log: Vec<_> = self.losses.range((log, first)..=(log, last)).map(|(key, _)| *key).collect();
        for key in of_log {
            self.remove_losses(key, ChunkSeq(0), below);
        }
    }

    fn remove_losses(&mut self, segment: (LogId, SegmentId), from: ChunkSeq, to: ChunkSeq) {
        let Some(ranges) = self.losses.get_mut(&segment) else { return };
        self.loss_records -= ranges.iter().count();
        ranges.remove(from, to);
        self.loss_records += ranges.iter().count();
        if ranges.is_empty() {
            self.losses.remove(&segment);
        }
    }

    /// The records, as a snapshot holds them.
    pub(super) fn to_records(&self) -> impl Iterator<Item = Record> + '_ {
        let losses = self.losses.iter().filter(|_| !planted!(LossesForgotten)).flat_map(|(&(log, segment), ranges)| {
            ranges.iter().map(move |(from, to)| Record::Loss(LossRecord { log, segment, from, to }))
        });
        self.identities
            .iter()
            .map(|identity| Record::Identity(*identity))
            .chain(self.logs.values().map(|log| {
                let fence = if planted!(SnapshotWithoutFences) { Epoch(0) } else { log.fence };
                Record::Log(LogRecord { fence, ..*log })
            }))
            .chain(losses)
            .chain(self.scrub.map(Record::Scrub))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_protocol::digest::Digest;

    fn log(floor: u64, deleted: u64) -> Record {
        let (floor, deleted) = (ChunkSeq(floor), Epoch(deleted));
        Record::Log(LogRecord { log: LogId([1; 16]), floor, deleted, ..LogRecord::default() })
    }

    fn loss(from: u64, to: u64) -> Record {
        let segment = SegmentId { epoch: Epoch(1), index: 0 };
        Record::Loss(LossRecord { log: LogId([1; 16]), segment, from: ChunkSeq(from), to: ChunkSeq(to) })
    }

    #[test]
    fn counts_what_it_writes_and_never_grows_more_than_announced() {
        let mut state = SmallState::default();
        let steps = [loss(3, 9), loss(1, 2), loss(9, 12), log(0, 0), loss(20, 21), log(5, 0), log(2, 0), log(0, 7)];
        let counts = [1, 2, 2, 3, 4, 3, 3, 1];
        for (step, count) in steps.into_iter().zip(counts) {
            let allowed = state.records() + state.growth_by_record(&step);
            state.apply(&step);
            assert_eq!((state.records(), state.to_records().count()), (count, count), "after {step:?}");
            assert!(count <= allowed, "{step:?} grew the state to {count}, announced {allowed}");
        }
    }

    fn chunk(seq: u64) -> ChunkHeader {
        let segment = SegmentId { epoch: Epoch(1), index: 0 };
        let (log, seq, watermark) = (LogId([1; 16]), ChunkSeq(seq), ChunkSeq(0));
        ChunkHeader { log, segment, seq, watermark, length: 1, payload_crc: 0, digest: Digest::default() }
    }

    /// D6: what is put again is held again; a copy of it changes nothing.
    #[test]
    fn a_put_ends_a_loss_and_a_copy_does_not() {
        let mut state = SmallState::default();
        state.apply(&log(0, 0));
        state.apply(&loss(3, 9));
        let left = |state: &SmallState| {
            let losses = state.to_records().filter(|record| matches!(record, Record::Loss(_))).collect::<Vec<_>>();
            assert_eq!(losses.len(), state.loss_records());
            losses
        };
        state.apply_copy(&chunk(5));
        assert_eq!(left(&state), [loss(3, 9)]);
        let steps = [(5, vec![loss(3, 5), loss(6, 9)]), (3, vec![loss(4, 5), loss(6, 9)]), (4, vec![loss(6, 9)])];
        for (seq, expected) in steps {
            let allowed = state.records() + state.growth_by_put(&chunk(seq));
            state.apply_put(&chunk(seq));
            assert_eq!(left(&state), expected, "after {seq} was put again");
            assert!(state.records() <= allowed, "{} records, {allowed} announced", state.records());
        }
        for seq in [6, 7, 8, 9] {
            state.apply_put(&chunk(seq));
        }
        assert!(left(&state).is_empty() && state.losses.is_empty());
    }

    /// Pitfall 8, DESIGN D5: records merge by maximum, in any order.
    #[test]
    fn a_floor_never_moves_back() {
        let mut state = SmallState::default();
        state.apply(&log(5, 0));
        state.apply(&log(2, 0));
        assert_eq!(state.to_records().collect::<Vec<_>>(), [log(5, 0)]);
    }
}
