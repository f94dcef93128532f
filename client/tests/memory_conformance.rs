//! The conformance suite against `memory://`, with both kinds of runtime and with every size of quorum.

use quarry_client::conformance;
use quarry_client::memory::MemoryStore;
use quarry_client::quorum_store::StoreDefaults;
use std::sync::Arc;

#[tokio::test]
async fn three_replicas_on_one_thread() {
    conformance::run(quarry_client::connect("memory://conformance-one").await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_on_two_threads() {
    conformance::run(quarry_client::connect("memory://conformance-two").await.unwrap()).await;
}

#[tokio::test]
async fn every_number_of_replicas() {
    for replicas in [1, 2, 4, 5, 7] {
        let memory = MemoryStore::with_replicas(replicas);
        let store = memory.store_with(StoreDefaults::for_replicas(replicas));
        conformance::run(Arc::new(store)).await;
    }
}

/// Whatever one dead replica costs, it is not the contract.
#[tokio::test]
async fn five_replicas_with_two_of_them_dead() {
    let memory = MemoryStore::with_replicas(5);
    memory.kill(1);
    memory.kill(4);
    let store = Arc::new(memory.store_with(StoreDefaults::for_replicas(3)));
    conformance::run(store).await;
}

/// Each case has a name of its own, by which a failure is found.
#[test]
fn names_are_unique() {
    let mut names: Vec<_> = conformance::cases().iter().map(conformance::Case::name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(all > 40, "{all} cases");
}
