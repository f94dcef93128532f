//! The bounded pool of received chunks. A body is received straight into a buffer of this pool; while the machines
//! work on it they know it by its [`Slot`] only; whoever holds the slot releases it exactly once.
//!
//! ```text
//! buffer: | chunk header 96 | payload | the next frame's header, up to 64 | rest of the size class |
//! ```
//! The spare bytes after the body let one receive call bring the next frame's header along.

use quarry_protocol::limits::{
    CHUNK_HEADER_BYTES, CONNECTION_BUFFER_BYTES_MAX, FRAME_CHUNK_BODY_BYTES_MAX, FRAME_HEADER_BYTES,
    SHARD_BUFFER_BYTES_MAX,
};
use quarry_protocol::replica::Slot;
use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

/// Smallest buffer, in bytes.
const BUFFER_BYTES_MIN: usize = 4096;
/// Bytes of idle buffers kept for reuse. Fresh memory costs a page fault every 4 KiB.
const IDLE_BYTES_MAX: usize = 32 << 20;

const _: () = {
    // The largest body has room, whatever its size class rounds to.
    assert!(class_of(FRAME_CHUNK_BODY_BYTES_MAX as usize + FRAME_HEADER_BYTES) as u64 <= CONNECTION_BUFFER_BYTES_MAX);
    assert!(IDLE_BYTES_MAX as u64 <= SHARD_BUFFER_BYTES_MAX);
};

/// Memory for one body, not yet a slot: dropping it without [`Slots::give_back`] leaks budget, so connections hold it
/// in a guard.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    /// All of the buffer, to receive into.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// All of the buffer.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the buffer counts for in the budgets, in bytes.
    pub(super) fn budget(&self) -> u64 {
        self.bytes.len() as u64
    }
}

#[derive(Debug)]
struct Filled {
    buffer: Buffer,
    connection: u64,
    payload_bytes: u32,
}

/// The pool of one shard.
#[derive(Debug)]
pub(super) struct Slots {
    filled: Vec<Option<Filled>>,
    vacant: Vec<u32>,
    idle: BTreeMap<usize, Vec<Vec<u8>>>,
    idle_bytes: usize,
    taken_bytes: u64,
    bytes_max: u64,
    waiting: VecDeque<(u64, Waker)>,
}

/// The size a buffer of at least `bytes` has: four classes per doubling, so that at most a fifth is wasted.
const fn class_of(bytes: usize) -> usize {
    if bytes <= BUFFER_BYTES_MIN {
        return BUFFER_BYTES_MIN;
    }
    let step = (bytes.next_power_of_two() / 8).next_multiple_of(BUFFER_BYTES_MIN);
    bytes.next_multiple_of(step)
}

