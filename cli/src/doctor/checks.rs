//! What holds a node's data.

use super::finding::{Check, Finding, Severity};
use crate::units;
use quarry_bench::device::probe_direct_writes;
use quarry_bench::environment::DiskFacts;
use quarry_protocol::limits::{BLOCK_BYTES, FILE_BYTES_MIN, FILES_PER_SHARD_MIN};
use std::path::Path;

/// File systems on which overwrites with `O_DIRECT | O_DSYNC` were measured or are known to stay in place.
const FILE_SYSTEMS_GOOD: [&str; 2] = ["ext4", "xfs"];
/// File systems that write elsewhere on every overwrite, keep nothing, or are not a disk.
const FILE_SYSTEMS_BAD: [&str; 9] = ["tmpfs", "ramfs", "overlay", "nfs", "nfs4", "cifs", "9p", "fuse", "squashfs"];

pub(super) fn file_system(disk: &DiskFacts) -> Finding {
    let check = Check { code: "FILE_SYSTEM", check: "file system", wanted: "ext4 or xfs" };
    let Some(name) = disk.file_system.as_deref() else {
        return check.unknown("/proc/self/mountinfo does not say; look with findmnt -T DIR");
    };
    if FILE_SYSTEMS_GOOD.contains(&name) {
        return check.found(Severity::Ok, name, "");
    }
    let bad = FILE_SYSTEMS_BAD.iter().any(|bad| name == *bad || name.starts_with("fuse."));
    let severity = if bad { Severity::Bad } else { Severity::Warning };
    check.found(severity, name, "put the data directory on ext4 or xfs on a local disk")
}

pub(super) fn direct_writes(dir: &Path) -> Finding {
    let check = Check { code: "DIRECT_IO", check: "durable direct write of 4 KiB", wanted: "works" };
    match probe_direct_writes(dir) {
        Ok(()) => check.found(Severity::Ok, "works", ""),
        Err(why) => {
            let fix = "make the directory writable, on a file system that takes O_DIRECT (not tmpfs, not overlay)";
            check.found(Severity::Bad, format!("fails: {why}"), fix)
        }
    }
}

pub(super) fn free_space(dir: &Path) -> Finding {
    let check = Check { code: "SPACE", check: "free space", wanted: "80 MiB or more" };
    let Ok(space) = rustix::fs::statvfs(dir) else { return check.unknown("look with df DIR") };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let severity = if free >= FILES_PER_SHARD_MIN * FILE_BYTES_MIN { Severity::Ok } else { Severity::Bad };
    check.found(severity, units::bytes(free), "free some: the smallest node needs five chunk files of 16 MiB")
}

pub(super) fn alignment(disk: &DiskFacts) -> Finding {
    let check = Check { code: "ALIGNMENT", check: "block sizes of the device", wanted: "4096 bytes or less" };
    let (Some(logical), Some(physical)) = (disk.logical_block_bytes, disk.physical_block_bytes) else {
        return check.unknown(NO_DEVICE);
    };
    let current = format!("{logical} logical, {physical} physical");
    if logical > u64::from(BLOCK_BYTES) {
        check.found(Severity::Bad, current, "use a device with logical blocks of 512 or 4096 bytes (nvme format)")
    } else if physical > u64::from(BLOCK_BYTES) {
        check.found(Severity::Warning, current, "expect read-modify-write inside the device: use one with 4096")
    } else {
        check.found(Severity::Ok, current, "")
    }
}

pub(super) fn write_cache(disk: &DiskFacts) -> Finding {
    let check = Check { code: "WRITE_CACHE", check: "write cache and FUA", wanted: "write through, or FUA" };
    let Some(cache) = disk.write_cache.as_deref() else { return check.unknown(NO_DEVICE) };
    match (cache, disk.fua) {
        ("write through", _) => check.found(Severity::Ok, "write through", ""),
        (cache, Some(true)) => check.found(Severity::Ok, format!("{cache}, FUA"), ""),
        (cache, Some(false)) => {
            let fix = "durable writes flush the whole cache each time: slower, not unsafe, unless the device lies about \
                       flushes; prefer a device with power-loss protection or FUA";
            check.found(Severity::Warning, format!("{cache}, no FUA"), fix)
        }
        (cache, None) => check.found(Severity::Unknown, format!("{cache}, FUA unknown"), "look in the device's manual"),
    }
}

pub(super) fn scheduler(disk: &DiskFacts) -> Finding {
    let check = Check { code: "SCHEDULER", check: "I/O scheduler", wanted: "none" };
    let Some(scheduler) = disk.scheduler.as_deref() else { return check.unknown(NO_DEVICE) };
    if scheduler == "none" {
        return check.found(Severity::Ok, "none", "");
    }
    let device = disk.device.as_deref().unwrap_or("DEVICE");
    check.found(Severity::Warning, scheduler, format!("echo none > /sys/block/{device}/queue/scheduler"))
}

pub(super) fn rotational(disk: &DiskFacts) -> Finding {
    let check = Check { code: "ROTATIONAL", check: "kind of device", wanted: "flash" };
    match disk.rotational {
        None => check.unknown(NO_DEVICE),
        // Virtual disks often say so without having a platter.
        Some(true) => {
            check.found(Severity::Warning, "says it spins", "use local flash; ignore this for a virtual disk")
        }
        Some(false) => check.found(Severity::Ok, "flash", ""),
    }
}

const NO_DEVICE: &str = "the file system has no block device of its own in /sys; ask whoever provides the disk";

#[cfg(test)]
mod tests {
    use super::*;

    /// Unknown is said as unknown, never as ok.
    #[test]
    fn a_disk_that_nothing_is_known_of_is_unknown_throughout() {
        let disk = DiskFacts::default();
        for finding in [file_system(&disk), alignment(&disk), write_cache(&disk), scheduler(&disk), rotational(&disk)] {
            assert_eq!(
                (finding.severity, finding.current.as_str()),
                (Severity::Unknown, "unknown"),
                "{}",
                finding.code
            );
            assert!(!finding.fix.is_empty());
        }
    }

    #[test]
    fn disks_are_judged() {
        let text = |text: &str| Some(text.to_owned());
        let good = DiskFacts {
            file_system: text("ext4"),
            logical_block_bytes: Some(512),
            physical_block_bytes: Some(4096),
            write_cache: text("write back"),
            fua: Some(true),
            scheduler: text("none"),
            rotational: Some(false),
            ..DiskFacts::default()
        };
        let all = |disk: &DiskFacts| {
            [file_system(disk), alignment(disk), write_cache(disk), scheduler(disk), rotational(disk)]
                .map(|f| f.severity)
        };
        assert_eq!(all(&good), [Severity::Ok; 5]);
        let poor = DiskFacts {
            file_system: text("btrfs"),
            physical_block_bytes: Some(8192),
            fua: Some(false),
            scheduler: text("mq-deadline"),
            rotational: Some(true),
            ..good.clone()
        };
        assert_eq!(all(&poor), [Severity::Warning; 5]);
        let unusable = DiskFacts { file_system: text("tmpfs"), logical_block_bytes: Some(8192), ..good };
        assert_eq!(all(&unusable)[..2], [Severity::Bad; 2]);
    }
}
