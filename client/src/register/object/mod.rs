//! A register in a bucket, or in whatever else is an object store with conditional writes.
//!
//! ```text
//! register/quarry-register   that this is a register, and which
//! register/NAME.log          one record per log, as JSON after the stamps of its last changes (names: `record_names`)
//! register/probe-RANDOM      there for as long as a register is being opened
//! ```
//! A record is created only if absent, and replaced only if its `ETag` (or version) is the one that was read together with
//! the content that is compared. The version of a record is its content, stamps included. Records are never deleted.
//!
//! A store given to it should not retry by itself: it does so without knowing what is safe, and longer than anybody waits.

mod probe;
mod requests;
mod stamps;
mod swap;

use super::record_names::{Escape, name_of, parts_of};
use super::{Register, RegisterError, SwapError, encode, marker, named};
use async_trait::async_trait;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode};
use quarry_protocol::limits::RECORD_BYTES_MAX;
use quarry_protocol::record::{LogRecord, RecordError, Version};
use requests::{ATTEMPTS_MAX, Refusal, Requests, pause};
use stamps::{STAMPS_BYTES_MAX, Stamps};
use std::sync::Arc;
use swap::Change;

const ROOT: &str = "register";
const MARKER_BYTES_MAX: usize = 256;
const CONTENT_BYTES_MAX: usize = STAMPS_BYTES_MAX + RECORD_BYTES_MAX;

/// See the module.
#[derive(Clone, Debug)]
pub struct ObjectRegister {
    requests: Requests,
    root: Path,
    /// The marker that was there when it was opened.
    marker: Arc<[u8]>,
}

impl ObjectRegister {
    /// Opens the register in `store`, or makes one there if `store` holds none. `place` is what errors call it: the bucket
    /// and the prefix. A store that does not honour conditional writes is refused.
    pub async fn open(store: Arc<dyn ObjectStore>, place: &str) -> Result<Self, RegisterError> {
        let requests = Requests { store, place: place.into() };
        let root = Path::from(ROOT);
        probe::probe(&requests, &root).await?;
        let marker = find_or_mark(&requests, &root).await?;
        Ok(Self { requests, root, marker: marker.into() })
    }

    fn key_of(&self, name: &str) -> Path {
        parts_of(name, Escape::Underscore).into_iter().fold(self.root.clone(), Path::join)
    }

    /// That the register is still there, and the same one.
    async fn check(&self) -> Result<(), RegisterError> {
        match self.requests.get(&self.root.clone().join(marker::MARKER), MARKER_BYTES_MAX).await? {
            Some(found) if found.content == *self.marker => Ok(()),
            _ => Err(self.requests.unusable(marker::GONE.to_owned())),
        }
    }

    fn is_record(root: &Path, location: &Path) -> Option<String> {
        let parts: Vec<_> = location.prefix_match(root)?.collect();
        name_of(&parts, Escape::Underscore)
    }
}

/// The marker, made if nothing is there at all.
async fn find_or_mark(requests: &Requests, root: &Path) -> Result<Vec<u8>, RegisterError> {
    let key = root.clone().join(marker::MARKER);
    let mut last = String::new();
    for attempt in 0..ATTEMPTS_MAX {
        pause(attempt).await;
        if let Some(found) = requests.get(&key, MARKER_BYTES_MAX).await? {
            marker::check(&found.content).map_err(|why| requests.unusable(why))?;
            return Ok(found.content);
        }
        let objects = requests.list(root).await?;
        if objects.iter().any(|object| ObjectRegister::is_record(root, object).is_some()) {
            return Err(requests.unusable(marker::UNMARKED.to_owned()));
        }
        // Whatever it says, what is there then counts: somebody else may have come first.
        match requests.put(&key, marker::fresh().as_bytes(), PutMode::Create).await {
            Err(Refusal::Not(why)) => return Err(why),
            Err(Refusal::Condition(why) | Refusal::Unsent(why) | Refusal::Unknown(why)) => last = why,
            Ok(_) => "it is not there".clone_into(&mut last),
        }
    }
    match requests.get(&key, MARKER_BYTES_MAX).await? {
        Some(found) => marker::check(&found.content).map(|()| found.content).map_err(|why| requests.unusable(why)),
        None => Err(requests.failed(last)),
    }
}

#[async_trait]
impl Register for ObjectRegister {
    async fn read(&self, name: &str) -> Result<Option<(Version, LogRecord)>, RegisterError> {
        named(name)?;
        let Some(found) = self.requests.get(&self.key_of(name), CONTENT_BYTES_MAX).await? else {
            self.check().await?;
            return Ok(None);
        };
        let malformed = |why: String| RecordError::Malformed { name: name.to_owned(), why };
        let (_, json) = Stamps::split(&found.content).map_err(malformed)?;
        let record = LogRecord::decode(name, json)?;
        Ok(Some((Version(found.content), record)))
    }

    async fn compare_and_swap(&self, expected: Option<&Version>, record: &LogRecord) -> Result<Version, SwapError> {
        let json = encode(record)?;
        let key = self.key_of(&record.name);
        let found = self.requests.get(&key, CONTENT_BYTES_MAX).await?;
        if found.as_ref().map(|found| &found.content) != expected.map(|version| &version.0) {
            return Err(SwapError::Conflict);
        }
        if found.is_none() {
            self.check().await?;
        }
        Ok(Version(Change::new(&self.requests, &key, found, &json)?.make().await?))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, RegisterError> {
        self.check().await?;
        let objects = self.requests.list(&self.root).await?;
        let mut names: Vec<String> = objects.iter().filter_map(|object| Self::is_record(&self.root, object)).collect();
        names.retain(|name| name.starts_with(prefix));
        names.sort_unstable();
        Ok(names)
    }
}
