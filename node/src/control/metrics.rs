//! `/metrics`: what the shards count, as Prometheus reads it. Shards count in plain integers; this asks for them when it
//! is scraped, so that nothing on the append path is shared with anybody.

use super::gossip::Counters;
use super::shards::Shards;
use crate::shard::{MemberList, ShardStatistics};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use quarry_protocol::member::Liveness;
use std::sync::Arc;
use tokio::sync::watch;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is measured.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) shards: Shards,
    pub(super) members: watch::Receiver<Arc<MemberList>>,
    pub(super) counters: Arc<Counters>,
}

pub(super) async fn serve(State(measured): State<Measured>) -> Response {
    match measured.shards.statistics().await {
        Ok(statistics) => {
            let members = Arc::clone(&measured.members.borrow());
            let text = text(statistics, Cluster { members, counters: measured.counters });
            ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why.to_string()).into_response(),
    }
}

fn text(statistics: Vec<ShardStatistics>, cluster: Cluster) -> String {
    let mut registry = Registry::with_prefix("quarry");
    registry.register_collector(Box::new(Snapshot(statistics)));
    registry.register_collector(Box::new(cluster));
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a string does not fail");
    text
}

/// What the shards counted at one moment.
#[derive(Debug)]
struct Snapshot(Vec<ShardStatistics>);

type Value = fn(&ShardStatistics) -> u64;

const COUNTERS: [(&str, &str, Option<Unit>, Value); 14] = [
    ("puts", "Puts received", None, |s| s.counters.puts),
    ("put", "Payload bytes of puts received", Some(Unit::Bytes), |s| s.counters.put_bytes),
    ("puts_stored", "Puts answered as stored", None, |s| s.counters.puts_stored),
    ("refused", "Puts and requests refused", None, |s| s.counters.refused),
    ("requests", "Control requests received, reads included", None, |s| s.counters.requests),
    ("chunks_read", "Chunks sent to readers", None, |s| s.counters.chunks_read),
    ("chunks_unreadable", "Chunks that could not be read", None, |s| s.counters.chunks_unreadable),
    ("batches", "Batches written", None, |s| s.store.batches),
    ("batch", "Bytes of batches written, padding included", Some(Unit::Bytes), |s| s.store.batch_bytes),
    ("copied", "Payload bytes copied forward", Some(Unit::Bytes), |s| s.store.copied_bytes),
    ("copied_files", "Chunk files emptied by copying forward", None, |s| s.store.copied_files),
    ("scrubbed", "Payload bytes read again and verified", Some(Unit::Bytes), |s| s.store.scrub.bytes),
    ("scrubbed_chunks", "Chunks read again and verified", None, |s| s.store.scrub.chunks),
    ("scrub_damaged_chunks", "Chunks that scrub found to be damaged", None, |s| s.store.scrub.damaged),
];

