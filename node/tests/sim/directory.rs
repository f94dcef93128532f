//! Where a new segment goes: what a survey of the nodes finds, as `client/src/cluster`. What it says may be out of date by
//! the time it is heard.

use crate::buckets::bucket_at;
use crate::client::News;
use crate::core::{ClientId, Core, Event};
use quarry_protocol::ids::{DiskId, LogId};
use quarry_protocol::message::{NodeInfo, shard_of};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::recovery::RequestNo;
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) log: LogId,
    pub(crate) replicas: usize,
    pub(crate) replicas_min: usize,
    pub(crate) known: Vec<ReplicaRef>,
    /// Replicas that stay if they answer.
    pub(crate) keep: Vec<ReplicaRef>,
    /// Disks that are not to be chosen.
    pub(crate) avoid: Vec<DiskId>,
    /// How likely it goes to buckets. The replicas of one segment are of one kind.
    pub(crate) bucket_percent: u64,
}

impl Placement {
    /// Keeps and avoids nothing.
    pub(crate) fn new(log: LogId, replicas: usize, bucket_percent: u64) -> Self {
        let (known, keep, avoid) = (Vec::new(), Vec::new(), Vec::new());
        Self { log, replicas, replicas_min: replicas, known, keep, avoid, bucket_percent }
    }
}

/// Every node as it introduces itself, if it would answer a hello now.
#[derive(Debug, Default)]
pub(crate) struct Directory(pub(crate) Vec<Option<NodeInfo>>);

impl Core {
    pub(crate) fn place(&mut self, client: ClientId, request: RequestNo, wanted: &Placement) {
        let result = self.choose(wanted);
        let delay = self.numbers.delay(4 * self.options.network_us.min(2_000));
        self.after(delay, Event::ClientNews { client, news: Box::new(News::Placed { request, result }) });
    }

    fn choose(&mut self, wanted: &Placement) -> Result<Vec<ReplicaRef>, String> {
        if self.numbers.percent(wanted.bucket_percent) {
            return Ok(self.choose_buckets(wanted.replicas));
        }
        let mut answers = Vec::new();
        let mut missing = 0;
        for index in 0..self.directory.0.len() {
            let heard = self.healed || self.numbers.percent(97);
            match self.directory.0[index].as_ref().filter(|_| heard) {
                Some(info) => {
                    let shard = &info.shards[shard_of(wanted.log, info.shards.len())];
                    let (address, zone) = (info.advertise.clone(), info.zone.clone());
                    let replica = ReplicaRef { disk: shard.disk, address, zone };
                    let chance = if wanted.keep.contains(&replica) { 0 } else { self.numbers.next() };
                    if !wanted.avoid.contains(&replica.disk) {
                        answers.push((chance, replica));
                    }
                }
                None => missing += 1,
            }
        }
        answers.sort_by_key(|(chance, _)| *chance);
        let mut chosen: BTreeMap<String, ReplicaRef> = BTreeMap::new();
        let mut order = Vec::new();
        let is_silent = |known: &&ReplicaRef| {
            bucket_at(&known.address).is_none() && answers.iter().all(|(_, live)| live.address != known.address)
        };
        let silent = wanted.known.iter().filter(is_silent);
        for replica in answers.iter().map(|(_, replica)| replica).chain(silent) {
            if !chosen.contains_key(&replica.zone) {
                order.push(replica.clone());
                chosen.insert(replica.zone.clone(), replica.clone());
            }
        }
        let enough = order.len() >= wanted.replicas || (missing > 0 && order.len() >= wanted.replicas_min);
        order.truncate(wanted.replicas);
        if enough { Ok(order) } else { Err(format!("{} of {} zones answer", order.len(), wanted.replicas)) }
    }
}
