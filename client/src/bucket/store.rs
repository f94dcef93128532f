//! One bucket: operations on its objects, each bounded in time.

use super::expiry::{self, Asker};
use super::identity::Unusable;
use super::leftovers::Listed;
use super::outcome::{Trouble, TroubleKind};
use super::place::BucketPlace;
use super::status::watched;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use quarry_protocol::bucket::{ObjectKey, Operation, Outcome};
use quarry_protocol::limits::BUCKET_TRIES_MAX;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep, timeout};

/// How long one attempt of an operation may take. What took longer is given up; a create is made again, and read back.
const ATTEMPT_TIMEOUT: Duration = super::opening::REQUEST_TIMEOUT;
/// How long a throttled operation waits before it is tried again; doubles each time.
const THROTTLE_WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest of these waits.
const THROTTLE_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long an operation is tried again while its store throttles; after that the store counts as not answering. The machine's tries
/// together end well before a writer gives up (30 s), or it could not say what it waited for.
const THROTTLE_PATIENCE: Duration = Duration::from_secs(5);
const _: () = assert!(THROTTLE_PATIENCE.as_secs() * BUCKET_TRIES_MAX as u64 <= 20);

/// A bucket that can be talked to.
#[derive(Clone)]
pub struct BucketStore {
    place: BucketPlace,
    /// Empty until a directory that was not there comes back.
    store: Arc<OnceLock<Arc<dyn ObjectStore>>>,
    directory: Option<PathBuf>,
    /// Who asks for expiry rules, if there may be any.
    asker: Option<Arc<Asker>>,
}

impl BucketStore {
    /// The bucket at `place`. Nothing is asked of it yet. A directory that is not there, or whose disk is not mounted, does not
    /// answer until it is.
    pub fn open(place: &BucketPlace) -> Result<Self, String> {
        let directory = place.directory();
        if directory.is_some() {
            return Ok(Self { place: place.clone(), store: Arc::default(), directory, asker: None });
        }
        let (opened, asker) = place.open_asking()?;
        let (store, asker) = (Arc::new(OnceLock::from(opened)), asker.map(Arc::new));
        Ok(Self { place: place.clone(), store, directory, asker })
    }

    /// A bucket whose objects are in `store`, whatever that is.
    #[must_use]
    pub fn new(place: BucketPlace, store: Arc<dyn ObjectStore>) -> Self {
        let directory = place.directory();
        Self { place, store: Arc::new(OnceLock::from(store)), directory, asker: None }
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &BucketPlace {
        &self.place
    }

    fn reach(&self, key: &str) -> Result<&Arc<dyn ObjectStore>, Trouble> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let opened = self.place.open().map_err(|why| Trouble::away(key, &why))?;
        Ok(self.store.get_or_init(|| opened))
    }

    /// That no rule of the bucket lets what is here expire; why that is not known, if it is not.
    pub(crate) async fn check_expiry(&self) -> Result<Option<String>, Unusable> {
        match &self.asker {
            Some(asker) => expiry::check(asker, &self.place).await,
            None => Ok(None),
        }
    }

    /// Performs an operation of a bucket's machine.
    pub(super) async fn perform(&self, what: Operation) -> Outcome {
        match what {
            Operation::Create { key, head, payload } => match self.create(&key.to_string(), [head, payload]).await {
                Ok(()) => self.is_still_there().map_or_else(|why| Outcome::Ambiguous { why }, |()| Outcome::Created),
                Err(trouble) => trouble.of_change(),
            },
            Operation::Get { key, bytes_max } => match self.get(&key.to_string(), bytes_max).await {
                Ok((size, bytes)) => Outcome::Found { size, bytes },
                Err(trouble) => trouble.of_read(),
            },
            Operation::Delete { key } => match self.delete(&key.to_string()).await {
                Ok(()) => Outcome::Deleted,
                Err(trouble) if trouble.kind == TroubleKind::NotFound => Outcome::Deleted,
                Err(trouble) => trouble.of_change(),
            },
        }
    }

    /// Creates an object, durably, unless there is one.
    pub(super) async fn create(&self, key: &str, parts: [Bytes; 2]) -> Result<(), Trouble> {
        let (path, payload) = (Path::from(key), PutPayload::from_iter(parts));
        let store = self.reach(key)?;
        self.patiently(key, || async {
            store.put_opts(&path, payload.clone(), PutOptions::from(PutMode::Create)).await.map(|_| ())
        })
        .await
    }

