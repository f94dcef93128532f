//! A writer that is cut off with its window full: a client of its own, on a runtime of its own, which is shut down. Its connections
//! end with it. The nodes know of no acknowledgement in that window, as if none had ever arrived: all of it is of unknown fate to
//! whoever comes next. The last of it is stored here and not there.

use crate::integrity::Payloads;
use quarry_client::{AppendError, ChunkStore, OpenOptions, connect_to_quorum};
use std::collections::VecDeque;
use std::ops::Range;
use tokio::sync::oneshot;

/// One of so many chunks of the window is not waited for.
const UNHEARD_PART: usize = 64;

/// Who is cut off.
pub(super) struct CutOff {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) options: OpenOptions,
    pub(super) number: usize,
    pub(super) payloads: Payloads,
}

/// Writes and is cut off; which seqs were acknowledged to it.
pub(super) async fn run(plan: CutOff) -> Result<Range<u64>, String> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = match runtime {
            Err(why) => Err(format!("no runtime: {why}")),
            Ok(runtime) => {
                let outcome = runtime.block_on(plan.write());
                runtime.shutdown_background();
                outcome
            }
        };
        // Whoever asked may have been interrupted.
        let _ = tell.send(outcome);
    });
    told.await.map_err(|_| "the client that was to be cut off panicked".to_owned())?
}

impl CutOff {
    /// Fills the window, and comes back when nearly all of it is stored.
    async fn write(self) -> Result<Range<u64>, String> {
        let store = connect_to_quorum(&self.url).await.map_err(|why| why.to_string())?;
        let opened = store.open(&self.name, self.options.clone()).await.map_err(|why| why.to_string())?;
        let first = opened.report.next_seq.0;
        let (mut next, mut in_flight) = (first, VecDeque::new());
        // Without a pause in which an acknowledgement could be heard: no put tells the nodes of one.
        loop {
            match opened.writer.try_append(self.payloads.of(self.number, next)) {
                Ok(pending) => in_flight.push_back(pending),
                Err(AppendError::NoRoom { .. }) => break,
                Err(why) => return Err(why.to_string()),
            }
            next += 1;
        }
        let unheard = in_flight.len().div_ceil(UNHEARD_PART);
        let mut acknowledged = first;
        while in_flight.len() > unheard {
            let Some(oldest) = in_flight.pop_front() else { break };
            oldest.await.map_err(|why| why.to_string())?;
            acknowledged += 1;
        }
        Ok(first..acknowledged)
    }
}
