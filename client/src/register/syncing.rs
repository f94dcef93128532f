//! Making what is in its place durable, and remembering if that failed once.
//!
//! A sync that failed may have dropped what it was to write, and the next one then succeeds over nothing (pitfall 21). So
//! after the first failure every later one fails, too, without asking the file system.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

#[derive(Debug)]
pub(super) struct Syncing {
    sync: fn(&File) -> io::Result<()>,
    /// What the first failure was.
    failed: OnceLock<String>,
}

impl Syncing {
    pub(super) const fn new(sync: fn(&File) -> io::Result<()>) -> Self {
        Self { sync, failed: OnceLock::new() }
    }

    /// The first failure, if there was one.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// Syncs a file that is, or a directory that holds, what somebody is to believe.
    pub(super) fn file(&self, file: &File, path: &Path) -> io::Result<()> {
        if let Some(why) = self.failure() {
            return Err(io::Error::other(why.to_owned()));
        }
        (self.sync)(file).inspect_err(|why| {
            // Another thread's failure may be the first one; any will do.
            let _ = self.failed.set(format!("sync of {}: {why}", path.display()));
        })
    }

    /// A directory that cannot be opened was not synced, so that is no failure to remember.
    pub(super) fn directory(&self, path: &Path) -> io::Result<()> {
        self.file(&File::open(path)?, path)
    }
}
