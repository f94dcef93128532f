//! What lies in a slot, told from the head of its object.

use super::key::SlotName;
use super::object::Marker;
use crate::chunk::ChunkHeader;
use crate::ids::Epoch;
use crate::limits::{CHUNK_HEADER_BYTES, MARKER_BYTES};
use alloc::string::{String, ToString};

/// What lies in a slot. All but `Empty` is so for ever, unless the slot is trimmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SlotContent {
    /// Nothing, now.
    Empty,
    /// The slot's own chunk.
    Chunk(ChunkHeader),
    /// A marker that this epoch made: no chunk ever comes here.
    Marker(Epoch),
    /// Something else: nobody can say what it was. It keeps the slot all the same.
    Damaged(String),
}

impl SlotContent {
    /// `head` is at least the head of an object of `size` bytes.
    pub(super) fn of(slot: SlotName, head: &[u8], size: u64) -> Self {
        if size == MARKER_BYTES as u64 {
            return match Marker::decode(head) {
                // A recovery marks only segments of writers before it.
                Ok(marker) if marker.slot == slot && marker.epoch > slot.segment.epoch => Self::Marker(marker.epoch),
                Ok(_) => Self::Damaged("a marker of another slot".into()),
                Err(why) => Self::Damaged(why.to_string()),
            };
        }
        match ChunkHeader::decode(head) {
            Ok(header) if (SlotName { log: header.log, segment: header.segment, seq: header.seq }) != slot => {
                Self::Damaged("a chunk of another slot".into())
            }
            // Believed, a watermark above its own chunk would end a window short (P6).
            Ok(header) if header.watermark > header.seq => Self::Damaged("a watermark above its own chunk".into()),
            Ok(header) if size == CHUNK_HEADER_BYTES as u64 + u64::from(header.length) => Self::Chunk(header),
            Ok(header) => Self::Damaged(alloc::format!("{size} bytes, its header says {}", header.stored_bytes())),
            Err(why) => Self::Damaged(why.to_string()),
        }
    }

    /// Whether something keeps this slot from ever taking a (new) chunk.
    pub(super) const fn is_blocked(&self) -> bool {
        matches!(self, Self::Marker(_) | Self::Damaged(_))
    }
}
