use super::*;
use crate::measured::Until;
use std::path::Path;
use std::time::Duration;

/// A directory on the disk that holds the build: the system's temporary one may be in memory, without `O_DIRECT`.
fn disk_dir() -> tempfile::TempDir {
    tempfile::tempdir_in(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).expect("make a directory beside the sources")
}

#[test]
fn every_write_is_counted_and_its_bytes_land_in_the_file() {
    let dir = disk_dir();
    let path = dir.path().join("device");
    let mut file = DeviceFile::prepare(&path, 2 << 20).expect("prepare");
    let before = std::fs::read(&path).expect("read back");
    let work = DeviceWork { write_bytes: 64 << 10, in_flight: 3 };
    let measured = file.measure(work, Until::operations(10)).expect("measure");
    assert_eq!(measured.latencies.count(), 10);
    assert_eq!(measured.bytes, 10 * (64 << 10));
    let after = std::fs::read(&path).expect("read back");
    let changed = |block: &usize| before[block * 65536..][..65536] != after[block * 65536..][..65536];
    assert_eq!((0..32).filter(changed).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    // The next round goes on behind the last one, and wraps inside the file.
    file.measure(work, Until::operations(40)).expect("wraps");
    assert_eq!(std::fs::metadata(&path).expect("stat").len(), 2 << 20);
}

#[test]
fn odd_sizes_are_rounded_up_to_blocks() {
    assert_eq!(DeviceWork { write_bytes: 1, in_flight: 1 }.block_bytes(), 4096);
    assert_eq!(DeviceWork { write_bytes: 65_536, in_flight: 1 }.block_bytes(), 65_536);
}

#[test]
fn appends_are_opened_direct_and_durable() {
    let dir = disk_dir();
    let path = dir.path().join("device");
    let _file = DeviceFile::prepare(&path, 1 << 20).expect("prepare");
    let fd = std::fs::read_dir("/proc/self/fd")
        .expect("own descriptors")
        .filter_map(Result::ok)
        .find(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|target| {
                target.ends_with("device") && target.starts_with(dir.path().canonicalize().expect("canonical"))
            })
        })
        .expect("the file is open");
    let info = std::fs::read_to_string(Path::new("/proc/self/fdinfo").join(fd.file_name())).expect("fdinfo");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags").trim();
    let flags = i32::from_str_radix(flags, 8).expect("octal");
    assert_eq!(flags & libc::O_DIRECT, libc::O_DIRECT, "{flags:o}");
    assert_eq!(flags & libc::O_DSYNC, libc::O_DSYNC, "{flags:o}");
}

#[test]
fn work_that_does_not_fit_and_places_that_do_not_exist_are_refused_by_name() {
    let dir = disk_dir();
    let mut file = DeviceFile::prepare(&dir.path().join("device"), 1 << 20).expect("prepare");
    let work = DeviceWork { write_bytes: 1 << 20, in_flight: 2 };
    let why = file.measure(work, Until::elapsed(Duration::ZERO)).expect_err("too large").to_string();
    assert!(why.contains("2 writes of 1048576 bytes"), "{why}");
    let nowhere = dir.path().join("no/such/dir/device");
    let why = DeviceFile::prepare(&nowhere, 1).expect_err("no directory").to_string();
    assert!(why.contains("no/such/dir"), "{why}");
}

#[test]
fn the_scratch_file_goes_away() {
    let dir = disk_dir();
    probe_direct_writes(dir.path()).expect("a direct write works here");
    assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 0);
    probe_io_uring().expect("io_uring works here");
}
