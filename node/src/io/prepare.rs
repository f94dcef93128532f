//! Preparing chunk files: create, fill with zeros, sync the file, give it its name, sync the directory (D2). Everything
//! here blocks, so it runs at format, or on the executor's blocking thread; never on the append path.
//!
//! `fallocate` alone is not enough (the first overwrite of such a block commits file-system metadata, pitfall 28), but it
//! comes first: a full disk is noticed before a gigabyte of zeros was written.

use crate::layout;
use crate::store::manifest;
use quarry_protocol::ids::DiskId;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Bytes of one write of zeros.
const ZEROS_BYTES: usize = 1 << 20;

#[repr(align(4096))]
struct Zeros([u8; ZEROS_BYTES]);
/// Never written to, so it takes no memory beyond the page of zeros that the kernel maps everywhere.
static ZEROS: Zeros = Zeros([0; ZEROS_BYTES]);

/// Why a file could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The file system is full, or a quota is used up. Not a fault of the disk: puts are refused when no file is left.
    #[error("no space to {what}: {why}")]
    NoSpace {
        /// What was being done, with the path.
        what: String,
        /// What the kernel answered.
        why: io::Error,
    },
    /// Anything else.
    #[error("could not {what}: {why}")]
    Failed {
        /// What was being done, with the path.
        what: String,
        /// What the kernel answered.
        why: io::Error,
    },
}

fn failed(what: &str, path: &Path, why: io::Error) -> PrepareError {
    let what = format!("{what} {}", path.display());
    match why.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => PrepareError::NoSpace { what, why },
        _ => PrepareError::Failed { what, why },
    }
}

/// Creates a file of `bytes` bytes under its preparing name, afresh. On failure nothing is left behind.
pub(crate) fn create(directory: &Path, file: u32, bytes: u64) -> Result<(), PrepareError> {
    let path = layout::preparing_file(directory, file);
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&path);
    let made = open.map_err(|why| failed("create", &path, why))?;
    made.set_len(bytes).and_then(|()| allocate(&made, bytes)).map_err(|why| {
        // The space of half a file is worth more than half a file.
        discard(directory, file);
        failed("allocate", &path, why)
    })
}

/// Removes a file that is being prepared, if there is one.
pub(crate) fn discard(directory: &Path, file: u32) {
    let path = layout::preparing_file(directory, file);
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => tracing::warn!(path = %path.display(), %why, "could not remove a half-made chunk file"),
    }
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    // SAFETY: the call takes plain numbers; the descriptor is open for as long as `file` lives.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes.cast_signed()) };
    if answer == 0 {
        return Ok(());
    }
    let why = io::Error::last_os_error();
    match why.raw_os_error() {
        // Some file systems cannot; writing zeros allocates as well.
        Some(libc::EOPNOTSUPP) => Ok(()),
        _ => Err(why),
    }
}

/// Writes zeros over `bytes` bytes at `position` of a file being prepared, past the page cache, without `O_DSYNC`.
pub(crate) fn fill(directory: &Path, file: u32, position: u64, bytes: u64) -> Result<(), PrepareError> {
    let path = layout::preparing_file(directory, file);
    let failed = |why| failed("write zeros to", &path, why);
    let open = OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(&path).map_err(failed)?;
    let mut at = position;
    while at < position + bytes {
        let step = (position + bytes - at).min(ZEROS_BYTES as u64);
        open.write_all_at(&ZEROS.0[..step as usize], at).map_err(failed)?;
        at += step;
    }
    Ok(())
}

/// Makes a filled file durable, then gives it its name, then makes the name durable (pitfall 27); then the manifest of
/// the shard whose disk is `disk` names it. Only now may anything be written to it. On failure it loses its name again, so
/// that it can be made afresh under the same number.
pub(crate) fn finish(directory: &Path, disk: DiskId, file: u32) -> Result<(), PrepareError> {
    let (from, to) = (layout::preparing_file(directory, file), layout::chunk_file(directory, file));
    let open = File::open(&from).map_err(|why| failed("open", &from, why))?;
    open.sync_all().map_err(|why| failed("sync", &from, why))?;
    if to.exists() {
        let why = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(failed("prepare a second", &to, why));
    }
    std::fs::rename(&from, &to).map_err(|why| failed("rename", &from, why))?;
    let named = sync_directory(directory).and_then(|()| add_to_manifest(directory, disk, file));
    if named.is_err() {
        take_back(directory, disk, file);
    }
    named
}

