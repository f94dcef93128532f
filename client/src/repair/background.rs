//! Repairs that nobody waits for: after an open, and of segments that a reader found damaged.

use super::{RepairOptions, repair};
use crate::quorum_store::Parts;
use quarry_protocol::ids::SegmentId;
use quarry_protocol::repair::REPAIR_BYTES_PER_S_DEFAULT;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How long after an open its log is looked at: what is opened and closed at once is none of a background's business.
const AFTER_OPEN: Duration = Duration::from_secs(10);
/// How long damage is collected before it is repaired.
const AFTER_DAMAGE: Duration = Duration::from_millis(100);
/// How long a background repair may take; the next open begins another one.
const ROUND_MAX: Duration = Duration::from_mins(5);
/// Most logs that wait for a background repair. Past it, further ones are left to the next open, or to `quarry repair`.
const LOGS_WAITING_MAX: usize = 256;

/// What waits to be repaired, by log.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    waiting: Mutex<BTreeMap<String, Waiting>>,
}

/// What of a log waits.
#[derive(Debug, Default)]
struct Waiting {
    segments: BTreeSet<SegmentId>,
    /// Every other segment, too.
    all: bool,
}

impl Repairs {
    /// Whether the log did not wait before, and there is room for it.
    fn queue(&self, name: &str, segment: Option<SegmentId>) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !waiting.contains_key(name);
        if is_new && waiting.len() >= LOGS_WAITING_MAX {
            return false;
        }
        let wanted = waiting.entry(name.to_owned()).or_default();
        match segment {
            Some(segment) => _ = wanted.segments.insert(segment),
            None => wanted.all = true,
        }
        is_new
    }

    fn take(&self, name: &str) -> Option<Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    /// A log was opened: all of it is looked at, a while later.
    pub(crate) fn after_open(parts: &Arc<Parts>, name: &str) {
        Self::begin(parts, name, None, AFTER_OPEN);
    }

    /// A holder of this segment could not give a chunk that it should have.
    pub(crate) fn after_damage(parts: &Arc<Parts>, name: &str, segment: SegmentId) {
        Self::begin(parts, name, Some(segment), AFTER_DAMAGE);
    }

    /// Whoever queues a log first starts the task that repairs it. It ends with the store.
    fn begin(parts: &Arc<Parts>, name: &str, segment: Option<SegmentId>, after: Duration) {
        if !parts.repairs.queue(name, segment) {
            return;
        }
        let (parts, name) = (Arc::downgrade(parts), name.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            run(&parts, &name).await;
        });
    }
}

async fn run(parts: &Weak<Parts>, name: &str) {
    let Some(parts) = parts.upgrade() else { return };
    let Some(waiting) = parts.repairs.take(name) else { return };
    // It does not wait for holders that are away: nobody may be there to see it through. And it leaves most of the budget to
    // repairs that were asked for.
    let options = RepairOptions {
        bytes_per_s: REPAIR_BYTES_PER_S_DEFAULT / 4,
        patience: Duration::MAX,
        only: (!waiting.all).then_some(waiting.segments),
        ..RepairOptions::default()
    };
    let round = tokio::time::timeout(ROUND_MAX, repair(&parts, name, &options, &mut |_| {})).await;
    match round {
        Ok(Ok(report)) if report.lost().next().is_some() => {
            let segments: Vec<_> = report.lost().map(|lost| lost.segment.to_string()).collect();
            tracing::error!(log = name, "chunks of segments {} are on no replica that answers", segments.join(", "));
        }
        Ok(Ok(report)) if report.chunks > 0 => {
            tracing::info!(log = name, chunks = report.chunks, bytes = report.bytes, "repaired in the background");
        }
        Ok(Ok(_)) => {}
        Ok(Err(why)) => tracing::debug!(log = name, "not repaired in the background: {why}"),
        Err(_) => tracing::debug!(log = name, "a background repair took longer than {ROUND_MAX:?}"),
    }
}
