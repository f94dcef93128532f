//! `quarry bench cmp`.

use crate::args::BenchCmpArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::table::table;
use crate::units;
use quarry_bench::compare::{Basis, Comparison, Difference, Finding};
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
        (Basis::Runs, None) => format!(
            "medians of {a} and {b} runs (least to most of the runs): too few to judge anything; three or more a side can be judged"
        ),
        (Basis::Rounds, _) => "medians of the ROUNDS of one run each (least to most of the rounds): how far runs lie apart is not known from that; \
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
    if !comparison.at_other_rates.is_empty() {
        let _ = write!(
            text,
            "\n\nthe highest rates that held differ, so figures at these rates are not compared: {}",
            comparison.at_other_rates.join("; ")
        );
    }
    text.push_str("\n\n");
    text.push_str(&summary(comparison));
    text
}

/// What was found in all, and how much could not be judged. That nothing differs is said only where everything was judged.
fn summary(comparison: &Comparison) -> String {
    let findings = || comparison.differences.iter().map(|found| found.change.finding);
    let count = |wanted| findings().filter(|finding| *finding == wanted).count();
    let (better, worse, differs) = (count(Finding::Better), count(Finding::Worse), count(Finding::Differs));
    let (unknown, lacking) = (count(Finding::SpreadUnknown), count(Finding::NotInAll));
    let judged = findings().filter(|finding| finding.is_judged()).count();
    let [only_in_a, only_in_b] = comparison.only_in.each_ref().map(Vec::len);
    let (left_out, not_in_all) = (comparison.at_other_rates.len(), only_in_a + only_in_b);
    let mut lines = Vec::new();
    match (better + worse + differs, unknown + lacking + left_out + not_in_all) {
        (0, 0) => lines.push("no difference beyond the spread".to_owned()),
        (0, _) => lines.push(format!("of {judged} rows that could be judged, none differs beyond the spread")),
        _ => {
            let differs = if differs == 0 { String::new() } else { format!(", {differs} that differ otherwise") };
            lines.push(format!("beyond the spread: {better} better, {worse} worse{differs}"));
        }
    }
    let rows = |count: usize| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    if lacking > 0 {
        lines.push(format!("{} not in all runs: that a figure is missing is a finding, too", rows(lacking)));
    }
    if unknown > 0 {
        lines.push(format!("{} could not be judged: three runs of each side are needed", rows(unknown)));
    }
    if left_out > 0 {
        lines.push(format!("compared only in part, as their highest rates differ: {left_out} (above)"));
    }
    if not_in_all > 0 {
        lines.push(format!("cases on a target that are not in all runs: {not_in_all} (above)"));
    }
    lines.join("\n")
}

fn row(found: &Difference) -> [String; 8] {
    [
        found.case.clone(),
        found.target.clone(),
        units::bytes(found.chunk_bytes),
        format!("{} [{}]", found.figure, found.unit),
        words::spread_or_dash(found.a),
        words::spread_or_dash(found.b),
        found.change.relative.map_or_else(|| "-".to_owned(), |relative| format!("{:+.1} %", relative * 100.0)),
        finding(found),
    ]
}

fn finding(found: &Difference) -> String {
    let words = match (found.change.finding, found.runs) {
        (Finding::WithinSpread, _) => "no difference beyond the spread",
        (Finding::Better, _) => "better",
        (Finding::Worse, _) => "WORSE",
        (Finding::Differs, _) => "differs",
        (Finding::SpreadUnknown, _) => "too few to tell",
        (Finding::NotInAll, [1, 0]) => "ONLY ON A",
        (Finding::NotInAll, [0, 1]) => "ONLY ON B",
        (Finding::NotInAll, [a, b]) => return format!("IN {a} RUNS OF A, IN {b} OF B"),
    };
    words.to_owned()
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
        // A ladder has one highest rate a run, and its own figures one round.
        let unjudged =
            "none differs beyond the spread\n13 rows could not be judged: three runs of each side are needed";
        assert!(same.ends_with(unjudged), "{same}");
        assert!(same.contains("medians of the ROUNDS of one run each"), "{same}");
        assert!(same.contains("s3express (emulated)") && !same.contains("s3express  "), "{same}");
        b.cases[0].targets[0].rounds.iter_mut().for_each(|round| round.bytes /= 2);
        let half = text(&of(&a, &b, false));
        assert!(half.contains("-50.0 %") && half.contains("WORSE"), "{half}");
        // Payload, processor time, three ratios of bandwidth and processor time, that of receipts; as many chunks as before.
        assert!(half.contains("\n\nbeyond the spread: 0 better, 6 worse\n13 rows could not"), "{half}");
        let later = |seconds| BenchResult { begun_unix_seconds: seconds, ..example() };
        let runs = Comparison::of(&[later(1), later(2), later(3)], &[later(4), later(5), later(6)], false).unwrap();
        let runs = text(&runs);
        assert!(runs.ends_with("\n\nno difference beyond the spread"), "{runs}");
        assert!(runs.contains("medians of 3 and 3 runs") && runs.contains("10.0 % look changed by chance"), "{runs}");
    }

    /// What was not judged must not look as if it had been.
    #[test]
    fn what_could_not_be_judged_is_counted() {
        let later = |seconds| BenchResult { begun_unix_seconds: seconds, ..example() };
        let two = text(&Comparison::of(&[later(1), later(2)], &[later(3), later(4)], false).unwrap());
        assert!(two.contains("too few to judge anything") && !two.contains("by chance"), "{two}");
        assert!(two.contains("of 0 rows that could be judged") && two.contains("rows could not be judged"), "{two}");
        let (a, mut b) = (example(), example());
        let ladders = b.cases.iter_mut().flat_map(|case| &mut case.targets).filter_map(|target| target.ladder.as_mut());
        ladders.for_each(|ladder| ladder.highest_per_second = None);
        let none = text(&of(&a, &b, false));
        let row = none.lines().find(|line| line.contains("highest rate that held [1/s]")).expect("is listed");
        assert!(row.ends_with("ONLY ON A"), "{none}");
        assert!(none.contains("\n1 row not in all runs") && none.contains("compared only in part"), "{none}");
    }

    #[test]
    fn another_machine_is_named_before_any_figure() {
        let (a, mut b) = (example(), example());
        b.environment.kernel = Some("7.0".to_owned());
        let text = text(&of(&a, &b, true));
        assert!(text.starts_with("DIFFERENT MACHINES") && text.contains("environment.kernel"), "{text}");
    }
}
