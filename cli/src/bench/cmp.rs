//! `quarry bench cmp`.

use crate::args::BenchCmpArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::table::table;
use crate::units;
use quarry_bench::compare::{Change, Comparison, Difference, Finding};
use quarry_bench::figures::words;
use quarry_bench::result::BenchResult;
use std::fmt::Write;

pub(super) fn run(args: &BenchCmpArgs, output: Output) -> Result<Health, Failure> {
    let (a, b) = (BenchResult::read(&args.a)?, BenchResult::read(&args.b)?);
    let comparison = Comparison::of(&a, &b, args.across_environments)?;
    output.print(&comparison, text);
    Ok(Health::Good)
}

fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    if !comparison.environments_differ.is_empty() {
        text.push_str("DIFFERENT MACHINES: what differs may be theirs, not the program's.\n");
        for field in &comparison.environments_differ {
            let _ = writeln!(text, "  {}: {} and {}", field.field, field.a, field.b);
        }
        text.push('\n');
    }
    let [a, b] = &comparison.revisions;
    let _ = writeln!(text, "A is built from {a}, B from {b}; medians (least to most of the rounds)\n");
    let rows = comparison.differences.iter().map(row);
    text.push_str(&table(["CASE", "TARGET", "CHUNK", "FIGURE", "A", "B", "B TO A", "FINDING"], rows));
    for (name, only) in ["A", "B"].iter().zip(&comparison.only_in).filter(|(_, only)| !only.is_empty()) {
        let _ = write!(text, "\n\nonly in {name}: {}", only.join("; "));
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
        Finding::SpreadUnknown => "too few rounds to tell",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::result_text::tests::example;

    #[test]
    fn findings_are_told_in_words() {
        let (a, mut b) = (example(), example());
        let same = text(&Comparison::of(&a, &b, false).unwrap());
        assert!(same.ends_with("no difference beyond the spread"), "{same}");
        assert!(same.contains("s3express (emulated)") && !same.contains("s3express  "), "{same}");
        b.cases[0].targets[0].rounds.iter_mut().for_each(|round| round.bytes /= 2);
        let half = text(&Comparison::of(&a, &b, false).unwrap());
        assert!(half.contains("-50.0 %") && half.contains("WORSE"), "{half}");
        // Payload, processor time, three ratios of bandwidth and processor time.
        assert!(half.ends_with("beyond the spread: 0 better, 5 worse"), "{half}");
    }

    #[test]
    fn another_machine_is_named_before_any_figure() {
        let (a, mut b) = (example(), example());
        b.environment.kernel = Some("7.0".to_owned());
        let text = text(&Comparison::of(&a, &b, true).unwrap());
        assert!(text.starts_with("DIFFERENT MACHINES") && text.contains("environment.kernel"), "{text}");
    }
}
