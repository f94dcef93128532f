//! Small facts that a node keeps beside its superblock, each in a file of its own that is replaced as a whole.

use crate::directory::{DirectoryError, io_error};
use crate::layout;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Chooses the number of this start: higher than every one before, on this directory. Mostly the time in microseconds, so that
/// a node whose file was lost still counts on; no safety rests on it.
pub(crate) fn next_incarnation(data: &Path) -> Result<u64, DirectoryError> {
    let path = layout::incarnation(data);
    let last = match std::fs::read_to_string(&path) {
        // What does not parse was damaged: the clock has to do.
        Ok(text) => text.trim().parse().unwrap_or(0),
        Err(why) if why.kind() == io::ErrorKind::NotFound => 0,
        Err(why) => return Err(io_error("read", &path)(why)),
    };
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros() as u64);
    let next = later(last, clock);
    replace(&path, &next.to_string()).map_err(io_error("write", &path))?;
    Ok(next)
}

fn later(last: u64, clock: u64) -> u64 {
    last.saturating_add(1).max(clock)
}

/// Whether the node was told to let itself be emptied.
pub(crate) fn is_draining(data: &Path) -> bool {
    layout::draining(data).exists()
}

/// Tells the node so, or that it stays; durable when this returns.
pub(crate) fn set_draining(data: &Path, draining: bool) -> io::Result<()> {
    let path = layout::draining(data);
    if draining {
        return replace(&path, "this node is being emptied: see `quarry node drain`\n");
    }
    match std::fs::remove_file(&path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(why) => Err(why),
        Ok(()) => sync_directory(&path),
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_directory(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().expect("a file lies in a directory"))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_has_a_higher_number_whatever_the_clock_says() {
        let directory = tempfile::tempdir().expect("a directory");
        let first = next_incarnation(directory.path()).expect("chosen");
        let second = next_incarnation(directory.path()).expect("chosen");
        assert!(second > first);
        let ahead = u64::MAX / 2;
        std::fs::write(layout::incarnation(directory.path()), ahead.to_string()).expect("written");
        assert_eq!(next_incarnation(directory.path()).expect("chosen"), ahead + 1);
        assert_eq!(next_incarnation(directory.path()).expect("chosen"), ahead + 2);
        std::fs::write(layout::incarnation(directory.path()), "rubbish").expect("written");
        assert!(next_incarnation(directory.path()).expect("chosen") > second, "the clock goes on");
    }

    #[test]
    fn draining_is_remembered_until_it_is_taken_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path();
        assert!(!is_draining(data));
        for draining in [true, true, false, false, true] {
            set_draining(data, draining).expect("set");
            assert_eq!(is_draining(data), draining);
        }
    }
}
