//! Processor time that processes used, as the scheduler counts it: in nanoseconds, of every thread that still runs.

use std::fs;
use std::time::Duration;

/// Processor time, user and system, of a process of this machine; `None` if it is gone or the kernel does not say.
///
/// Threads that ended are not counted, so a difference of two of these is right only for what was done by threads that
/// lived all the while.
#[must_use]
pub fn of_process(process: u32) -> Option<Duration> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let mut nanoseconds = 0;
    for thread in threads {
        let path = thread.ok()?.path().join("schedstat");
        // A thread may end between the two calls.
        let Ok(text) = fs::read_to_string(path) else { continue };
        nanoseconds += text.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// The same of several together; `None` if one of them does not say.
pub fn of_processes(processes: impl IntoIterator<Item = u32>) -> Option<Duration> {
    processes.into_iter().map(of_process).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_busy_process_uses_time_and_one_that_is_not_there_says_nothing() {
        let before = of_process(std::process::id()).expect("the kernel counts it");
        let begun = Instant::now();
        let mut sum = 0u64;
        // Bounded: a kernel that counts nothing fails the test below.
        while begun.elapsed() < Duration::from_secs(10) && of_process(std::process::id()) == Some(before) {
            (0..100_000u64).for_each(|number| sum = std::hint::black_box(sum.wrapping_add(number)));
        }
        let after = of_process(std::process::id()).expect("the kernel counts it");
        assert!(after > before, "{before:?} to {after:?}, {sum}");
        assert_eq!(of_process(0), None);
    }
}
