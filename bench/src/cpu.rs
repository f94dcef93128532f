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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::Instant;

    /// A process of one thread: of one with several, such as this one, threads end at any time.
    #[test]
    fn a_busy_process_uses_time_and_one_that_is_not_there_says_nothing() {
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell");
        let before = of_process(busy.id());
        let (begun, mut after) = (Instant::now(), before);
        // Bounded: a kernel that counts nothing fails the test below.
        while begun.elapsed() < Duration::from_secs(10) && after == before {
            after = of_process(busy.id());
        }
        busy.kill().expect("it runs");
        busy.wait().expect("it ends");
        assert!(before.is_some() && after > before, "{before:?} to {after:?}");
        assert_eq!(of_process(0), None);
    }
}
