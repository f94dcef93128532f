//! Four nodes in four zones, three replicas: a cluster that has somewhere to put the copies that a lost disk held.

use crate::cluster::QUARRY;
use crate::ledger::Ledger;
use quarry_bench::local_cluster::{LocalCluster, LocalClusterPlan};
use quarry_client::link::tcp::ANY_CLUSTER;
use quarry_client::link::{ReplicaLink, TcpLink};
use quarry_client::{ChunkStore, OpenOptions, QuorumStore, connect_to_quorum};
use quarry_protocol::ids::LogId;
use quarry_protocol::limits::{READ_BYTES_MAX, READ_CHUNKS_MAX};
use quarry_protocol::record::{LogRecord, ReplicaRef, Segment};
use serde_json::Value;
use std::process::Stdio;
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};

/// Nodes, each in a zone of its own.
pub(crate) const NODES: usize = 4;
const CLUSTER: &str = "zones";

/// The cluster, ended and removed when it is dropped.
pub(crate) struct Zones {
    pub(crate) cluster: LocalCluster,
    dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// One cluster at a time: another one would take the ports of a node that was killed, or choose the same ones.
static ALONE: Mutex<()> = Mutex::const_new(());

impl Zones {
    pub(crate) async fn start(gossip: bool) -> Self {
        let alone = ALONE.lock().await;
        let dir =
            tempfile::Builder::new().prefix("zones-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let format_arguments = ["--file-size", "16MiB", "--capacity", "256MiB"];
        let cluster = LocalCluster::start(LocalClusterPlan {
            binary: QUARRY.into(),
            dir: dir.path().to_path_buf(),
            nodes: NODES,
            zones: NODES,
            advertised: Vec::new(),
            cluster: CLUSTER.to_owned(),
            format_arguments: format_arguments.map(str::to_owned).into(),
            start_arguments: Vec::new(),
            gossip,
        });
        Self { cluster: cluster.await.expect("the nodes start"), dir, _alone: alone }
    }

    /// A client of its own.
    pub(crate) async fn store(&self) -> QuorumStore {
        connect_to_quorum(&self.cluster.url()).await.expect("the URL is good")
    }

    /// Where the records lie.
    pub(crate) fn register(&self) -> std::path::PathBuf {
        self.dir.path().join("register")
    }

    /// The address of a node.
    pub(crate) fn address(&self, node: usize) -> String {
        self.cluster.nodes()[node].address().to_owned()
    }

    /// Which node is at the address of this replica.
    pub(crate) fn node_of(&self, replica: &ReplicaRef) -> usize {
        let at = self.cluster.nodes().iter().position(|node| node.zone() == replica.zone);
        at.expect("a replica is in the zone of a node")
    }

    /// A `quarry` command that prints JSON.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(QUARRY);
        command.args(arguments).args(["--json", "--store", &self.cluster.url()]).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a `quarry` command to its end; the exit code, and what it printed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let done = self.command(arguments).output().await.expect("quarry runs");
        let (printed, said) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let line = printed.lines().next().unwrap_or_default();
        let value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {printed}\n{said}"));
        (done.status.code(), value)
    }

    /// Appends so much that there are as many sealed segments, and an empty open one.
    pub(crate) async fn fill(&self, ledger: &mut Ledger, log: &str, segments: usize, chunks: usize) {
        let store = self.store().await;
        let options = OpenOptions { repair: false, ..OpenOptions::default() };
        for _ in 0..segments {
            let writer = store.open(log, options.clone()).await.expect("opened").writer;
            assert!(ledger.append(&writer, log, chunks, 8).await, "appends go on");
        }
        // The last one is sealed by whoever comes next.
        drop(store.open(log, options).await.expect("opened"));
    }

    /// Replaces the disk of a node that does not run by one of this capacity.
    pub(crate) async fn format_smaller(&self, node: usize, capacity: &str) {
        let node = &self.cluster.nodes()[node];
        std::fs::remove_dir_all(node.data()).expect("the data directory can be removed");
        let mut command = Command::new(QUARRY);
        command.args(["format", "--cluster", self.cluster.name(), "--zone", node.zone(), "--file-size", "16MiB"]);
        let done = command.args(["--capacity", capacity, "--data"]).arg(node.data()).output().await;
        let done = done.expect("quarry runs");
        assert!(done.status.success(), "format: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// The record of a log.
    pub(crate) async fn record(&self, log: &str) -> LogRecord {
        self.store().await.inspect(log).await.expect("the log is there").record
    }

    /// Reads every copy of every sealed segment from its own holder, and compares; how many copies there are.
    pub(crate) async fn check_copies(&self, ledger: &Ledger, log: &str) -> usize {
        let record = self.record(log).await;
        let mut copies = 0;
        for segment in record.segments.iter().filter(|segment| segment.is_sealed()) {
            let zones: std::collections::BTreeSet<_> = segment.replicas.iter().map(|at| &at.zone).collect();
            assert_eq!(zones.len(), 3, "three holders in three zones: {segment:?}");
            for holder in &segment.replicas {
                if let Err(why) = check_copy(ledger, record.log, segment, holder).await {
                    panic!("segment {} at {} ({}): {why}", segment.id, holder.zone, holder.address);
                }
                copies += 1;
            }
        }
        copies
    }
}

/// Reads a copy of a segment from its holder, and from nobody else.
async fn check_copy(ledger: &Ledger, log: LogId, segment: &Segment, holder: &ReplicaRef) -> Result<(), String> {
    let link = TcpLink::new(holder.clone(), ANY_CLUSTER);
    let (mut next, end) = (segment.base, segment.end_seq().expect("it is sealed"));
    while next < end {
        let most = READ_CHUNKS_MAX.min((end.0 - next.0) as u32);
        let read = link.read(log, segment.id, next, most, READ_BYTES_MAX).await.map_err(|why| why.to_string())?;
        if read.chunks.is_empty() {
            return Err(format!("it says {:?} of seq {next}", read.answer));
        }
        for chunk in read.chunks {
            if ledger.get(next.0) != Some(&chunk.payload) {
                return Err(format!("seq {next} has other bytes"));
            }
            next = next.next();
        }
    }
    Ok(())
}

/// Reads a copy chunk by chunk from its holder; how many of them it cannot give.
pub(crate) async fn unreadable(log: LogId, segment: &Segment, holder: &ReplicaRef) -> usize {
    let link = TcpLink::new(holder.clone(), ANY_CLUSTER);
    let (mut next, mut unreadable) = (segment.base, 0);
    while next < segment.end_seq().expect("it is sealed") {
        let read = link.read(log, segment.id, next, 1, READ_BYTES_MAX).await.expect("it answers");
        unreadable += usize::from(read.chunks.is_empty());
        next = next.next();
    }
    unreadable
}
