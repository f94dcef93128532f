//! A register in a local directory: the embedded default. Safe among the processes of one machine (not on a network
//! file system), durable.
//!
//! ```text
//! DIR/quarry-register   what this directory is, and in which format version
//! DIR/lock              locked by whoever compares and swaps
//! DIR/logs/NAME.log     one record per log, as JSON (file names: see `record_names`)
//! DIR/new               the next content of a record, before it takes its place
//! ```
//! A record is replaced by renaming a synced file over it: a reader sees the old or the new one, whole, and needs no
//! lock. The version of a record is its bytes. Records are never deleted.
//!
//! What a reader sees may not be durable: whoever renamed it may be waiting for the directory's sync, may have died before
//! it, or may have been told that it failed (an ambiguous change). A power cut would then bring the record before it back,
//! after a writer went on from the newer one. So a read syncs the record and every directory on the way to it before it
//! believes the record. Reads are off the append path.
//!
//! A failed sync is never tried again into success (pitfall 21): from then on this register refuses to read and to
//! change records, until it is opened again. Another process, and the one that opens it again, have only the file system's
//! word; those that are fit for this (ext4, XFS) stop altogether when they fail to write a directory.

use super::record_names::{Escape, PART_SUFFIX, PARTS_MAX, RECORD_SUFFIX, decode, path_of};
use super::syncing::Syncing;
use super::{Register, RegisterError, SwapError, encode, named};
use async_trait::async_trait;
use quarry_protocol::limits::RECORD_BYTES_MAX;
use quarry_protocol::record::{LogRecord, Version};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
mod tests;

const MARKER: &str = "quarry-register";
const MARKER_CONTENT: &str = "quarry register, format 1\n";
const LOCK: &str = "lock";
const LOGS: &str = "logs";
const NEW: &str = "new";
/// How long a swap waits for the lock.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
/// Pause between two attempts to lock.
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// See the module.
#[derive(Clone, Debug)]
pub struct DirectoryRegister {
    root: Arc<Path>,
    /// Of everything that is in its place. What is staged is written anew after a failure.
    syncing: Arc<Syncing>,
}

impl DirectoryRegister {
    /// Opens the register in `root`, or makes one there if `root` does not exist or is empty. Does file I/O on the caller's
    /// thread.
    pub fn open(root: &Path) -> Result<Self, RegisterError> {
        Self::open_with(root, File::sync_all)
    }

