//! The register in etcd, against a real server: its conformance suite, a server that is killed, doors that are locked.

mod certificates;
mod door;
mod kills;
mod proxy;
mod server;

use quarry_client::ConnectError;
use quarry_client::register::conformance::{self, raise_epoch, sample};
use quarry_client::register::{EtcdPlace, EtcdRegister, Register, RegisterError, SwapError};
use quarry_protocol::ids::Epoch;
use server::Server;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

fn place(endpoints: &[&str]) -> EtcdPlace {
    EtcdPlace {
        endpoints: endpoints.iter().map(|&endpoint| endpoint.to_owned()).collect(),
        prefix: "quarry".to_owned(),
        ..EtcdPlace::default()
    }
}

async fn open(server: &Server) -> EtcdRegister {
    EtcdRegister::open(place(&[&server.endpoint]), None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    conformance::run(Arc::new(open(&server).await), "conformance/").await;
}

/// As a store's URL names it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_records_are_in_etcd_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let bucket = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let url = format!("file://{}?register=etcd:127.0.0.1:1,{}/stores/one", bucket.path().display(), server.endpoint);
    quarry_client::conformance::run(quarry_client::connect(&url).await.unwrap()).await;
    let place = EtcdPlace { prefix: "stores/one".to_owned(), ..place(&[&server.endpoint]) };
    let names = EtcdRegister::open(place, None).await.unwrap().list("").await.unwrap();
    assert!(!names.is_empty(), "the records are elsewhere");
    let url = format!("file://{}?register=etcd:127.0.0.1:1/stores/one", bucket.path().display());
    match quarry_client::connect(&url).await {
        Err(ConnectError::Register { why, .. }) => assert!(why.contains("127.0.0.1:1"), "{why}"),
        other => panic!("{:?}", other.map(|_| ())),
    }
}

/// One etcd holds several registers, and more names than one page lists.
#[tokio::test]
async fn prefixes_keep_registers_apart_and_lists_have_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let one = open(&server).await;
    let other = EtcdPlace { prefix: "quarry2".to_owned(), ..place(&[&server.endpoint]) };
    let other = EtcdRegister::open(other, None).await.unwrap();
    other.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    assert_eq!(one.read("log").await, Ok(None));
    assert_eq!(one.list("").await, Ok(Vec::new()));
    let names: Vec<String> = (0..2100).map(|i| format!("log-{i:05}")).collect();
    for some in names.chunks(50) {
        let records: Vec<_> = some.iter().map(|name| sample(name, 1)).collect();
        let swaps = records.iter().map(|record| one.compare_and_swap(None, record));
        assert!(futures::future::join_all(swaps).await.iter().all(Result::is_ok));
    }
    assert_eq!(one.list("").await, Ok(names.clone()));
    assert_eq!(one.list("log-020").await.unwrap(), names[2000..]);
    assert_eq!(other.list("").await.unwrap(), ["log"]);
}

/// P13: an etcd that lost its data, or another one at the address, is not an empty register.
#[tokio::test]
async fn an_etcd_that_lost_its_data_is_an_error_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    let register = open(&server).await;
    let version = register.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    server.kill();
    std::fs::rename(dir.path().join("data"), dir.path().join("away")).unwrap();
    server.restart();
    for remade in [false, true] {
        if remade {
            open(&server).await;
        }
        for name in ["log", "other"] {
            let read = register.read(name).await;
            assert!(matches!(&read, Err(RegisterError::Unusable { why, .. }) if why.contains("emptied")), "{read:?}");
        }
        for expected in [None, Some(&version)] {
            let swapped = register.compare_and_swap(expected, &sample("log", 2)).await;
            assert!(matches!(&swapped, Err(SwapError::Failed(RegisterError::Unusable { .. }))), "{swapped:?}");
        }
        assert!(matches!(register.list("").await, Err(RegisterError::Unusable { .. })));
    }
    server.kill();
    std::fs::remove_dir_all(dir.path().join("data")).unwrap();
    std::fs::rename(dir.path().join("away"), dir.path().join("data")).unwrap();
    server.restart();
    assert_eq!(register.read("log").await, Ok(Some((version, sample("log", 1)))), "and it comes back");
}

const ENDPOINT: &str = "QUARRY_TEST_ETCD";
const CHANGES: u64 = 25;

/// Not a test of its own: what each child does. Run without a parent, it does nothing.
#[tokio::test]
async fn child() {
    let Ok(endpoint) = std::env::var(ENDPOINT) else { return };
    let register = EtcdRegister::open(place(&[&endpoint]), None).await.unwrap();
    for _ in 0..CHANGES {
        raise_epoch(&register, "log").await;
    }
}

/// No change of any process is lost, and none is made twice.
#[tokio::test]
async fn processes_lose_no_change() {
    const PROCESSES: u64 = 3;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let register = open(&server).await;
    register.compare_and_swap(None, &sample("log", 1)).await.unwrap();
    let children: Vec<Child> = (0..PROCESSES)
        .map(|_| {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", "child"]).env(ENDPOINT, &server.endpoint).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let (_, record) = register.read("log").await.unwrap().unwrap();
    assert_eq!(record.epoch, Epoch(1 + PROCESSES * CHANGES));
}
