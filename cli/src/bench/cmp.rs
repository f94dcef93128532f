//! `quarry bench cmp`.

use crate::args::BenchCmpArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::table::table;
use crate::units;
use quarry_bench::compare::{Basis, Change, Comparison, Difference, Finding};
use quarry_bench::figures::words;
use quarry_bench::result::BenchResult;
use std::fmt::Write;
use std::path::PathBuf;

pub(super) fn run(args: &BenchCmpArgs, output: Output) -> Result<Health, Failure> {
    let (a, b) = match (&args.results[..], &args.against[..]) {
        ([a, b], []) => (std::slice::from_ref(a), std::slice::from_ref(b)),
        (results, []) => {
            return Err(Failure::usage(format!(
                "{} results and nothing to compare them with: give two, or the runs of one side, --against, and those of the other",
                results.len()
            )));
        }
        sides => sides,
    };
    let read = |paths: &[PathBuf]| paths.iter().map(|path| BenchResult::read(path)).collect::<Result<Vec<_>, _>>();
    let comparison = Comparison::of(&read(a)?, &read(b)?, args.across_environments)?;
    output.print(&comparison, text);
    Ok(Health::Good)
}

/// What the figures in brackets are, and how far they can be believed.
fn basis(comparison: &Comparison) -> String {
    let [a, b] = comparison.runs;
    match (comparison.basis, comparison.chance) {
        (Basis::Runs, Some(chance)) => format!(
            "medians of {a} and {b} runs (least to most of the runs); of figures that did not change at all, {:.1} % look changed by chance",
            chance * 100.0
        ),
        _ => "medians of the ROUNDS of one run each (least to most of the rounds): how far runs lie apart is not known from that; \
              compare three or more runs a side with: quarry bench cmp A1 A2 A3 --against B1 B2 B3"
            .to_owned(),
    }
}

fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    if !comparison.environments_differ.is_empty() {
        text.push_str(
            "DIFFERENT MACHINES, or such as do not tell enough: what differs may be theirs, not the program's.\n",
        );
        for field in &comparison.environments_differ {
            let _ = writeln!(text, "  {}: {} and {}", field.field, field.a, field.b);
        }
        text.push('\n');
    }
    let [a, b] = &comparison.revisions;
    let _ = writeln!(text, "A is built from {a}, B from {b}; {}\n", basis(comparison));
    let rows = comparison.differences.iter().map(row);
    text.push_str(&table(["CASE", "TARGET", "CHUNK", "FIGURE", "A", "B", "B TO A", "FINDING"], rows));
    for (name, only) in ["A", "B"].iter().zip(&comparison.only_in).filter(|(_, only)| !only.is_empty()) {
        let _ = write!(text, "\n\nin {name}, and not in all: {}", only.join("; "));
    }
    let beyond = |finding| comparison.differences.iter().filter(|found| found.change.finding == finding).count();
    let (better, worse) = (beyond(Finding::Better), beyond(Finding::Worse));
    text.push_str("\n\n");
    let _ = match (better, worse) {
        (0, 0) => write!(text, "no difference beyond the spread"),
        (better, worse) => write!(text, "beyond the spread: {better} better, {worse} worse"),
    };
    text
}

fn row(found: &Difference) -> [String; 8] {
    [
        found.case.clone(),
        found.target.clone(),
        units::bytes(found.chunk_bytes),
        format!("{} [{}]", found.figure, found.unit),
        words::spread(found.a),
        words::spread(found.b),
        found.change.relative.map_or_else(|| "-".to_owned(), |relative| format!("{:+.1} %", relative * 100.0)),
        finding(found.change).to_owned(),
    ]
}

const fn finding(change: Change) -> &'static str {
    match change.finding {
        Finding::WithinSpread => "no difference beyond the spread",
        Finding::Better => "better",
        Finding::Worse => "WORSE",
        Finding::Differs => "differs",
        Finding::SpreadUnknown => "too few to tell",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::result_text::tests::example;

    fn of(a: &BenchResult, b: &BenchResult, across: bool) -> Comparison {
        Comparison::of(std::slice::from_ref(a), std::slice::from_ref(b), across).expect("comparable")
    }

    #[test]
    fn findings_are_told_in_words() {
        let (a, mut b) = (example(), example());
        let same = text(&of(&a, &b, false));
        assert!(same.ends_with("no difference beyond the spread"), "{same}");
        assert!(same.contains("medians of the ROUNDS of one run each"), "{same}");
        assert!(same.contains("s3express (emulated)") && !same.contains("s3express  "), "{same}");
        b.cases[0].targets[0].rounds.iter_mut().for_each(|round| round.bytes /= 2);
        let half = text(&of(&a, &b, false));
        assert!(half.contains("-50.0 %") && half.contains("WORSE"), "{half}");
        // Payload, processor time, three ratios of bandwidth and processor time, that of receipts; as many chunks as before.
        assert!(half.ends_with("beyond the spread: 0 better, 6 worse"), "{half}");
        let later = |seconds| BenchResult { begun_unix_seconds: seconds, ..example() };
        let runs = Comparison::of(&[later(1), later(2), later(3)], &[later(4), later(5), later(6)], false).unwrap();
        let runs = text(&runs);
        assert!(runs.contains("medians of 3 and 3 runs") && runs.contains("10.0 % look changed by chance"), "{runs}");
    }

    #[test]
    fn another_machine_is_named_before_any_figure() {
        let (a, mut b) = (example(), example());
        b.environment.kernel = Some("7.0".to_owned());
        let text = text(&of(&a, &b, true));
        assert!(text.starts_with("DIFFERENT MACHINES") && text.contains("environment.kernel"), "{text}");
    }
}
