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
/// the shard whose disk is `disk` names it. Only now may anything be written to it.
pub(crate) fn finish(directory: &Path, disk: DiskId, file: u32) -> Result<(), PrepareError> {
    let (from, to) = (layout::preparing_file(directory, file), layout::chunk_file(directory, file));
    let open = File::open(&from).map_err(|why| failed("open", &from, why))?;
    open.sync_all().map_err(|why| failed("sync", &from, why))?;
    if to.exists() {
        let why = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(failed("prepare a second", &to, why));
    }
    std::fs::rename(&from, &to).map_err(|why| failed("rename", &from, why))?;
    sync_directory(directory)?;
    add_to_manifest(directory, disk, file)
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
