//! What a node process may do on this machine.

use super::finding::{Check, Finding, Severity};
use rustix::process::{Resource, getrlimit};
use std::io;

/// What one executor locks in memory (DESIGN 4.3).
const MEMLOCK_BYTES_PER_SHARD: u64 = 512 << 10;
/// Chunk files and connections of one busy shard, with room to spare.
const OPEN_FILES_WANTED: u64 = 16 << 10;

pub(super) fn io_uring() -> Finding {
    let check = Check { code: "IO_URING", check: "io_uring may be used", wanted: "yes" };
    let why = match quarry_bench::device::probe_io_uring() {
        Ok(()) => return check.found(Severity::Ok, "yes", ""),
        Err(why) => why,
    };
    let fix = match why.raw_os_error() {
        Some(libc::EPERM) => "allow it: sysctl kernel.io_uring_disabled=0, or lift the container's seccomp filter",
        Some(libc::ENOSYS) => {
            "use a kernel of 5.8 or later with CONFIG_IO_URING, or lift the container's seccomp filter"
        }
        Some(libc::ENOMEM) => "raise the limit of locked memory (see MEMLOCK)",
        _ => "see the message",
    };
    check.found(Severity::Bad, format!("no: {why}"), fix)
}

pub(super) fn memlock() -> Finding {
    let check = Check { code: "MEMLOCK", check: "limit of locked memory", wanted: "unlimited, or 512 KiB per shard" };
    match getrlimit(Resource::Memlock).current {
        None => check.found(Severity::Ok, "unlimited", ""),
        Some(bytes) => {
            let current = format!("{bytes} bytes: {} shards", bytes / MEMLOCK_BYTES_PER_SHARD);
            let severity = if bytes >= MEMLOCK_BYTES_PER_SHARD { Severity::Ok } else { Severity::Bad };
            check.found(severity, current, "ulimit -l unlimited, or LimitMEMLOCK=infinity in the systemd unit")
        }
    }
}

pub(super) fn open_files() -> Finding {
    let check = Check { code: "NOFILE", check: "limit of open files", wanted: "16384 or more" };
    match getrlimit(Resource::Nofile).current {
        Some(files) if files < OPEN_FILES_WANTED => {
            let fix = "ulimit -n 65536, or LimitNOFILE=65536 in the systemd unit";
            check.found(Severity::Warning, files.to_string(), fix)
        }
        files => check.found(Severity::Ok, files.map_or_else(|| "unlimited".to_owned(), |files| files.to_string()), ""),
    }
}

pub(super) fn kernel() -> Finding {
    let check = Check { code: "KERNEL", check: "kernel", wanted: "5.8 or later" };
    let Ok(release) = release() else { return check.unknown("read /proc/sys/kernel/osrelease by hand") };
    match version(&release) {
        None => check.found(Severity::Unknown, release, "its version does not parse"),
        Some(version) if version < (5, 8) => {
            check.found(Severity::Bad, release, "upgrade: earlier kernels lack what glommio asks of io_uring")
        }
        Some(_) => check.found(Severity::Ok, release, ""),
    }
}

fn release() -> io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned())
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_parse() {
        assert_eq!(version("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(version("5.4.0"), Some((5, 4)));
        assert_eq!(version("next"), None);
    }
}