const GAUGES: [(&str, &str, Option<Unit>, Value); 20] = [
    ("connections", "Connections", None, |s| s.connections),
    ("logs", "Logs remembered, deleted ones included", None, |s| s.logs),
    ("losses", "Ranges of seqs known to be lost", None, |s| s.losses),
    ("slots", "Received chunks in memory", None, |s| s.slots),
    ("storing", "Chunks and control entries on their way to the disk", None, |s| s.storing),
    ("reading", "Reads in progress", None, |s| s.reading),
    ("disk_failed", "Whether the disk failed", None, |s| u64::from(s.failed.is_some())),
    ("preparation_failed", "Whether no further chunk file can be made", None, |s| {
        u64::from(s.preparation_error.is_some())
    }),
    ("full", "Whether puts are refused for lack of space", None, |s| u64::from(s.full.is_some())),
    ("retired_identities", "Identities that take no puts any more", None, |s| s.retired.len() as u64),
    ("chunks", "Chunks that can be read", None, |s| s.store.chunks),
    ("index", "Estimated memory of the index", Some(Unit::Bytes), |s| s.store.index_bytes),
    ("live", "Live bytes", Some(Unit::Bytes), |s| s.store.live_bytes),
    ("capacity", "What live bytes are measured against", Some(Unit::Bytes), |s| s.store.capacity_bytes),
    ("files", "Chunk files", None, |s| s.store.files),
    ("files_ready", "Chunk files that may be overwritten at once", None, |s| s.store.files_ready),
    ("scrub_began", "When the last pass of scrub began, Unix time", Some(Unit::Seconds), |s| s.store.scrub.began_at_s),
    ("scrub_ended", "When the last whole pass of scrub ended, Unix time", Some(Unit::Seconds), |s| {
        s.store.scrub.ended_at_s
    }),
    ("scrub_done", "Live bytes that the pass of scrub is done with", Some(Unit::Bytes), |s| s.store.scrub.done_bytes),
    ("scrub_pass", "Live bytes that the pass of scrub goes through", Some(Unit::Bytes), |s| s.store.scrub.pass_bytes),
];

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, unit, value) in &COUNTERS {
            let shape = ConstCounter::new(0u64);
            let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), shape.metric_type())?;
            for (shard, counted) in self.0.iter().enumerate() {
                let labels = [("shard", shard.to_string())];
                ConstCounter::new(value(counted)).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, unit, value) in &GAUGES {
            let shape = ConstGauge::new(0u64);
            let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), shape.metric_type())?;
            for (shard, counted) in self.0.iter().enumerate() {
                let labels = [("shard", shard.to_string())];
                ConstGauge::new(value(counted)).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// What is known of other nodes.
#[derive(Debug)]
struct Cluster {
    members: Arc<MemberList>,
    counters: Arc<Counters>,
}

impl Collector for Cluster {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let members = &self.members.members;
        let gauge = ConstGauge::new(0u64);
        let mut family = encoder.encode_descriptor("members", "Nodes of the cluster", None, gauge.metric_type())?;
        for (name, liveness) in [("alive", Liveness::Alive), ("suspect", Liveness::Suspect), ("down", Liveness::Down)] {
            let count = members.iter().filter(|member| member.liveness == liveness).count();
            ConstGauge::new(count as u64).encode(family.encode_family(&[("liveness", name)])?)?;
        }
        let troubled = members.iter().filter(|member| !member.trouble.is_empty()).count();
        let help = "Nodes on which nothing is placed until an operator has looked at them";
        let family = encoder.encode_descriptor("members_troubled", help, None, gauge.metric_type())?;
        ConstGauge::new(troubled as u64).encode(family)?;
        let counter = ConstCounter::new(0u64);
        let help = "Datagrams of gossip";
        let mut family = encoder.encode_descriptor("gossip_datagrams", help, None, counter.metric_type())?;
        let (received, sent) = self.counters.datagrams();
        for (direction, count) in [("received", received), ("sent", sent)] {
            ConstCounter::new(count).encode(family.encode_family(&[("direction", direction)])?)?;
        }
        let help = "Gossip that was dropped, by cause";
        let mut family = encoder.encode_descriptor("gossip_dropped", help, None, counter.metric_type())?;
        for (cause, count) in self.counters.dropped() {
            ConstCounter::new(count).encode(family.encode_family(&[("cause", cause.name())])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_has_its_own_line() {
        let mut second = ShardStatistics::default();
        second.counters.put_bytes = 65_536;
        second.failed = Some("write error".into());
        let cluster = Cluster { members: Arc::default(), counters: Arc::default() };
        let text = text(vec![ShardStatistics::default(), second], cluster);
        for line in [
            "quarry_put_bytes_total{shard=\"0\"} 0",
            "quarry_put_bytes_total{shard=\"1\"} 65536",
            "quarry_disk_failed{shard=\"0\"} 0",
            "quarry_disk_failed{shard=\"1\"} 1",
            "# TYPE quarry_puts counter",
            "quarry_members{liveness=\"alive\"} 0",
            "quarry_members_troubled 0",
            "quarry_gossip_datagrams_total{direction=\"sent\"} 0",
            "quarry_gossip_dropped_total{cause=\"seal\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
    }
}