impl Slots {
    /// An empty pool that hands out at most `bytes_max`.
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            filled: Vec::new(),
            vacant: Vec::new(),
            idle: BTreeMap::new(),
            idle_bytes: 0,
            taken_bytes: 0,
            bytes_max,
            waiting: VecDeque::new(),
        }
    }

    /// What a body of `body_bytes` counts for in the budgets, in bytes.
    pub(super) fn budget_of(body_bytes: u32) -> u64 {
        class_of(body_bytes as usize + FRAME_HEADER_BYTES) as u64
    }

    /// A buffer for a body of `body_bytes`, unless the shard's budget is spent or an earlier connection waits for it.
    /// Then `connection` is woken when its turn comes; it must ask again, or [`Self::stop_waiting`].
    pub(super) fn take(&mut self, connection: u64, body_bytes: u32, waker: &Waker) -> Option<Buffer> {
        let class = class_of(body_bytes as usize + FRAME_HEADER_BYTES);
        let first = self.waiting.front().is_none_or(|(id, _)| *id == connection);
        if !first || self.taken_bytes + class as u64 > self.bytes_max {
            match self.waiting.iter_mut().find(|(id, _)| *id == connection) {
                Some((_, known)) => known.clone_from(waker),
                None => self.waiting.push_back((connection, waker.clone())),
            }
            return None;
        }
        self.stop_waiting(connection);
        self.taken_bytes += class as u64;
        let bytes = match self.idle.get_mut(&class).and_then(Vec::pop) {
            Some(bytes) => {
                self.idle_bytes -= class;
                bytes
            }
            None => vec![0; class],
        };
        Some(Buffer { bytes })
    }

    /// Ends a wait begun by [`Self::take`], if there is one, and lets the next connection try.
    pub(super) fn stop_waiting(&mut self, connection: u64) {
        let before = self.waiting.len();
        self.waiting.retain(|(id, _)| *id != connection);
        if self.waiting.len() != before {
            self.wake_first();
        }
    }

    /// Turns a buffer that holds a chunk of `payload_bytes` into a slot.
    pub(super) fn fill(&mut self, buffer: Buffer, connection: u64, payload_bytes: u32) -> Slot {
        assert!(
            CHUNK_HEADER_BYTES + payload_bytes as usize <= buffer.bytes.len(),
            "a chunk of {payload_bytes} payload bytes in a buffer of {}",
            buffer.bytes.len()
        );
        let filled = Some(Filled { buffer, connection, payload_bytes });
        if let Some(index) = self.vacant.pop() {
            self.filled[index as usize] = filled;
            Slot(index)
        } else {
            self.filled.push(filled);
            Slot(self.filled.len() as u32 - 1)
        }
    }

    /// The payload in a slot.
    pub(super) fn payload(&self, slot: Slot) -> &[u8] {
        let filled = self.filled[slot.0 as usize].as_ref().expect("a slot in use");
        &filled.buffer.bytes[CHUNK_HEADER_BYTES..CHUNK_HEADER_BYTES + filled.payload_bytes as usize]
    }

    /// Ends a slot; returns the connection that filled it and the bytes of its budget that are free again.
    ///
    /// # Panics
    /// If the slot is not in use: it was released twice.
    pub(super) fn release(&mut self, slot: Slot) -> (u64, u64) {
        let filled = self.filled[slot.0 as usize].take();
        let filled = filled.unwrap_or_else(|| panic!("{slot:?} released twice"));
        self.vacant.push(slot.0);
        let budget = filled.buffer.budget();
        self.give_back(filled.buffer);
        (filled.connection, budget)
    }

    /// Gives back a buffer that did not become a slot.
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        let class = buffer.bytes.len();
        assert!(self.taken_bytes >= class as u64, "giving back {class} bytes of {} taken", self.taken_bytes);
        self.taken_bytes -= class as u64;
        if self.idle_bytes + class <= IDLE_BYTES_MAX {
            self.idle_bytes += class;
            self.idle.entry(class).or_default().push(buffer.bytes);
        }
        self.wake_first();
    }

    fn wake_first(&self) {
        if let Some((_, waker)) = self.waiting.front() {
            waker.wake_by_ref();
        }
    }

    /// Bytes taken of the budget.
    #[cfg(test)]
    pub(super) fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(bytes_max: u64) -> Slots {
        Slots::new(bytes_max)
    }

    fn waker() -> &'static Waker {
        Waker::noop()
    }

    #[test]
    fn size_classes_hold_their_body_and_waste_little() {
        for bytes in [1, 4096, 4097, 65_536 + 160, 1 << 20, FRAME_CHUNK_BODY_BYTES_MAX as usize + 64] {
            let class = class_of(bytes);
            assert!(class >= bytes && class <= (bytes + bytes / 4).max(2 * BUFFER_BYTES_MIN), "{bytes} in {class}");
        }
    }

    #[test]
    fn a_released_buffer_is_used_again() {
        let mut slots = pool(1 << 20);
        let buffer = slots.take(1, 5000, waker()).expect("within budget");
        let at = buffer.bytes().as_ptr();
        let slot = slots.fill(buffer, 1, 5000 - CHUNK_HEADER_BYTES as u32);
        assert_eq!(slots.release(slot), (1, Slots::budget_of(5000)));
        assert_eq!(slots.taken_bytes(), 0);
        assert_eq!(slots.take(2, 5000, waker()).expect("within budget").bytes().as_ptr(), at);
    }

    #[test]
    #[should_panic(expected = "released twice")]
    fn a_slot_is_released_exactly_once() {
        let mut slots = pool(1 << 20);
        let buffer = slots.take(1, 100, waker()).expect("within budget");
        let slot = slots.fill(buffer, 1, 4);
        slots.release(slot);
        slots.release(slot);
    }

    /// D8: the budget holds whatever connections ask for, and a large body is not starved by small ones.
    #[test]
    fn the_budget_is_kept_and_waiting_is_fair() {
        let mut slots = pool(64 << 10);
        let first = slots.take(1, 40_000, waker()).expect("within budget");
        assert!(slots.take(2, 40_000, waker()).is_none(), "over budget");
        assert!(slots.take(3, 100, waker()).is_none(), "would fit, but connection 2 waits for longer");
        slots.give_back(first);
        assert!(slots.take(3, 100, waker()).is_none(), "still not its turn");
        assert!(slots.take(2, 40_000, waker()).is_some());
        assert!(slots.take(3, 100, waker()).is_some());
        assert!(slots.taken_bytes() <= 64 << 10);
    }

    #[test]
    fn a_closed_connection_does_not_hold_up_the_queue() {
        let mut slots = pool(64 << 10);
        let first = slots.take(1, 40_000, waker()).expect("within budget");
        assert!(slots.take(2, 60_000, waker()).is_none());
        assert!(slots.take(3, 100, waker()).is_none());
        slots.stop_waiting(2);
        assert!(slots.take(3, 100, waker()).is_some());
        slots.give_back(first);
    }
}
