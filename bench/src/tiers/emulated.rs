//! Object stores with published latencies, on this machine: every figure measured over them is *emulated*.

use crate::object_server::{BucketSettings, Dialect, ObjectServer, S3_EXPRESS, S3_STANDARD, Shape};
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use quarry_client::QuorumStore;
use quarry_client::bucket::{BucketCluster, BucketKind, BucketPlace, BucketStore};
use quarry_client::capabilities::Tier;
use quarry_client::cluster::{NodeCluster, Tiers};
use quarry_client::quorum_store::StoreDefaults;
use quarry_client::register::MemoryRegister;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A store of buckets on a server in this process, whose answers take as long as others published.
pub struct Emulated {
    /// The store; its register is in memory.
    pub store: QuorumStore,
    /// Its buckets.
    pub buckets: Vec<Arc<dyn ObjectStore>>,
    /// Replicas, and how many of them commit a chunk.
    pub defaults: StoreDefaults,
    /// Where latencies come from.
    pub shape: Shape,
    /// Dropped last: clients may still delete.
    _server: ObjectServer,
}

/// Why an emulated store could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EmulatedError {
    /// Its server did not start.
    #[error("the local object server did not start: {0}")]
    Server(#[from] io::Error),
    /// A bucket could not be opened.
    #[error("a bucket of the local object server cannot be opened: {0}")]
    Bucket(#[from] object_store::Error),
    /// The buckets cannot be used.
    #[error("buckets of the local object server cannot be used: {0}")]
    Unusable(String),
}

impl Emulated {
    /// Three directory buckets of S3 Express One Zone, two of which commit a chunk.
    pub async fn s3_express(seed: u64) -> Result<Self, EmulatedError> {
        let names = ["a", "b", "c"].map(|name| format!("{name}--zone-{name}--x-s3"));
        Self::start(BucketKind::S3Express, &names, S3_EXPRESS, seed).await
    }

    /// One bucket of S3 Standard.
    pub async fn s3_standard(seed: u64) -> Result<Self, EmulatedError> {
        Self::start(BucketKind::S3, &["standard".to_owned()], S3_STANDARD, seed).await
    }

    /// One bucket that answers at once: what client and server can do on this machine.
    pub async fn immediate(seed: u64) -> Result<Self, EmulatedError> {
        Self::start(BucketKind::S3, &["immediate".to_owned()], Shape::IMMEDIATE, seed).await
    }

    async fn start(kind: BucketKind, names: &[String], shape: Shape, seed: u64) -> Result<Self, EmulatedError> {
        // The sessions of directory buckets are left out: a session serves for minutes, so they cost an append nothing.
        let settings = names.iter().map(|name| BucketSettings::new(name, Dialect::S3).shaped(shape));
        let server = ObjectServer::start(settings.collect(), seed)?;
        let endpoint = server.endpoint();
        let buckets: Vec<_> = names.iter().map(|name| open(&endpoint, name)).collect::<Result<_, _>>()?;
        let place = |name: &String| {
            let url = format!("{}://{name}?endpoint={endpoint}", kind.scheme());
            BucketPlace::parse(&url).map_err(EmulatedError::Unusable)
        };
        let stores: Result<Vec<_>, EmulatedError> = names
            .iter()
            .zip(&buckets)
            .map(|(name, bucket)| Ok(BucketStore::new(place(name)?, Arc::clone(bucket))))
            .collect();
        let cluster = Arc::new(BucketCluster::new(stores?));
        let zones = cluster.connect().await.map_err(EmulatedError::Unusable)?.zones;
        let nodes = Arc::new(NodeCluster::new("none".to_owned(), Vec::new()));
        let tiers = Arc::new(Tiers::on_buckets(cluster, nodes));
        let defaults = StoreDefaults {
            window: quarry_protocol::record::Window {
                bytes: quarry_protocol::limits::WINDOW_BYTES_MAX,
                ..StoreDefaults::for_replicas(1).window
            },
            ..StoreDefaults::for_replicas(names.len())
        };
        let store = QuorumStore::new(tiers, Arc::new(MemoryRegister::new()), zones, defaults, Tier::of_buckets(kind));
        Ok(Self { store, buckets, defaults, shape, _server: server })
    }
}

fn open(endpoint: &str, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
    let store = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region("emulated-1")
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_access_key_id("emulated")
        .with_secret_access_key("emulated")
        // As over TLS, where the client does not hash payloads for the signature.
        .with_unsigned_payload(true)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 0,
            retry_timeout: Duration::from_secs(10),
        })
        .build()?;
    Ok(Arc::new(store))
}
