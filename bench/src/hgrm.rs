//! Percentiles as text in the format that `HdrHistogram`'s tools read and draw: one file for each case, target and clock.

use crate::figures::measured_parts;
use crate::latencies::Latencies;
use crate::result::{BenchResult, PartResult, Samples, write_in_one_step};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Steps for each halving of the distance to 100 %, as the other tools have it.
const TICKS_PER_HALF_DISTANCE: u32 = 5;
/// Values of one bucket at three significant digits.
const SUB_BUCKETS: u32 = 2048;

/// A histogram in microseconds.
#[must_use]
pub fn text(latencies: &Latencies) -> String {
    let histogram = latencies.histogram();
    let us = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut count = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        count += step.count_since_last_iteration();
        let quantile = step.quantile_iterated_to();
        let _ = write!(text, "{:12.3} {quantile:2.12} {count:10}", us(step.value_iterated_to()));
        // The last step has no distance left.
        let _ = if quantile < 1.0 { writeln!(text, " {:14.2}", 1.0 / (1.0 - quantile)) } else { writeln!(text) };
    }
    let (mean, deviation) = (histogram.mean() / 1000.0, histogram.stdev() / 1000.0);
    let _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(text, "#[Max     = {:12.3}, Total count    = {:12}]", us(histogram.max()), histogram.len());
    let _ = writeln!(text, "#[Buckets = {:12}, SubBuckets     = {SUB_BUCKETS:12}]", histogram.buckets());
    text
}

/// One of the two latencies of a part.
type Clock = fn(&PartResult) -> &Samples;

/// Writes the histograms of everything that was measured below `dir`, which is made if missing, and says which files those are.
pub fn write(result: &BenchResult, dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(dir)?;
    let mut taken = BTreeSet::new();
    let mut written = Vec::new();
    let clocks: [(&str, Clock); 2] = [("from-due", |part| &part.from_due), ("from-service", |part| &part.from_service)];
    for case in &result.cases {
        for target in &case.targets {
            let parts = measured_parts(target);
            if parts.is_empty() {
                continue;
            }
            let label = result.targets[target.target].label();
            for (clock, samples) in clocks {
                let name = format!("{}-{label}-{}-{clock}", case.name, target.chunk_bytes);
                let path = dir.join(free_name(&file_name(&name), &mut taken));
                write_in_one_step(
                    &path,
                    text(&Latencies::merged(parts.iter().map(|(_, part)| samples(part)))).as_bytes(),
                )?;
                written.push(path);
            }
        }
    }
    Ok(written)
}

/// `name` with nothing in it that a file system or a shell takes for something else.
fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let mut out = String::new();
    for c in name.chars().map(safe) {
        // No file is hidden, and none begins like an option.
        if !(matches!(c, '-' | '.') && (out.is_empty() || out.ends_with(c))) {
            out.push(c);
        }
    }
    out
}

/// `stem` with its extension, and a number where another name became the same.
fn free_name(stem: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{stem}-{number}.hgrm"));
    let mut names = std::iter::once(format!("{stem}.hgrm")).chain(numbered);
    let free = names.find(|name| !taken.contains(name)).expect("there is always a further number");
    taken.insert(free.clone());
    free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::example;
    use std::time::Duration;

    /// Two values, half of the samples each: small enough to be worked out by hand.
    #[test]
    fn the_text_is_what_other_tools_read() {
        let mut latencies = Latencies::new();
        latencies.record_many(Duration::from_micros(1), 500);
        latencies.record_many(Duration::from_micros(2), 500);
        let text = text(&latencies);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[1], "");
        assert_eq!(lines[2], "       1.000 0.000000000000        500           1.00");
        assert_eq!(lines[7], "       1.000 0.500000000000        500           2.00");
        assert_eq!(lines[8], "       2.000 0.550000000000       1000           2.22");
        let last = lines.iter().position(|line| line.starts_with('#')).unwrap();
        assert_eq!(lines[last - 1], "       2.000 1.000000000000       1000");
        assert_eq!(lines[last], "#[Mean    =        1.500, StdDeviation   =        0.500]");
        assert_eq!(lines[last + 1], "#[Max     =        2.000, Total count    =         1000]");
        assert!(
            lines[last + 2].starts_with("#[Buckets = ") && lines[last + 2].ends_with("SubBuckets     =         2048]")
        );
        assert_eq!(lines.len(), last + 3);
    }

    #[test]
    fn names_are_safe_and_stay_apart() {
        assert_eq!(file_name("../../etc/a b:c"), "etc-a-b-c");
        assert_eq!(file_name("--S3 (emulated)"), "s3-emulated-");
        let mut taken = BTreeSet::new();
        let names = ["a/b", "a b", "A:b"].map(|name| free_name(&file_name(name), &mut taken));
        assert_eq!(names, ["a-b.hgrm", "a-b-2.hgrm", "a-b-3.hgrm"]);
    }

    #[test]
    fn every_case_target_and_clock_has_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let files = write(&example::result(), &dir.path().join("new")).unwrap();
        // Steady has two targets, the other three cases one.
        assert_eq!(files.len(), 10, "{files:?}");
        let read = |name: &str| fs::read_to_string(dir.path().join("new").join(name)).unwrap();
        let (due, service) = (read("steady-nodes-65536-from-due.hgrm"), read("steady-nodes-65536-from-service.hgrm"));
        assert!(due.contains("Total count    =         3000"), "all three rounds: {due}");
        assert_ne!(due, service);
        assert!(read("steady-s3express-emulated-65536-from-due.hgrm").contains("#[Mean"));
    }
}
