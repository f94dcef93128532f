//! Entries in the order of their keys that mostly come and go in that order: what is on its way to the disk. It keeps the memory
//! it once had, up to a bound, so a replica in steady state allocates nothing for a put.

use alloc::collections::VecDeque;

/// For so many entries memory stays while there are none: there is one of these for every segment of every log (D8).
const KEPT_ENTRIES: usize = 32;

/// See the module. Keys may occur more than once; such entries keep the order in which they came.
#[derive(Clone, Debug)]
pub(super) struct InOrder<K, V> {
    entries: VecDeque<(K, V)>,
}

impl<K, V> Default for InOrder<K, V> {
    fn default() -> Self {
        Self { entries: VecDeque::new() }
    }
}

impl<K: Copy + Ord, V> InOrder<K, V> {
    /// Adds an entry behind those with its key.
    pub(super) fn push(&mut self, key: K, value: V) {
        let at = match self.entries.back() {
            Some((last, _)) if *last > key => self.entries.partition_point(|(known, _)| *known <= key),
            _ => self.entries.len(),
        };
        self.entries.insert(at, (key, value));
    }

    /// The first entry with this key.
    pub(super) fn get(&self, key: K) -> Option<&V> {
        let at = self.entries.partition_point(|(known, _)| *known < key);
        self.entries.get(at).filter(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Takes the first entry with this key out.
    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let at = match self.entries.front() {
            Some((first, _)) if *first == key => 0,
            _ => self.entries.partition_point(|(known, _)| *known < key),
        };
        let found = self.entries.get(at).is_some_and(|(known, _)| *known == key);
        let removed = if found { self.entries.remove(at).map(|(_, value)| value) } else { None };
        if self.entries.is_empty() && self.entries.capacity() > 2 * KEPT_ENTRIES {
            self.entries.shrink_to(KEPT_ENTRIES);
        }
        removed
    }

    /// The lowest key.
    pub(super) fn first(&self) -> Option<K> {
        self.entries.front().map(|(key, _)| *key)
    }

    /// The highest key.
    pub(super) fn last(&self) -> Option<K> {
        self.entries.back().map(|(key, _)| *key)
    }

    /// Every entry, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> + '_ {
        self.entries.iter().map(|(key, value)| (*key, value))
    }

    /// Takes every entry out, in order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = V> + '_ {
        self.entries.drain(..).map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    /// Against a map, whatever comes in whatever order.
    #[test]
    fn it_does_what_a_map_does() {
        let (mut entries, mut map, mut state) = (InOrder::default(), BTreeMap::new(), 7_u64);
        for step in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let key = (state >> 33) % 50;
            if state >> 63 == 0 && !map.contains_key(&key) {
                entries.push(key, step);
                map.insert(key, step);
            } else {
                assert_eq!(entries.remove(key), map.remove(&key));
            }
            assert_eq!(entries.get(key), map.get(&key));
            assert_eq!((entries.first(), entries.last()), (map.keys().next().copied(), map.keys().last().copied()));
            assert_eq!((entries.len(), entries.is_empty()), (map.len(), map.is_empty()));
        }
        assert_eq!(
            entries.iter().collect::<Vec<_>>(),
            map.iter().map(|(key, value)| (*key, value)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn entries_of_one_key_keep_their_order() {
        let mut entries = InOrder::default();
        for (key, value) in [(5, 'a'), (7, 'b'), (5, 'c'), (6, 'd'), (5, 'e')] {
            entries.push(key, value);
        }
        assert_eq!([entries.remove(5), entries.remove(5)], [Some('a'), Some('c')]);
        assert_eq!(entries.drain().collect::<Vec<_>>(), ['e', 'd', 'b']);
        assert!(entries.is_empty());
    }

    /// D8: a burst's memory is given back once there is nothing left, and a little is kept.
    #[test]
    fn memory_is_kept_up_to_a_bound() {
        let mut entries = InOrder::default();
        for burst in [KEPT_ENTRIES, 1000 * KEPT_ENTRIES] {
            (0..burst).for_each(|key| entries.push(key, ()));
            (0..burst).for_each(|key| assert!(entries.remove(key).is_some()));
            let kept = entries.entries.capacity();
            assert!((KEPT_ENTRIES..=2 * KEPT_ENTRIES).contains(&kept), "{kept} kept of {burst}");
        }
    }
}
