//! The registers against their conformance suite, and the directory against what happens to directories.

use quarry_client::register::conformance::{self, sample};
use quarry_client::register::{DirectoryRegister, MemoryRegister, Register, RegisterError, SwapError};
use quarry_protocol::record::RecordError;
use std::fs;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_register_conforms() {
    conformance::run(Arc::new(MemoryRegister::new()), "conformance/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_directory_register_conforms() {
    let dir = tempfile::tempdir().unwrap();
    conformance::run(Arc::new(DirectoryRegister::open(dir.path()).unwrap()), "conformance/").await;
}

#[tokio::test]
async fn records_outlive_the_process_that_wrote_them() {
    let dir = tempfile::tempdir().unwrap();
    let register = DirectoryRegister::open(dir.path()).unwrap();
    let version = register.compare_and_swap(None, &sample("log", 3)).await.unwrap();
    drop(register);
    let register = DirectoryRegister::open(dir.path()).unwrap();
    assert_eq!(register.read("log").await, Ok(Some((version, sample("log", 3)))));
}

/// Pitfall 32, P13: a record that does not decode is an error and stays where it is; others are not affected.
#[tokio::test]
async fn a_corrupt_record_is_an_error_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let register = DirectoryRegister::open(dir.path()).unwrap();
    register.compare_and_swap(None, &sample("good", 1)).await.unwrap();
    let version = register.compare_and_swap(None, &sample("bad", 1)).await.unwrap();
    let path = dir.path().join("logs/bad.log");
    let good = fs::read(&path).unwrap();
    let cut = good[..good.len() / 2].to_vec();
    let future = String::from_utf8(good.clone()).unwrap().replacen("\"version\": 2", "\"version\": 3", 1).into_bytes();
    let unknown = String::from_utf8(good.clone()).unwrap().replacen('{', "{\"surprise\": 1,", 1).into_bytes();
    let huge = vec![b' '; quarry_protocol::limits::RECORD_BYTES_MAX + 1];
    for content in [&b""[..], b"\0\0\0\0", &cut, &future, &unknown, &huge] {
        fs::write(&path, content).unwrap();
        let read = register.read("bad").await;
        assert!(matches!(read, Err(RegisterError::Record(_))), "{read:?}");
        assert_eq!(register.compare_and_swap(Some(&version), &sample("bad", 2)).await, Err(SwapError::Conflict));
        assert_eq!(register.compare_and_swap(None, &sample("bad", 2)).await, Err(SwapError::Conflict));
        assert_eq!(fs::read(&path).unwrap(), content, "it was touched");
        assert_eq!(register.list("").await.unwrap(), ["bad", "good"]);
    }
    assert!(register.read("good").await.unwrap().is_some());
}

#[tokio::test]
async fn a_record_under_another_name_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let register = DirectoryRegister::open(dir.path()).unwrap();
    register.compare_and_swap(None, &sample("one", 1)).await.unwrap();
    fs::copy(dir.path().join("logs/one.log"), dir.path().join("logs/two.log")).unwrap();
    let read = register.read("two").await;
    assert!(matches!(read, Err(RegisterError::Record(RecordError::Inconsistent { .. }))), "{read:?}");
}

/// P13: a register that vanished is not an empty register, and is not made again behind anybody's back.
#[tokio::test]
async fn a_directory_that_vanishes_is_an_error_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("register");
    let register = DirectoryRegister::open(&root).unwrap();
    let version = register.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    let away = dir.path().join("away");
    for part in ["", "logs", "quarry-register"] {
        fs::rename(root.join(part), &away).unwrap();
        for name in ["log", "other"] {
            let read = register.read(name).await;
            let intact = part == "quarry-register" && name == "log";
            assert!(intact || matches!(read, Err(RegisterError::Unusable { .. })), "{part:?} {name}: {read:?}");
        }
        for expected in [None, Some(&version)] {
            let swapped = register.compare_and_swap(expected, &sample("log", 2)).await;
            let unusable = matches!(&swapped, Err(SwapError::Failed(RegisterError::Unusable { .. })));
            assert!(unusable, "{part:?}: {swapped:?}");
        }
        assert!(matches!(register.list("").await, Err(RegisterError::Unusable { .. })), "{part:?}");
        assert!(!root.join(part).exists(), "{part:?} was made again");
        fs::rename(&away, root.join(part)).unwrap();
    }
    assert_eq!(register.read("log").await, Ok(Some((version, sample("log", 1)))), "and it comes back");
}

#[test]
fn what_is_not_a_register_is_not_made_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("holiday.jpg"), "").unwrap();
    let opened = DirectoryRegister::open(dir.path());
    assert!(matches!(&opened, Err(RegisterError::Unusable { why, .. }) if why.contains("holiday.jpg")), "{opened:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().filter(|e| e.as_ref().unwrap().file_name() != "lock").count(), 1);

    let dir = tempfile::tempdir().unwrap();
    DirectoryRegister::open(dir.path()).unwrap();
    fs::write(dir.path().join("quarry-register"), "quarry register, format 2\n").unwrap();
    let opened = DirectoryRegister::open(dir.path());
    assert!(matches!(&opened, Err(RegisterError::Unusable { why, .. }) if why.contains("format 2")), "{opened:?}");
}

#[test]
fn a_lost_marker_does_not_make_records_disappear() {
    let dir = tempfile::tempdir().unwrap();
    let register = DirectoryRegister::open(dir.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(register.compare_and_swap(None, &sample("log", 1))).unwrap();
    fs::remove_file(dir.path().join("quarry-register")).unwrap();
    assert!(matches!(DirectoryRegister::open(dir.path()), Err(RegisterError::Unusable { .. })));
}

/// What a process that died in the middle of a change leaves behind is not in the way.
#[tokio::test]
async fn an_unfinished_change_is_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let register = DirectoryRegister::open(dir.path()).unwrap();
    fs::write(dir.path().join("new"), "half a rec").unwrap();
    assert_eq!(register.list("").await.unwrap(), Vec::<String>::new());
    register.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    assert_eq!(register.list("").await.unwrap(), ["log"]);
}
