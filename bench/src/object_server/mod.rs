//! A small object server of **our own**, in this process and in memory, for tests and for the latency-shaping mode.
//!
//! It is not S3 and not Google Cloud Storage, and nothing that matters may be kept in it: it speaks the documented subset of
//! their protocols that the `object_store` crate uses, so that the bucket backends meet those dialects where no server of
//! somebody else's speaks them. What it knows of each is in [`s3`] and [`google`]; [`Dialect`] says which a bucket speaks.
//!
//! ```text
//!  connection   one task per connection: hyper reads the request, bodies stay in the pieces they arrived in
//!  access       whose key, which region, how old the request is, is the session still good? (signatures are not checked)
//!  s3, google   which operation, and the answer in the vendor's words
//!  latency      half of the sampled delay before the effect, half after it
//!  bucket       the objects: put, get, delete, list, each one look into an ordered map
//! ```
//! It runs on a thread of its own, so that a busy or blocked test does not slow it, and ends when it is dropped.
//!
//! [`fault_proxy`] stands in front of this or any other server and loses, delays and repeats what passes.

mod access;
mod bucket;
mod connection;
pub mod fault_proxy;
mod google;
mod latency;
mod listing;
mod object;
mod published;
mod request;
mod s3;
mod settings;
#[cfg(test)]
mod tests;
mod xml;

pub use latency::{Latency, Shape};
pub use published::{S3_EXPRESS, S3_STANDARD};
pub use settings::{BucketSettings, Dialect, Expected, Switches};

use crate::random::Random;
use bucket::Bucket;
use bytes::Bytes;
use object::Object;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Most bytes of objects: puts beyond it are refused, so that a long run ends in an error and not in a full memory.
pub const OBJECT_BYTES_MAX: u64 = 8 << 30;

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct ObjectServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    switches: Switches,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
struct State {
    buckets: BTreeMap<String, Bucket>,
    /// Number of the last write: versions, and unique entity tags.
    writes: u64,
    /// Bytes of all objects.
    bytes: u64,
    sessions: access::Sessions,
    random: Random,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of one connection leaves whole objects behind: each change is one assignment.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl ObjectServer {
    /// Starts a server on a free loopback port. What it samples follows from `seed`.
    pub fn start(buckets: Vec<BucketSettings>, seed: u64) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            switches: Switches::default(),
            state: Mutex::new(State {
                buckets: buckets.into_iter().map(|bucket| (bucket.name.clone(), Bucket::new(bucket))).collect(),
                writes: 0,
                bytes: 0,
                sessions: access::Sessions::default(),
                random: Random::new(seed, 0),
            }),
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let of_connections = Arc::clone(&shared);
        let serving = std::thread::Builder::new().name("object-server".into()).spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the listener is not blocking");
                tokio::select! {
                    () = connection::accept(listener, of_connections) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, shared, stop: Some(stop), serving: Some(serving) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a bucket.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What can be changed while it runs.
    #[must_use]
    pub fn switches(&self) -> &Switches {
        &self.shared.switches
    }

    /// Changes a bucket's settings; its objects stay.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub fn change(&self, bucket: &str, change: impl FnOnce(&mut BucketSettings)) {
        let mut state = self.shared.state();
        change(&mut state.buckets.get_mut(bucket).unwrap_or_else(|| panic!("no bucket {bucket}")).settings);
    }

    /// Every key of a bucket, in order.
    #[must_use]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.shared.state().buckets.get(bucket).map_or_else(Vec::new, Bucket::keys)
    }

    /// What an object holds.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<Bytes> {
        self.shared.state().buckets.get(bucket)?.get(key).map(Object::to_bytes)
    }

    /// Puts an object there, whatever is there: somebody else's, for tests.
    ///
    /// # Panics
    /// If there is no such bucket.
    pub fn put_object(&self, bucket: &str, key: &str, content: &[u8]) {
        let parts = vec![Bytes::copy_from_slice(content)];
        let mut state = self.shared.state();
        state.put(bucket, key, parts, &bucket::Condition::Always).expect("the bucket exists and takes it");
    }

    /// Takes an object away; says whether it was there.
    pub fn remove_object(&self, bucket: &str, key: &str) -> bool {
        self.shared.state().delete(bucket, key)
    }

    /// Makes every session of every directory bucket worthless, as time does.
    pub fn expire_sessions(&self) {
        self.shared.state().sessions.expire();
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}
