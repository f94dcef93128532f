//! What the kernel says of the file system and the block device under a directory.

use super::trimmed;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file system and device under a directory. `None` is "not known", never "no".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFacts {
    /// Type of the file system, such as `ext4`.
    pub file_system: Option<String>,
    /// Where it is mounted.
    pub mount_point: Option<String>,
    /// How it is mounted.
    pub mount_options: Option<String>,
    /// The block device, such as `nvme0n1`; `None` for a file system without one of its own.
    pub device: Option<String>,
    /// Its model, as it names itself; of a virtual disk, which has none, its driver.
    pub model: Option<String>,
    /// Smallest unit the device addresses, in bytes.
    pub logical_block_bytes: Option<u64>,
    /// Smallest unit the device writes in one piece, in bytes.
    pub physical_block_bytes: Option<u64>,
    /// `write back` (a cache that loses power) or `write through`.
    pub write_cache: Option<String>,
    /// Whether the device takes single writes past its cache.
    pub fua: Option<bool>,
    /// The I/O scheduler in force, such as `none`.
    pub scheduler: Option<String>,
    /// Whether it is a spinning disk.
    pub rotational: Option<bool>,
}

impl DiskFacts {
    /// Of whatever holds `dir`.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        let mut facts = Self::default();
        let Ok(dir) = dir.canonicalize() else { return facts };
        if let Some(mount) = fs::read_to_string("/proc/self/mountinfo").ok().and_then(|text| mount_of(&text, &dir)) {
            facts.file_system = Some(mount.file_system);
            facts.mount_point = Some(mount.point);
            facts.mount_options = Some(mount.options);
        }
        if let Some(block) = fs::metadata(&dir).ok().and_then(|metadata| block_device(metadata.dev())) {
            facts.device = block.file_name().map(|name| name.to_string_lossy().into_owned());
            facts.model = model_of(&block);
            facts.read_queue(&block.join("queue"));
        }
        facts
    }

    /// Whether both are known to be the same one: by device, or where a file system has none, by where it is mounted.
    #[must_use]
    pub fn is_same_disk(&self, other: &Self) -> bool {
        match (&self.device, &other.device) {
            (None, None) => self.mount_point.is_some() && self.mount_point == other.mount_point,
            (device, others) => device == others,
        }
    }

    fn read_queue(&mut self, queue: &Path) {
        let number = |name| trimmed(queue.join(name)).and_then(|text| text.parse::<u64>().ok());
        self.logical_block_bytes = number("logical_block_size");
        self.physical_block_bytes = number("physical_block_size");
        self.write_cache = trimmed(queue.join("write_cache"));
        self.fua = number("fua").map(|fua| fua != 0);
        self.scheduler = trimmed(queue.join("scheduler")).map(|text| scheduler_in_force(&text));
        self.rotational = number("rotational").map(|rotational| rotational != 0);
    }
}

struct Mount {
    point: String,
    options: String,
    file_system: String,
}

/// The mount that `dir` lies on: the one with the longest mount point, and of those the last, which hides the others.
fn mount_of(mountinfo: &str, dir: &Path) -> Option<Mount> {
    let mut found: Option<Mount> = None;
    for line in mountinfo.lines() {
        let (left, right) = line.split_once(" - ")?;
        let (mut left, mut right) = (left.split(' ').skip(4), right.split(' '));
        let (point, options, file_system) = (unescape(left.next()?), left.next()?, right.next()?);
        let longer = found.as_ref().is_none_or(|best| point.len() >= best.point.len());
        if dir.starts_with(&point) && longer {
            found = Some(Mount { point, options: options.to_owned(), file_system: file_system.to_owned() });
        }
    }
    found
}

/// The kernel writes space, tab, newline and backslash as octal.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// The directory in /sys of the whole disk with this device number; a partition's disk is one directory up.
fn block_device(dev: u64) -> Option<PathBuf> {
    let (major, minor) = (libc::major(dev), libc::minor(dev));
    let block = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    if block.join("queue").is_dir() {
        return Some(block);
    }
    let disk = block.parent()?;
    disk.join("queue").is_dir().then(|| disk.to_path_buf())
}

