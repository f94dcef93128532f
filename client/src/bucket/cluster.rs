//! The buckets of one store URL, each a zone of its own, and the way to any bucket that a record names.

use super::identity::Unusable;
use super::known::KnownLogs;
use super::link::BucketLink;
use super::place::BucketPlace;
use super::store::BucketStore;
use crate::cluster::{Cluster, PlaceError, PlaceRequest, Placement};
use crate::link::ReplicaLink;
use async_trait::async_trait;
use futures::future::join;
use futures::stream::{FuturesUnordered, StreamExt};
use quarry_protocol::ids::DiskId;
use quarry_protocol::record::{LogRecord, ReplicaRef};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a bucket may take to say who it is.
const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the others are waited for once enough buckets have answered.
const IDENTIFY_GRACE: Duration = Duration::from_millis(500);
/// How often it is looked whether all is deleted, by whoever waits for that.
const SETTLE_EVERY: Duration = Duration::from_millis(10);
/// Links kept that nobody uses just now.
const IDLE_LINKS_MAX: usize = 256;

/// A bucket of the store.
struct Member {
    store: BucketStore,
    /// Who it was when it was last asked.
    replica: Mutex<Option<ReplicaRef>>,
}

/// What connecting to buckets found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectedBuckets {
    /// Their zones.
    pub zones: Vec<String>,
    /// Why those that cannot be reached now cannot.
    pub silent: Vec<String>,
    /// Why it is not known of some whether a rule of theirs lets objects expire.
    pub unseen_rules: Vec<String>,
}

/// The cluster. With no buckets of its own it still leads to those of records.
pub struct BucketCluster {
    members: Vec<Member>,
    known: Arc<KnownLogs>,
    links: Mutex<BTreeMap<(String, DiskId), Arc<BucketLink>>>,
}

impl BucketCluster {
    /// The cluster of these buckets, in distinct zones.
    #[must_use]
    pub fn new(stores: Vec<BucketStore>) -> Self {
        let members = stores.into_iter().map(|store| Member { store, replica: Mutex::default() }).collect();
        Self { members, known: Arc::default(), links: Mutex::default() }
    }

    /// Asks every bucket who it is, whether its store can be relied on, and whether its rules let objects expire. Fails if a
    /// bucket must not be used, or none can be reached.
    pub async fn connect(&self) -> Result<ConnectedBuckets, String> {
        let check = |member: &'_ Member| {
            let store = member.store.clone();
            async move {
                let checked = timeout(IDENTIFY_TIMEOUT, async {
                    let disk = store.identify().await?;
                    store.probe().await?;
                    Ok(disk)
                });
                // At once: neither waits for the other's round trip.
                let (checked, rules) = join(checked, store.check_expiry()).await;
                // A bucket that must not be used must not pass for one that is only silent.
                let unseen = rules?;
                let disk = checked.unwrap_or_else(|_| Err(too_late(&store)))?;
                Ok((disk, unseen))
            }
        };
        let checked = futures::future::join_all(self.members.iter().map(check)).await;
        let (mut silent, mut unseen_rules) = (Vec::new(), Vec::new());
        for (member, checked) in self.members.iter().zip(checked) {
            match checked {
                Ok((disk, unseen)) => {
                    member.note(disk);
                    unseen_rules.extend(unseen);
                }
                Err(Unusable { why, may_pass: true }) => silent.push(why),
                Err(Unusable { why, may_pass: false }) => return Err(why),
            }
        }
        if silent.len() == self.members.len() {
            return Err(silent.join("; "));
        }
        let zones = self.members.iter().map(|member| member.store.place().zone()).collect();
        Ok(ConnectedBuckets { zones, silent, unseen_rules })
    }

    /// Who answers now, in order, and why the others do not. Returns soon after `enough` have answered.
    async fn ask_all(&self, enough: usize) -> (Vec<ReplicaRef>, Vec<String>) {
        let ask = |(index, member): (usize, &'_ Member)| {
            let (store, is_known) = (member.store.clone(), lock(&member.replica).is_some());
            async move {
                let asked = timeout(IDENTIFY_TIMEOUT, async {
                    if is_known {
                        return store.recognise().await;
                    }
                    // It was silent when this client connected.
                    store.check_expiry().await?;
                    store.identify().await
                });
                (index, asked.await.unwrap_or_else(|_| Err(too_late(&store))))
            }
        };
        let mut asked: FuturesUnordered<_> = self.members.iter().enumerate().map(ask).collect();
        let mut answers: BTreeMap<usize, Result<DiskId, String>> = BTreeMap::new();
        loop {
            let live = answers.values().filter(|answer| answer.is_ok()).count();
            let patience = if live >= enough { IDENTIFY_GRACE } else { 2 * IDENTIFY_TIMEOUT };
            match timeout(patience, asked.next()).await {
                Ok(Some((index, answer))) => _ = answers.insert(index, answer.map_err(|unusable| unusable.why)),
                Ok(None) | Err(_) => break,
            }
        }
        let (mut live, mut missing) = (Vec::new(), Vec::new());
        for (index, member) in self.members.iter().enumerate() {
            match answers.remove(&index) {
                Some(Ok(disk)) => {
                    member.note(disk);
                    live.push(member.replica_ref(disk));
                }
                Some(Err(why)) => missing.push(why),
                None => missing.push(too_late(&member.store).why),
            }
        }
        (live, missing)
    }

    /// Replicas in buckets that do not answer now, as far as it is known who they are.
    fn away(&self, live: &[ReplicaRef], known: &[ReplicaRef]) -> Vec<ReplicaRef> {
        let silent =
            self.members.iter().filter(|member| live.iter().all(|replica| replica.address != member.address()));
        let of = |member: &Member| {
            let remembered = lock(&member.replica).clone();
            remembered.or_else(|| known.iter().find(|replica| replica.address == member.address()).cloned())
        };
        silent.filter_map(of).collect()
    }
}

