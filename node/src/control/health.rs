//! The health service: the node as a whole serves until a shard's disk has failed, and not while another process uses its
//! identity or its zone is not believed.

use crate::shard::MemberList;
use quarry_protocol::ids::DiskId;
use std::sync::Arc;
use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// What is wrong with `node` as others see it; empty if nothing is.
pub(super) fn trouble_of(list: &MemberList, node: DiskId) -> &str {
    list.members.iter().find(|member| member.node == node).map_or("", |member| &member.trouble)
}

/// Reports until the node stops.
pub(super) async fn report(
    failed: Vec<watch::Receiver<Option<String>>>,
    mut members: watch::Receiver<Arc<MemberList>>,
    node: DiskId,
    reporter: HealthReporter,
) {
    let mut any_failed = Box::pin(first_failure(failed));
    let mut has_failed = false;
    let mut said = String::new();
    loop {
        let trouble = trouble_of(&members.borrow_and_update(), node).to_owned();
        if trouble != said {
            match trouble.as_str() {
                "" => tracing::info!("what was wrong with this node's identity is over"),
                trouble => tracing::error!("nothing is placed on this node: {trouble}"),
            }
        }
        let serving = !has_failed && trouble.is_empty();
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status("", status).await;
        said = trouble;
        tokio::select! {
            () = &mut any_failed, if !has_failed => has_failed = true,
            changed = members.changed() => if changed.is_err() { return },
        }
    }
}

/// Resolves when a disk has failed; never, if none does.
async fn first_failure(failed: Vec<watch::Receiver<Option<String>>>) {
    let each = failed.into_iter().map(|mut failed| {
        Box::pin(async move {
            if failed.wait_for(Option::is_some).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    });
    futures::future::select_all(each).await;
}
