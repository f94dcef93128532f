//! Processor time of this process and of nodes.

use crate::cpu;
use crate::result::CpuTime;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Runs from when it is made.
#[derive(Debug)]
pub(crate) struct CpuClock {
    client_us: f64,
    nodes: Vec<(u32, f64)>,
}

impl CpuClock {
    /// Of this process, and of the processes `nodes`.
    pub(crate) fn start(nodes: &[u32]) -> Self {
        Self { client_us: client_us(), nodes: nodes.iter().map(|id| (*id, node_us(*id).unwrap_or(0.0))).collect() }
    }

    /// Since then. A process that has ended meanwhile has taken nothing that could be told.
    pub(crate) fn elapsed(&self) -> CpuTime {
        let nodes = self.nodes.iter().filter_map(|(id, before)| Some(node_us(*id)? - before));
        CpuTime { client_us: client_us() - self.client_us, nodes_us: nodes.sum() }
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
        let clock = CpuClock::start(&[std::process::id(), u32::MAX]);
        let mut sum = 0u64;
        while clock.elapsed().nodes_us == 0.0 {
            (0..100_000u64).for_each(|number| sum = sum.wrapping_mul(31) ^ std::hint::black_box(number));
        }
        assert!(clock.elapsed().client_us > 0.0, "{:?}, {sum}", clock.elapsed());
    }
}
