//! Batches that are being written: numbered densely, ended in any order, confirmed in the order of their numbers (D4).

use super::index::{ChunkKey, Place};
use quarry_protocol::replica::Slot;
use quarry_protocol::time::Micros;
use std::collections::VecDeque;

/// A chunk in a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) key: ChunkKey,
    pub(super) place: Place,
    /// Where it lay before, if it was copied forward.
    pub(super) copied_from: Option<Place>,
}

/// A batch being written.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) number: u64,
    pub(super) file: u32,
    /// When it was begun, by the store's count of time watched.
    pub(super) started: Micros,
    pub(super) bytes: u32,
    /// The mark it carries.
    pub(super) mark: u64,
    /// Holds nothing but the mark.
    pub(super) bare: bool,
    /// The last batch of its file.
    pub(super) closes: bool,
    pub(super) written: bool,
    pub(super) chunks: Vec<Placed>,
    pub(super) slots: Vec<Slot>,
    /// The highest order in it.
    pub(super) order_through: Option<u64>,
    /// With the end of a snapshot: freed files that it does not list.
    pub(super) omits: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Flights {
    flights: VecDeque<Flight>,
    next: u64,
}

impl Flights {
    pub(super) const fn new(next: u64) -> Self {
        Self { flights: VecDeque::new(), next }
    }

    /// The number of the next batch.
    pub(super) const fn next_number(&self) -> u64 {
        self.next
    }

    /// The last batch such that it and every one before it is confirmed.
    pub(super) fn confirmed(&self) -> u64 {
        self.next - 1 - self.flights.len() as u64
    }

    pub(super) fn len(&self) -> usize {
        self.flights.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// Whether something other than a mark is being written.
    pub(super) fn is_busy(&self) -> bool {
        self.flights.iter().any(|flight| !flight.bare && !flight.written)
    }

    pub(super) fn push(&mut self, flight: Flight) {
        assert!(flight.number == self.next, "batch {} follows batch {}", flight.number, self.next - 1);
        self.next += 1;
        self.flights.push_back(flight);
    }

    pub(super) fn get_mut(&mut self, number: u64) -> &mut Flight {
        let first = self.confirmed() + 1;
        let at = number.checked_sub(first).map(|at| at as usize);
        let flight = at.and_then(|at| self.flights.get_mut(at));
        flight.unwrap_or_else(|| panic!("batch {number} is not being written: those are from {first} on"))
    }

    /// The next batch to confirm, if it is written.
    pub(super) fn pop_written(&mut self) -> Option<Flight> {
        self.flights.pop_front_if(|flight| flight.written)
    }

    /// The oldest batch that is still being written.
    pub(super) fn oldest(&self) -> Option<&Flight> {
        self.flights.iter().find(|flight| !flight.written)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Flight> + '_ {
        self.flights.iter()
    }
}