impl Member {
    fn address(&self) -> String {
        self.store.place().to_string()
    }

    fn replica_ref(&self, disk: DiskId) -> ReplicaRef {
        ReplicaRef { disk, address: self.address(), zone: self.store.place().zone() }
    }

    fn note(&self, disk: DiskId) {
        *lock(&self.replica) = Some(self.replica_ref(disk));
    }
}

fn too_late(store: &BucketStore) -> Unusable {
    let why = format!("{} does not answer within {IDENTIFY_TIMEOUT:?}", store.place());
    Unusable { why, may_pass: true }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Cluster for BucketCluster {
    fn link(&self, replica: &ReplicaRef) -> Arc<dyn ReplicaLink> {
        let mut links = lock(&self.links);
        let key = (replica.address.clone(), replica.disk);
        if let Some(link) = links.get(&key) {
            return Arc::<BucketLink>::clone(link);
        }
        if links.len() >= IDLE_LINKS_MAX {
            links.retain(|_, link| Arc::strong_count(link) > 1);
        }
        let own = self.members.iter().find(|member| member.address() == replica.address);
        let store = match own {
            Some(member) => Ok(member.store.clone()),
            None => BucketPlace::parse(&replica.address).and_then(|place| BucketStore::open(&place)),
        };
        let link = Arc::new(BucketLink::new(replica.clone(), store, Arc::clone(&self.known)));
        links.insert(key, Arc::clone(&link));
        link
    }

    fn buckets(&self) -> Vec<BucketStore> {
        self.members.iter().map(|member| member.store.clone()).collect()
    }

    fn learn(&self, record: &LogRecord) {
        self.known.learn(record);
    }

    async fn settle(&self) {
        let is_busy = || lock(&self.links).values().any(|link| !link.is_idle());
        while is_busy() {
            sleep(SETTLE_EVERY).await;
        }
    }

    async fn place(&self, request: PlaceRequest<'_>) -> Result<Placement, PlaceError> {
        let PlaceRequest { replicas, known, keep, avoid, .. } = request;
        let (mut live, missing) = self.ask_all(replicas).await;
        let mut away = self.away(&live, known);
        live.retain(|replica| !avoid.contains(&replica.disk));
        away.retain(|replica| !avoid.contains(&replica.disk));
        live.sort_by_key(|replica| !keep.contains(replica));
        live.truncate(replicas);
        let answered = live.len();
        live.extend(away.into_iter().take(replicas - answered));
        if live.len() < replicas {
            let zones = live.into_iter().map(|replica| replica.zone).collect();
            return Err(PlaceError { wanted: replicas, zones, missing });
        }
        Ok(Placement { replicas: live, live: answered })
    }
}
