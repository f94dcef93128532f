//! The index: where every confirmed chunk lies. The only thing a shard keeps in memory per chunk, so it is laid out
//! for size: logs are dense, so a segment is a run of pages of 64 entries of 12 bytes, and a seq is a place in a page.
//!
//! ```text
//! log ─> segment ─> page seq/64 ─> [ file 4 | position 4 | length 4 ] x 64
//! ```
//! A full page costs 12.25 bytes a chunk, its share of the page table about one more.

use quarry_protocol::ids::{ChunkSeq, LogId, SegmentId};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

/// Entries of a page.
const PAGE_CHUNKS: u64 = 64;
/// What the allocator adds to a page: its own word, and rounding to 16 bytes.
const ALLOCATION_BYTES: usize = 16;
/// A node of std's B-tree with keys and values of eight bytes: eleven of each, a parent, two counts; a fresh run of
/// ascending keys leaves nodes a little over half full.
const TABLE_BYTES_PER_PAGE: usize = (11 * 16 + 16 + ALLOCATION_BYTES) / 5;

/// A chunk's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey {
    /// The log.
    pub log: LogId,
    /// The segment.
    pub segment: SegmentId,
    /// The seq.
    pub seq: ChunkSeq,
}

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the file.
    pub file: u32,
    /// Byte position of the chunk's header in the file; the payload follows right behind it.
    pub position: u32,
    /// Payload bytes.
    pub length: u32,
}

impl Place {
    /// Marks an entry that holds nothing: no chunk is empty.
    const NONE: Self = Self { file: 0, position: 0, length: 0 };

    const fn is_none(self) -> bool {
        self.length == 0
    }
}

#[derive(Clone, Debug)]
struct Page {
    entries: [Place; PAGE_CHUNKS as usize],
    /// How many entries hold a chunk; an empty page is dropped.
    filled: u32,
}

const _: () = assert!(size_of::<Place>() == 12 && size_of::<Page>() == 12 * PAGE_CHUNKS as usize + 4);

type Pages = BTreeMap<u64, Box<Page>>;
type Segments = BTreeMap<SegmentId, Pages>;

/// The places of all chunks of a shard.
#[derive(Clone, Debug, Default)]
pub struct Index {
    logs: BTreeMap<LogId, Segments>,
    chunks: u64,
    pages: u64,
}

impl Index {
    /// An index of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many chunks are in it.
    pub fn len(&self) -> u64 {
        self.chunks
    }

    /// Whether no chunk is in it.
    pub fn is_empty(&self) -> bool {
        self.chunks == 0
    }

