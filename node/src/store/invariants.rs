//! What is always true of a store.

use super::Store;
use quarry_protocol::replica::ToStore;
use std::collections::BTreeMap;

impl Store {
    /// Checks what can be checked at every step.
    pub fn invariants(&self) {
        let confirmed = self.flights.confirmed();
        assert!(self.marked <= confirmed, "mark {} is above batch {confirmed}, the last confirmed", self.marked);
        assert!(
            self.confirmed_order + self.queue.len() as u64 <= self.pushed_order,
            "order {} is confirmed and {} wait, of {}",
            self.confirmed_order,
            self.queue.len(),
            self.pushed_order
        );
        assert!(self.queued_slots <= self.queue.len(), "{} slots in {} entries", self.queued_slots, self.queue.len());
        assert!(
            self.flights.len() <= quarry_protocol::limits::BATCHES_IN_FLIGHT_MAX,
            "{} batches are being written",
            self.flights.len()
        );
        if let Some(failed) = &self.failed {
            assert!(self.queue.is_empty() && !self.copying.has_copies(), "work is left after: {failed}");
        }
    }

    /// Checks everything, the index against the file table included. Takes time: for tests.
    pub fn audit(&self) {
        self.invariants();
        let mut live = BTreeMap::new();
        for (_, place) in self.index.iter() {
            let (bytes, chunks) = live.entry(place.file).or_insert((0, 0));
            *bytes += super::room::cost(place.length);
            *chunks += 1;
        }
        for (number, file) in self.files.iter() {
            let counted = live.remove(&number).unwrap_or((0, 0));
            let known = (file.live_bytes, file.live_chunks);
            assert!(known == counted, "file {number} has {known:?} live bytes and chunks, the index says {counted:?}");
        }
        assert!(live.is_empty(), "the index points to files that do not exist: {live:?}");
        for (numbered, flight) in (self.flights.confirmed() + 1..).zip(self.flights.iter()) {
            assert!(flight.number == numbered, "batch {} is in the place of batch {numbered}", flight.number);
        }
        let slots = self.queue.iter().filter(|(_, what)| matches!(what, ToStore::Chunk { .. })).count();
        assert!(slots == self.queued_slots, "{slots} slots are queued, {} counted", self.queued_slots);
    }
}
