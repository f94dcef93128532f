//! Which payload slots the shard holds: each comes with a put and is released exactly once.

use quarry_protocol::replica::Slot;

/// A set of slots. They are numbered densely by whoever hands them out, so one bit for each is enough.
#[derive(Debug, Default)]
pub(super) struct HeldSlots {
    words: Vec<u64>,
    count: usize,
}

impl HeldSlots {
    /// Adds a slot; false if it is held already.
    pub(super) fn insert(&mut self, slot: Slot) -> bool {
        let (word, bit) = place(slot);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += usize::from(new);
        new
    }

    /// Takes a slot out; false if it is not held.
    pub(super) fn remove(&mut self, slot: Slot) -> bool {
        let (word, bit) = place(slot);
        let held = self.words.get(word).is_some_and(|word| word & bit != 0);
        if held {
            self.words[word] &= !bit;
            self.count -= 1;
        }
        held
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }
}

const fn place(slot: Slot) -> (usize, u64) {
    (slot.0 as usize / 64, 1 << (slot.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_held_once_and_released_once() {
        let mut held = HeldSlots::default();
        for slot in [0, 63, 64, 1000] {
            assert!(held.insert(Slot(slot)) && !held.insert(Slot(slot)), "{slot}");
        }
        assert_eq!(held.len(), 4);
        assert!(
            held.remove(Slot(64)) && !held.remove(Slot(64)) && !held.remove(Slot(65)) && !held.remove(Slot(99_999))
        );
        assert_eq!(held.len(), 3);
    }
}
