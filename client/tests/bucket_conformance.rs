//! The conformance suite over buckets that need no server: directories, one and three, and the memory of `object_store`.

use object_store::memory::InMemory;
use quarry_client::bucket::{BucketCluster, BucketPlace, BucketStore};
use quarry_client::capabilities::Tier;
use quarry_client::cluster::{NodeCluster, Tiers};
use quarry_client::conformance;
use quarry_client::quorum_store::{QuorumStore, StoreDefaults};
use quarry_client::register::MemoryRegister;
use std::path::Path;
use std::sync::Arc;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

fn made(dir: &Path, name: &str) -> String {
    let path = dir.join(name);
    std::fs::create_dir(&path).expect("is made");
    path.display().to_string()
}

#[tokio::test]
async fn one_directory() {
    let dir = directory();
    let store = quarry_client::connect(&format!("file://{}", dir.path().display())).await.expect("connects");
    conformance::run(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_directories() {
    let dir = directory();
    let [a, b, c, register] = ["a", "b", "c", "register"].map(|name| made(dir.path(), name));
    let store = quarry_client::connect(&format!("file://{a},{b},{c}?register=dir:{register}")).await.expect("connects");
    conformance::run(store).await;
}

/// A store over buckets in memory: `replicas` of them, each in a zone of its own.
fn in_memory(replicas: usize) -> QuorumStore {
    let bucket = |number| {
        let place = BucketPlace::parse(&format!("s3://bucket-{number}")).expect("parses");
        BucketStore::new(place, Arc::new(InMemory::new()))
    };
    let buckets = Arc::new(BucketCluster::new((0..replicas).map(bucket).collect()));
    let nodes = Arc::new(NodeCluster::new("none".to_owned(), Vec::new()));
    let tiers = Arc::new(Tiers::on_buckets(buckets, nodes));
    let register = Arc::new(MemoryRegister::new());
    QuorumStore::new(tiers, register, Vec::new(), StoreDefaults::for_replicas(replicas), Tier::MEMORY)
}

#[tokio::test]
async fn every_number_of_buckets() {
    for replicas in [1, 2, 3, 5] {
        conformance::run(Arc::new(in_memory(replicas))).await;
    }
}
