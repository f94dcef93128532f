//! A cluster of storage nodes: those that the store URL lists, and every node that they tell of.
//!
//! A list alone is enough; nodes that gossip make the listed ones seeds, and the client follows who joins, leaves and moves.

use super::learned::Learned;
use super::{Cluster, PlaceError, PlaceRequest, Placement, Surveyed, choice};
use crate::link::tcp::ANY_CLUSTER;
use crate::link::tcp::handshake::{self, Introduction};
use crate::link::{ReplicaLink, TcpLink};
use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use quarry_protocol::ids::{DiskId, LogId};
use quarry_protocol::member::Member;
use quarry_protocol::message::NodeInfo;
use quarry_protocol::record::ReplicaRef;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a survey waits for nodes that do not answer.
const SURVEY_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a placement that could do without them waits for nodes that do not answer: a paused node must not hold up
/// a takeover.
const SURVEY_GRACE: Duration = Duration::from_millis(200);
/// How often the nodes are asked who there is, if they gossip. A placement asks anyway.
const FOLLOW_EVERY: Duration = Duration::from_secs(10);
/// Links kept although nobody uses them. Every disk that a record ever named may have one.
const IDLE_LINKS_MAX: usize = 256;

/// See the module.
pub struct NodeCluster {
    name: String,
    seeds: Vec<String>,
    links: Mutex<BTreeMap<(String, DiskId), Arc<TcpLink>>>,
    learned: Arc<Mutex<Learned>>,
}

/// A poisoned lock means a panic between two consistent states of plain data: the data is as good as before.
fn lock(learned: &Mutex<Learned>) -> MutexGuard<'_, Learned> {
    learned.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one round of questions brought.
#[derive(Default)]
struct Round {
    answers: Vec<Surveyed>,
    lists: Vec<(DiskId, Vec<Member>)>,
}

impl Round {
    fn take(&mut self, address: String, answer: Result<Introduction, String>) {
        let info = answer.map(|Introduction { info, members }| {
            if let (Some(shard), false) = (info.shards.first(), members.is_empty()) {
                self.lists.push((shard.disk, members));
            }
            info
        });
        // One node may be known by two addresses.
        let known = |other: &Surveyed| match (&other.info, &info) {
            (Ok(other), Ok(info)) => other.shards.first().map(|s| s.disk) == info.shards.first().map(|s| s.disk),
            _ => false,
        };
        if !self.answers.iter().any(known) {
            self.answers.push(Surveyed { address, info, member: None });
        }
    }
}

impl NodeCluster {
    /// The cluster `name` that the nodes at `seeds`, each as `host:port`, belong to. Nothing is connected yet.
    #[must_use]
    pub fn new(name: String, seeds: Vec<String>) -> Self {
        Self { name, seeds, links: Mutex::default(), learned: Arc::default() }
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The addresses it was made with.
    #[must_use]
    pub fn seeds(&self) -> &[String] {
        &self.seeds
    }

    /// Every node that the nodes told of, as of the last survey; empty before the first.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        lock(&self.learned).members()
    }

    /// Asks every node who it is, all at once: the seeds in their order, then those that they tell of.
    pub async fn survey(&self) -> Vec<Surveyed> {
        self.survey_until(|_| SURVEY_TIMEOUT).await
    }

    /// Keeps what is known up to date for as long as somebody holds the cluster.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn follow(self: &Arc<Self>) {
        let cluster = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(FOLLOW_EVERY).await;
                let Some(cluster) = cluster.upgrade() else { return };
                let gossips = lock(&cluster.learned).gossips();
                if gossips {
                    cluster.survey().await;
                }
            }
        });
    }

    /// Asks every node, and gives up on those that have not answered `patience(answers so far)` after the start.
    async fn survey_until(&self, patience: impl Fn(&[Surveyed]) -> Duration) -> Vec<Surveyed> {
        let start = Instant::now();
        let mut asking = FuturesUnordered::new();
        let mut asked: Vec<String> = self.seeds.clone();
        asked.extend(lock(&self.learned).further(&self.seeds));
        let ask = |address: String| async move {
            let answer = handshake::introduction(&address, &self.name).await;
            (address, answer)
        };
        asking.extend(asked.iter().cloned().map(ask));
        let mut round = Round::default();
        let mut judged = Vec::new();
        while !asking.is_empty() {
            match timeout_at(start + patience(&judged), asking.next()).await {
                Ok(Some((address, answer))) => round.take(address, answer),
                Ok(None) | Err(_) => break,
            }
            for address in self.take_in(&round, &mut judged) {
                if !asked.contains(&address) {
                    asked.push(address.clone());
                    asking.push(ask(address));
                }
            }
        }
        for address in &asked {
            let silent = asking_still(&round, address, &lock(&self.learned));
            if silent {
                let info = Err(format!("no answer within {} ms", start.elapsed().as_millis()));
                judged.push(Surveyed { address: address.clone(), info, member: None });
            }
        }
        judged.sort_by_key(|answer| asked.iter().position(|address| *address == answer.address));
        judged
    }

    /// Learns from a round so far, judges its answers, and says whom to ask besides.
    fn take_in(&self, round: &Round, judged: &mut Vec<Surveyed>) -> Vec<String> {
        let mut learned = lock(&self.learned);
        learned.take_in(&round.answers, &round.lists);
        judged.clear();
        judged.extend(round.answers.iter().map(|answer| {
            let member = answer.info.as_ref().ok().and_then(|info| learned.member_of(info)).cloned();
            let info = answer.info.clone().and_then(|info| match learned.objection(&info) {
                None => Ok(info),
                Some(why) => Err(why),
            });
            Surveyed { address: answer.address.clone(), info, member }
        }));
        learned.further(&self.seeds)
    }

    /// Replicas at nodes that do not answer, as far as something is known of them.
    fn away(&self, log: LogId, answers: &[Surveyed], known: &[ReplicaRef]) -> Vec<ReplicaRef> {
        let learned = lock(&self.learned);
        let silent = answers.iter().filter(|answer| answer.info.is_err());
        let remembered = silent.filter_map(|answer| learned.heard_at(&answer.address));
        let (usable, refused): (Vec<_>, Vec<_>) = remembered.partition(|info| learned.objection(info).is_none());
        // A node that must not be used is not used under the name that a record has for it either.
        let is_refused = |disk: DiskId| refused.iter().any(|info| info.shards.iter().any(|shard| shard.disk == disk));
        let known = known.iter().filter(|replica| !is_refused(replica.disk)).cloned();
        known.chain(usable.into_iter().map(|info| choice::replica_at(info, log))).collect()
    }
}

