//! The machine, the file system and the build: what a figure means nothing without.

mod disk;

pub use disk::DiskFacts;

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// What a report says of where it was made. What could not be found out is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// `uname -r`.
    pub kernel: Option<String>,
    /// The processor's name.
    pub processor: Option<String>,
    /// Processors this process may use.
    pub processors: Option<usize>,
    /// Memory of the machine, in bytes.
    pub memory_bytes: Option<u64>,
    /// The file system and device that hold the nodes' files and the raw device's.
    pub disk: DiskFacts,
    /// This package's version.
    pub version: String,
    /// The git revision this was built from, `-dirty` if the tree had changes; `unknown` outside a git tree.
    pub git_revision: String,
    /// Whether this is an optimised build.
    pub optimised: bool,
}

impl Environment {
    /// Of this machine, with `dir` naming the disk.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self {
            kernel: trimmed("/proc/sys/kernel/osrelease"),
            processor: field("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().ok().map(usize::from),
            memory_bytes: field("/proc/meminfo", "MemTotal").and_then(|text| kib_to_bytes(&text)),
            disk: DiskFacts::of(dir),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_revision: env!("QUARRY_GIT_REVISION").to_owned(),
            optimised: !cfg!(debug_assertions),
        }
    }
}

fn trimmed(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The value of the first `name: value` line of a file in /proc.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn kib_to_bytes(text: &str) -> Option<u64> {
    text.strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let environment = Environment::of(Path::new(env!("CARGO_MANIFEST_DIR")));
        assert!(environment.kernel.is_some_and(|kernel| !kernel.is_empty()));
        assert!(environment.processors.is_some_and(|processors| processors > 0));
        assert!(environment.memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
        assert!(!environment.git_revision.is_empty());
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(kib_to_bytes("2 kB"), Some(2048));
        assert_eq!(kib_to_bytes("2 pages"), None);
    }
}
