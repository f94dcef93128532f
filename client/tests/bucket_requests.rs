//! How many requests a bucket gets for what is done often. Requests cost money, and a following reader makes them all day.

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::future::join_all;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use quarry_client::bucket::{BucketCluster, BucketPlace, BucketStore};
use quarry_client::capabilities::Tier;
use quarry_client::cluster::{NodeCluster, Tiers};
use quarry_client::quorum_store::{QuorumStore, StoreDefaults};
use quarry_client::register::MemoryRegister;
use quarry_client::{ChunkStore, OpenOptions, ReadOptions, ReadRange};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const LOG: &str = "log";
const REPLICAS: usize = 3;
/// Chunks that are appended as fast as they are taken: more than a window, so that a search has to find their end.
const IN_FLIGHT: u64 = 1000;
/// Chunks that are appended one by one behind them. Each says that all before it are committed.
const ONE_BY_ONE: u64 = 3;
const CHUNKS: u64 = IN_FLIGHT + ONE_BY_ONE;

/// Counts what passes.
#[derive(Debug)]
struct Counting {
    inner: Arc<InMemory>,
    count: Arc<AtomicU64>,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counting")
    }
}

impl Counting {
    fn one(&self) -> &InMemory {
        self.count.fetch_add(1, Ordering::Relaxed);
        &self.inner
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.one().put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.one().put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.one().get_opts(at, options).await
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.one().delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.one().list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.one().list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.one().copy_opts(from, to, options).await
    }
}

/// Buckets, a register, and how many requests the buckets got.
struct World {
    buckets: Vec<Arc<InMemory>>,
    register: Arc<MemoryRegister>,
    count: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        let buckets = (0..REPLICAS).map(|_| Arc::new(InMemory::new())).collect();
        Self { buckets, register: Arc::new(MemoryRegister::new()), count: Arc::default() }
    }

    /// A client that knows nothing yet.
    fn client(&self) -> QuorumStore {
        let bucket = |(number, inner): (usize, &Arc<InMemory>)| {
            let place = BucketPlace::parse(&format!("s3://bucket-{number}")).expect("parses");
            let counting = Counting { inner: Arc::clone(inner), count: Arc::clone(&self.count) };
            BucketStore::new(place, Arc::new(counting))
        };
        let buckets = Arc::new(BucketCluster::new(self.buckets.iter().enumerate().map(bucket).collect()));
        let nodes = Arc::new(NodeCluster::new("none".to_owned(), Vec::new()));
        let tiers = Arc::new(Tiers::on_buckets(buckets, nodes));
        let register = Arc::clone(&self.register);
        QuorumStore::new(tiers, register, Vec::new(), StoreDefaults::for_replicas(REPLICAS), Tier::MEMORY)
    }

    /// How many requests it took.
    async fn cost<T>(&self, what: &str, work: impl Future<Output = T>) -> (u64, T) {
        let before = self.count.load(Ordering::Relaxed);
        let done = work.await;
        let cost = self.count.load(Ordering::Relaxed) - before;
        println!("{what}: {cost} requests");
        (cost, done)
    }
}

async fn write(store: &QuorumStore, in_flight: u64, one_by_one: u64) {
    let writer = store.open(LOG, OpenOptions::default()).await.expect("opens").writer;
    let mut pending = Vec::new();
    for number in 0..in_flight {
        pending.push(writer.append(number.to_string().into()).await.expect("taken"));
    }
    for append in pending {
        append.await.expect("committed");
    }
    for _ in 0..one_by_one {
        writer.append("slow".into()).await.expect("taken").await.expect("committed");
    }
    writer.close().await.expect("closes");
}

async fn count_of(store: &QuorumStore) -> u64 {
    let stream = store.read(LOG, ReadRange::all(), ReadOptions::default()).await.expect("reads");
    stream.try_fold(0, |count, _| async move { Ok(count + 1) }).await.expect("reads on")
}

#[tokio::test]
async fn what_is_done_often_takes_few_requests() {
    let world = World::new();
    write(&world.client(), IN_FLIGHT, ONE_BY_ONE).await;
    let reader = world.client();
    let tail = async || reader.tail(LOG).await.expect("answers").tail.0;
    let (first, seen) = world.cost("a first tail", tail()).await;
    assert_eq!(seen, CHUNKS);
    // Of those, 18 in each bucket look for what lies behind a long hole.
    assert!(first <= 70 * REPLICAS as u64, "{first}");
    let (second, seen) = world.cost("a second tail", tail()).await;
    assert_eq!(seen, CHUNKS);
    assert!(second <= 6 * REPLICAS as u64, "{second}: nothing has changed");
    let (eight, seen) = world.cost("eight tails at once", join_all((0..8).map(|_| tail()))).await;
    assert!(seen.iter().all(|seen| *seen == CHUNKS), "{seen:?}");
    assert!(eight <= 4 * second, "{eight}: one look answers many");
    let readers = world.client();
    let (read, counts) = world.cost("eight readers", join_all((0..8).map(|_| count_of(&readers)))).await;
    assert!(counts.iter().all(|count| *count == CHUNKS), "{counts:?}");
    assert!(read <= 8 * CHUNKS + 500, "{read}: {} chunks are read", 8 * CHUNKS);
    let (takeover, ()) = world.cost("a takeover", write(&world.client(), 0, 0)).await;
    assert!(takeover <= 100 * REPLICAS as u64, "{takeover}");
    assert_eq!(tail().await, CHUNKS, "of the new segment");
}
