//! What the nodes of a local cluster need to gossip: a key, and each other's addresses.

use super::NodeError;
use quarry_protocol::limits::SHARDS_MAX;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tokio::process::Command;

/// A node gossips on the port after its control plane's, which follows those of the most shards a node can have.
const PORT_AFTER_FIRST: usize = SHARDS_MAX + 1;

/// The cluster's key file, made if it is not there yet.
pub(super) async fn key_file(binary: &Path, dir: &Path) -> Result<String, NodeError> {
    let path = dir.join("cluster.key");
    let failed = |source| NodeError::Directory { path: path.clone(), source };
    if !path.exists() {
        let made = Command::new(binary).args(["cluster", "key"]).output().await.map_err(failed)?;
        if !made.status.success() {
            return Err(failed(io::Error::other(format!("`quarry cluster key` ended with {}", made.status))));
        }
        // Under another name first: half a key would be there for ever.
        let new = dir.join("cluster.key.new");
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
        file.write_all(&made.stdout).map_err(failed)?;
        fs::rename(&new, &path).map_err(failed)?;
    }
    Ok(path.to_string_lossy().into_owned())
}

/// Arguments that name the gossip of the nodes at `addresses`, as far as it is known before they start.
pub(super) fn seeds<'a>(addresses: impl Iterator<Item = &'a str>) -> Vec<String> {
    let seeds = addresses.filter_map(|address| {
        let (host, port) = address.rsplit_once(':')?;
        let port: usize = port.parse().ok().filter(|port| *port != 0)?;
        Some(format!("{host}:{}", port + PORT_AFTER_FIRST))
    });
    let seeds: Vec<String> = seeds.collect();
    if seeds.is_empty() { Vec::new() } else { vec!["--gossip-seeds".to_owned(), seeds.join(",")] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_the_ports_after_the_control_planes() {
        let arguments = seeds(["127.0.0.1:7000", "127.0.0.1:0", "[::1]:8000"].into_iter());
        assert_eq!(arguments, ["--gossip-seeds", "127.0.0.1:7065,[::1]:8065"]);
        assert!(seeds(["127.0.0.1:0"].into_iter()).is_empty());
    }
}
