//! The directory register on a file system that fails to sync when it is told to.

use super::*;
use crate::register::conformance::sample;
use std::cell::{Cell, RefCell};
use std::os::unix::fs::MetadataExt;

thread_local! {
    static FAILING: Cell<bool> = const { Cell::new(false) };
    /// The inodes synced.
    static SYNCED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

fn scripted(file: &File) -> io::Result<()> {
    if FAILING.get() {
        return Err(io::Error::other("told to fail"));
    }
    let inode = file.metadata()?.ino();
    SYNCED.with_borrow_mut(|synced| synced.push(inode));
    Ok(())
}

fn is_unusable<T: std::fmt::Debug>(result: &Result<T, RegisterError>) -> bool {
    matches!(result, Err(RegisterError::Unusable { why, .. }) if why.contains("told to fail"))
}

/// Pitfall 21: the change whose sync failed is there to be seen, and a second sync would succeed. It is not believed.
#[test]
fn a_change_whose_sync_failed_is_never_read_back_into_success() {
    let dir = tempfile::tempdir().unwrap();
    let register = DirectoryRegister::open_with(dir.path(), scripted).unwrap();
    let version = register.swap(None, &sample("log", 1)).unwrap();
    FAILING.set(true);
    let swapped = register.swap(Some(&version), &sample("log", 2));
    assert!(matches!(&swapped, Err(SwapError::Ambiguous { .. })), "{swapped:?}");
    FAILING.set(false);
    for _ in 0..2 {
        let read = register.load("log");
        assert!(is_unusable(&read), "{read:?}");
        let read = register.clone().load("other");
        assert!(is_unusable(&read), "{read:?}");
    }
    let before = fs::read(dir.path().join("logs/log.log")).unwrap();
    let swapped = register.swap(Some(&Version(before.clone())), &sample("log", 3));
    assert!(matches!(&swapped, Err(SwapError::Failed(RegisterError::Unusable { .. }))), "{swapped:?}");
    assert_eq!(fs::read(dir.path().join("logs/log.log")).unwrap(), before, "it was changed all the same");
}

/// Whoever renamed it may have died before the directory was synced.
#[test]
fn a_record_is_synced_with_its_directories_before_it_is_believed() {
    let dir = tempfile::tempdir().unwrap();
    let long = "X".repeat(250);
    let writer = DirectoryRegister::open(dir.path()).unwrap();
    for name in ["log", &long] {
        writer.swap(None, &sample(name, 1)).unwrap();
        let register = DirectoryRegister::open_with(dir.path(), scripted).unwrap();
        SYNCED.take();
        assert!(register.load(name).unwrap().is_some());
        let logs = dir.path().join(LOGS);
        let path = path_of(&logs, name);
        let needed: Vec<_> = path.ancestors().take_while(|part| *part != dir.path()).collect();
        assert_eq!(needed.len() > 2, name == long, "a long name has directories of its own");
        for part in needed {
            let inode = fs::metadata(part).unwrap().ino();
            assert!(SYNCED.with_borrow(|synced| synced.contains(&inode)), "{} was not synced", part.display());
        }
        FAILING.set(true);
        let read = register.load(name);
        assert!(is_unusable(&read), "{read:?}");
        FAILING.set(false);
        let read = register.load(name);
        assert!(is_unusable(&read), "{read:?}");
    }
}

/// Directories that an earlier attempt left behind may not be durable.
#[test]
fn directories_of_a_long_name_that_are_there_are_synced_again() {
    let dir = tempfile::tempdir().unwrap();
    let long = "X".repeat(250);
    let register = DirectoryRegister::open_with(dir.path(), scripted).unwrap();
    let logs = dir.path().join(LOGS);
    fs::create_dir_all(path_of(&logs, &long).parent().unwrap()).unwrap();
    SYNCED.take();
    register.swap(None, &sample(&long, 1)).unwrap();
    for part in path_of(&logs, &long).ancestors().skip(1).take_while(|part| *part != dir.path()) {
        let inode = fs::metadata(part).unwrap().ino();
        assert!(SYNCED.with_borrow(|synced| synced.contains(&inode)), "{} was not synced", part.display());
    }
}
