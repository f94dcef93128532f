//! The machine, the file system and the build: what a figure means nothing without.

mod disk;
mod doctor;

pub use disk::DiskFacts;
pub use doctor::DoctorFinding;

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// What a report says of where it was made. What could not be found out is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// `uname -r`.
    pub kernel: Option<String>,
    /// The processor's name.
    pub processor: Option<String>,
    /// Processors this process may use.
    pub processors: Option<usize>,
    /// How the first processor chooses its clock rate, such as `performance`.
    pub governor: Option<String>,
    /// The virtual machine's make, or `none`.
    pub virtualisation: Option<String>,
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
    /// What `quarry doctor` says of the machine and the disk; empty where it was not asked.
    pub doctor: Vec<DoctorFinding>,
}

impl Environment {
    /// Of this machine, with `dir` naming the disk.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self {
            kernel: trimmed("/proc/sys/kernel/osrelease"),
            processor: field("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().ok().map(usize::from),
            governor: trimmed("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            virtualisation: virtualisation(),
            memory_bytes: field("/proc/meminfo", "MemTotal").and_then(|text| kib_to_bytes(&text)),
            disk: DiskFacts::of(dir),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_revision: env!("QUARRY_GIT_REVISION").to_owned(),
            optimised: !cfg!(debug_assertions),
            doctor: Vec::new(),
        }
    }
}

/// A hypervisor shows itself to the machine in it as a flag of the processor; its make is that of the board.
fn virtualisation() -> Option<String> {
    let flags = field("/proc/cpuinfo", "flags")?;
    let board = ["sys_vendor", "product_name"].map(|name| trimmed(format!("/sys/class/dmi/id/{name}")));
    Some(make_of_hypervisor(&flags, &board.map(Option::unwrap_or_default)))
}

fn make_of_hypervisor(flags: &str, board: &[String]) -> String {
    if !flags.split_whitespace().any(|flag| flag == "hypervisor") {
        return "none".to_owned();
    }
    let named: Vec<_> = board.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    if named.is_empty() { "a hypervisor that does not say its name".to_owned() } else { named.join(" ") }
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

    /// A bare machine with a vendor must not be taken for a virtual one, nor a virtual one without a vendor for a bare one.
    #[test]
    fn a_hypervisor_is_told_by_its_flag_and_named_by_its_board() {
        let board = ["QEMU".to_owned(), "Standard PC".to_owned()];
        assert_eq!(make_of_hypervisor("fpu hypervisor sse", &board), "QEMU Standard PC");
        assert_eq!(make_of_hypervisor("fpu sse nohypervisor", &board), "none");
        assert_eq!(
            make_of_hypervisor("hypervisor", &[String::new(), String::new()]),
            "a hypervisor that does not say its name"
        );
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(kib_to_bytes("2 kB"), Some(2048));
        assert_eq!(kib_to_bytes("2 pages"), None);
    }
}
