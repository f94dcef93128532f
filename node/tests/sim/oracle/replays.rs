//! What a node still knows after a crash.

use super::{Name, Oracle};
use quarry_node::store::{ChunkKey, Place, Replayed};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::snapshot::LogRecord;
use std::collections::BTreeMap;

impl Oracle {
    /// A replay ended. `before`: the identity that was in force; `damaged`: whether the disk may have lost something;
    /// `read`: the chunk's header as it lies on the disk.
    pub(crate) fn replayed(
        &mut self,
        before: DiskId,
        damaged: bool,
        replayed: &Replayed,
        mut read: impl FnMut(Place) -> Option<ChunkHeader>,
    ) {
        self.counts.replays += 1;
        let identity = replayed.identity().current;
        if identity != before {
            assert!(damaged, "P8: an identity was retired although nothing was lost: {:?}", replayed.report);
            self.counts.retired += 1;
        }
        let records: BTreeMap<LogId, LogRecord> =
            replayed.logs.iter().map(|restored| (restored.record.log, restored.record)).collect();
        self.check_small_state(identity, &records);
        if !damaged {
            assert!(replayed.losses.is_empty(), "a loss without damage: {:?}", replayed.losses);
        }
        for (key, place) in replayed.index.iter() {
            let book = self.logs.get(&key.log).unwrap_or_else(|| panic!("{key:?} of a log that nobody wrote"));
            let named = book.names.get(&(key.segment, key.seq));
            let named = named.unwrap_or_else(|| panic!("{key:?} is held and was never put"));
            let fence = records.get(&key.log).map_or(Epoch(0), |record| record.fence);
            let _ = fence;
            if !damaged {
                assert!(read(place) == Some(named.header), "{key:?} at {place:?} is another chunk than was put");
            }
        }
        self.check_held_after(identity, replayed, &records);
    }

    /// Pitfall 8: under one identity, what was answered never moves back.
    fn check_small_state(&self, identity: DiskId, records: &BTreeMap<LogId, LogRecord>) {
        for (log, said) in self.disks.get(&identity).into_iter().flatten() {
            let found = records.get(log).copied().unwrap_or_default();
            let fence = found.fence.max(found.deleted);
            assert!(fence >= said.fence, "P3: disk {identity} forgot fence {} of log {log}, knows {fence}", said.fence);
            assert!(
                found.floor >= said.floor,
                "P12: disk {identity} forgot floor {} of log {log}: {found:?}",
                said.floor
            );
            assert!(!said.deleted || found.deleted > Epoch(0), "P13: disk {identity} forgot the deletion of log {log}");
        }
    }

    /// P4: what was answered "stored" is there, or known to be lost; P8: what was answered "never" is not.
    fn check_held_after(&self, identity: DiskId, replayed: &Replayed, records: &BTreeMap<LogId, LogRecord>) {
        for (log, book) in &self.logs {
            let record = records.get(log).copied().unwrap_or_default();
            if record.deleted > Epoch(0) {
                continue;
            }
            let said = self.disks.get(&identity).and_then(|logs| logs.get(log));
            for (&(segment, seq), named) in &book.names {
                if seq < record.floor {
                    continue;
                }
                let held = replayed.index.get(&ChunkKey { log: *log, segment, seq }).is_some();
                if named.is_stored_on(identity) && !held && !self.may_be_freed(*log, segment, identity) {
                    let lost = is_lost(replayed, *log, (segment, seq));
                    assert!(
                        lost,
                        "P4: disk {identity} answered stored of {segment}/{seq}, which is gone: {:?}",
                        replayed.report
                    );
                }
                if held && let Some(said) = said {
                    let never = said.never.get(&segment).is_some_and(|never| never.contains(seq));
                    assert!(!never, "P8: disk {identity} answered never of {segment}/{seq}, which is back");
                }
            }
        }
    }
}

fn is_lost(replayed: &Replayed, log: LogId, (segment, seq): Name) -> bool {
    let covers = |from: ChunkSeq, to: ChunkSeq| (from..to).contains(&seq);
    let same = |of: LogId, which: SegmentId| (of, which) == (log, segment);
    replayed.losses.iter().any(|loss| same(loss.log, loss.segment) && covers(loss.from, loss.to))
}
