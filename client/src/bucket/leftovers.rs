//! What a bucket lists: a hint of what may be left there that no record needs, never a reason to believe or to delete anything (P13).

use super::outcome::{Trouble, TroubleKind};
use super::store::BucketStore;
use quarry_protocol::bucket::{ObjectKey, SlotName};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{ChunkSeq, Epoch, LogId, SegmentId};
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, SLOT_HEAD_BYTES};

impl BucketStore {
    /// The segments of which something is listed.
    pub(crate) async fn segments_listed(&self) -> Result<Vec<(LogId, SegmentId)>, Trouble> {
        let mut found = Vec::new();
        for part in self.parts_of(None).await? {
            let Some(log) = log_named(&part) else { continue };
            let segments = self.parts_of(Some(&part)).await?;
            found.extend(segments.iter().filter_map(|name| segment_named(name)).map(|segment| (log, segment)));
        }
        Ok(found)
    }

    /// The slots of a segment that are listed with something as large as a chunk, and for how many seconds the youngest was there.
    pub(crate) async fn chunks_listed(&self, log: LogId, segment: SegmentId) -> Result<(Vec<SlotName>, u64), Trouble> {
        let slot = |seq| SlotName { log, segment, seq: ChunkSeq(seq) };
        let name = slot(0).to_string();
        let (below, _) = name.rsplit_once('/').expect("a slot's name has three parts");
        let (mut slots, mut youngest_s) = (Vec::new(), u64::MAX);
        for object in self.objects_below(below).await? {
            let Some(seq) = object.name.parse().ok().filter(|_| object.size > CHUNK_HEADER_BYTES as u64) else {
                continue;
            };
            slots.push(slot(seq));
            youngest_s = youngest_s.min(object.age_s);
        }
        Ok((slots, youngest_s))
    }

    /// Deletes what lies in a slot if it is a chunk, of that slot. A marker stays, and what nobody can read.
    pub(crate) async fn remove_chunk(&self, slot: SlotName) -> Result<(), Trouble> {
        let key = ObjectKey::Slot(slot).to_string();
        let (_, head) = match self.get(&key, Some(SLOT_HEAD_BYTES)).await {
            Ok(found) => found,
            // Somebody else was quicker.
            Err(Trouble { kind: TroubleKind::NotFound, .. }) => return Ok(()),
            Err(why) => return Err(why),
        };
        let is_chunk = head.get(..CHUNK_HEADER_BYTES).is_some_and(|head| {
            ChunkHeader::decode(head)
                .is_ok_and(|header| (SlotName { log: header.log, segment: header.segment, seq: header.seq }) == slot)
        });
        if is_chunk { self.delete(&key).await } else { Ok(()) }
    }
}

/// An object in a listing.
pub(super) struct Listed {
    /// The last part of its name.
    pub(super) name: String,
    pub(super) size: u64,
    /// How long ago it was made, by the store's clock and this machine's: patience, no reason.
    pub(super) age_s: u64,
}

fn log_named(part: &str) -> Option<LogId> {
    let number = (part.len() == 32).then(|| u128::from_str_radix(part, 16).ok()).flatten()?;
    Some(LogId(number.to_be_bytes())).filter(|log| log.to_string() == part)
}

fn segment_named(part: &str) -> Option<SegmentId> {
    let (epoch, index) = part.split_once('-')?;
    Some(SegmentId { epoch: Epoch(epoch.parse().ok()?), index: index.parse().ok()? })
}
