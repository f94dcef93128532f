//! Real nodes on real files.

use crate::client::Client;
use quarry_node::config::Settings;
use quarry_node::{FormatOptions, Node, StartError};
use std::net::SocketAddr;
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
    pub(crate) data: PathBuf,
    _directory: TempDir,
}

impl Running {
    /// Formats and starts.
    pub(crate) fn fresh() -> Self {
        let directory = directory();
        let data = directory.path().join("data");
        format(&data);
        let mut running = Self { node: None, data, _directory: directory };
        running.start();
        running
    }

    pub(crate) fn start(&mut self) {
        self.node = Some(try_start(&self.data).expect("started"));
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
