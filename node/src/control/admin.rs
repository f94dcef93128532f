//! The gRPC service `Admin`.

use super::draining::Draining;
use super::health::trouble_of;
use super::proto;
use super::shards::Shards;
use crate::io::MailboxError;
use crate::shard::{MemberList, ShardStatistics};
use crate::store::{ScrubStatistics, StoreStatistics};
use quarry_protocol::ids::LogId;
use quarry_protocol::member::{Health, Liveness, Member};
use quarry_protocol::message::shard_of;
use quarry_protocol::replica::LogState;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

/// Most logs of one page: shards answer between two turns of their loops.
const LOGS_PER_PAGE_MAX: u32 = 256;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    pub(super) shards: Shards,
    pub(super) draining: Arc<Draining>,
    pub(super) members: watch::Receiver<Arc<MemberList>>,
    /// Where the node gossips.
    pub(super) gossip: Option<SocketAddr>,
}

impl Admin {
    async fn set_draining(&self, draining: bool) -> Result<(), Status> {
        tracing::info!(draining, "an operator says whether this node is being emptied");
        let failed = |why| Status::internal(format!("it could not be written to the data directory: {why}"));
        self.draining.set(draining).await.map_err(failed)
    }
}

#[tonic::async_trait]
impl proto::admin_server::Admin for Admin {
    async fn status(&self, _: Request<proto::StatusRequest>) -> Result<Response<proto::StatusReply>, Status> {
        let statistics = self.shards.statistics().await.map_err(unavailable)?;
        let facts = &self.shards.facts;
        let shards = statistics.iter().zip(&facts.info.shards).enumerate();
        Ok(Response::new(proto::StatusReply {
            cluster: facts.info.cluster.clone(),
            zone: facts.info.zone.clone(),
            node: hex(facts.node),
            advertise: facts.info.advertise.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_us: facts.started.elapsed().as_micros() as u64,
            shards: shards
                .map(|(shard, (counted, address))| shard_status(shard as u32, counted, address.port))
                .collect(),
            rack: facts.rack.clone(),
            draining: self.draining.is_set(),
            gossip: self.gossip.map_or_else(String::new, |address| address.to_string()),
            trouble: trouble_of(&self.members.borrow(), facts.disk).to_owned(),
        }))
    }

    async fn list_logs(
        &self,
        request: Request<proto::ListLogsRequest>,
    ) -> Result<Response<proto::ListLogsReply>, Status> {
        let proto::ListLogsRequest { from, logs_max } = request.into_inner();
        let from = if from.is_empty() { LogId::ZERO } else { log_id(&from)? };
        let page = if logs_max == 0 { LOGS_PER_PAGE_MAX } else { logs_max.min(LOGS_PER_PAGE_MAX) };
        // One more than wanted is where the next page begins.
        let mut logs = self.shards.logs(from, page + 1).await.map_err(unavailable)?;
        let next =
            if logs.len() > page as usize { logs.pop().map(|(_, log)| log.record.log.to_string()) } else { None };
        let logs = logs.iter().map(|(shard, log)| to_proto(*shard, log)).collect();
        Ok(Response::new(proto::ListLogsReply { logs, next: next.unwrap_or_default() }))
    }

    async fn log_state(
        &self,
        request: Request<proto::LogStateRequest>,
    ) -> Result<Response<proto::LogStateReply>, Status> {
        let log = log_id(&request.into_inner().log)?;
        let found = self.shards.logs(log, 1).await.map_err(unavailable)?;
        let Some((shard, state)) = found.first().filter(|(_, state)| state.record.log == log) else {
            let shard = shard_of(log, self.shards.mailboxes.len());
            return Err(Status::not_found(format!("log {log} is not known here (it would live on shard {shard})")));
        };
        Ok(Response::new(proto::LogStateReply { log: Some(to_proto(*shard, state)) }))
    }

    async fn statistics(
        &self,
        _: Request<proto::StatisticsRequest>,
    ) -> Result<Response<proto::StatisticsReply>, Status> {
        let statistics = self.shards.statistics().await.map_err(unavailable)?;
        let shards = statistics.iter().enumerate().map(|(shard, counted)| shard_statistics(shard as u32, counted));
        Ok(Response::new(proto::StatisticsReply { shards: shards.collect() }))
    }

    async fn members(&self, _: Request<proto::MembersRequest>) -> Result<Response<proto::MembersReply>, Status> {
        let list = Arc::clone(&self.members.borrow());
        let members = list.members.iter().map(member).collect();
        Ok(Response::new(proto::MembersReply { members, version: list.version }))
    }

    async fn drain(&self, _: Request<proto::DrainRequest>) -> Result<Response<proto::DrainReply>, Status> {
        self.set_draining(true).await?;
        Ok(Response::new(proto::DrainReply {}))
    }

    async fn undrain(&self, _: Request<proto::UndrainRequest>) -> Result<Response<proto::UndrainReply>, Status> {
        self.set_draining(false).await?;
        Ok(Response::new(proto::UndrainReply {}))
    }
}

