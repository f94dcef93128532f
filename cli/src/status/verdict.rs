//! From what was seen to a verdict.

use super::logs::LogsSeen;
use super::nodes::NodeSeen;
use quarry_protocol::quorum::Quorum;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// How the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Verdict {
    /// Everything is there.
    Healthy,
    /// Something is missing; every log can still be appended to, taken over and read.
    Degraded,
    /// Some log, or every new one, cannot.
    Unavailable,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "HEALTHY",
            Self::Degraded => "DEGRADED",
            Self::Unavailable => "UNAVAILABLE",
        })
    }
}

/// The verdict and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    /// How many more nodes may go down, whichever they are, before something is unavailable.
    pub(super) can_lose_nodes: u64,
    pub(super) reasons: Vec<String>,
}

pub(super) fn judge(nodes: &[NodeSeen], logs: &LogsSeen, quorum: Quorum) -> Judgement {
    let mut reasons = Vec::new();
    for node in nodes {
        reasons.extend(node.down.iter().map(|why| format!("node {} is down: {why}", node.address)));
        reasons.extend(node.troubles.iter().map(|why| format!("node {}: {why}", node.address)));
    }
    // Zones count, not nodes: a segment has at most one replica in each.
    let zones: BTreeSet<_> = nodes
        .iter()
        .filter(|node| node.down.is_none())
        .filter_map(|node| node.seen.as_ref().map(|seen| seen.zone.as_str()))
        .collect();
    let needed = quorum.ack().max(quorum.read());
    let mut margin = zones.len() as i64 - needed as i64;
    if margin < 0 {
        reasons.push(format!("{} zones have a working node, a quorum needs {needed}", zones.len()));
    } else if zones.len() < quorum.replicas() && reasons.is_empty() {
        reasons.push(format!("{} zones have a working node, a segment wants {}", zones.len(), quorum.replicas()));
    }
    for log in logs.weakest.iter().filter(|log| log.silent > 0 || log.margin < 0) {
        reasons.push(match log.margin {
            ..0 => {
                format!(
                    "log {:?} cannot be taken over or fully read: {} of a segment's replicas do not answer",
                    log.log, log.silent
                )
            }
            _ => format!("log {:?}: {} of a segment's replicas do not answer", log.log, log.silent),
        });
    }
    margin = logs.weakest.iter().map(|log| log.margin).fold(margin, i64::min);
    if let Some(why) = &logs.error {
        reasons.push(format!("logs could not be asked about: {why}"));
        margin = -1;
    }
    let verdict = match (margin, reasons.is_empty()) {
        (..0, _) => Verdict::Unavailable,
        (_, false) => Verdict::Degraded,
        (_, true) => Verdict::Healthy,
    };
    Judgement { verdict, can_lose_nodes: margin.max(0).cast_unsigned(), reasons }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::logs::LogSeen;
    use crate::status::nodes::NodeState;

    fn node(zone: &str, down: bool) -> NodeSeen {
        let seen = NodeState { zone: zone.to_owned(), ..NodeState::default() };
        NodeSeen {
            address: format!("{zone}:1"),
            control: format!("{zone}:65"),
            seen: (!down).then_some(seen),
            down: down.then(|| "refused".to_owned()),
            troubles: Vec::new(),
        }
    }

    fn judged(nodes: &[NodeSeen], logs: &LogsSeen) -> (Verdict, u64) {
        let judgement = judge(nodes, logs, Quorum::majority(3).expect("valid"));
        assert_eq!(judgement.reasons.is_empty(), judgement.verdict == Verdict::Healthy, "{judgement:?}");
        (judgement.verdict, judgement.can_lose_nodes)
    }

    fn logs(margin: i64, silent: usize) -> LogsSeen {
        let weakest = vec![LogSeen { log: "a".into(), margin, silent }];
        LogsSeen { count: 1, asked: 1, weakest, error: None }
    }

    #[test]
    fn a_store_is_as_good_as_its_zones() {
        let none = LogsSeen::default();
        let nodes =
            |down: [bool; 3]| ["a", "b", "c"].into_iter().zip(down).map(|(z, d)| node(z, d)).collect::<Vec<_>>();
        assert_eq!(judged(&nodes([false; 3]), &none), (Verdict::Healthy, 1));
        assert_eq!(judged(&nodes([false, true, false]), &none), (Verdict::Degraded, 0));
        assert_eq!(judged(&nodes([true, true, false]), &none), (Verdict::Unavailable, 0));
        // Two nodes in one zone are one zone.
        assert_eq!(judged(&[node("a", false), node("a", false)], &none), (Verdict::Unavailable, 0));
        assert_eq!(judged(&[node("a", false), node("b", false), node("b", false)], &none), (Verdict::Degraded, 0));
        let four: Vec<_> = ["a", "b", "c", "d"].into_iter().map(|zone| node(zone, false)).collect();
        assert_eq!(judged(&four, &logs(1, 0)), (Verdict::Healthy, 1));
    }

    /// A node that was wiped answers, but not for the disk that a log's record names.
    #[test]
    fn a_log_may_be_worse_off_than_its_nodes() {
        let nodes: Vec<_> = ["a", "b", "c"].into_iter().map(|zone| node(zone, false)).collect();
        assert_eq!(judged(&nodes, &logs(1, 0)), (Verdict::Healthy, 1));
        assert_eq!(judged(&nodes, &logs(0, 1)), (Verdict::Degraded, 0));
        assert_eq!(judged(&nodes, &logs(-1, 2)), (Verdict::Unavailable, 0));
        let error = LogsSeen { error: Some("the register is gone".into()), ..LogsSeen::default() };
        assert_eq!(judged(&nodes, &error), (Verdict::Unavailable, 0));
    }
}
