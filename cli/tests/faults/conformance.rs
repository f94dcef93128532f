//! The public suite against real nodes.

use crate::cluster::Cluster;

/// Every case that `memory://` passes, `quarry://` passes, unchanged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_conformance_suite_passes_on_nodes() {
    let cluster = Cluster::start(3);
    quarry_client::conformance::run(cluster.store().await).await;
}