#[allow(clippy::needless_pass_by_value, reason = "shaped for map_err")]
fn unavailable(why: MailboxError) -> Status {
    Status::unavailable(why.to_string())
}

#[allow(clippy::result_large_err, reason = "tonic's Status is what the caller returns")]
fn log_id(text: &str) -> Result<LogId, Status> {
    text.parse().map_err(|why| Status::invalid_argument(format!("{why}")))
}

fn hex(id: [u8; 16]) -> String {
    LogId(id).to_string()
}

fn member(member: &Member) -> proto::Member {
    let health = match member.health {
        Health::Serving => "serving",
        Health::Full => "full",
        Health::Failed => "failed",
    };
    let liveness = match member.liveness {
        Liveness::Alive => "alive",
        Liveness::Suspect => "suspect",
        Liveness::Down => "down",
    };
    proto::Member {
        node: member.node.to_string(),
        incarnation: member.incarnation,
        zone: member.zone.clone(),
        rack: member.rack.clone(),
        advertise: member.advertise.clone(),
        control: member.control.clone(),
        disks: member.shards.iter().map(|shard| shard.disk.to_string()).collect(),
        capacity_bytes: member.capacity_bytes,
        live_bytes: member.live_bytes,
        load_bytes_per_s: member.load_bytes_per_s,
        health: health.to_owned(),
        draining: member.draining,
        liveness: liveness.to_owned(),
        trouble: member.trouble.clone(),
    }
}

fn shard_status(shard: u32, counted: &ShardStatistics, port: u16) -> proto::ShardStatus {
    let full = counted.full.map(|(live_bytes, capacity_bytes)| proto::Fullness { live_bytes, capacity_bytes });
    proto::ShardStatus {
        shard,
        port: u32::from(port),
        disk: counted.disk.to_string(),
        retired: counted.retired.iter().map(ToString::to_string).collect(),
        failed: counted.failed.clone().unwrap_or_default(),
        full,
        losses: counted.losses,
        preparation_error: counted.preparation_error.clone().unwrap_or_default(),
        live_bytes: counted.store.live_bytes,
        capacity_bytes: counted.store.capacity_bytes,
        scrub: Some(scrub(&counted.store.scrub)),
    }
}

fn scrub(counted: &ScrubStatistics) -> proto::Scrub {
    proto::Scrub {
        on: counted.on,
        under_way: counted.under_way,
        began_at_s: counted.began_at_s,
        ended_at_s: counted.ended_at_s,
        done_bytes: counted.done_bytes,
        pass_bytes: counted.pass_bytes,
        damaged_in_pass: counted.damaged_in_pass,
        damaged_before: counted.damaged_before,
        chunks: counted.chunks,
        bytes: counted.bytes,
        damaged: counted.damaged,
    }
}

fn to_proto(shard: u32, state: &LogState) -> proto::Log {
    let segments = state.segments.iter().map(|segment| {
        let (first, last) = segment.held.unwrap_or_default();
        proto::Segment {
            epoch: segment.segment.epoch.0,
            index: segment.segment.index,
            watermark: segment.watermark.0,
            chunks: segment.chunks,
            first: first.0,
            last: last.0,
            lost: segment.lost,
            pending: segment.pending,
        }
    });
    proto::Log {
        log: state.record.log.to_string(),
        shard,
        fence: state.record.fence.0,
        floor: state.record.floor.0,
        deleted: state.record.deleted.0,
        word: state.record.word.0,
        segments: segments.collect(),
    }
}

fn shard_statistics(shard: u32, counted: &ShardStatistics) -> proto::ShardStatistics {
    let (counters, replay) = (&counted.counters, &counted.replay);
    proto::ShardStatistics {
        shard,
        connections: counted.connections,
        logs: counted.logs,
        losses: counted.losses,
        slots: counted.slots,
        storing: counted.storing,
        reading: counted.reading,
        reads_waiting: counted.reads_waiting,
        puts: counters.puts,
        put_bytes: counters.put_bytes,
        puts_stored: counters.puts_stored,
        refused: counters.refused,
        requests: counters.requests,
        chunks_read: counters.chunks_read,
        chunks_unreadable: counters.chunks_unreadable,
        store: Some(store(&counted.store)),
        replay: Some(proto::Replay {
            files: replay.files,
            files_scanned: replay.files_scanned,
            chunks: replay.chunks,
            logs: replay.logs,
            torn_batches: replay.torn_batches,
            lost_chunks: replay.lost_chunks,
            notes: replay.notes.clone(),
        }),
    }
}

fn store(counted: &StoreStatistics) -> proto::Store {
    proto::Store {
        chunks: counted.chunks,
        index_bytes: counted.index_bytes,
        live_bytes: counted.live_bytes,
        capacity_bytes: counted.capacity_bytes,
        files: counted.files,
        files_ready: counted.files_ready,
        files_live: counted.files_live,
        files_set_aside: counted.files_set_aside,
        batches: counted.batches,
        batch_bytes: counted.batch_bytes,
        copied_bytes: counted.copied_bytes,
        copied_files: counted.copied_files,
        lost_chunks: counted.lost_chunks,
        confirmed_batch: counted.confirmed_batch,
    }
}
