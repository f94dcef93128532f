//! What cannot be read any more: reported once, and left where it lies (D6, P13).

use super::index::{ChunkKey, Place};
use super::{Store, StoreEffect};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::replica::ToStore;

impl Store {
    /// A chunk could not be read, twice. It stays in the index, so that its file is kept until it is trimmed, or put again.
    /// Whether that is news.
    pub(super) fn lose(&mut self, key: ChunkKey, place: Place, why: &str) -> bool {
        if !self.is_newly_lost(&key, place) {
            return false;
        }
        self.statistics.lost_chunks += 1;
        let ChunkKey { log, segment, seq } = key;
        let why = format!("file {} at byte {}: {why}", place.file, place.position);
        self.outbox.push_back(StoreEffect::Lost { log, segment, from: seq, to: seq.next(), why });
        true
    }

    /// Whether a chunk that cannot be read where it lay is lost, and nobody knew. Not if its loss is recorded already, nor if
    /// it lies elsewhere by now, or is on its way there: put again, or copied while somebody read the original.
    pub fn is_newly_lost(&self, key: &ChunkKey, place: Place) -> bool {
        self.index.get(key) == Some(place) && !self.state.is_lost(key) && !self.is_on_its_way(key)
    }

    fn is_on_its_way(&self, key: &ChunkKey) -> bool {
        let is = |header: &ChunkHeader| (header.log, header.segment, header.seq) == (key.log, key.segment, key.seq);
        self.flights.iter().any(|flight| flight.chunks.iter().any(|chunk| chunk.key == *key))
            || self.copying.copies().any(|copy| is(&copy.header))
            || self.queue.iter().any(|(_, what)| matches!(what, ToStore::Chunk { header, .. } if is(header)))
    }
}
