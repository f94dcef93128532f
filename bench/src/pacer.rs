//! The clock of the open loop: tells when each append is due, from a thread of its own, because an async timer
//! rounds to milliseconds and a busy runtime would delay the very ticks that measure it.

use crate::measured::Until;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// A stream of due times at a fixed rate.
#[derive(Debug)]
pub(crate) struct Pacer {
    due: mpsc::UnboundedReceiver<Instant>,
}

impl Pacer {
    /// Starts ticking `per_second` times a second, until `until` or until dropped.
    pub(crate) fn start(per_second: f64, until: Until) -> Self {
        let (send, due) = mpsc::unbounded_channel();
        let begun_at = Instant::now();
        std::thread::spawn(move || {
            let mut number = 0;
            loop {
                let offset = offset_of(number, per_second);
                if !until.allows(number, offset) {
                    return;
                }
                let due_at = begun_at + offset;
                std::thread::sleep(due_at.saturating_duration_since(Instant::now()));
                if send.send(due_at).is_err() {
                    return;
                }
                number += 1;
            }
        });
        Self { due }
    }

    /// When the next append is due; it is due now or was before. `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Instant> {
        self.due.recv().await
    }
}

/// When tick `number` is due, counted from the start: computed from the start, so that errors do not add up.
fn offset_of(number: u64, per_second: f64) -> Duration {
    Duration::try_from_secs_f64(number as f64 / per_second).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_evenly_spaced_from_the_start_and_bounded() {
        assert_eq!(offset_of(0, 1000.0), Duration::ZERO);
        assert_eq!(offset_of(1_000_000, 1000.0), Duration::from_secs(1000));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let due = runtime.block_on(async {
            let mut pacer = Pacer::start(10_000.0, Until::operations(5));
            let mut due = Vec::new();
            while let Some(at) = pacer.next().await {
                due.push(at);
            }
            due
        });
        assert_eq!(due.len(), 5);
        assert!(due.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_micros(100)), "{due:?}");
    }
}