    /// The size of an object, and its first `bytes_max` bytes or all of them.
    pub(super) async fn get(&self, key: &str, bytes_max: Option<usize>) -> Result<(u64, Bytes), Trouble> {
        let path = Path::from(key);
        let range = bytes_max.map(|max| GetRange::Bounded(0..max as u64));
        let store = self.reach(key)?;
        self.patiently(key, || async {
            let found = store.get_opts(&path, GetOptions { range: range.clone(), ..GetOptions::default() }).await?;
            self.settle(&path).await?;
            let size = found.meta.size;
            Ok((size, GetResult::bytes(found).await?))
        })
        .await
    }

    /// Deletes an object, whether there is one or not.
    pub(super) async fn delete(&self, key: &str) -> Result<(), Trouble> {
        let path = Path::from(key);
        let store = self.reach(key)?;
        self.patiently(key, || async { store.delete(&path).await }).await
    }

    /// The parts of names up to their first slash that objects of this bucket have.
    pub(super) async fn first_parts(&self) -> Result<Vec<String>, Trouble> {
        self.parts_of(None).await
    }

    /// The next parts of names that begin with `below` and a slash.
    pub(super) async fn parts_of(&self, below: Option<&str>) -> Result<Vec<String>, Trouble> {
        let (store, below) = (self.reach("listing")?, below.map(Path::from));
        let listed = self.patiently("listing", || async { store.list_with_delimiter(below.as_ref()).await }).await?;
        let parts = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename().map(str::to_owned));
        Ok(parts.collect())
    }

    /// The objects whose names begin with `below` and a slash.
    pub(super) async fn objects_below(&self, below: &str) -> Result<Vec<Listed>, Trouble> {
        let (store, below) = (self.reach("listing")?, Path::from(below));
        let listed =
            self.patiently("listing", || async { store.list(Some(&below)).try_collect::<Vec<ObjectMeta>>().await });
        let now = SystemTime::now();
        let of = |meta: ObjectMeta| {
            let age = now.duration_since(meta.last_modified.into()).unwrap_or_default();
            let name = meta.location.filename().unwrap_or_default().to_owned();
            Listed { name, size: meta.size, age_s: age.as_secs() }
        };
        Ok(listed.await?.into_iter().map(of).collect())
    }

    /// One operation, tried again while the store throttles.
    async fn patiently<T, F>(&self, key: &str, mut attempt: impl FnMut() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let (begun, mut wait) = (Instant::now(), THROTTLE_WAIT_MIN);
        loop {
            let trouble = match timeout(ATTEMPT_TIMEOUT, watched(attempt())).await {
                Ok((Ok(done), _)) => return Ok(done),
                Ok((Err(error), status)) => Trouble::of(&self.place.to_string(), key, &error, status),
                Err(_) => Trouble::timeout(&self.place.to_string(), key, ATTEMPT_TIMEOUT),
            };
            if trouble.kind != TroubleKind::Throttled || begun.elapsed() + wait > THROTTLE_PATIENCE {
                return Err(trouble);
            }
            tracing::debug!("throttled, trying again in {wait:?}: {}", trouble.why);
            sleep(wait).await;
            wait = (wait * 2).min(THROTTLE_WAIT_MAX);
        }
    }

    /// A directory whose disk is unmounted is made anew by the next create, on whatever lies beneath. Its identity is not.
    fn is_still_there(&self) -> Result<(), String> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let identity = directory.join(ObjectKey::Identity.to_string());
        if identity.exists() {
            return Ok(());
        }
        Err(format!("{}: its disk is gone: {} is not there", self.place, identity.display()))
    }

    /// A file that another process has just linked may be seen before its name is durable. Whoever answers that it is there
    /// makes it so first (P4).
    async fn settle(&self, path: &Path) -> object_store::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let file = directory.join(path.as_ref());
        let synced = tokio::task::spawn_blocking(move || {
            file.parent().map_or(Ok(()), |parent| std::fs::File::open(parent)?.sync_all())
        });
        let synced = synced.await.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)));
        synced.map_err(|why| object_store::Error::Generic { store: "directory", source: Box::new(why) })
    }
}

impl fmt::Debug for BucketStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketStore({})", self.place)
    }
}
