//! Space: what is free, when puts have to be refused, and when they are taken again (D7).

use super::pace::IDLE_US;
use super::room::{cost, usable_bytes};
use super::{Place, Store};
use quarry_protocol::ids::{ChunkSeq, LogId};
use quarry_protocol::limits::{FILES_IN_RESERVE, FULL_PERCENT, FULL_RESUME_PERCENT};
use quarry_protocol::planted;

impl Store {
    /// Files this shard has or can still make.
    pub(super) fn files_possible(&self) -> usize {
        if self.preparing.blocked().is_some() {
            return self.files.len();
        }
        self.files.len().max(self.config.files_max as usize)
    }

    /// Free files, those that can still be made included.
    pub(super) fn files_free(&self) -> usize {
        self.files.free() + self.files_possible() - self.files.len()
    }

    /// Live bytes that the shard can hold, whatever the sizes of the chunks: the reserve and the open file are not
    /// counted, so that live data can always be moved together.
    pub(super) fn capacity(&self) -> u64 {
        let kept = FILES_IN_RESERVE as usize + 1 + self.files.set_aside();
        let files = self.files_possible().saturating_sub(kept) as u64;
        files * usable_bytes(self.config.file_bytes, self.snapshot_records())
    }

    /// Live bytes, those on their way included.
    pub(super) fn live_bytes(&self) -> u64 {
        self.files.live_bytes() + self.pending_bytes
    }

    pub(super) fn update_fullness(&mut self) {
        let (live, capacity) = (self.live_bytes(), self.capacity());
        let percent = if self.full { FULL_RESUME_PERCENT } else { FULL_PERCENT };
        let reached = u128::from(live) * 100 > u128::from(capacity) * u128::from(percent);
        self.full = reached || capacity == 0 || self.full && planted!(FullForEver);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.now.since(self.pushed_at) >= IDLE_US
    }

    /// A chunk lies here no longer.
    pub(super) fn forget(&mut self, place: Place) {
        self.files.remove_live(place.file, cost(place.length), 1);
        self.files.free_if_dead(place.file, self.flights.confirmed());
    }

    pub(super) fn forget_below(&mut self, log: LogId, floor: ChunkSeq) {
        let known = self.floors.entry(log).or_insert(floor);
        *known = floor.max(*known);
        let (files, confirmed) = (&mut self.files, self.flights.confirmed());
        // A log's chunks lie in runs, one per file: each run is looked up once.
        let (mut file, mut bytes, mut chunks) = (0, 0, 0);
        let mut end_run = |file, bytes, chunks| {
            if chunks > 0 {
                files.remove_live(file, bytes, chunks);
                files.free_if_dead(file, confirmed);
            }
        };
        self.index.remove_below(log, floor, |place| {
            if place.file != file {
                end_run(file, bytes, chunks);
                (file, bytes, chunks) = (place.file, 0, 0);
            }
            bytes += cost(place.length);
            chunks += 1;
        });
        end_run(file, bytes, chunks);
    }
}
