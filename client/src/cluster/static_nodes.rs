//! A cluster whose nodes are listed in the store URL.

use super::{Cluster, PlaceError, PlaceRequest, Placement, choice};
use crate::link::tcp::handshake;
use crate::link::{ReplicaLink, TcpLink};
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use quarry_protocol::ids::{DiskId, LogId};
use quarry_protocol::message::NodeInfo;
use quarry_protocol::record::ReplicaRef;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a survey waits for nodes that do not answer.
const SURVEY_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a placement that could do without them waits for nodes that do not answer: a paused node must not hold up
/// a takeover.
const SURVEY_GRACE: Duration = Duration::from_millis(200);
/// Links kept although nobody uses them. Every disk that a record ever named may have one.
const IDLE_LINKS_MAX: usize = 256;

/// What a node said of itself, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// The `host:port` that was asked.
    pub address: String,
    /// Its answer.
    pub info: Result<NodeInfo, String>,
}

/// See the module.
pub struct StaticCluster {
    name: String,
    nodes: Vec<String>,
    links: Mutex<BTreeMap<(String, DiskId), Arc<TcpLink>>>,
    /// What each address last answered: a node that is away now can still be placed on.
    heard: Mutex<BTreeMap<String, NodeInfo>>,
}

impl StaticCluster {
    /// The cluster `name` at `nodes`, each as `host:port`. Nothing is connected yet.
    #[must_use]
    pub const fn new(name: String, nodes: Vec<String>) -> Self {
        Self { name, nodes, links: Mutex::new(BTreeMap::new()), heard: Mutex::new(BTreeMap::new()) }
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The addresses it was made with.
    #[must_use]
    pub fn nodes(&self) -> &[String] {
        &self.nodes
    }

    /// Asks every node who it is, all at once; in the order of [`Self::nodes`].
    pub async fn survey(&self) -> Vec<Surveyed> {
        self.survey_until(|_| SURVEY_TIMEOUT).await
    }

    /// Asks every node, and gives up on those that have not answered `patience(answers so far)` after the start.
    async fn survey_until(&self, patience: impl Fn(&[Surveyed]) -> Duration) -> Vec<Surveyed> {
        let start = Instant::now();
        let mut asking: FuturesUnordered<_> = self
            .nodes
            .iter()
            .map(|address| async move {
                let info = handshake::hello(address, &self.name).await;
                Surveyed { address: address.clone(), info }
            })
            .collect();
        let mut answers: Vec<Surveyed> = Vec::with_capacity(self.nodes.len());
        while !asking.is_empty() {
            match timeout_at(start + patience(&answers), asking.next()).await {
                Ok(Some(answer)) => answers.push(answer),
                Ok(None) | Err(_) => break,
            }
        }
        for address in &self.nodes {
            if !answers.iter().any(|answer| answer.address == *address) {
                let info = Err(format!("no answer within {} ms", start.elapsed().as_millis()));
                answers.push(Surveyed { address: address.clone(), info });
            }
        }
        answers.sort_by_key(|answer| self.nodes.iter().position(|node| *node == answer.address));
        self.remember(&answers);
        answers
    }

    fn remember(&self, answers: &[Surveyed]) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        for answer in answers {
            if let Ok(info) = &answer.info {
                heard.insert(answer.address.clone(), info.clone());
            }
        }
    }

    /// Replicas at nodes that do not answer, as far as something is known of them.
    fn away(&self, log: LogId, answers: &[Surveyed], known: &[ReplicaRef]) -> Vec<ReplicaRef> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = answers.iter().filter(|answer| answer.info.is_err());
        let remembered =
            silent.filter_map(|answer| heard.get(&answer.address)).map(|info| choice::replica_at(info, log));
        known.iter().cloned().chain(remembered).collect()
    }
}

#[async_trait]
impl Cluster for StaticCluster {
    fn link(&self, replica: &ReplicaRef) -> Arc<dyn ReplicaLink> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (replica.address.clone(), replica.disk);
        if let Some(link) = links.get(&key) {
            return Arc::<TcpLink>::clone(link);
        }
        if links.len() >= IDLE_LINKS_MAX {
            links.retain(|_, link| Arc::strong_count(link) > 1);
        }
        let link = Arc::new(TcpLink::new(replica.clone(), &self.name));
        links.insert(key, Arc::clone(&link));
        link
    }

    async fn place(&self, request: PlaceRequest<'_>) -> Result<Placement, PlaceError> {
        let choose =
            |answers: &[Surveyed]| choice::choose(&request, answers, &self.away(request.log, answers, request.known));
        let answers =
            self.survey_until(|answers| if choose(answers).is_ok() { SURVEY_GRACE } else { SURVEY_TIMEOUT }).await;
        choose(&answers)
    }
}
