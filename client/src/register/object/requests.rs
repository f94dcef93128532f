//! Requests to the bucket: each bounded in time, each failure told apart by what it may have done.

use super::super::RegisterError;
use super::super::causes::causes;
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
        self.repeat("read", key, || self.get_once(key, max)).await
    }

    async fn get_once(&self, key: &Path, max: usize) -> Result<Option<Object>, Error> {
        let found = match self.store.get_opts(key, GetOptions::default()).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        if found.meta.size > max as u64 {
            let why = format!("it has {} bytes, the most is {max}: it is not the register's", found.meta.size);
            return Err(Error::NotSupported { source: why.into() });
        }
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        Ok(Some(Object { content: found.bytes().await?.to_vec(), version }))
    }

    /// One attempt to store an object under a condition.
    pub(super) async fn put(&self, key: &Path, content: &[u8], mode: PutMode) -> Result<PutResult, Refusal> {
        let payload = PutPayload::from(content.to_vec());
        let options = PutOptions { mode, ..PutOptions::default() };
        match timeout(REQUEST_MAX, self.store.put_opts(key, payload, options)).await {
            Ok(Ok(stored)) => Ok(stored),
            Ok(Err(why)) => Err(self.refusal(key, &why)),
            Err(_) => Err(Refusal::Unknown(self.describe("write", key, &late()))),
        }
    }

    fn refusal(&self, key: &Path, why: &Error) -> Refusal {
        let text = self.describe("write", key, &causes(why));
        match why {
            Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => {
                Refusal::Condition(text)
            }
            why if is_final(why) => Refusal::Not(self.unusable(text)),
            why if is_unsent(why) => Refusal::Unsent(text),
            _ => Refusal::Unknown(text),
        }
    }

    /// Deletes an object, if it is there.
    pub(super) async fn delete(&self, key: &Path) -> Result<(), RegisterError> {
        self.repeat("delete", key, || async {
            match self.store.delete(key).await {
                Err(Error::NotFound { .. }) => Ok(()),
                done => done,
            }
        })
        .await
    }

    /// Every object below `root`.
    pub(super) async fn list(&self, root: &Path) -> Result<Vec<Path>, RegisterError> {
        self.repeat("list", root, || async {
            let mut found = Vec::new();
            let mut objects = self.store.list(Some(root));
            // Each page is one request; the stream is quick between them.
            while let Some(object) = timeout(REQUEST_MAX, objects.next()).await.map_err(|_| as_error(late()))? {
                found.push(object?.location);
            }
            Ok(found)
        })
        .await
    }

    /// Makes a request that changes nothing, or nothing twice, until it is answered.
    async fn repeat<T, F: Future<Output = Result<T, Error>>>(
        &self,
        what: &str,
        key: &Path,
        request: impl Fn() -> F,
    ) -> Result<T, RegisterError> {
        let mut why = String::new();
        for attempt in 0..ATTEMPTS_MAX {
            pause(attempt).await;
            // A list bounds each of its pages itself, and may have many.
            let answered = if what == "list" { Ok(request().await) } else { timeout(REQUEST_MAX, request()).await };
            match answered {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) if is_final(&error) => {
                    return Err(self.unusable(self.describe(what, key, &causes(&error))));
                }
                Ok(Err(error)) => why = causes(&error),
                Err(_) => why = late(),
            }
        }
        Err(self.failed(format!("{} ({ATTEMPTS_MAX} attempts)", self.describe(what, key, &why))))
    }

    fn describe(&self, what: &str, key: &Path, why: &str) -> String {
        format!("cannot {what} {key} in {}: {why}", self.place)
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

fn late() -> String {
    format!("no answer within {} ms", REQUEST_MAX.as_millis())
}

fn as_error(why: String) -> Error {
    Error::Generic { store: "bucket", source: why.into() }
}

/// Whether asking again is of no use, and nothing was done.
fn is_final(why: &Error) -> bool {
    matches!(
        why,
        Error::NotFound { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::UnknownConfigurationKey { .. }
    )
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
