//! A bucket that treats requests badly, in front of one that does not.

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What happens to one put of a record, or to one get.
#[derive(Clone)]
pub(crate) enum Fate {
    Well,
    /// It fails before the bucket has seen it.
    FailsBefore,
    /// The bucket carries it out, and its answer is lost.
    AnswerLost,
    /// It arrives twice; the second answer is the one that comes back.
    Twice,
    /// It arrives later than its error.
    Late(Duration),
    /// It takes its time.
    Slow(Duration),
    /// No answer ever comes. It is not carried out.
    Silent,
    /// The bucket carries it out, somebody does something else, and then its answer is lost.
    AnswerLostAnd(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>),
    /// It fails before the bucket has seen it, and then somebody does something else.
    FailsBeforeAnd(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>),
    /// A condition is ignored.
    Unconditional,
}

type Plan = Box<dyn Fn(u64) -> Fate + Send + Sync>;

/// Passes everything on, the puts and gets as planned by their number.
pub(crate) struct Bad {
    inner: Arc<InMemory>,
    puts: Plan,
    gets: Plan,
    put_count: AtomicU64,
    get_count: AtomicU64,
}

impl Bad {
    pub(crate) fn new(inner: &Arc<InMemory>, puts: impl Fn(u64) -> Fate + Send + Sync + 'static) -> Arc<Self> {
        Self::with_gets(inner, puts, |_| Fate::Well)
    }

    pub(crate) fn with_gets(
        inner: &Arc<InMemory>,
        puts: impl Fn(u64) -> Fate + Send + Sync + 'static,
        gets: impl Fn(u64) -> Fate + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (puts, gets): (Plan, Plan) = (Box::new(puts), Box::new(gets));
        let (put_count, get_count) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { inner: Arc::clone(inner), puts, gets, put_count, get_count })
    }

    /// How many puts of records there were.
    pub(crate) fn put_count(&self) -> u64 {
        self.put_count.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bad")
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bad")
    }
}

fn lost() -> Error {
    Error::Generic { store: "bad", source: "the connection was lost".into() }
}

#[async_trait]
impl ObjectStore for Bad {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        // The probe and the marker are not what these tests are about, except of conditions.
        let fate = (self.puts)(self.put_count.load(Ordering::Relaxed));
        if at.extension() != Some("log") && !matches!(fate, Fate::Unconditional) {
            return self.inner.put_opts(at, payload, options).await;
        }
        self.put_count.fetch_add(1, Ordering::Relaxed);
        let put = |options: PutOptions| self.inner.put_opts(at, payload.clone(), options);
        match fate {
            Fate::Well => put(options).await,
            Fate::FailsBefore => Err(lost()),
            Fate::AnswerLost => {
                let _ = put(options).await;
                Err(lost())
            }
            Fate::Twice => {
                let _ = put(options.clone()).await;
                put(options).await
            }
            Fate::Late(delay) => {
                let (inner, at, payload) = (Arc::clone(&self.inner), at.clone(), payload.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    inner.put_opts(&at, payload, options).await
                });
                Err(lost())
            }
            Fate::Slow(delay) => {
                tokio::time::sleep(delay).await;
                put(options).await
            }
            Fate::Silent => std::future::pending().await,
            Fate::AnswerLostAnd(then) => {
                let _ = put(options).await;
                then().await;
                Err(lost())
            }
            Fate::FailsBeforeAnd(then) => {
                then().await;
                Err(lost())
            }
            Fate::Unconditional => put(PutOptions { mode: PutMode::Overwrite, ..options }).await,
        }
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        match (self.gets)(self.get_count.fetch_add(1, Ordering::Relaxed)) {
            Fate::FailsBefore => Err(lost()),
            Fate::Slow(delay) => {
                tokio::time::sleep(delay).await;
                self.inner.get_opts(at, options).await
            }
            Fate::Silent => std::future::pending().await,
            _ => self.inner.get_opts(at, options).await,
        }
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
