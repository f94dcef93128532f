//! The buckets of a store: whether they answer, are who they were, and can be relied on.

use super::verdict::Verdict;
use crate::exit::{Failure, Health};
use crate::output::Output;
use quarry_client::bucket::{BucketCluster, BucketPlace, BucketStore};
use quarry_protocol::quorum::Quorum;
use serde_json::json;

pub(super) async fn run(places: &[BucketPlace], quorum: Quorum, output: Output) -> Result<Health, Failure> {
    let opened: Result<Vec<_>, _> = places.iter().map(BucketStore::open).collect();
    let buckets = BucketCluster::new(opened.map_err(Failure::new)?);
    let (silent, unseen_rules) = match buckets.connect().await {
        Ok(found) => (found.silent, found.unseen_rules),
        Err(why) => (vec![why; places.len()], Vec::new()),
    };
    let answer = places.len() - silent.len();
    let can_lose = answer.checked_sub(quorum.ack());
    let (verdict, health) = match can_lose {
        None => (Verdict::Unavailable, Health::Unhealthy),
        Some(_) if !silent.is_empty() => (Verdict::Degraded, Health::Warning),
        Some(_) => (Verdict::Healthy, Health::Good),
    };
    let mut reasons = silent;
    reasons.dedup();
    let value = json!({
        "verdict": verdict,
        "can_lose_nodes": can_lose,
        "reasons": reasons,
        "notes": unseen_rules,
        "nodes": [],
        "buckets": places.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    output.print(&value, |_| {
        let (all, ack) = (places.len(), quorum.ack());
        let mut lines = vec![format!("{verdict}: {answer} of {all} buckets answer, {ack} are needed")];
        lines.extend(reasons.iter().chain(&unseen_rules).map(|why| format!("- {why}")));
        lines.join("\n")
    });
    Ok(health)
}
