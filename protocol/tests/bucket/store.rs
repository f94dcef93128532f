//! A simulated bucket. Strongly consistent, as the object stores that may serve as one are; its clients are not told everything.

use bytes::{Bytes, BytesMut};
use quarry_protocol::bucket::{Marker, ObjectKey, Operation, Outcome, SlotName, encode_identity};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::CHUNK_HEADER_BYTES;
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) objects: BTreeMap<ObjectKey, Bytes>,
}

impl Store {
    pub(crate) fn new(disk: DiskId) -> Self {
        let identity = Bytes::copy_from_slice(&encode_identity(disk));
        Self { objects: BTreeMap::from([(ObjectKey::Identity, identity)]) }
    }

    pub(crate) fn perform(&mut self, what: &Operation) -> Outcome {
        match what {
            Operation::Create { key, .. } if self.objects.contains_key(key) => Outcome::Exists,
            Operation::Create { key, head, payload } => {
                let mut object = BytesMut::from(head.as_ref());
                object.extend_from_slice(payload);
                self.objects.insert(*key, object.freeze());
                Outcome::Created
            }
            Operation::Get { key, bytes_max } => match self.objects.get(key) {
                Some(object) => {
                    let bytes = object.slice(..bytes_max.unwrap_or(usize::MAX).min(object.len()));
                    Outcome::Found { size: object.len() as u64, bytes }
                }
                None => Outcome::NotFound,
            },
            Operation::Delete { key } => {
                self.objects.remove(key);
                Outcome::Deleted
            }
        }
    }

    pub(crate) fn chunk(&self, slot: SlotName) -> Option<(ChunkHeader, Bytes)> {
        let object = self.objects.get(&ObjectKey::Slot(slot))?;
        let header = ChunkHeader::decode(object).ok()?;
        Some((header, object.slice(CHUNK_HEADER_BYTES..)))
    }

    pub(crate) fn marker(&self, slot: SlotName) -> Option<Marker> {
        self.objects.get(&ObjectKey::Slot(slot)).and_then(|object| Marker::decode(object).ok())
    }
}
