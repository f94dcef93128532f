//! Simulated buckets of object stores, for replicas of the other kind (DESIGN 3.3).
//!
//! Fault model. A bucket is strongly consistent: what was created is found by every read that begins later, and of two creates of
//! one name one takes place. An operation takes place at one moment, or never; operations overtake each other. Any of them may
//! fail; a create or delete may be given up although it took place, or takes place later, also after its client is gone. A
//! bucket of the fallible ones may be emptied and made anew under its old address.

use crate::client::News;
use crate::core::{ClientId, Core, Event};
use crate::options::Options;
use bytes::{Bytes, BytesMut};
use quarry_protocol::bucket::{ObjectKey, Operation, OperationNo, Outcome, SlotName, encode_identity};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{DiskId, LogId};
use quarry_protocol::record::ReplicaRef;
use std::collections::BTreeMap;

/// Buckets of a run that has any; each in a zone of its own.
pub(crate) const BUCKETS: usize = 5;
const PREFIX: &str = "bucket";

/// One bucket.
#[derive(Debug)]
pub(crate) struct ObjectStore {
    pub(crate) disk: DiskId,
    objects: BTreeMap<ObjectKey, Bytes>,
}

/// Who asked for an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) client: ClientId,
    pub(crate) disk: DiskId,
    pub(crate) log: LogId,
    pub(crate) operation: OperationNo,
}

/// An operation on its way.
#[derive(Debug)]
pub(crate) struct ObjectCall {
    bucket: usize,
    asker: Asker,
    what: Operation,
    /// Whether whoever asked hears what came of it.
    heard: bool,
}

/// The number of the bucket at this address, if it is one.
pub(crate) fn bucket_at(address: &str) -> Option<usize> {
    address.strip_prefix(PREFIX)?.parse().ok()
}

impl ObjectStore {
    pub(crate) fn new(disk: DiskId) -> Self {
        let identity = Bytes::copy_from_slice(&encode_identity(disk));
        Self { disk, objects: BTreeMap::from([(ObjectKey::Identity, identity)]) }
    }

    fn perform(&mut self, what: Operation) -> Outcome {
        match what {
            Operation::Create { key, .. } if self.objects.contains_key(&key) => Outcome::Exists,
            Operation::Create { key, head, payload } => {
                let mut object = BytesMut::from(head.as_ref());
                object.extend_from_slice(&payload);
                self.objects.insert(key, object.freeze());
                Outcome::Created
            }
            Operation::Get { key, bytes_max } => match self.objects.get(&key) {
                Some(object) => {
                    let bytes = object.slice(..bytes_max.unwrap_or(usize::MAX).min(object.len()));
                    Outcome::Found { size: object.len() as u64, bytes }
                }
                None => Outcome::NotFound,
            },
            Operation::Delete { key } => {
                self.objects.remove(&key);
                Outcome::Deleted
            }
        }
    }

    /// The chunk in a slot, if there is one.
    pub(crate) fn chunk(&self, slot: SlotName) -> Option<ChunkHeader> {
        ChunkHeader::decode(self.objects.get(&ObjectKey::Slot(slot))?).ok()
    }
}

impl Core {
    pub(crate) fn make_buckets(&mut self) {
        if self.options.has_buckets() {
            self.buckets = (0..BUCKETS).map(|_| ObjectStore::new(DiskId(self.numbers.id()))).collect();
        }
    }

    /// Some of the buckets, in an order of chance.
    pub(crate) fn choose_buckets(&mut self, wanted: usize) -> Vec<ReplicaRef> {
        let named = self.buckets.iter().enumerate().map(|(index, bucket)| {
            let (address, zone) = (format!("{PREFIX}{index}"), format!("region{index}"));
            ReplicaRef { disk: bucket.disk, address, zone }
        });
        let mut chosen: Vec<ReplicaRef> = named.collect();
        for at in 0..chosen.len() {
            let other = self.numbers.between(at as u64, chosen.len() as u64 - 1) as usize;
            chosen.swap(at, other);
        }
        chosen.truncate(wanted);
        chosen
    }

    pub(crate) fn call_bucket(&mut self, bucket: usize, asker: Asker, what: Operation) {
        let faults = self.options.objects;
        let typical = if self.healed { faults.typical_us.min(1_000) } else { faults.typical_us };
        // At the end nobody waits longer than a tail search has patience.
        let arrives = if self.healed { self.numbers.between(1, typical) } else { self.numbers.delay(typical) };
        let impatience = 10 * typical + self.numbers.delay(typical);
        let reads = matches!(what, Operation::Get { .. });
        if self.happens(faults.failed, "object operation failed") {
            let outcome = Outcome::Failed { why: "503".to_owned() };
            return self.tell_asker(asker, arrives, outcome);
        }
        if self.happens(faults.lost, "object operation lost") {
            return self.give_up(asker, impatience, reads);
        }
        let unheard = self.happens(faults.unheard, "object answer lost");
        let late = !unheard && !reads && self.happens(faults.late, "object operation late");
        if unheard || late {
            self.give_up(asker, impatience, reads);
        }
        let delay = if late { impatience + self.numbers.delay(2_000_000) } else { arrives };
        let call = Box::new(ObjectCall { bucket, asker, what, heard: !unheard && !late });
        self.after(delay, Event::Object { call });
    }

    fn give_up(&mut self, asker: Asker, after: u64, reads: bool) {
        let why = "no answer in time".to_owned();
        let outcome = if reads { Outcome::Failed { why } } else { Outcome::Ambiguous { why } };
        self.tell_asker(asker, after, outcome);
    }

    fn tell_asker(&mut self, asker: Asker, delay: u64, outcome: Outcome) {
        let news = Box::new(News::Object { asker, outcome });
        self.after(delay, Event::ClientNews { client: asker.client, news });
    }

    /// An operation takes place.
    pub(crate) fn bucket_takes(&mut self, call: ObjectCall) {
        let ObjectCall { bucket, asker, what, heard } = call;
        let name = match what {
            Operation::Create { .. } => "object create",
            Operation::Get { .. } => "object get",
            Operation::Delete { .. } => "object delete",
        };
        self.step(name, [u64::from(asker.client), bucket as u64, asker.operation, 0]);
        let outcome = self.buckets[bucket].perform(what);
        if heard {
            let typical = self.options.objects.typical_us / 2 + 1;
            let delay = if self.healed { self.numbers.between(1, 500) } else { self.numbers.delay(typical) };
            self.tell_asker(asker, delay, outcome);
        }
    }

    /// A bucket is emptied, and made anew under its old address (P14).
    pub(crate) fn empty_bucket(&mut self, bucket: usize) {
        self.effect("bucket emptied", [bucket as u64, 0, 0, 0]);
        self.buckets[bucket] = ObjectStore::new(DiskId(self.numbers.id()));
    }
}

impl Options {
    pub(crate) fn has_buckets(&self) -> bool {
        self.logs.iter().any(|log| log.bucket_percent > 0)
    }
}
