//! The load generator: operations on lanes, in a closed or an open loop, each on two clocks.
//!
//! ```text
//!  closed   lane ─► begin, begin, ... (depth) ─► the oldest ends ─► the next is due
//!  open     pacer (a thread) ─► a permit each time one is due ─► lane ─► begin ─► ends
//! ```
//! A lane is one log, or whatever else takes one operation after the other and ends them in order.
//!
//! *From due* counts from the moment an operation should have begun; in an open loop that follows from the rate alone. *From
//! service* counts from the moment it was handed over. While a store makes the generator wait, only the first of them grows for
//! what stands behind: it is the honest one (pitfall 43).
//!
//! # Bounds
//!
//! What is due and not yet handed over needs no memory: when operation `n` is due is computed from `n`. What was handed over is
//! at most a window of each lane. What an open loop has not handed over within [`open::DRAIN_PARTS`] times the length of its
//! part, and not within [`open::DRAIN_MIN`], is never handed over: it counts as failed, and stands in *from due* with as long as it had waited by then.

mod closed;
mod cpu;
mod open;
mod pacer;
mod recorder;
#[cfg(test)]
mod tests;

pub(crate) use cpu::CpuClock;
pub(crate) use recorder::Recorder;

use crate::append::Load;
use crate::measured::Until;
use crate::result::PartResult;
use futures::future::join_all;

use std::cell::{Cell, RefCell};
use std::time::Instant;

/// Takes operations one after the other, and ends them in that order.
pub(crate) trait Lane {
    /// An operation that was handed over; resolves at its end to whether it ended well.
    type Pending: Future<Output = bool>;

    /// Hands the next operation over. Waits as long as the store makes its callers wait; `None` if the lane takes no more for
    /// good. Dropping this future hands nothing over.
    fn begin(&self) -> impl Future<Output = Option<Self::Pending>>;
}

/// A part under way.
struct Part {
    until: Until,
    begun_at: Instant,
    /// Operations begun, over all lanes (closed loop).
    begun: Cell<u64>,
    recorder: RefCell<Recorder>,
}

impl Part {
    /// Whether one more may begin now; if so, it has.
    fn may_begin(&self) -> bool {
        let allowed = self.until.allows(self.begun.get(), self.begun_at.elapsed());
        self.begun.set(self.begun.get() + u64::from(allowed));
        allowed
    }
}

/// Operations of `operation_bytes` each on all `lanes` under `load` until `until`, and everything that was handed over to its end.
pub(crate) async fn measure<L: Lane>(
    lanes: &[L],
    load: Load,
    until: Until,
    operation_bytes: u64,
    cpu: Option<CpuClock>,
) -> PartResult {
    let begun_at = Instant::now();
    let recorder = RefCell::new(Recorder::new(begun_at, until));
    let part = Part { until, begun_at, begun: Cell::new(0), recorder };
    match load {
        Load::Closed { depth } => {
            join_all(lanes.iter().map(|lane| closed::run(lane, depth.max(1), &part))).await;
        }
        Load::Open { per_second } => open::run(lanes, per_second, &part).await,
    }
    let cpu = cpu.map(|clock| clock.elapsed());
    part.recorder.into_inner().finish(operation_bytes, cpu)
}
