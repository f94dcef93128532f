//! A proxy for HTTP that treats requests badly: in front of any object store, so that what its clients do about lost, late,
//! repeated and half-said words can be tested.
//!
//! It changes nothing of what it passes on: method, path, query, headers (`Host` included, so signatures stay good) and body
//! go through as they came. What happens to a request is drawn from a seed at [`Rates`] that can be changed at any
//! time, or said beforehand for the next request of a kind ([`FaultProxy::strike_next`]).
//!
//! ```text
//!             ArriveLate   LoseRequest  CutRequest                   LoseResponse  CutResponse
//!  client ────────┬────────────┬────────────┬──────▶ store ───────────────┬─────────────┬──────▶ client
//!            DelayRequest   SlowDown   RepeatAfter                  DelayResponse
//!                        InternalError RepeatAtOnce
//! ```
//! The order in which concurrent requests draw is the order of their arrival, so a seed repeats a run of requests sent one by
//! one, and of concurrent ones only the mixture.

mod forward;
mod plan;
#[cfg(test)]
mod tests;

pub use plan::{Counts, Fault, Rates};

use forward::Client;
use hyper::Method;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use plan::Plan;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    passing: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// The store: `HOST:PORT`.
    store: String,
    plan: Mutex<Plan>,
    client: Client,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl FaultProxy {
    /// Starts a proxy in front of `store` (`HOST:PORT`), on a free loopback port. It passes everything until it is told rates.
    pub fn start(store: &str, seed: u64) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        let shared = Arc::new(Shared { store: store.to_owned(), plan: Mutex::new(Plan::new(seed)), client });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let of_connections = Arc::clone(&shared);
        let passing = std::thread::Builder::new().name("fault-proxy".into()).spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the listener is not blocking");
                tokio::select! {
                    () = accept(listener, of_connections) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, shared, stop: Some(stop), passing: Some(passing) })
    }

    /// Its URL, in the place of the store's.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often what happens from now on, and at most how many times all together.
    pub fn set_rates(&self, rates: Rates, faults_max: u64) {
        self.shared.plan().set_rates(rates, faults_max);
    }

    /// Does this to the next request with that method whose path and query contain `part`. Several are met in the order they
    /// were said in. These do not count towards the bound.
    pub fn strike_next(&self, method: Method, part: &str, fault: Fault) {
        self.shared.plan().strike_next(method, part, fault);
    }

    /// How many of these are still to come.
    #[must_use]
    pub fn strikes_left(&self) -> usize {
        self.shared.plan().strikes_left()
    }

    /// What it did.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.plan().counts()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(passing) = self.passing.take() {
            let _ = passing.join();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files: the next one may be luckier, once some are closed.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let pass_one = service_fn(|request| forward::pass(request, Arc::clone(&shared)));
            // Connections end badly on purpose here.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), pass_one).await;
        });
    }
}
