//! Requests to the bucket: each bounded in time, each failure told apart by what it may have done.

use super::super::RegisterError;
use crate::bucket::{Trouble, TroubleKind, watched};
use crate::random::random_share;
use futures::StreamExt;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, PutResult, UpdateVersion,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long one request may take.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(5);
/// How long a list, of many pages, may take.
const LIST_MAX: Duration = Duration::from_mins(1);
/// How often a request is made before its failure is told.
pub(super) const ATTEMPTS_MAX: u32 = 5;
/// Pause after the first attempt, also when the bucket throttles (429 or 503). It doubles with each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// Why a conditional put was not confirmed.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// What it was to replace is not there, or not any more.
    Condition(String),
    /// It was not carried out, and never will be.
    Not(RegisterError),
    /// It did not leave this machine.
    Unsent(String),
    /// It may have been carried out, or may yet be.
    Unknown(String),
}

/// An object as it was read.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) content: Vec<u8>,
    /// What a conditional put names.
    pub(super) version: UpdateVersion,
}

/// A bucket and how it is called.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) place: Arc<str>,
}

impl Requests {
    /// An object of at most `max` bytes; nothing if it is not there.
    pub(super) async fn get(&self, key: &Path, max: usize) -> Result<Option<Object>, RegisterError> {
        self.repeat(key, REQUEST_MAX, || self.get_once(key, max)).await
    }

    async fn get_once(&self, key: &Path, max: usize) -> Result<Object, Error> {
        let found = self.store.get_opts(key, GetOptions::default()).await?;
        if found.meta.size > max as u64 {
            let why = format!("it has {} bytes, the most is {max}: it is not the register's", found.meta.size);
            return Err(Error::NotSupported { source: why.into() });
        }
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        Ok(Object { content: found.bytes().await?.to_vec(), version })
    }

    /// One attempt to store an object under a condition.
    pub(super) async fn put(&self, key: &Path, content: &[u8], mode: PutMode) -> Result<PutResult, Refusal> {
        let payload = PutPayload::from(content.to_vec());
        let options = PutOptions { mode, ..PutOptions::default() };
        match timeout(REQUEST_MAX, watched(self.store.put_opts(key, payload, options))).await {
            Ok((Ok(stored), _)) => Ok(stored),
            Ok((Err(why), status)) => Err(self.refusal(key, &why, status)),
            Err(_) => Err(Refusal::Unknown(Trouble::timeout(&self.place, key.as_ref(), REQUEST_MAX).why)),
        }
    }

    fn refusal(&self, key: &Path, error: &Error, status: Option<u16>) -> Refusal {
        let Trouble { why, kind } = Trouble::of(&self.place, key.as_ref(), error, status);
        match kind {
            TroubleKind::Conflict => Refusal::Condition(why),
            TroubleKind::NotFound | TroubleKind::Refused => Refusal::Not(self.unusable(why)),
            TroubleKind::Throttled | TroubleKind::Unanswered if is_unsent(error) => Refusal::Unsent(why),
            // A gateway before the store may say so of a request that it had passed on.
            TroubleKind::Throttled | TroubleKind::Unanswered => Refusal::Unknown(why),
        }
    }

    /// Deletes an object, if it is there.
    pub(super) async fn delete(&self, key: &Path) -> Result<(), RegisterError> {
        self.repeat(key, REQUEST_MAX, || self.store.delete(key)).await.map(|_| ())
    }

    /// Every object below `root`.
    pub(super) async fn list(&self, root: &Path) -> Result<Vec<Path>, RegisterError> {
        let listed = self.repeat(root, LIST_MAX, || async {
            let mut found = Vec::new();
            let mut objects = self.store.list(Some(root));
            while let Some(object) = objects.next().await {
                found.push(object?.location);
            }
            Ok(found)
        });
        Ok(listed.await?.unwrap_or_default())
    }

    /// Makes a request that changes nothing, or nothing twice, until it is answered. Nothing if the object is not there.
    async fn repeat<T, F: Future<Output = Result<T, Error>>>(
        &self,
        key: &Path,
        within: Duration,
        request: impl Fn() -> F,
    ) -> Result<Option<T>, RegisterError> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS_MAX {
            pause(attempt).await;
            last = match timeout(within, watched(request())).await {
                Ok((Ok(answer), _)) => return Ok(Some(answer)),
                Ok((Err(error), status)) => {
                    let Trouble { why, kind } = Trouble::of(&self.place, key.as_ref(), &error, status);
                    match kind {
                        TroubleKind::NotFound => return Ok(None),
                        TroubleKind::Refused => return Err(self.unusable(why)),
                        TroubleKind::Conflict | TroubleKind::Throttled | TroubleKind::Unanswered => why,
                    }
                }
                Err(_) => Trouble::timeout(&self.place, key.as_ref(), within).why,
            };
        }
        Err(self.failed(format!("{last} ({ATTEMPTS_MAX} attempts)")))
    }

    pub(super) fn failed(&self, why: String) -> RegisterError {
        RegisterError::Failed { register: self.place.to_string(), why }
    }

    pub(super) fn unusable(&self, why: String) -> RegisterError {
        RegisterError::Unusable { register: self.place.to_string(), why }
    }
}

/// Waits before every attempt but the first, a little differently each time, so that writers who met do not meet again.
pub(super) async fn pause(attempt: u32) {
    if attempt > 0 {
        let most = PAUSE_FIRST * 2_u32.pow(attempt - 1);
        sleep(most / 2 + random_share(most / 2)).await;
    }
}

/// Whether no connection was had, so that nothing can have come of it. Every other failure of the network may come after
/// the request arrived.
fn is_unsent(why: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(why);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            return matches!(error.kind(), HttpErrorKind::Connect);
        }
        cause = error.source();
    }
    false
}
