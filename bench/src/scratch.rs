//! A directory of a run's own: made by it, and removed with everything in it however the run ends.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long its removal is tried: nodes that were killed a moment ago may still be ending, and adding files.
const REMOVED_WITHIN: Duration = Duration::from_secs(5);
/// How long after a try the next one is.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// A directory below one that somebody named. What else lies there is nobody's business.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one below `dir`, under a name that nothing there has: another run, or what one that was killed has left, keeps its own.
    pub fn make(dir: &Path) -> io::Result<Self> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let path = dir.join(format!("run-{}-{random:016x}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    /// Whatever used it must be dropped before.
    fn drop(&mut self) {
        let begun = Instant::now();
        while let Err(why) = fs::remove_dir_all(&self.path) {
            if why.kind() == io::ErrorKind::NotFound {
                return;
            }
            if begun.elapsed() >= REMOVED_WITHIN {
                tracing::warn!("{} could not be removed: {why}: remove it by hand", self.path.display());
                return;
            }
            sleep(TRY_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_with_everything_in_it_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine"), "mine").unwrap();
        let (one, other) = (Scratch::make(dir.path()).unwrap(), Scratch::make(dir.path()).unwrap());
        fs::create_dir(one.path().join("node-1")).unwrap();
        fs::write(one.path().join("node-1/superblock"), "bytes").unwrap();
        drop(one);
        let left = || fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let mut wanted = vec![dir.path().join("mine"), other.path().to_owned()];
        wanted.sort();
        let mut found = left();
        found.sort();
        assert_eq!(found, wanted);
        drop(other);
        assert_eq!(left(), [dir.path().join("mine")]);
    }

    /// A node that is ending adds files while others are removed: they go all the same.
    #[test]
    fn what_is_still_added_goes_too() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::make(dir.path()).unwrap();
        let path = scratch.path().to_owned();
        let (tell, told) = std::sync::mpsc::channel();
        let adding = std::thread::spawn(move || {
            // Until its directory is gone, or it has added many: fewer than are removed in the time that is given.
            for number in 0..FILES_MAX {
                if fs::write(path.join(format!("file-{number}")), "bytes").is_err() {
                    return;
                }
                if number == FILES_MAX / 10 {
                    tell.send(()).unwrap();
                }
            }
        });
        told.recv().unwrap();
        drop(scratch);
        adding.join().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    const FILES_MAX: usize = 5000;
}