    fn open_with(root: &Path, sync: fn(&File) -> io::Result<()>) -> Result<Self, RegisterError> {
        // An absolute path: a process that changes its directory must not change its register.
        let root = std::path::absolute(root).map_err(|why| failed(root, "find", &why))?;
        let register = Self { root: root.into(), syncing: Arc::new(Syncing::new(sync)) };
        if !register.is_marked()? {
            register.create()?;
        }
        register.check()?;
        // Whoever made it may not have come to its end.
        register.syncing.directory(&register.root).map_err(|why| failed(&register.root, "sync", &why))?;
        Ok(register)
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the marker is there, in this build's version.
    fn is_marked(&self) -> Result<bool, RegisterError> {
        match read_bounded(&self.root.join(MARKER), 256) {
            Ok(Some((_, content))) if content == MARKER_CONTENT.as_bytes() => Ok(true),
            Ok(Some((_, content))) => Err(self.unusable(format!(
                "its marker file {MARKER} says {:?}, this build knows only {:?}: use the build that made it",
                String::from_utf8_lossy(&content),
                MARKER_CONTENT.trim_end()
            ))),
            Ok(None) => Ok(false),
            Err(why) => Err(failed(&self.root, "read the marker of", &why)),
        }
    }

    /// Makes a register in a directory that is not there or is empty. Several processes may do so at once.
    fn create(&self) -> Result<(), RegisterError> {
        let made = |why: &io::Error| failed(&self.root, "make", why);
        make_directory(&self.root).map_err(|why| made(&why))?;
        let lock = self.lock(true).map_err(|why| made(&why))?;
        if self.is_marked()? {
            return Ok(());
        }
        for entry in fs::read_dir(&self.root).map_err(|why| made(&why))? {
            let name = entry.map_err(|why| made(&why))?.file_name();
            // These are what an attempt that did not come to its end leaves behind.
            if ![LOCK, LOGS, NEW].iter().any(|known| name == *known) {
                let what = name.display();
                let why = format!("it holds {what} but no {MARKER} file: name an empty directory, or restore the file");
                return Err(self.unusable(why));
            }
        }
        if has_entries(&self.root.join(LOGS)).map_err(|why| made(&why))? {
            let why = format!("it holds records but no {MARKER} file: restore it with the line {MARKER_CONTENT:?}");
            return Err(self.unusable(why));
        }
        let create = || -> io::Result<()> {
            fs::create_dir_all(self.root.join(LOGS))?;
            // The marker comes last: whoever sees it sees a whole register.
            self.replace(&self.root.join(MARKER), MARKER_CONTENT.as_bytes())
        };
        create().map_err(|why| made(&why))?;
        drop(lock);
        Ok(())
    }

    /// That the register is still there. A directory that vanished is never made again: its records would be taken
    /// for logs that never were (P13).
    fn check(&self) -> Result<(), RegisterError> {
        if !self.is_marked()? || !self.root.join(LOGS).is_dir() {
            let why =
                format!("its {MARKER} file or its {LOGS} directory is gone: restore or mount the directory again");
            return Err(self.unusable(why));
        }
        Ok(())
    }

    fn load(&self, name: &str) -> Result<Option<(Version, LogRecord)>, RegisterError> {
        named(name)?;
        self.check_syncs()?;
        let path = path_of(&self.root.join(LOGS), name);
        let Some((file, json)) = self.content(&path)? else { return Ok(None) };
        self.make_durable(&file, &path)?;
        let record = LogRecord::decode(name, &json)?;
        Ok(Some((Version(json), record)))
    }

    /// A record's file and its bytes. Their absence is only believed of a register that is there.
    fn content(&self, path: &Path) -> Result<Option<(File, Vec<u8>)>, RegisterError> {
        // One byte more than a record may have, so that a longer one is seen to be.
        let content = read_bounded(path, RECORD_BYTES_MAX as u64 + 1).map_err(|why| failed(path, "read", &why))?;
        if content.is_none() {
            self.check()?;
        }
        Ok(content)
    }

    /// Makes a record durable that was read: itself, and that it is where it is. If it is replaced meanwhile, so is its
    /// successor, which is as good: the register does not go back behind it.
    fn make_durable(&self, file: &File, path: &Path) -> Result<(), RegisterError> {
        let sync = || {
            self.syncing.file(file, path)?;
            self.directories_of(path).try_for_each(|directory| self.syncing.directory(directory))
        };
        sync().map_err(|why| match self.check_syncs() {
            Err(unusable) => unusable,
            Ok(()) => failed(path, "sync", &why),
        })
    }

    /// The directories on the way from a record up to all records.
    fn directories_of<'a>(&self, path: &'a Path) -> impl Iterator<Item = &'a Path> + use<'a> {
        let root = Arc::clone(&self.root);
        path.ancestors().skip(1).take_while(move |directory| **directory != *root)
    }

    /// That no sync failed so far.
    fn check_syncs(&self) -> Result<(), RegisterError> {
        match self.syncing.failure() {
            None => Ok(()),
            Some(why) => Err(self.unusable(format!(
                "{why}; what it holds may not survive a power cut: check its disk, then start this process again"
            ))),
        }
    }

    fn swap(&self, expected: Option<&Version>, record: &LogRecord) -> Result<Version, SwapError> {
        let json = encode(record)?;
        self.check_syncs()?;
        self.check()?;
        let path = path_of(&self.root.join(LOGS), &record.name);
        let before = |why: &io::Error| SwapError::Failed(failed(&path, "write", why));
        let lock = self.lock(false).map_err(|why| before(&why))?;
        // Again, with the lock held: only now nobody else changes it, and the file locked is the register's own.
        self.check()?;
        if !is_same_file(&lock, &self.root.join(LOCK)).map_err(|why| before(&why))? {
            return Err(SwapError::Failed(failed(
                &path,
                "write",
                &io::Error::other("its lock file was replaced meanwhile"),
            )));
        }
        if self.content(&path)?.map(|(_, content)| content).as_ref() != expected.map(|version| &version.0) {
            return Err(SwapError::Conflict);
        }
        self.make_parts(&path).map_err(|why| before(&why))?;
        self.stage(&json).map_err(|why| before(&why))?;
        // From here on the change may have been made, whatever the error.
        let moved = fs::rename(self.root.join(NEW), &path).and_then(|()| self.syncing.directory(parent_of(&path)));
        moved.map_err(|why| SwapError::Ambiguous { why: format!("rename to {}: {why}", path.display()) })?;
        Ok(Version(json))
    }

    /// Makes the directories of a long name. Those that are there may not be durable yet.
    fn make_parts(&self, path: &Path) -> io::Result<()> {
        let logs = self.root.join(LOGS);
        let parts: Vec<&Path> = self.directories_of(path).take_while(|part| *part != logs).collect();
        for part in parts.into_iter().rev() {
            if !part.is_dir() {
                fs::create_dir(part)?;
            }
            self.syncing.directory(parent_of(part))?;
        }
        Ok(())
    }

