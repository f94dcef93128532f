//! `quarry status`: the verdict first, then what it rests on.

mod buckets;
mod logs;
mod members;
mod nodes;
mod orphans;
mod verdict;

use crate::args::StatusArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::table::table;
use crate::{store, units};
use logs::LogsSeen;
use nodes::NodeSeen;
use orphans::OrphansSeen;
use quarry_client::store_url::{StorePlace, StoreUrl};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::SystemTime;
use verdict::{Judgement, Verdict};

/// Of the table of nodes.
const COLUMNS: [&str; 11] =
    ["NODE", "ZONE", "RACK", "STATE", "SHARDS", "LIVE", "CAPACITY", "LOAD", "UP", "SCRUBBED", "PASS"];

pub(crate) async fn run(args: &StatusArgs, store: Option<String>, output: Output) -> Result<Health, Failure> {
    let url = store::url(store)?;
    let parsed = StoreUrl::parse(&url).map_err(Failure::usage)?;
    if let StorePlace::Buckets { places, .. } = &parsed.place {
        return buckets::run(places, parsed.quorum, output).await;
    }
    let StorePlace::Nodes { nodes, cluster, .. } = &parsed.place else {
        let value = json!({ "verdict": Verdict::Healthy, "can_lose_nodes": 0, "nodes": [], "reasons": [] });
        output.print(&value, |_| "HEALTHY: a store in this process's memory has no nodes".to_owned());
        return Ok(Health::Good);
    };
    if !args.control.is_empty() && args.control.len() != nodes.len() {
        let (got, wanted) = (args.control.len(), nodes.len());
        return Err(Failure::usage(format!("--control is given {got} times, the store has {wanted} nodes")));
    }
    let known = members::find(nodes, &args.control, cluster).await;
    let nodes = nodes::ask(&known, cluster).await;
    let (logs, orphans) = futures::join!(logs::ask(&url, args.logs_max), orphans::ask(&url));
    let judgement = verdict::judge(&nodes, &logs, parsed.quorum);
    let value = json!({
        "verdict": judgement.verdict,
        "can_lose_nodes": judgement.can_lose_nodes,
        "reasons": judgement.reasons,
        "nodes": nodes,
        "logs": logs,
        "orphans": orphans,
    });
    output.print(&value, |_| text(&judgement, &nodes, &logs, &orphans));
    Ok(match judgement.verdict {
        Verdict::Healthy => Health::Good,
        Verdict::Degraded => Health::Warning,
        Verdict::Unavailable => Health::Unhealthy,
    })
}

/// Addresses and zones of the nodes that are listed, or that these tell of.
pub(crate) async fn names_of_nodes(url: &str) -> BTreeSet<String> {
    let Ok(StorePlace::Nodes { nodes, cluster, .. }) = StoreUrl::parse(url).map(|parsed| parsed.place) else {
        return BTreeSet::new();
    };
    let known = members::find(&nodes, &[], &cluster).await.into_iter();
    let names = known.flat_map(|known| {
        let told = known.member.map(|member| [member.advertise, member.zone]);
        std::iter::once(known.address).chain(told.into_iter().flatten())
    });
    names.collect()
}

/// Marks the node at `node` as being emptied, so that nothing new is placed on it.
pub(crate) async fn drain(seeds: &[String], node: &str, control: Option<&str>, cluster: &str) -> Result<(), String> {
    let known = members::find(seeds, &[], cluster).await;
    let addresses: Vec<_> = known.iter().map(|known| known.address.as_str()).collect();
    let found = known.iter().find(|known| known.address == node);
    let found = found.ok_or_else(|| format!("no node is known at {node}: there are {}", addresses.join(", ")))?;
    let control = control.unwrap_or(&found.control);
    nodes::drain(control).await.map_err(|why| format!("{node} (control plane {control}) is not marked: {why}"))
}

fn text(judgement: &Judgement, nodes: &[NodeSeen], logs: &LogsSeen, orphans: &OrphansSeen) -> String {
    let lose = match (judgement.verdict, judgement.can_lose_nodes) {
        (Verdict::Unavailable, _) => "what is down must come back first".to_owned(),
        (_, 1) => "can lose 1 more node".to_owned(),
        (_, count) => format!("can lose {count} more nodes"),
    };
    let mut text = format!("{}: {lose}\n", judgement.verdict);
    for reason in &judgement.reasons {
        let _ = writeln!(text, "- {reason}");
    }
    let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let rows = nodes.iter().map(|node| {
        let seen = node.seen.as_ref();
        let or_unknown = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
        [
            node.address.clone(),
            or_unknown(seen.map(|seen| seen.zone.clone())),
            or_unknown(seen.map(|seen| if seen.rack.is_empty() { "-".to_owned() } else { seen.rack.clone() })),
            node.state().to_owned(),
            or_unknown(seen.map(|seen| seen.shards.to_string())),
            or_unknown(seen.map(|seen| units::bytes(seen.live_bytes))),
            or_unknown(seen.map(|seen| units::bytes(seen.capacity_bytes))),
            or_unknown(seen.and_then(|seen| seen.load_bytes_per_s).map(|load| format!("{}/s", units::bytes(load)))),
            or_unknown(seen.map(|seen| format!("{} s", seen.uptime_us / 1_000_000))),
            or_unknown(seen.map(|seen| seen.scrub.last_pass(now_s))),
            or_unknown(seen.map(|seen| seen.scrub.progress())),
        ]
    });
    text.push('\n');
    text.push_str(&table(COLUMNS, rows));
    let _ = write!(text, "\n\nlogs: {}, asked about: {}\n{}", logs.count, logs.asked, orphans.text());
    text
}
