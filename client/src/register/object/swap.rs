//! One change of one record: tried again while its outcome is open, and told apart from others' changes by its stamp.
//!
//! A put names what it replaces (or that nothing is there), and records are never deleted, so it succeeds at most once
//! however often it is sent, by us or by whatever is between us and the bucket, and an attempt that comes late fails. That
//! is what makes trying again safe. That a condition failed says nothing yet: an earlier attempt may have been carried out
//! (pitfall 15). What is stored then says whose change it was.

use super::requests::{ATTEMPTS_MAX, Object, Refusal, Requests, pause};
use super::stamps::{Fate, Stamp, Stamps};
use super::{CONTENT_BYTES_MAX, SwapError};
use object_store::PutMode;
use object_store::path::Path;

/// A change to make.
#[derive(Debug)]
pub(super) struct Change<'a> {
    requests: &'a Requests,
    key: &'a Path,
    stamp: Stamp,
    /// What it is to follow.
    before: Stamps,
    mode: PutMode,
    content: Vec<u8>,
}

impl<'a> Change<'a> {
    /// The change of what was `found` to `record`.
    pub(super) fn new(
        requests: &'a Requests,
        key: &'a Path,
        found: Option<Object>,
        record: &[u8],
    ) -> Result<Self, SwapError> {
        let (before, mode) = match found {
            None => (Stamps::default(), PutMode::Create),
            Some(found) => {
                let split = Stamps::split(&found.content).map(|(stamps, _)| stamps);
                let before = split.map_err(|why| requests.unusable(format!("{key}: {why}")))?;
                if found.version.e_tag.is_none() && found.version.version.is_none() {
                    let why = format!("{key} was read without an ETag or a version: changes cannot be compared");
                    return Err(requests.unusable(why).into());
                }
                (before, PutMode::Update(found.version))
            }
        };
        let stamp = Stamp::fresh();
        let content = before.followed_by(stamp).join(record);
        Ok(Self { requests, key, stamp, before, mode, content })
    }

    /// Makes it, and returns what is stored then.
    pub(super) async fn make(self) -> Result<Vec<u8>, SwapError> {
        // Why an earlier attempt may have been carried out, or may yet be.
        let mut doubt = None;
        let mut refused = None;
        for attempt in 0..ATTEMPTS_MAX {
            pause(attempt).await;
            match self.requests.put(self.key, &self.content, self.mode.clone()).await {
                Ok(_) => return Ok(self.content),
                Err(Refusal::Not(why)) => {
                    refused = Some(why);
                    break;
                }
                Err(Refusal::Unsent(why)) => refused = Some(self.requests.failed(why)),
                Err(Refusal::Unknown(why)) => doubt = Some(why),
                Err(Refusal::Condition(why)) => match self.fate().await.map_err(|_| ambiguous(&why))? {
                    Fate::Made => return Ok(self.content),
                    Fate::Never => return Err(SwapError::Conflict),
                    Fate::Unknown => return Err(ambiguous(&why)),
                    // Buckets refuse, too, while another request to the same object is under way.
                    Fate::Open => refused = Some(self.requests.failed(why)),
                },
            }
        }
        match (doubt, refused) {
            (Some(why), _) => self.settle(&why).await,
            (None, Some(why)) => Err(SwapError::Failed(why)),
            (None, None) => unreachable!("every attempt ended in one of them"),
        }
    }

    /// The last word on attempts of which nobody knows: only what others did since can make them certain.
    async fn settle(self, why: &str) -> Result<Vec<u8>, SwapError> {
        match self.fate().await {
            Ok(Fate::Made) => Ok(self.content),
            Ok(Fate::Never) => Err(SwapError::Conflict),
            Ok(Fate::Open | Fate::Unknown) | Err(_) => Err(ambiguous(why)),
        }
    }

    async fn fate(&self) -> Result<Fate, SwapError> {
        let Some(stored) = self.requests.get(self.key, CONTENT_BYTES_MAX).await? else {
            let created = matches!(self.mode, PutMode::Create);
            let gone =
                || self.requests.unusable(format!("{} is gone: restore it, records are never deleted", self.key));
            return if created { Ok(Fate::Open) } else { Err(gone().into()) };
        };
        let split = Stamps::split(&stored.content).map_err(|why| self.requests.unusable(why))?;
        Ok(self.before.fate(self.stamp, &split.0))
    }
}

fn ambiguous(why: &str) -> SwapError {
    SwapError::Ambiguous { why: why.to_owned() }
}