/// Removes a finished file that nothing was written to. Best effort: a file that the manifest may still name has to stay,
/// since it would be missed at the next start (pitfall 33), which takes it for the unused file that it is.
pub(crate) fn take_back(directory: &Path, disk: DiskId, file: u32) {
    let path = layout::chunk_file(directory, file);
    if let Some(mut files) = read_manifest(directory, disk)
        && files.remove(&file)
        && let Err(why) = write_manifest(directory, disk, &files)
    {
        tracing::warn!(path = %path.display(), %why, "a chunk file that could not be finished stays until the next start");
        return;
    }
    if let Err(why) = std::fs::remove_file(&path) {
        tracing::warn!(path = %path.display(), %why, "could not remove a chunk file that could not be finished");
    }
}

/// The manifest of a shard's directory; none if it is missing or damaged.
pub(crate) fn read_manifest(directory: &Path, disk: DiskId) -> Option<BTreeSet<u32>> {
    manifest::decode(disk, &std::fs::read(layout::manifest(directory)).ok()?)
}

/// Replaces the manifest of a shard's directory.
pub(crate) fn write_manifest(directory: &Path, disk: DiskId, files: &BTreeSet<u32>) -> Result<(), PrepareError> {
    let path = layout::new_manifest(directory);
    let failed = |why| failed("write", &path, why);
    let open = File::create(&path).map_err(failed)?;
    open.write_all_at(&manifest::encode(disk, files), 0).and_then(|()| open.sync_all()).map_err(failed)?;
    std::fs::rename(&path, layout::manifest(directory)).map_err(failed)?;
    sync_directory(directory)
}

fn add_to_manifest(directory: &Path, disk: DiskId, file: u32) -> Result<(), PrepareError> {
    let mut files = read_manifest(directory, disk).ok_or_else(|| {
        let path = layout::manifest(directory);
        failed("read", &path, io::Error::other("it was whole when the node started; restart the node to mend it"))
    })?;
    files.insert(file);
    write_manifest(directory, disk, &files)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), PrepareError> {
    let open = File::open(directory).map_err(|why| failed("open", directory, why))?;
    open.sync_all().map_err(|why| failed("sync", directory, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: DiskId = DiskId([1; 16]);
    const FILE_BYTES: u64 = 1 << 20;

    fn directory() -> tempfile::TempDir {
        let test = std::env::current_exe().expect("this test");
        let below = test.parent().expect("it lies in a directory");
        let directory = tempfile::Builder::new().prefix("prepare-").tempdir_in(below).expect("a directory");
        write_manifest(directory.path(), DISK, &BTreeSet::from([0])).expect("written");
        directory
    }

    fn make(directory: &Path, file: u32) -> Result<(), PrepareError> {
        create(directory, file, FILE_BYTES)?;
        fill(directory, file, 0, FILE_BYTES)?;
        finish(directory, DISK, file)
    }

    fn is_made(directory: &Path, file: u32) -> bool {
        let named = read_manifest(directory, DISK).expect("a manifest").contains(&file);
        let there = layout::chunk_file(directory, file).exists();
        assert!(there || !named, "the manifest names file {file}, which is not there");
        there
    }

    /// Pitfall 29: what fails once the file has its name, as the manifest does on a full file system, may be tried again.
    #[test]
    fn a_file_that_could_not_be_finished_is_made_afresh() {
        let directory = directory();
        let directory = directory.path();
        // The manifest cannot be written.
        std::fs::create_dir(layout::new_manifest(directory)).expect("created");
        for _ in 0..2 {
            let why = make(directory, 1).expect_err("no manifest");
            assert!(why.to_string().contains("manifest"), "{why}");
            assert!(!is_made(directory, 1), "half a file is left");
        }
        std::fs::remove_dir(layout::new_manifest(directory)).expect("removed");
        make(directory, 1).expect("made");
        assert!(is_made(directory, 1));
        let why = make(directory, 1).expect_err("there is one");
        assert!(why.to_string().contains("prepare a second"), "{why}");
        assert!(is_made(directory, 1), "a file in use is nobody's to remove");
    }

    /// Pitfall 33: the manifest forgets the file before it goes.
    #[test]
    fn a_file_that_the_manifest_names_is_not_removed() {
        let directory = directory();
        let directory = directory.path();
        make(directory, 1).expect("made");
        std::fs::create_dir(layout::new_manifest(directory)).expect("created");
        take_back(directory, DISK, 1);
        assert!(is_made(directory, 1));
        std::fs::remove_dir(layout::new_manifest(directory)).expect("removed");
        take_back(directory, DISK, 1);
        assert!(!is_made(directory, 1));
        make(directory, 1).expect("made again");
    }
}
