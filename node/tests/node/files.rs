//! How the chunk files are opened.

use crate::client::{SEGMENT, log};
use crate::running::Running;
use std::path::Path;

/// Flags of every descriptor of this process that is open on a chunk file below `data`.
fn open_flags(data: &Path) -> Vec<(String, i32)> {
    let mut flags = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").expect("proc is mounted") {
        let entry = entry.expect("read");
        // Descriptors come and go meanwhile.
        let Ok(path) = std::fs::read_link(entry.path()) else { continue };
        if !path.starts_with(data) || path.extension().is_none_or(|extension| extension != "chunks") {
            continue;
        }
        let info = Path::new("/proc/self/fdinfo").join(entry.file_name());
        let Ok(info) = std::fs::read_to_string(info) else { continue };
        let octal = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("every descriptor has flags");
        flags.push((path.display().to_string(), i32::from_str_radix(octal.trim(), 8).expect("octal")));
    }
    flags
}

/// D2: appends go past the page cache and are durable when they return.
#[test]
fn files_that_take_appends_are_open_with_o_direct_and_o_dsync() {
    let running = Running::fresh();
    running.client().store(log(1), SEGMENT, 0, b"so that a file is open");
    let data = running.data.canonicalize().expect("exists");
    let open = open_flags(&data);
    assert!(!open.is_empty(), "no chunk file is open");
    for (path, flags) in open {
        assert_ne!(flags & libc::O_DIRECT, 0, "{path} is open without O_DIRECT: {flags:o}");
        assert_ne!(flags & libc::O_DSYNC, 0, "{path} is open without O_DSYNC: {flags:o}");
    }
}
