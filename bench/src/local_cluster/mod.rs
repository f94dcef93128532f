//! A cluster of real node processes on this machine, for `quarry dev`, the demo and the benchmark.
//!
//! Everything lies in one directory: `node-1` and so on (data), `node-1.log` (what the node says), `node-1.listen` (its
//! address, kept from run to run), `register`, `cluster.name`, and `cluster.key` if the nodes gossip. Nodes die with this
//! process: each asks the kernel to be killed when its parent thread ends, so a cluster must be started on a thread that lives
//! as long as it (the main one, under `block_on`).

mod gossip;
mod name;
mod node;
mod ports;
#[cfg(test)]
mod tests;

pub use node::{LocalNode, NodeError};

use futures::future::{join_all, select_all};
use quarry_client::store_url::StoreUrl;
use quarry_protocol::quorum::Quorum;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Replicas of each chunk in a cluster that has as many nodes or more.
const REPLICAS_MAX: usize = 3;

/// Which cluster to start.
#[derive(Clone, Debug)]
pub struct LocalClusterPlan {
    /// The `quarry` binary.
    pub binary: PathBuf,
    /// Where everything lies; made if missing. A directory that holds a cluster already is started again.
    pub dir: PathBuf,
    /// How many nodes.
    pub nodes: usize,
    /// In how many zones they stand, in turn: as many as there are nodes for a zone each.
    pub zones: usize,
    /// What clients are told instead of the address that the node listens at, node by node; empty for just that.
    pub advertised: Vec<String>,
    /// What the cluster's name starts with; what follows is the directory's own.
    pub cluster: String,
    /// Further arguments of `quarry format`.
    pub format_arguments: Vec<String>,
    /// Further arguments of `quarry start`.
    pub start_arguments: Vec<String>,
    /// Whether the nodes gossip, with a key of their own.
    pub gossip: bool,
}

/// Running nodes. Dropping it kills them; [`LocalCluster::stop`] stops them cleanly.
#[derive(Debug)]
pub struct LocalCluster {
    nodes: Vec<LocalNode>,
    cluster: String,
    dir: PathBuf,
}

impl LocalCluster {
    /// Formats what is not formatted yet, starts every node and waits until all serve.
    pub async fn start(mut plan: LocalClusterPlan) -> Result<Self, NodeError> {
        let dir = make_directory(&plan.dir)?;
        make_directory(&dir.join("register"))?;
        plan.cluster = name::of_directory(&dir, &plan.cluster)?;
        if plan.gossip {
            plan.start_arguments.extend(["--gossip-key-file".to_owned(), gossip::key_file(&plan.binary, &dir).await?]);
        }
        let mut nodes: Vec<_> = (1..=plan.nodes).map(|number| LocalNode::new(number, &dir, &plan)).collect();
        if plan.gossip {
            let seeds = gossip::seeds(nodes.iter().map(LocalNode::listen));
            nodes.iter_mut().for_each(|node| node.add_start_arguments(&seeds));
        }
        for started in join_all(nodes.iter_mut().map(LocalNode::format_and_start)).await {
            started?;
        }
        Ok(Self { nodes, cluster: plan.cluster, dir })
    }

    /// The URL that clients reach the cluster by: three replicas, or as many as there are nodes.
    ///
    /// # Panics
    /// Without nodes.
    #[must_use]
    pub fn url(&self) -> String {
        let addresses: Vec<_> = self.nodes.iter().map(|node| node.address().to_owned()).collect();
        let replicas = addresses.len().min(REPLICAS_MAX);
        let mut url = StoreUrl::of_nodes(addresses, &self.cluster, &self.dir.join("register"));
        url.quorum = Quorum::majority(replicas).expect("a cluster has one node at least");
        url.to_string()
    }

    /// The cluster's name: the plan's, and what the directory adds.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.cluster
    }

    /// The nodes, in order.
    #[must_use]
    pub fn nodes(&self) -> &[LocalNode] {
        &self.nodes
    }

    /// Kills one node with SIGKILL and waits for its end.
    ///
    /// # Panics
    /// If there is no such node.
    pub async fn kill(&mut self, index: usize) -> Result<ExitStatus, NodeError> {
        self.nodes[index].kill().await
    }

    /// Stops one node with SIGSTOP: it keeps its connections and answers nothing, until [`Self::resume`].
    ///
    /// # Panics
    /// If there is no such node.
    pub fn pause(&mut self, index: usize) -> Result<(), NodeError> {
        self.nodes[index].signal(Signal::STOP, "pause")
    }

    /// Lets a paused node go on.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn resume(&mut self, index: usize) -> Result<(), NodeError> {
        self.nodes[index].signal(Signal::CONT, "resume")
    }

    /// Starts a node again that was killed or stopped, at its old address.
    ///
    /// # Panics
    /// If there is no such node.
    pub async fn restart(&mut self, index: usize) -> Result<(), NodeError> {
        self.nodes[index].start().await
    }

    /// Stops one node cleanly, with SIGTERM, and waits for its end.
    ///
    /// # Panics
    /// If there is no such node.
    pub async fn stop_node(&mut self, index: usize) -> Result<(), NodeError> {
        self.nodes[index].stop().await
    }

    /// Replaces the disk of a node that does not run: everything in its data directory is removed, and it is formatted
    /// anew, with another identity.
    ///
    /// # Panics
    /// If there is no such node, or it runs.
    pub async fn wipe(&mut self, index: usize) -> Result<(), NodeError> {
        self.nodes[index].wipe().await
    }

    /// Fails if a node has ended by itself, with its last words.
    pub fn check_running(&mut self) -> Result<(), NodeError> {
        self.nodes.iter_mut().try_for_each(LocalNode::check_running)
    }

    /// Waits until any node ends by itself, and says which and how. Never resolves when none runs.
    pub async fn ended(&mut self) -> (usize, ExitStatus) {
        let running: Vec<_> = self
            .nodes
            .iter_mut()
            .enumerate()
            .filter(|(_, node)| node.process_id().is_some())
            .map(|(index, node)| Box::pin(async move { (index, node.wait().await) }))
            .collect();
        if running.is_empty() {
            std::future::pending::<()>().await;
        }
        select_all(running).await.0
    }

    /// Stops every node with SIGTERM and waits; a node that takes too long is killed, and named.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        join_all(self.nodes.iter_mut().map(LocalNode::stop)).await.into_iter().collect()
    }
}

fn make_directory(dir: &Path) -> Result<PathBuf, NodeError> {
    let failed = |source| NodeError::Directory { path: dir.to_path_buf(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    dir.canonicalize().map_err(failed)
}
