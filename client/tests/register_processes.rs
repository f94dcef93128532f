//! The directory register among processes: this test runs itself as several children.

use quarry_client::register::conformance::{raise_epoch, sample};
use quarry_client::register::{DirectoryRegister, Register};
use quarry_protocol::ids::Epoch;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DIRECTORY: &str = "QUARRY_TEST_REGISTER";
const CHANGES: &str = "QUARRY_TEST_CHANGES";

fn spawn(directory: &Path, changes: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(CHANGES, changes.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test of its own: what each child does. Run without a parent, it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let (Ok(directory), Ok(changes)) = (std::env::var(DIRECTORY), std::env::var(CHANGES)) else { return };
    let register = DirectoryRegister::open(Path::new(&directory)).unwrap();
    let changes: u64 = changes.parse().unwrap();
    let other = async {
        for _ in 0..changes {
            raise_epoch(&register, "log").await;
        }
    };
    let one = async {
        for _ in 0..changes {
            raise_epoch(&register, "log").await;
        }
    };
    tokio::join!(one, other);
}

/// No change of any process is lost, and none is made twice.
#[tokio::test]
async fn processes_lose_no_change() {
    const PROCESSES: u64 = 3;
    const CHANGES: u64 = 20;
    let dir = tempfile::tempdir().unwrap();
    let register = DirectoryRegister::open(dir.path()).unwrap();
    register.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    let children: Vec<Child> = (0..PROCESSES).map(|_| spawn(dir.path(), CHANGES)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let (_, record) = register.read("log").await.unwrap().unwrap();
    assert_eq!(record.epoch, Epoch(1 + PROCESSES * CHANGES * 2));
}

/// Processes that make the register at the same time make one register.
#[tokio::test]
async fn processes_that_start_together_make_one_register() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b");
        let children: Vec<Child> = (0..3).map(|_| spawn(&root, 0)).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(DirectoryRegister::open(&root).unwrap().list("").await, Ok(Vec::new()));
    }
}

/// A process killed at any point leaves a whole record and no lock behind.
#[tokio::test]
async fn a_killed_process_leaves_a_whole_record_and_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let register = DirectoryRegister::open(dir.path()).unwrap();
    register.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    let mut before = Epoch(1);
    for changes in [1, 2, 3, 5, 8, 13] {
        let mut child = spawn(dir.path(), 1_000_000);
        while epoch(&register).await < Epoch(before.0 + changes) {
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let killed_at = epoch(&register).await;
        raise_epoch(&register, "log").await;
        before = epoch(&register).await;
        assert_eq!(before, killed_at.next());
    }
}

async fn epoch(register: &DirectoryRegister) -> Epoch {
    register.read("log").await.unwrap().unwrap().1.epoch
}