/// Whether nothing was heard from `address`, under this name or another.
fn asking_still(round: &Round, address: &str, learned: &Learned) -> bool {
    let answered = |answer: &Surveyed| {
        answer.address == address || answer.info.as_ref().is_ok_and(|info| info.advertise == address)
    };
    let same = |answer: &Surveyed| match (&answer.info, learned.heard_at(address)) {
        (Ok(info), Some(heard)) => info.shards.first().map(|s| s.disk) == heard.shards.first().map(|s| s.disk),
        _ => false,
    };
    !round.answers.iter().any(|answer| answered(answer) || same(answer))
}

#[async_trait]
impl Cluster for NodeCluster {
    fn link(&self, replica: &ReplicaRef) -> Arc<dyn ReplicaLink> {
        lock(&self.learned).read_record(std::slice::from_ref(replica));
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (replica.address.clone(), replica.disk);
        if let Some(link) = links.get(&key) {
            return Arc::<TcpLink>::clone(link);
        }
        if links.len() >= IDLE_LINKS_MAX {
            links.retain(|_, link| Arc::strong_count(link) > 1);
        }
        let (learned, disk) = (Arc::clone(&self.learned), replica.disk);
        let whereabouts = Box::new(move || lock(&learned).place_of(disk));
        let link = Arc::new(TcpLink::following(replica.clone(), &self.name, whereabouts));
        links.insert(key, Arc::clone(&link));
        link
    }

    fn nodes_of(&self) -> Option<&str> {
        (self.name != ANY_CLUSTER).then_some(&*self.name)
    }

    fn draining(&self) -> Vec<DiskId> {
        lock(&self.learned).draining()
    }

    async fn place(&self, request: PlaceRequest<'_>) -> Result<Placement, PlaceError> {
        {
            let mut learned = lock(&self.learned);
            learned.read_record(request.known);
            learned.read_record(request.keep);
        }
        let choose =
            |answers: &[Surveyed]| choice::choose(&request, answers, &self.away(request.log, answers, request.known));
        let answers =
            self.survey_until(|answers| if choose(answers).is_ok() { SURVEY_GRACE } else { SURVEY_TIMEOUT }).await;
        choose(&answers)
    }

    async fn disks(&self) -> Vec<ReplicaRef> {
        let nodes = self.survey().await.into_iter().filter_map(|node| node.info.ok());
        let disks = |info: NodeInfo| {
            let (address, zone) = (info.advertise, info.zone);
            let at = move |disk| ReplicaRef { disk, address: address.clone(), zone: zone.clone() };
            info.shards.into_iter().map(move |shard| at(shard.disk))
        };
        nodes.flat_map(disks).collect()
    }

    async fn is_gone(&self, replica: &ReplicaRef) -> Option<String> {
        let address = lock(&self.learned).place_of(replica.disk).unwrap_or_else(|| replica.address.clone());
        let asked = timeout_at(Instant::now() + SURVEY_TIMEOUT, handshake::introduction(&address, &self.name)).await;
        let info = asked.ok()?.ok()?.info;
        let here = |disk| info.shards.iter().any(|shard| shard.disk == disk || shard.retired.contains(&disk));
        (!here(replica.disk)).then(|| format!("{address} answers, without disk {}", replica.disk))
    }
}

#[cfg(test)]
mod tests;
