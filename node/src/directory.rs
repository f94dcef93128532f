//! A data directory as `start` and `verify` find it: locked, formatted, ours, and where it was formatted (D9).

use crate::layout;
use crate::store::superblock::{ReadSuperblock, Superblock, SuperblockError};
use quarry_protocol::limits::SUPERBLOCK_BYTES;
use quarry_protocol::planted;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Why a data directory is not opened.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// There is no such directory, or no superblock in it.
    #[error("{} is not a formatted data directory: run `quarry format --data {}` first", path.display(), path.display())]
    NotFormatted {
        /// The directory.
        path: PathBuf,
    },
    /// The superblock is not accepted.
    #[error("{}: {why}", path.display())]
    Superblock {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: SuperblockError,
    },
    /// Another process runs on it.
    #[error("{} is already used by another process: stop that one first", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("could not {what} {}: {why}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system answered.
        why: io::Error,
    },
}

pub(crate) fn io_error(what: &'static str, path: &Path) -> impl Fn(io::Error) -> DirectoryError {
    let path = path.to_owned();
    move |why| DirectoryError::Io { what, path: path.clone(), why }
}

/// A data directory that nobody else uses for as long as this lives.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    pub(crate) path: PathBuf,
    pub(crate) superblock: Superblock,
    /// Which copy of the superblock is damaged.
    pub(crate) mend: Option<usize>,
    _lock: File,
}

impl DataDirectory {
    /// Opens a formatted directory and locks it.
    pub(crate) fn open(data: &Path) -> Result<Self, DirectoryError> {
        let superblock = layout::superblock(data);
        let failed = |why: io::Error| match why.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                DirectoryError::NotFormatted { path: data.to_owned() }
            }
            _ => io_error("read", &superblock)(why),
        };
        // Paths are given to threads and to glommio, which want them absolute.
        let path = data.canonicalize().map_err(failed)?;
        let bytes = std::fs::read(&superblock).map_err(failed)?;
        let refused = |why| DirectoryError::Superblock { path: data.to_owned(), why };
        let ReadSuperblock { superblock: read, mend } = Superblock::read(&bytes).map_err(refused)?;
        let lock = lock(data)?;
        let (inode, file_system) = place(&superblock)?;
        if !planted!(CopyStarts) {
            read.check_place(inode, file_system).map_err(refused)?;
        }
        Ok(Self { path, superblock: read, mend, _lock: lock })
    }

    /// Rewrites the damaged copy of the superblock, if there is one, in place.
    pub(crate) fn mend(&mut self) -> Result<(), DirectoryError> {
        let Some(copy) = self.mend.take().filter(|_| !planted!(SuperblockUnmended)) else { return Ok(()) };
        let path = layout::superblock(&self.path);
        let bytes = &self.superblock.encode()[copy * SUPERBLOCK_BYTES..][..SUPERBLOCK_BYTES];
        let file = OpenOptions::new().write(true).open(&path).map_err(io_error("open", &path))?;
        file.write_all_at(bytes, (copy * SUPERBLOCK_BYTES) as u64).map_err(io_error("mend", &path))?;
        file.sync_all().map_err(io_error("sync", &path))?;
        tracing::warn!(path = %path.display(), copy, "a damaged copy of the superblock was mended from the other one");
        Ok(())
    }
}

/// Locks a data directory for this process.
pub(crate) fn lock(data: &Path) -> Result<File, DirectoryError> {
    let path = layout::lock(data);
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) if planted!(StartedTwice) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DirectoryError::InUse { path: data.to_owned() }),
        Err(TryLockError::Error(why)) => Err(io_error("lock", &path)(why)),
    }
}

/// Inode and file-system id of a superblock. The id is the file system's own, which unlike a device number stays the
/// same when disks are found in another order; where it has none, the device number has to do.
pub(crate) fn place(superblock: &Path) -> Result<(u64, u64), DirectoryError> {
    let metadata = std::fs::metadata(superblock).map_err(io_error("inspect", superblock))?;
    let id = crate::io::file_system_id(superblock).map_err(io_error("inspect the file system of", superblock))?;
    Ok((metadata.ino(), if id == 0 { metadata.dev() } else { id }))
}
