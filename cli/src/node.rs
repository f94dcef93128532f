//! `quarry node drain`: everything that lies on a node gets another holder, while it goes on serving.

use crate::args::{DrainArgs, NodeCommand};
use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use crate::{progress, status, store};
use quarry_client::store_url::{StorePlace, StoreUrl};
use quarry_client::{QuorumStore, RepairOptions};
use quarry_protocol::record::{LogRecord, ReplicaRef};
use quarry_protocol::repair::RepairProgress;
use serde_json::json;

pub(crate) async fn run(command: NodeCommand, store: Option<String>, output: Output) -> Result<Health, Failure> {
    let NodeCommand::Drain(args) = command;
    let url = store::url(store)?;
    mark(&args, &url).await?;
    let store = store::open_quorum(Some(url)).await?;
    let here = |replica: &ReplicaRef| replica.address == args.node;
    for record in store.records_naming(&here).await.map_err(Failure::new)? {
        move_off(&store, &record, &here, &args).await;
    }
    let left = store.records_naming(&here).await.map_err(Failure::new)?;
    let segments = left.iter().flat_map(|record| record.segments.iter().map(move |segment| (record, segment)));
    let (sealed, open): (Vec<_>, Vec<_>) = segments.partition(|(_, segment)| segment.is_sealed());
    let names = |of: &[(&LogRecord, _)]| -> Vec<String> {
        let mut names: Vec<String> = of.iter().map(|(record, _)| record.name.clone()).collect();
        names.dedup();
        names
    };
    let safe = sealed.is_empty() && open.is_empty();
    let value = json!({
        "node": args.node,
        "safe_to_remove": safe,
        "sealed_segments_left": sealed.len(),
        "open_segments_left": open.len(),
        "logs_open_there": names(&open),
        "logs_not_moved": names(&sealed),
    });
    output.print(&value, |_| {
        if safe {
            return format!("{} holds nothing that a record names: it is safe to remove", args.node);
        }
        let mut lines = vec![format!("{} is NOT safe to remove yet", args.node)];
        if !sealed.is_empty() {
            let (count, logs) = (sealed.len(), names(&sealed).join(", "));
            lines.push(format!("{count} sealed segments did not move ({logs}): see `quarry repair`, then drain again"));
        }
        if !open.is_empty() {
            let (count, logs) = (open.len(), names(&open).join(", "));
            lines.push(format!(
                "{count} segments are open there ({logs}): they move when their writers rotate or the logs are opened \
                 again; then drain again"
            ));
        }
        lines.join("\n")
    });
    Ok(if safe { Health::Good } else { Health::Warning })
}

/// Has the node marked, so that nothing new is placed on it.
async fn mark(args: &DrainArgs, url: &str) -> Result<(), Failure> {
    let parsed = StoreUrl::parse(url).map_err(Failure::usage)?;
    let StorePlace::Nodes { nodes, cluster, .. } = &parsed.place else {
        return Err(Failure::usage("this store has no nodes to drain"));
    };
    status::drain(nodes, &args.node, args.control.as_deref(), cluster).await.map_err(Failure::new)
}

async fn move_off(
    store: &QuorumStore,
    record: &LogRecord,
    here: &(dyn Fn(&ReplicaRef) -> bool + Sync),
    args: &DrainArgs,
) {
    let segments = record.segments.iter().filter(|segment| segment.is_sealed());
    let only: std::collections::BTreeSet<_> = segments.clone().map(|segment| segment.id).collect();
    if only.is_empty() {
        return;
    }
    let holders = segments.flat_map(|segment| &segment.replicas).filter(|replica| here(replica));
    let leaving = holders.map(|replica| replica.disk).collect();
    let bytes_per_s = args.budget << 20;
    let options = RepairOptions { bytes_per_s, leaving, only: Some(only), ..RepairOptions::default() };
    let (name, bar) = (&record.name, progress::of_bytes(Some(0), &record.name));
    let mut show = |progress: RepairProgress| {
        bar.set_length(progress.bytes_total.max(progress.bytes));
        bar.set_position(progress.bytes);
        bar.set_message(format!("{name:.12} {}/{}", progress.segments_done, progress.segments));
    };
    let outcome = store.repair(name, &options, &mut show).await;
    bar.finish_and_clear();
    if let Err(why) = outcome {
        say(&format!("{name}: not moved: {why}"));
    }
}
