//! What a part measured, while it goes on.

use crate::latencies::Latencies;
use crate::measured::Until;
use crate::result::{CpuTime, PartResult, Samples, SeriesPoint};
use std::time::{Duration, Instant};

/// Into how many slices the length of a part is divided, if they do not get too short.
const SLICES: u32 = 60;
/// Shortest slice.
const SLICE_MIN: Duration = Duration::from_millis(50);
/// Length of a slice where the length of a part is not known before.
const SLICE_DEFAULT: Duration = Duration::from_secs(1);
/// Most slices of a part; what ends later counts in the last.
const SLICES_MAX: usize = 1000;

/// Both clocks, and how it goes over time.
#[derive(Debug)]
pub(crate) struct Recorder {
    begun_at: Instant,
    last_end: Instant,
    from_due: Latencies,
    from_service: Latencies,
    operations: u64,
    failed: u64,
    slice: Slice,
    series: Vec<SeriesPoint>,
}

/// The slice that is filled now.
#[derive(Debug)]
struct Slice {
    length: Duration,
    number: u32,
    latencies: Latencies,
}

impl Recorder {
    pub(crate) fn new(begun_at: Instant, until: Until) -> Self {
        let length = match until.elapsed_max {
            Duration::MAX => SLICE_DEFAULT,
            length => (length / SLICES).max(SLICE_MIN),
        };
        let slice = Slice { length, number: 0, latencies: Latencies::new() };
        let (from_due, from_service) = (Latencies::new(), Latencies::new());
        let series = Vec::new();
        Self { begun_at, last_end: begun_at, from_due, from_service, operations: 0, failed: 0, slice, series }
    }

    /// An operation ended well.
    pub(crate) fn ended(&mut self, due_at: Instant, service_at: Instant, now: Instant) {
        self.operations += 1;
        self.from_service.record(now.saturating_duration_since(service_at));
        self.charge(due_at, now);
    }

    /// An operation failed, or was never handed over: it waited until now all the same.
    pub(crate) fn failed(&mut self, due_at: Instant, now: Instant) {
        self.failed += 1;
        self.charge(due_at, now);
    }

    fn charge(&mut self, due_at: Instant, now: Instant) {
        let latency = now.saturating_duration_since(due_at);
        self.from_due.record(latency);
        self.last_end = self.last_end.max(now);
        let elapsed = now.saturating_duration_since(self.begun_at);
        let number = (elapsed.as_nanos() / self.slice.length.as_nanos()) as u32;
        // Ends come in the order of time, but for those of a last look at what was never handed over.
        if number > self.slice.number && self.series.len() + 1 < SLICES_MAX {
            self.close_slice();
            self.slice.number = number;
        }
        self.slice.latencies.record(latency);
    }

    fn close_slice(&mut self) {
        let summary = self.slice.latencies.summary();
        if summary.count > 0 {
            self.series.push(SeriesPoint {
                at_seconds: self.slice.length.as_secs_f64() * f64::from(self.slice.number),
                operations: summary.count,
                p50_us: summary.p50_us,
                p99_us: summary.p99_us,
                max_us: summary.max_us,
            });
            self.slice.latencies.clear();
        }
    }

    pub(crate) fn finish(mut self, operation_bytes: u64, cpu: Option<CpuTime>) -> PartResult {
        self.close_slice();
        PartResult {
            from_due: Samples::from(&self.from_due),
            from_service: Samples::from(&self.from_service),
            operations: self.operations,
            failed: self.failed,
            bytes: self.operations * operation_bytes,
            seconds: (self.last_end - self.begun_at).as_secs_f64(),
            series: self.series,
            cpu,
        }
    }
}
