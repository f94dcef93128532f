//! `quarry dev`: a local cluster of real node processes, until Ctrl-C or SIGTERM.

use crate::args::DevArgs;
use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use quarry_bench::local_cluster::{LocalCluster, LocalClusterPlan};
use serde_json::{Value, json};
use std::env;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the name of every cluster made here starts with.
const CLUSTER: &str = "dev";

pub(crate) async fn run(args: DevArgs, output: Output) -> Result<Health, Failure> {
    // Before the nodes start: a signal that comes early must not leave them behind.
    let mut stop = StopSignals::new()?;
    let starting = LocalCluster::start(plan(&args)?);
    let mut cluster = tokio::select! {
        // Dropping the start kills the nodes that run already.
        () = stop.recv() => return Ok(Health::Good),
        started = starting => started?,
    };
    announce(&cluster, output);
    let mut health = Health::Good;
    loop {
        let (index, status) = tokio::select! {
            () = stop.recv() => break,
            ended = cluster.ended() => ended,
        };
        let node = &cluster.nodes()[index];
        let (number, log, again) = (node.number(), node.log(), node.start_command().join(" "));
        say(&format!(
            "node {number} ended with {status}; its log is {}; start it again with: quarry {again}",
            log.display()
        ));
        health = Health::Warning;
    }
    say(&format!("stopping the nodes; their data stays in {}", args.dir.display()));
    cluster.stop().await?;
    Ok(health)
}

fn plan(args: &DevArgs) -> Result<LocalClusterPlan, Failure> {
    let binary = env::current_exe().map_err(|why| Failure::new(format!("where is this program? {why}")))?;
    let argument = |name: &str, value: &dyn ToString| [name.to_owned(), value.to_string()];
    let format_arguments = [
        argument("--capacity", &args.capacity),
        argument("--file-size", &args.file_size),
        argument("--shards", &args.shards),
    ];
    Ok(LocalClusterPlan {
        binary,
        dir: args.dir.clone(),
        nodes: usize::from(args.nodes),
        zones: usize::from(args.nodes),
        advertised: Vec::new(),
        cluster: CLUSTER.to_owned(),
        format_arguments: format_arguments.concat(),
        start_arguments: Vec::new(),
        gossip: true,
    })
}

/// Text that a shell can evaluate: the URL, and comments about the nodes.
fn announce(cluster: &LocalCluster, output: Output) {
    let nodes: Vec<Value> = cluster
        .nodes()
        .iter()
        .map(|node| {
            json!({
                "node": node.number(),
                "pid": node.process_id(),
                "zone": node.zone(),
                "address": node.address(),
                "control": node.control(),
                "data": node.data(),
                "log": node.log(),
            })
        })
        .collect();
    output.print(&json!({ "event": "ready", "store": cluster.url(), "nodes": nodes }), |_| {
        let mut lines = vec![format!("export QUARRY_STORE='{}'", cluster.url())];
        lines.extend(cluster.nodes().iter().map(|node| {
            let pid = node.process_id().map_or_else(|| "gone".to_owned(), |pid| pid.to_string());
            format!("# node {} pid {pid} {} {} {}", node.number(), node.zone(), node.address(), node.data().display())
        }));
        lines.join("\n")
    });
    say(&format!("{} nodes serve; Ctrl-C stops them", cluster.nodes().len()));
}

/// Whatever asks this process to end.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl StopSignals {
    pub(crate) fn new() -> Result<Self, Failure> {
        let watch = |kind| signal(kind).map_err(|why| Failure::new(format!("cannot watch for signals: {why}")));
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of them.
    pub(crate) async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
