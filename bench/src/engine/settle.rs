//! Leaving everything alone before a part: what the last one left behind must not fall into it.

use crate::drive::CpuClock;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long at least: for a straggler's writes, a quiet shard's mark, deletions.
pub(super) const SETTLE: Duration = Duration::from_millis(50);
/// How long at most this process is waited for.
const QUIET_WITHIN: Duration = Duration::from_secs(5);
/// It is quiet if it takes no more than this share of a processor.
const QUIET_SHARE: f64 = 0.1;

/// Waits until this process is quiet. A store of it that frees in the background what was trimmed (directories, buckets) would
/// otherwise do so in the part of another target, and on its account.
pub(super) async fn until_quiet() {
    let begun = Instant::now();
    loop {
        let (clock, since) = (CpuClock::start(&[]), Instant::now());
        sleep(SETTLE).await;
        let share = clock.elapsed().client_us / 1e6 / since.elapsed().as_secs_f64();
        if is_over(share, begun.elapsed()) {
            return;
        }
    }
}

fn is_over(share: f64, waited: Duration) -> bool {
    share <= QUIET_SHARE || waited >= QUIET_WITHIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_is_waited_for_but_not_for_ever() {
        assert!(is_over(0.01, SETTLE) && is_over(0.01, QUIET_WITHIN));
        assert!(!is_over(0.5, SETTLE) && !is_over(2.0, QUIET_WITHIN / 2));
        assert!(is_over(2.0, QUIET_WITHIN));
    }
}
