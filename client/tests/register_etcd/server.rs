//! A real etcd, started by the test, with a data directory that outlives it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer after its start: its disk may be busy.
const START_MAX: Duration = Duration::from_mins(1);

/// One server, killed with this.
pub(crate) struct Server {
    child: Option<Child>,
    dir: PathBuf,
    /// Its `host:port` for clients.
    pub(crate) endpoint: String,
    peer: String,
    scheme: &'static str,
    arguments: Vec<String>,
}

impl Server {
    /// Starts a server whose data lies in `dir`.
    pub(crate) fn start(dir: &Path) -> Self {
        Self::start_with(dir, "http", Vec::new())
    }

    /// As `start`, for encrypted connections if `scheme` is `https`.
    pub(crate) fn start_with(dir: &Path, scheme: &'static str, arguments: Vec<String>) -> Self {
        let (endpoint, peer) = (free_address(), free_address());
        let mut server = Self { child: None, dir: dir.to_owned(), endpoint, peer, scheme, arguments };
        server.restart();
        server
    }

    /// Starts it again over the same data, at the same address.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let url = format!("{}://{}", self.scheme, self.endpoint);
        let peer = format!("http://{}", self.peer);
        let log = std::fs::File::create(self.dir.join("log")).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program())
            .args(["--name", "one", "--data-dir"])
            .arg(self.dir.join("data"))
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("one={peer}"), "--logger", "zap", "--bcrypt-cost", "4"])
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("setpriv of util-linux, with which etcd dies with its test"));
        self.wait();
    }

    /// Waits until it listens.
    fn wait(&mut self) {
        let started = Instant::now();
        while std::net::TcpStream::connect(&self.endpoint).is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            let log = || std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            // Never a test that passes because there was nothing to test.
            let missing = "if there is none, deploy/test-servers/etcd gets one";
            assert!(ended.is_none(), "etcd ended, {missing}: {}", log());
            assert!(started.elapsed() < START_MAX, "etcd does not listen: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// What the kernel is to do with it: stop or go on.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The etcd that `make test` gets, or else the one in PATH.
fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let servers = std::env::var_os("TEST_SERVERS_DIR").map_or_else(|| root.join("target/test-servers"), PathBuf::from);
    let own = servers.join("etcd/usr/bin/etcd");
    if own.exists() { own } else { PathBuf::from("etcd") }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}
