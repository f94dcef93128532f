//! The objects of one bucket, and what a write may find there.

use super::object::Object;
use super::settings::BucketSettings;
use super::{OBJECT_BYTES_MAX, State};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// One bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) settings: BucketSettings,
    pub(super) objects: BTreeMap<String, Object>,
    /// Keys that a conditional write is under way to.
    pub(super) being_written: BTreeSet<String>,
}

/// What must be there for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Anything.
    Always,
    /// Nothing.
    Absent,
    /// The object with this entity tag.
    Tagged(String),
    /// The object with this version.
    Version(u64),
}

/// Why a write did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwritten {
    NoSuchBucket,
    /// The condition names an object, and there is none.
    NoSuchKey,
    /// The condition does not hold.
    Precondition,
    /// The server's memory is as full as it may be.
    Full,
}

impl Bucket {
    pub(super) fn new(settings: BucketSettings) -> Self {
        Self { settings, objects: BTreeMap::new(), being_written: BTreeSet::new() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Object> {
        self.objects.get(key)
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.objects.keys().cloned().collect()
    }

    fn allows(&self, key: &str, condition: &Condition) -> Result<(), Unwritten> {
        let holds = match (condition, self.get(key)) {
            (Condition::Always, _) | (Condition::Absent, None) => true,
            (Condition::Absent, Some(_)) => false,
            (Condition::Tagged(_) | Condition::Version(_), None) => return Err(Unwritten::NoSuchKey),
            (Condition::Tagged(tag), Some(object)) => *tag == object.tag,
            (Condition::Version(version), Some(object)) => *version == object.version,
        };
        if holds { Ok(()) } else { Err(Unwritten::Precondition) }
    }
}

impl State {
    /// Writes an object if the condition holds; one step, nothing comes in between.
    pub(super) fn put(
        &mut self,
        bucket: &str,
        key: &str,
        parts: Vec<Bytes>,
        condition: &Condition,
    ) -> Result<Object, Unwritten> {
        let bucket = self.buckets.get_mut(bucket).ok_or(Unwritten::NoSuchBucket)?;
        bucket.allows(key, condition)?;
        let object = Object::new(parts, self.writes + 1, bucket.settings.dialect);
        let replaced = bucket.get(key).map_or(0, |before| before.length);
        if self.bytes - replaced + object.length > OBJECT_BYTES_MAX {
            return Err(Unwritten::Full);
        }
        self.writes += 1;
        self.bytes = self.bytes - replaced + object.length;
        let known = Object { parts: Vec::new(), ..object.clone() };
        bucket.objects.insert(key.to_owned(), object);
        Ok(known)
    }

    /// Takes an object away; says whether it was there.
    pub(super) fn delete(&mut self, bucket: &str, key: &str) -> bool {
        let removed = self.buckets.get_mut(bucket).and_then(|bucket| bucket.objects.remove(key));
        self.bytes -= removed.as_ref().map_or(0, |object| object.length);
        removed.is_some()
    }
}
