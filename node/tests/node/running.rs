//! Real nodes on real files.

use crate::client::Client;
use quarry_node::config::{ScrubSettings, Settings};
use quarry_node::{FormatOptions, Node, StartError};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) const CLUSTER: &str = "oak";
pub(crate) const FILE_BYTES: u64 = 16 << 20;

/// A directory on the disk that holds the target directory: a file system in memory would hide what `O_DIRECT` does.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("node-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// How the tests' nodes are formatted.
pub(crate) fn options(data: &Path) -> FormatOptions {
    #[cfg(planted)]
    crate::planted::from_environment();
    FormatOptions {
        data: data.to_owned(),
        cluster: CLUSTER.into(),
        zone: "a".into(),
        shards: 1,
        capacity_bytes: Some(8 * FILE_BYTES),
        file_bytes: Some(FILE_BYTES),
    }
}

/// Formats `data`.
pub(crate) fn format(data: &Path) {
    quarry_node::format(&options(data), |_, _| ()).expect("formatted");
}

pub(crate) fn settings(data: &Path) -> Settings {
    #[cfg(planted)]
    crate::planted::from_environment();
    Settings { data: Some(data.to_owned()), listen: Some("127.0.0.1:0".into()), ..Settings::default() }
}

pub(crate) fn try_start(data: &Path) -> Result<Node, StartError> {
    quarry_node::start(&settings(data).check().expect("good settings"))
}

/// A node on a directory of its own.
pub(crate) struct Running {
    node: Option<Node>,
    /// Within how many seconds it scrubs everything; as usual if not set.
    scrub_s: Option<f64>,
    pub(crate) data: PathBuf,
    _directory: TempDir,
}

impl Running {
    /// Formats and starts.
    pub(crate) fn fresh() -> Self {
        Self::formatted(None)
    }

    /// Formats and starts a node that reads everything again within so many seconds.
    pub(crate) fn scrubbing(seconds: f64) -> Self {
        Self::formatted(Some(seconds))
    }

    fn formatted(scrub_s: Option<f64>) -> Self {
        let directory = directory();
        let data = directory.path().join("data");
        format(&data);
        let mut running = Self { node: None, scrub_s, data, _directory: directory };
        running.start();
        running
    }

    /// What `/metrics` says.
    pub(crate) fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.node().addresses().control).expect("the control plane listens");
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    }

    pub(crate) fn start(&mut self) {
        let days = self.scrub_s.map(|seconds| (seconds / 86_400.0).to_string());
        let settings = Settings { scrub: ScrubSettings { days }, ..settings(&self.data) };
        self.node = Some(quarry_node::start(&settings.check().expect("good settings")).expect("started"));
    }

    /// Stops cleanly and starts again.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    pub(crate) fn stop(&mut self) {
        let node = self.node.take().expect("running");
        node.stop();
        node.wait();
    }

    pub(crate) fn node(&self) -> &Node {
        self.node.as_ref().expect("running")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.node().addresses().shards[0]
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address(), CLUSTER)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.node.is_some() {
            self.stop();
        }
    }
}
