//! Processor time of this process and of nodes.

use crate::cpu;
use crate::result::CpuTime;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Runs from when it is made.
#[derive(Debug)]
pub(crate) struct CpuClock {
    client_us: f64,
    /// Each process with what it had taken; `None` if one could not be told.
    nodes: Option<Vec<(u32, f64)>>,
}

impl CpuClock {
    /// Of this process, and of the processes `nodes`.
    pub(crate) fn start(nodes: &[u32]) -> Self {
        Self { client_us: client_us(), nodes: nodes.iter().map(|id| Some((*id, node_us(*id)?))).collect() }
    }

    /// Of this process, beside nodes that nobody here can look at.
    pub(crate) fn beside_strangers() -> Self {
        Self { client_us: client_us(), nodes: None }
    }

    /// Since then. What a process took that has ended meanwhile cannot be told, so all of them cannot: never a zero for it.
    pub(crate) fn elapsed(&self) -> CpuTime {
        let since = |(id, before): &(u32, f64)| Some(node_us(*id)? - before);
        let nodes_us = self.nodes.as_ref().and_then(|nodes| nodes.iter().map(since).collect());
        CpuTime { client_us: client_us() - self.client_us, nodes_us }
    }
}

fn client_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn node_us(id: u32) -> Option<f64> {
    cpu::of_process(id).map(|time: Duration| time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time_of_the_process_that_does_it() {
        let clock = CpuClock::start(&[std::process::id()]);
        let mut sum = 0u64;
        while clock.elapsed().nodes_us.expect("it runs")[0] == 0.0 {
            (0..100_000u64).for_each(|number| sum = sum.wrapping_mul(31) ^ std::hint::black_box(number));
        }
        assert!(clock.elapsed().client_us > 0.0, "{:?}, {sum}", clock.elapsed());
    }

    #[test]
    fn a_process_that_is_not_there_has_no_time_not_none() {
        assert_eq!(CpuClock::start(&[std::process::id(), u32::MAX]).elapsed().nodes_us, None);
        assert_eq!(CpuClock::beside_strangers().elapsed().nodes_us, None);
        assert_eq!(CpuClock::start(&[]).elapsed().nodes_us, Some(Vec::new()));
        let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("runs");
        let clock = CpuClock::start(&[child.id()]);
        child.kill().and_then(|()| child.wait()).expect("ends");
        assert_eq!(clock.elapsed().nodes_us, None, "it ended meanwhile");
    }
}