/// The model of a disk. A mapped device (encrypted, a volume of one disk) has that of what it lies on.
fn model_of(block: &Path) -> Option<String> {
    let below: Vec<_> = fs::read_dir(block.join("slaves")).into_iter().flatten().flatten().collect();
    if let [only] = &below[..] {
        return model_of(&only.path().canonicalize().ok()?);
    }
    let named = trimmed(block.join("device/model")).filter(|model| !model.is_empty());
    named.or_else(|| {
        let driver = fs::canonicalize(block.join("device/driver")).ok()?;
        driver.file_name().map(|name| format!("{}, no model", name.to_string_lossy()))
    })
}

/// The kernel lists every scheduler it has, the one in force in brackets.
fn scheduler_in_force(text: &str) -> String {
    match text.split_once('[').and_then(|(_, rest)| rest.split_once(']')) {
        Some((name, _)) => name.to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 22 0:27 / /tmp rw,nosuid - tmpfs tmpfs rw
32 22 8:1 / /mnt/a\\040b rw,noatime shared:1 - xfs /dev/sda1 rw
33 22 8:2 / /mnt rw - btrfs /dev/sdb rw
";

    #[test]
    fn the_longest_mount_point_wins() {
        let of = |dir: &str| mount_of(MOUNTS, Path::new(dir)).map(|mount| mount.file_system);
        assert_eq!(of("/data").as_deref(), Some("ext4"));
        assert_eq!(of("/tmp/x").as_deref(), Some("tmpfs"));
        assert_eq!(of("/tmpfile").as_deref(), Some("ext4"));
        assert_eq!(of("/mnt/a b/c").as_deref(), Some("xfs"));
        assert_eq!(of("/mnt/c").as_deref(), Some("btrfs"));
    }

    #[test]
    fn the_scheduler_in_force_is_the_one_in_brackets() {
        assert_eq!(scheduler_in_force("none [mq-deadline] kyber"), "mq-deadline");
        assert_eq!(scheduler_in_force("none"), "none");
    }

    /// As the kernel lays its files out: a disk that names itself, one that does not, and a device mapped onto the first.
    #[test]
    fn a_model_is_the_disks_own_or_its_driver() {
        let sys = tempfile::tempdir().unwrap();
        let block = |name: &str| sys.path().join(name);
        for dir in ["nvme/device", "virtual/device", "mapped/slaves", "nvme/slaves", "drivers/virtio_blk"] {
            fs::create_dir_all(block(dir)).unwrap();
        }
        fs::write(block("nvme/device/model"), "ACME NVMe 1T      \n").unwrap();
        std::os::unix::fs::symlink(block("drivers/virtio_blk"), block("virtual/device/driver")).unwrap();
        std::os::unix::fs::symlink(block("nvme"), block("mapped/slaves/nvme")).unwrap();
        assert_eq!(model_of(&block("nvme")).as_deref(), Some("ACME NVMe 1T"));
        assert_eq!(model_of(&block("virtual")).as_deref(), Some("virtio_blk, no model"));
        assert_eq!(model_of(&block("mapped")).as_deref(), Some("ACME NVMe 1T"));
        assert_eq!(model_of(&block("none")), None);
    }

    #[test]
    fn disks_are_told_apart_and_the_unknown_is_no_disk() {
        let disk = |device: Option<&str>, mount_point: Option<&str>| DiskFacts {
            device: device.map(str::to_owned),
            mount_point: mount_point.map(str::to_owned),
            ..DiskFacts::default()
        };
        let (one, other, memory) =
            (disk(Some("vda"), Some("/")), disk(Some("vdb"), Some("/mnt")), disk(None, Some("/tmp")));
        assert!(one.is_same_disk(&disk(Some("vda"), Some("/home"))) && memory.is_same_disk(&memory));
        assert!(
            !one.is_same_disk(&other) && !one.is_same_disk(&memory) && !memory.is_same_disk(&disk(None, Some("/run")))
        );
        assert!(!DiskFacts::default().is_same_disk(&DiskFacts::default()));
    }

    /// What is not known is said as unknown, never guessed.
    #[test]
    fn nothing_is_known_of_a_directory_that_is_not_there() {
        assert_eq!(DiskFacts::of(Path::new("/no/such/directory")), DiskFacts::default());
    }
}
