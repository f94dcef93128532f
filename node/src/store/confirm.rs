//! What a finished write means: nothing until every batch before it is written too (D4), and the end of the shard's
//! promises if it failed (D6).

use super::flights::{Flight, Placed};
use super::pace::{WRITE_LOOK_US_MAX, WRITE_US_MAX};
use super::room::cost;
use super::{Store, StoreEffect};
use quarry_protocol::ids::ChunkSeq;
use quarry_protocol::limits::LOSSES_PER_SHARD_MAX;
use quarry_protocol::planted;
use quarry_protocol::replica::ToStore;
use quarry_protocol::time::Micros;

impl Store {
    pub(super) fn written(&mut self, number: u64, result: Result<u32, String>) {
        let flight = self.flights.get_mut(number);
        assert!(!flight.written, "batch {number} was written twice");
        flight.written = true;
        let (file, bytes) = (flight.file, flight.bytes);
        for slot in std::mem::take(&mut flight.slots) {
            self.outbox.push_back(StoreEffect::Release { slot });
        }
        match result {
            _ if self.failed.is_some() => {}
            Ok(written) if written == bytes || planted!(ShortWriteForgiven) => {
                let order_through = flight.order_through.filter(|_| planted!(ConfirmOutOfOrder));
                if let Some(order_through) = order_through {
                    self.outbox.push_back(StoreEffect::Confirmed { order_through });
                }
                self.confirm_written();
            }
            Err(_) if planted!(WriteErrorForgiven) => self.confirm_written(),
            Ok(written) => {
                self.fail(format!("batch {number} in file {file}: {written} of {bytes} bytes were written"));
            }
            Err(why) => self.fail(format!("batch {number} in file {file}: {why}")),
        }
    }

    fn confirm_written(&mut self) {
        let mut order_through = None;
        while let Some(flight) = self.flights.pop_written() {
            order_through = order_through.max(flight.order_through);
            self.quiet_since = self.now;
            self.confirm(flight);
        }
        if let Some(order_through) = order_through {
            self.confirmed_order = order_through;
            self.outbox.push_back(StoreEffect::Confirmed { order_through });
        }
        if self.state.loss_records() > LOSSES_PER_SHARD_MAX {
            self.fail(format!("more than {LOSSES_PER_SHARD_MAX} losses: replace the disk"));
        }
    }

    fn confirm(&mut self, flight: Flight) {
        assert!(flight.mark >= self.marked, "mark went from {} back to {}", self.marked, flight.mark);
        self.marked = flight.mark;
        for chunk in &flight.chunks {
            self.confirm_chunk(chunk);
        }
        let confirmed = self.flights.confirmed();
        for file in flight.omits {
            self.files.reuse(file, confirmed);
        }
        if flight.closes {
            self.files.free_if_dead(flight.file, confirmed);
        }
    }

    /// Shows the chunk to readers, unless it was trimmed while it was on its way.
    fn confirm_chunk(&mut self, chunk: &Placed) {
        let Placed { key, place, copied_from } = *chunk;
        match copied_from {
            None => {
                self.pending_bytes -= cost(place.length);
                if key.seq < self.floors.get(&key.log).copied().unwrap_or(ChunkSeq(0)) {
                    return;
                }
            }
            Some(from) => {
                self.copying.copied(place.length);
                // Trimmed meanwhile: the copy is dead where it lies.
                if self.index.get(&key) != Some(from) {
                    return;
                }
                self.statistics.copied_bytes += u64::from(place.length);
            }
        }
        self.files.add_live(place);
        if let Some(old) = self.index.insert(key, place) {
            self.forget(old);
        }
    }

    /// When the writes in progress have to be looked at.
    pub(super) fn slow_at(&self) -> Option<Micros> {
        let left = WRITE_US_MAX.saturating_sub(self.watched.since(self.flights.oldest()?.started));
        Some(self.now.plus(left.min(WRITE_LOOK_US_MAX)))
    }

    /// D6: a write that outlasts the bound failed, whatever becomes of it.
    pub(super) fn check_slow_writes(&mut self) {
        let Some(flight) = self.flights.oldest() else { return };
        let took = self.watched.since(flight.started);
        if self.failed.is_none() && took >= WRITE_US_MAX {
            let (number, file) = (flight.number, flight.file);
            let seconds = WRITE_US_MAX / 1_000_000;
            self.fail(format!("batch {number} in file {file} is not written after {seconds} s"));
        }
    }

    /// Nothing is written or confirmed from here on (D6).
    pub(super) fn fail(&mut self, why: String) {
        assert!(self.failed.is_none(), "the disk fails twice: {:?}, then {why}", self.failed);
        self.failed = Some(why.clone());
        for (_, what) in std::mem::take(&mut self.queue) {
            if let ToStore::Chunk { slot, .. } = what {
                self.outbox.push_back(StoreEffect::Release { slot });
            }
        }
        (self.queue_bytes, self.queued_slots) = (0, 0);
        self.withdraw();
        self.copying.abandon();
        self.scrub.abandon();
        self.outbox.push_back(StoreEffect::Failed { why });
    }

    /// Takes back what nobody has begun to do.
    fn withdraw(&mut self) {
        for effect in std::mem::take(&mut self.outbox) {
            match effect {
                StoreEffect::Write { number, .. } => {
                    let flight = self.flights.get_mut(number);
                    flight.written = true;
                    let slots = std::mem::take(&mut flight.slots);
                    self.outbox.extend(slots.into_iter().map(|slot| StoreEffect::Release { slot }));
                }
                StoreEffect::Create { .. }
                | StoreEffect::Fill { .. }
                | StoreEffect::SyncFile { .. }
                | StoreEffect::Read { .. } => {}
                kept => self.outbox.push_back(kept),
            }
        }
    }
}
