//! Preparing chunk files: create, fill with zeros, sync the file, sync its directory (D2). Everything here blocks, so
//! it runs at format, or on the executor's blocking thread; never on the append path.
//!
//! `fallocate` alone is not enough (the first overwrite of such a block commits file-system metadata, pitfall 28), but it
//! comes first: a full disk is noticed before a gigabyte of zeros was written.

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

/// Creates a chunk file of `bytes` bytes. A file of that name is what an interrupted preparation left: it is taken over
/// and filled again. On failure nothing is left behind.
pub(crate) fn create(path: &Path, bytes: u64) -> Result<(), PrepareError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(path)
        .map_err(|why| failed("create", path, why))?;
    let sized = file.set_len(bytes).and_then(|()| allocate(&file, bytes));
    sized.map_err(|why| {
        // The space of half a file is worth more than half a file.
        if let Err(why) = std::fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %why, "could not remove a half-made chunk file");
        }
        failed("allocate", path, why)
    })
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    // SAFETY: the call takes plain numbers; the descriptor is open for as long as `file` lives.
    #[allow(unsafe_code)]
    let answer = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes as libc::off_t) };
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

/// Writes zeros over `bytes` bytes at `position`, past the page cache and without `O_DSYNC`.
pub(crate) fn fill(path: &Path, position: u64, bytes: u64) -> Result<(), PrepareError> {
    let what = "write zeros to";
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)
        .map_err(|why| failed(what, path, why))?;
    let mut at = position;
    while at < position + bytes {
        let step = (position + bytes - at).min(ZEROS_BYTES as u64);
        file.write_all_at(&ZEROS.0[..step as usize], at).map_err(|why| failed(what, path, why))?;
        at += step;
    }
    Ok(())
}

/// Makes a filled file durable: first its bytes and metadata, then its name (pitfall 27).
pub(crate) fn sync(path: &Path) -> Result<(), PrepareError> {
    let file = File::open(path).map_err(|why| failed("open", path, why))?;
    file.sync_all().map_err(|why| failed("sync", path, why))?;
    sync_directory(path.parent().expect("a chunk file lies in a directory"))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), PrepareError> {
    let open = File::open(directory).map_err(|why| failed("open", directory, why))?;
    open.sync_all().map_err(|why| failed("sync", directory, why))
}
