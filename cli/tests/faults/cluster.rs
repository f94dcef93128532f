//! Node processes, started from the built binary on loopback, each ended by its own process id.

use quarry_client::{ChunkStore, connect};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// The command under test.
pub(crate) const QUARRY: &str = env!("CARGO_BIN_EXE_quarry");
/// How long a node may take until it listens.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// A cluster of nodes in one directory, ended and removed when it is dropped.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    dir: tempfile::TempDir,
}

/// One node, running or not.
pub(crate) struct Node {
    data: PathBuf,
    zone: String,
    capacity: String,
    pub(crate) address: SocketAddr,
    /// What it says on standard error: as `QUARRY_LOG`.
    says: &'static str,
    process: Option<Child>,
}

impl Cluster {
    /// Formats and starts `nodes` nodes, each in a zone of its own.
    pub(crate) fn start(nodes: usize) -> Self {
        Self::with_capacity(nodes, "320MiB")
    }

    /// The same with another capacity per node.
    pub(crate) fn with_capacity(nodes: usize, capacity: &str) -> Self {
        Self::saying(nodes, capacity, "warn")
    }

    /// Nodes that note every step of the protocol.
    pub(crate) fn traced(nodes: usize) -> Self {
        Self::saying(nodes, "320MiB", "warn,quarry::action=trace")
    }

    fn saying(nodes: usize, capacity: &str, says: &'static str) -> Self {
        // Beside the build, because /tmp may be a tmpfs, which has no Direct IO.
        let dir =
            tempfile::Builder::new().prefix("faults-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        std::fs::create_dir(dir.path().join("register")).expect("a register directory");
        let nodes = (0..nodes)
            .map(|i| {
                let zone = format!("zone-{i}");
                let data = dir.path().join(format!("node-{i}"));
                let (capacity, address) = (capacity.to_owned(), free_address());
                let node = Node { data, zone, capacity, address, says, process: None };
                node.format();
                node
            })
            .collect();
        let mut cluster = Self { nodes, dir };
        cluster.nodes.iter_mut().for_each(Node::start);
        cluster
    }

    /// The store URL of all nodes.
    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| node.address.to_string()).collect();
        let replicas = self.nodes.len();
        let register = self.dir.path().join("register");
        format!(
            "quarry://{}/faults?register=dir:{}&replicas={replicas}&ack={}",
            hosts.join(","),
            register.display(),
            replicas / 2 + 1
        )
    }

    /// A client of its own: it shares no connection with another one.
    pub(crate) async fn store(&self) -> Arc<dyn ChunkStore> {
        let since = Instant::now();
        loop {
            match connect(&self.url()).await {
                Ok(store) => return store,
                // A node that listens is not always a node that answers yet.
                Err(why) if why.may_retry() && since.elapsed() < START_PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(why) => panic!("connecting: {why}"),
            }
        }
    }
}

impl Node {
    fn format(&self) {
        let done = Command::new(QUARRY)
            .args(["format", "--cluster", "faults", "--file-size", "16MiB", "--capacity", &self.capacity])
            .args(["--zone", &self.zone])
            .arg("--data")
            .arg(&self.data)
            .output()
            .expect("quarry runs");
        assert!(done.status.success(), "format: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Starts the node on its address and waits until it listens.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} is running", self.zone);
        let log = std::fs::File::options().create(true).append(true).open(self.log()).expect("a log file");
        let child = Command::new(QUARRY)
            .args(["start", "--listen", &self.address.to_string()])
            .arg("--data")
            .arg(&self.data)
            .env("QUARRY_LOG", self.says)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("quarry runs");
        let process = self.process.insert(child);
        let since = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let ended = process.try_wait().expect("a child can be waited for");
            let said = || std::fs::read_to_string(self.data.with_extension("log")).unwrap_or_default();
            assert!(ended.is_none(), "{} ended at its start, {ended:?}: {}", self.zone, said());
            assert!(since.elapsed() < START_PATIENCE, "{} does not listen: {}", self.zone, said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the node with `SIGKILL`.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("the node is running");
        process.kill().expect("a running child can be killed");
        process.wait().expect("a killed child ends");
    }

    /// Stops or continues the node's process.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.process.as_ref().expect("the node is running").id(), name);
    }

    /// Replaces the disk of a stopped node: same directory, same zone, same address, another identity (P14).
    pub(crate) fn wipe(&self) {
        assert!(self.process.is_none(), "{} is running", self.zone);
        std::fs::remove_dir_all(&self.data).expect("the data directory can be removed");
        self.format();
    }

    /// Where the node's data lies.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Where it says what it says.
    pub(crate) fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- {}: {}", self.zone, std::fs::read_to_string(self.log()).unwrap_or_default());
        }
    }
}

/// Sends the named signal to a process that this test started.
pub(crate) fn signal(process: u32, name: &str) {
    let done = Command::new("kill").args(["-s", name, &process.to_string()]).status().expect("kill runs");
    assert!(done.success(), "kill -s {name} {process}");
}

/// Where test ports begin, below those that the system gives to outgoing connections: a client that tries to reach a
/// dead node on loopback could otherwise be given the node's own port, and hold it.
const FIRST_PORT: u16 = 12_000;
/// Ports of one test process: as many for shards, and the control planes 64 above them.
const PORTS_PER_PROCESS: u16 = 64;
const PROCESSES: u16 = 120;

/// An address on loopback that nobody listens on now, nor on the control port that goes with it.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = FIRST_PORT + (std::process::id() % u32::from(PROCESSES)) as u16 * 2 * PORTS_PER_PROCESS;
    for _ in 0..PORTS_PER_PROCESS {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS_PER_PROCESS;
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if is_free(port) && is_free(port + PORTS_PER_PROCESS) {
            return (Ipv4Addr::LOCALHOST, port).into();
        }
    }
    panic!("no free port between {first} and {}", first + PORTS_PER_PROCESS);
}