    /// An estimate of the memory the index takes, allocator included, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.pages * (size_of::<Page>() + ALLOCATION_BYTES + TABLE_BYTES_PER_PAGE) as u64
    }

    /// Says where `key` lies now, and hands back where it lay before.
    ///
    /// # Panics
    /// If `place` has no length: no chunk is empty.
    pub fn insert(&mut self, key: ChunkKey, place: Place) -> Option<Place> {
        assert!(!place.is_none(), "the chunk {key:?} has no bytes");
        let pages = self.logs.entry(key.log).or_default().entry(key.segment).or_default();
        let page = pages.entry(key.seq.0 / PAGE_CHUNKS).or_insert_with(|| {
            self.pages += 1;
            Box::new(Page { entries: [Place::NONE; PAGE_CHUNKS as usize], filled: 0 })
        });
        let old = std::mem::replace(&mut page.entries[(key.seq.0 % PAGE_CHUNKS) as usize], place);
        if !old.is_none() {
            return Some(old);
        }
        page.filled += 1;
        self.chunks += 1;
        None
    }

    /// Where `key` lies.
    pub fn get(&self, key: &ChunkKey) -> Option<Place> {
        let page = self.logs.get(&key.log)?.get(&key.segment)?.get(&(key.seq.0 / PAGE_CHUNKS))?;
        let place = page.entries[(key.seq.0 % PAGE_CHUNKS) as usize];
        (!place.is_none()).then_some(place)
    }

    /// Forgets `key`, and hands back where it lay.
    pub fn remove(&mut self, key: &ChunkKey) -> Option<Place> {
        let segments = self.logs.get_mut(&key.log)?;
        let pages = segments.get_mut(&key.segment)?;
        let number = key.seq.0 / PAGE_CHUNKS;
        let page = pages.get_mut(&number)?;
        let place = std::mem::replace(&mut page.entries[(key.seq.0 % PAGE_CHUNKS) as usize], Place::NONE);
        if place.is_none() {
            return None;
        }
        page.filled -= 1;
        self.chunks -= 1;
        if page.filled == 0 {
            pages.remove(&number);
            self.pages -= 1;
        }
        if pages.is_empty() {
            segments.remove(&key.segment);
        }
        if segments.is_empty() {
            self.logs.remove(&key.log);
        }
        Some(place)
    }

    /// Forgets every chunk of `log` below `floor`, and hands each one's place to `removed`.
    pub fn remove_below(&mut self, log: LogId, floor: ChunkSeq, mut removed: impl FnMut(Place)) {
        let Some(segments) = self.logs.get_mut(&log) else { return };
        let (chunks, page_count) = (&mut self.chunks, &mut self.pages);
        segments.retain(|_, pages| {
            while let Some(mut first) = pages.first_entry() {
                let base = *first.key() * PAGE_CHUNKS;
                if base >= floor.0 {
                    break;
                }
                let below = (floor.0 - base).min(PAGE_CHUNKS) as usize;
                let page = first.get_mut();
                for entry in &mut page.entries[..below] {
                    let place = std::mem::replace(entry, Place::NONE);
                    if !place.is_none() {
                        page.filled -= 1;
                        *chunks -= 1;
                        removed(place);
                    }
                }
                if page.filled > 0 {
                    break;
                }
                first.remove();
                *page_count -= 1;
            }
            !pages.is_empty()
        });
        if segments.is_empty() {
            self.logs.remove(&log);
        }
    }

    /// Forgets every chunk of `log`, and hands each one's place to `removed`.
    pub fn remove_log(&mut self, log: LogId, removed: impl FnMut(Place)) {
        self.remove_below(log, ChunkSeq(u64::MAX), removed);
    }

    /// Every chunk and its place, in order of log, segment and seq.
    pub fn iter(&self) -> impl Iterator<Item = (ChunkKey, Place)> + '_ {
        self.logs.iter().flat_map(|(&log, segments)| {
            segments.iter().flat_map(move |(&segment, pages)| {
                pages.iter().flat_map(move |(&number, page)| entries(log, segment, number, page))
            })
        })
    }

    /// Chunks `from..to` of a segment and their places, in order.
    pub fn range(
        &self,
        log: LogId,
        segment: SegmentId,
        from: ChunkSeq,
        to: ChunkSeq,
    ) -> impl Iterator<Item = (ChunkSeq, Place)> + '_ {
        let pages = self.logs.get(&log).and_then(|segments| segments.get(&segment));
        let first = from.0 / PAGE_CHUNKS;
        let range = first..to.0.div_ceil(PAGE_CHUNKS).max(first);
        let found = pages.into_iter().flat_map(move |pages| pages.range(range.clone()));
        found
            .flat_map(move |(&number, page)| entries(log, segment, number, page))
            .map(|(key, place)| (key.seq, place))
            .filter(move |(seq, _)| (from..to).contains(seq))
    }

    /// Looks through the next `pages_max` pages behind `after` for chunks that lie in `file` and appends them to
    /// `found`. Returns where to go on, or none at the end. So a whole index is searched in bounded steps.
    pub fn find_in_file(
        &self,
        file: u32,
        after: Option<Cursor>,
        pages_max: usize,
        found: &mut Vec<(ChunkKey, Place)>,
    ) -> Option<Cursor> {
        let mut cursor = after;
        for _ in 0..pages_max {
            let (next, page) = self.page_after(cursor)?;
            found.extend(entries(next.log, next.segment, next.page, page).filter(|(_, place)| place.file == file));
            cursor = Some(next);
        }
        cursor
    }

    fn page_after(&self, after: Option<Cursor>) -> Option<(Cursor, &Page)> {
        let Some(at) = after else {
            return self.logs.iter().find_map(|(&log, segments)| first_page(log, segments.iter()));
        };
        if let Some(segments) = self.logs.get(&at.log) {
            let next = segments.get(&at.segment).and_then(|pages| pages.range((Excluded(at.page), Unbounded)).next());
            if let Some((&page, body)) = next {
                return Some((Cursor { page, ..at }, body));
            }
            let next = first_page(at.log, segments.range((Excluded(at.segment), Unbounded)));
            if next.is_some() {
                return next;
            }
        }
        let mut later = self.logs.range((Excluded(at.log), Unbounded));
        later.find_map(|(&log, segments)| first_page(log, segments.iter()))
    }
}