    /// Writes the next content of a file, durably, beside the files.
    fn stage(&self, content: &[u8]) -> io::Result<()> {
        let mut file = File::create(self.root.join(NEW))?;
        file.write_all(content)?;
        file.sync_all()
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.stage(content)?;
        fs::rename(self.root.join(NEW), path)?;
        self.syncing.directory(parent_of(path))
    }

    /// Takes the register's lock, which ends with the file returned. Holders hold it for a few file operations, so
    /// one that does not let go is stopped or stuck.
    fn lock(&self, create: bool) -> io::Result<File> {
        let file =
            OpenOptions::new().read(true).write(true).create(create).truncate(false).open(self.root.join(LOCK))?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(why)) => return Err(why),
                Err(TryLockError::WouldBlock) if waited < LOCK_WAIT_MAX => {
                    std::thread::sleep(LOCK_PAUSE);
                    waited += LOCK_PAUSE;
                }
                Err(TryLockError::WouldBlock) => {
                    let ms = LOCK_WAIT_MAX.as_millis();
                    return Err(io::Error::other(format!(
                        "another process held its {LOCK} file for {ms} ms: see who has it open"
                    )));
                }
            }
        }
    }

    fn names(&self, prefix: &str) -> Result<Vec<String>, RegisterError> {
        self.check()?;
        let logs = self.root.join(LOGS);
        let mut names = Vec::new();
        collect(&logs, "", PARTS_MAX, &mut names).map_err(|why| failed(&logs, "list", &why))?;
        names.retain(|name| name.starts_with(prefix));
        names.sort_unstable();
        Ok(names)
    }

    fn unusable(&self, why: String) -> RegisterError {
        RegisterError::Unusable { register: self.root.display().to_string(), why }
    }

    /// File I/O belongs on a thread that may block.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        let register = self.clone();
        match tokio::task::spawn_blocking(move || work(&register)).await {
            Ok(done) => done,
            Err(why) if why.is_panic() => std::panic::resume_unwind(why.into_panic()),
            // The runtime is shutting down: nobody is left to hear an answer.
            Err(_) => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Register for DirectoryRegister {
    async fn read(&self, name: &str) -> Result<Option<(Version, LogRecord)>, RegisterError> {
        let name = name.to_owned();
        self.blocking(move |register| register.load(&name)).await
    }

    async fn compare_and_swap(&self, expected: Option<&Version>, record: &LogRecord) -> Result<Version, SwapError> {
        let (expected, record) = (expected.cloned(), record.clone());
        self.blocking(move |register| register.swap(expected.as_ref(), &record)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, RegisterError> {
        let prefix = prefix.to_owned();
        self.blocking(move |register| register.names(&prefix)).await
    }
}

/// Adds the names of all records below `directory`, whose parts so far spell `encoded`.
fn collect(directory: &Path, encoded: &str, depth: usize, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let file_name = entry?.file_name();
        let Some(file_name) = file_name.to_str() else { continue };
        if let Some(part) = file_name.strip_suffix(RECORD_SUFFIX) {
            // A file that a person put there is no record; it is left alone.
            names.extend(decode(&format!("{encoded}{part}"), Escape::Percent));
        } else if let Some(part) = file_name.strip_suffix(PART_SUFFIX)
            && depth > 1
        {
            collect(&directory.join(file_name), &format!("{encoded}{part}"), depth - 1, names)?;
        }
    }
    Ok(())
}

fn failed(path: &Path, what: &str, why: &io::Error) -> RegisterError {
    RegisterError::Failed { register: path.display().to_string(), why: format!("cannot {what} it: {why}") }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("/"))
}

/// Makes a directory and those above it that are not there, durably: a register whose directory vanished in a power
/// cut would be made again, empty.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent_of(path);
    make_directory(parent)?;
    match fs::create_dir(path) {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => Err(why),
        // The next attempt must not take it for durable.
        _ => File::open(parent).and_then(|parent| parent.sync_all()).inspect_err(|_| _ = fs::remove_dir(path)),
    }
}

fn has_entries(directory: &Path) -> io::Result<bool> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(why),
    }
}

/// A file and at most `max` of its bytes; nothing if it is not there.
fn read_bounded(path: &Path, max: u64) -> io::Result<Option<(File, Vec<u8>)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(why),
    };
    let mut content = Vec::new();
    (&file).take(max).read_to_end(&mut content)?;
    Ok(Some((file, content)))
}

/// Whether `path` still names the file that is open as `file`.
fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (open, named) = (file.metadata()?, fs::metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}
