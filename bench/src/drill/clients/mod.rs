//! The clients of a drill. They do what clients of a store do, take down what they were told, and never give up on an error
//! that says that trying again may help. Any other error is a violation.

mod hog;
mod reader;
mod repairer;
mod trimmer;
mod writer;

pub(super) use hog::Hog;
pub(super) use repairer::options as repair_options;

use super::checker::{Checker, log_name};
use crate::random::Random;
use quarry_client::{ChunkStore, OpenOptions, QuorumStore, RotationOptions, connect_to_quorum};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Clients that take each log from each other.
const WRITERS_PER_LOG: u64 = 2;
/// How long a client that has just failed waits.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a client tries to reach any node at all.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);
/// How long clients may take to come to an end: their longest deadline, and some.
const END_PATIENCE: Duration = Duration::from_mins(1);

/// What a client needs.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) checker: Arc<Checker>,
    pub(super) log: usize,
    pub(super) store: Arc<dyn ChunkStore>,
    random: Random,
    stop: watch::Receiver<bool>,
}

impl Client {
    fn name(&self) -> String {
        log_name(self.log)
    }

    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits, or less if it is to stop.
    async fn pause(&mut self, time: Duration) {
        // The sender outlives the clients.
        let _ = timeout(time, self.stop.wait_for(|stop| *stop)).await;
    }
}

/// Options with which something happens in a drill: small segments, short patience.
pub(super) fn open_options() -> OpenOptions {
    OpenOptions {
        deadline: Duration::from_secs(5),
        append_deadline: Duration::from_secs(5),
        rotation: RotationOptions {
            segment_bytes: 1 << 20,
            replica_patience: Duration::from_millis(500),
            ..RotationOptions::default()
        },
        ..OpenOptions::default()
    }
}

/// Running clients.
pub(super) struct Clients {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Clients {
    /// Starts the clients of each of the first `logs` logs, and the one that repairs.
    pub(super) async fn start(url: &str, checker: &Arc<Checker>, logs: usize) -> Result<Self, String> {
        let mut clients = Self { tasks: JoinSet::new(), stop: watch::Sender::new(false) };
        for log in 0..logs {
            for number in 0..WRITERS_PER_LOG {
                let client = clients.client(url, checker, log, number).await?;
                clients.tasks.spawn(writer::run(client));
            }
            let client = clients.client(url, checker, log, WRITERS_PER_LOG).await?;
            clients.tasks.spawn(reader::follow(Client { random: Random::new(checker.seed, 1000), ..client.clone() }));
            clients.tasks.spawn(reader::ranges(client.clone()));
            clients.tasks.spawn(trimmer::run(client));
        }
        // One for all logs, the hog's too.
        let client = clients.client(url, checker, logs, 1).await?;
        clients.tasks.spawn(repairer::run(client, store(url).await?));
        Ok(clients)
    }

    /// A client with connections of its own.
    async fn client(&self, url: &str, checker: &Arc<Checker>, log: usize, number: u64) -> Result<Client, String> {
        Ok(Client {
            checker: Arc::clone(checker),
            log,
            store: Arc::new(store(url).await?),
            random: Random::new(checker.seed, log as u64 * 100 + number + 1),
            stop: self.stop.subscribe(),
        })
    }

    /// The client that fills disks.
    pub(super) async fn hog(&self, url: &str, checker: &Arc<Checker>, log: usize) -> Result<Hog, String> {
        Ok(Hog::new(self.client(url, checker, log, 0).await?))
    }

    /// Lets all clients finish what they have begun.
    pub(super) async fn stop(mut self) -> Result<(), String> {
        self.stop.send_replace(true);
        let ending = async {
            while let Some(ended) = self.tasks.join_next().await {
                ended.map_err(|why| format!("a client failed: {why}"))?;
            }
            Ok(())
        };
        timeout(END_PATIENCE, ending)
            .await
            .unwrap_or_else(|_| Err(format!("some clients did not end within {END_PATIENCE:?}")))
    }
}

/// A store that shares no connection with another one.
pub(super) async fn store(url: &str) -> Result<QuorumStore, String> {
    let since = Instant::now();
    loop {
        match connect_to_quorum(url).await {
            Ok(store) => return Ok(store),
            Err(why) if why.may_retry() && since.elapsed() < CONNECT_PATIENCE => sleep(PAUSE).await,
            Err(why) => return Err(format!("connecting: {why}")),
        }
    }
}