/// A page that [`Index::find_in_file`] has looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    log: LogId,
    segment: SegmentId,
    page: u64,
}

fn first_page<'a>(
    log: LogId,
    mut segments: impl Iterator<Item = (&'a SegmentId, &'a Pages)>,
) -> Option<(Cursor, &'a Page)> {
    segments.find_map(|(&segment, pages)| {
        let (&page, body) = pages.first_key_value()?;
        Some((Cursor { log, segment, page }, &**body))
    })
}

fn entries(log: LogId, segment: SegmentId, number: u64, page: &Page) -> impl Iterator<Item = (ChunkKey, Place)> + '_ {
    page.entries
        .iter()
        .enumerate()
        .filter(|(_, place)| !place.is_none())
        .map(move |(at, &place)| (ChunkKey { log, segment, seq: ChunkSeq(number * PAGE_CHUNKS + at as u64) }, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quarry_protocol::ids::Epoch;

    fn key(log: u8, epoch: u64, seq: u64) -> ChunkKey {
        let segment = SegmentId { epoch: Epoch(epoch), index: 0 };
        ChunkKey { log: LogId([log; 16]), segment, seq: ChunkSeq(seq) }
    }

    const fn place(file: u32, position: u32) -> Place {
        Place { file, position, length: 7 }
    }

    /// The issue of size: at most 32 bytes a chunk, allocation included.
    #[test]
    fn a_million_chunks_take_at_most_32_bytes_each() {
        for logs in [1, 100] {
            let mut index = Index::new();
            for at in 0..1_000_000 {
                index.insert(key((at % logs) as u8, 1, at / logs), place(1, at as u32));
            }
            let each = index.memory_bytes() / index.len();
            assert!(each <= 14, "{each} bytes a chunk with {logs} logs");
        }
    }

    #[test]
    fn a_removed_log_leaves_nothing_behind() {
        let mut index = Index::new();
        for seq in 0..1000 {
            index.insert(key(1, seq / 100, seq), place(1, seq as u32));
        }
        let mut removed = 0;
        index.remove_below(LogId([1; 16]), ChunkSeq(333), |_| removed += 1);
        assert_eq!((removed, index.len()), (333, 667));
        assert_eq!(index.get(&key(1, 3, 332)), None);
        assert_eq!(index.get(&key(1, 3, 333)), Some(place(1, 333)));
        index.remove_log(LogId([1; 16]), |_| removed += 1);
        assert_eq!((removed, index.len(), index.memory_bytes()), (1000, 0, 0));
        assert!(index.logs.is_empty());
    }

    proptest! {
        /// Against a plain map: any order of inserts, overwrites, removals and trims.
        #[test]
        fn behaves_like_a_map(steps in prop::collection::vec((0..4u8, 0..3u8, 0..3u64, 0..200u64, 0..4u32), 1..200)) {
            let (mut index, mut map) = (Index::new(), BTreeMap::new());
            for (at, (what, log, epoch, seq, file)) in steps.into_iter().enumerate() {
                let (key, place) = (key(log, epoch, seq), place(file, at as u32));
                match what {
                    0 | 1 => prop_assert_eq!(index.insert(key, place), map.insert(key, place)),
                    2 => prop_assert_eq!(index.remove(&key), map.remove(&key)),
                    _ => {
                        let (mut removed, before) = (0, map.len());
                        index.remove_below(key.log, key.seq, |_| removed += 1);
                        map.retain(|k, _| k.log != key.log || k.seq >= key.seq);
                        prop_assert_eq!(removed, before - map.len());
                    }
                }
                prop_assert_eq!(index.get(&key), map.get(&key).copied());
            }
            prop_assert_eq!(index.len(), map.len() as u64);
            prop_assert!(index.iter().eq(map.iter().map(|(k, p)| (*k, *p))));
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                cursor = index.find_in_file(2, cursor, 1, &mut found);
                if cursor.is_none() {
                    break;
                }
            }
            prop_assert!(found.into_iter().eq(map.into_iter().filter(|(_, p)| p.file == 2)));
        }
    }
}
