use super::*;
use crate::result::{CaseLoad, TargetKind, example};

type Edit = fn(&mut BenchResult);

fn changed(change: Edit) -> BenchResult {
    let mut result = example::result();
    change(&mut result);
    result
}

/// One run a side.
fn pair(a: &BenchResult, b: &BenchResult, across: bool) -> Result<Comparison, Incomparable> {
    Comparison::of(std::slice::from_ref(a), std::slice::from_ref(b), across)
}

/// Runs that differ in how long appends took.
fn runs(p50s_us: &[f64]) -> Vec<BenchResult> {
    let run = |(index, p50_us): (usize, &f64)| {
        let mut result = example::result();
        result.begun_unix_seconds += index as u64;
        result.cases[1].targets[0].rounds = example::rounds(*p50_us, 1500.0, 65_536);
        result
    };
    p50s_us.iter().enumerate().map(run).collect()
}

fn find<'a>(comparison: &'a Comparison, case: &str, figure: &str) -> &'a Difference {
    let found = comparison.differences.iter().find(|found| found.case == case && found.figure == figure);
    found.unwrap_or_else(|| panic!("no {figure} of {case}"))
}

#[test]
fn a_run_does_not_differ_from_itself() {
    let result = example::result();
    let comparison = pair(&result, &result, false).unwrap();
    let findings: Vec<_> = comparison.differences.iter().map(|found| found.change.finding).collect();
    assert!(
        findings.iter().all(|finding| matches!(finding, Finding::WithinSpread | Finding::SpreadUnknown)),
        "{findings:?}"
    );
    assert!(comparison.differences.iter().all(|found| found.change.relative.is_none_or(|relative| relative == 0.0)));
    assert_eq!(comparison.only_in, [Vec::<String>::new(), Vec::new()]);
    // Eight figures, six ratios and two of receipts; eight and two; eight; eight, four ratios and its rate; eight, four ratios and its figure.
    assert_eq!(comparison.differences.len(), 16 + 10 + 8 + 13 + 13);
}

/// 20 % slower is more than the 10 % by which rounds differ either way; 5 % is not.
#[test]
fn only_what_exceeds_the_spread_is_a_difference() {
    let with = |factor: f64| {
        let mut result = example::result();
        result.cases[1].targets[0].rounds = example::rounds(420.0 * factor, 1500.0 / factor, 65_536);
        pair(&example::result(), &result, false).unwrap()
    };
    let within = with(1.05);
    assert_eq!(find(&within, "offered", "p50 from due").change.finding, Finding::WithinSpread);
    let beyond = with(1.3);
    let slower = find(&beyond, "offered", "p50 from due").change;
    assert_eq!(slower.finding, Finding::Worse);
    assert!((slower.relative.unwrap() - 0.3).abs() < 0.01, "{slower:?}");
    assert_eq!(find(&beyond, "offered", "p99 from due").change.finding, Finding::Better);
    assert_eq!(find(&beyond, "offered", "payload").change.finding, Finding::WithinSpread);
}

#[test]
fn more_bandwidth_is_better_and_one_round_has_no_spread() {
    let twice = changed(|result| result.cases[0].targets[0].rounds.iter_mut().for_each(|round| round.bytes *= 2));
    let comparison = pair(&example::result(), &twice, false).unwrap();
    assert_eq!(find(&comparison, "steady", "payload").change.finding, Finding::Better);
    assert_eq!(find(&comparison, "steady", "ratio of bandwidth").change.finding, Finding::Better);
    assert_eq!(find(&comparison, "steady", "processor time").change.finding, Finding::Better);
    let one = changed(|result| result.cases[1].targets[0].rounds = example::rounds(9e5, 9e6, 65_536)[..1].to_vec());
    let comparison = pair(&example::result(), &one, false).unwrap();
    assert_eq!(find(&comparison, "offered", "p50 from due").change.finding, Finding::SpreadUnknown);
    assert_eq!(find(&comparison, "ladder", "highest rate that held").change.finding, Finding::SpreadUnknown);
}

/// Each of these makes a figure mean another thing, and each is refused by itself, with the field and both values.
#[test]
fn different_things_are_not_compared() {
    let refused: [(Edit, &str, [&str; 2]); 20] = [
        (|r| r.targets[0].durability = "none".into(), "targets[nodes].durability", ["O_DSYNC", "\"none\""]),
        (|r| r.targets[0].replicas = 5, "targets[nodes].replicas", ["3", "5"]),
        (|r| r.targets[0].ack_quorum = 3, "targets[nodes].ack_quorum", ["2", "3"]),
        (|r| r.targets[1].emulated = false, "targets[s3express].emulated", ["true", "false"]),
        (|r| r.targets[0].kind = TargetKind::Memory, "targets[nodes].kind", ["Nodes", "Memory"]),
        (|r| r.environment.kernel = None, "environment.kernel", ["6.18.0", "None"]),
        (|r| r.environment.processor = Some("Other".into()), "environment.processor", ["Example 9000", "Other"]),
        (|r| r.environment.optimised = false, "environment.optimised", ["true", "false"]),
        (|r| r.environment.disk.model = Some("X".into()), "environment.disk.model", ["ACME", "X"]),
        (|r| r.environment.disk.file_system = Some("xfs".into()), "environment.disk.file_system", ["ext4", "xfs"]),
        (|r| r.environment.disk.scheduler = Some("bfq".into()), "environment.disk.scheduler", ["none", "bfq"]),
        (|r| r.environment.disk.write_cache = None, "environment.disk.write_cache", ["write back", "unknown"]),
        (|r| r.environment.disk.fua = None, "environment.disk.fua", ["true", "unknown"]),
        (|r| r.environment.doctor[0].severity = "bad".into(), "environment.doctor[write-cache]", ["ok", "bad"]),
        (|r| r.environment.doctor.clear(), "environment.doctor[write-cache]", ["ok", "unknown"]),
        (|r| r.cases[0].load = CaseLoad::Closed { depth: 2 }, "cases[steady].load", ["depth: 1", "depth: 2"]),
        (|r| r.cases[0].logs = 4, "cases[steady].logs", ["1", "4"]),
        (|r| r.cases[0].targets[0].chunk_bytes = 4096, "cases[steady].targets[nodes].chunk_bytes", ["65536", "4096"]),
        (
            |r| r.cases[0].baseline.as_mut().unwrap().device_in_flight = 9,
            "cases[steady].baseline.device_in_flight",
            ["3", "9"],
        ),
        (|r| r.cases[0].targets[0].verdict.missing = 1, "cases[steady].targets[nodes].verdict", ["1 missing", "lost"]),
    ];
    for (change, field, values) in refused {
        let why = pair(&example::result(), &changed(change), false).expect_err(field);
        assert_eq!(why.differences.len(), 1, "{field}: {why}");
        let text = why.to_string();
        assert!(text.contains(field) && values.iter().all(|value| text.contains(value)), "{field}: {text}");
    }
}

#[test]
fn another_machine_is_compared_only_on_request_and_then_named() {
    let other = changed(|result| result.environment.processor = Some("Other".to_owned()));
    let comparison = pair(&example::result(), &other, true).expect("on request");
    let [differs] = &comparison.environments_differ[..] else { panic!("{comparison:?}") };
    assert_eq!(differs.field, "environment.processor");
    let worse = changed(|result| result.targets[0].replicas = 1);
    assert!(pair(&example::result(), &worse, true).is_err(), "only the machine may differ");
}

#[test]
fn another_revision_is_what_comparing_is_for() {
    let newer = changed(|result| result.environment.git_revision = "newer".to_owned());
    let comparison = pair(&example::result(), &newer, false).expect("comparable");
    assert_eq!(comparison.revisions[1], "newer");
}

#[test]
fn what_only_one_has_is_named_and_nothing_in_common_is_refused() {
    let fewer = changed(|result| drop(result.cases.remove(1)));
    let comparison = pair(&example::result(), &fewer, false).unwrap();
    assert_eq!(comparison.only_in, [vec!["offered on nodes in chunks of 65536".to_owned()], Vec::new()]);
    let others = changed(|result| result.cases.iter_mut().for_each(|case| case.name.push('2')));
    let why = pair(&example::result(), &others, false).expect_err("nothing in common").to_string();
    assert!(why.contains("none in common") && why.contains("steady2"), "{why}");
}

/// A round of a run says nothing of how the next run will be: 30 % between two runs is much, but not where runs of one program differ
/// as much.
#[test]
fn several_runs_are_judged_by_how_far_runs_lie_apart() {
    let compare = |a: &[f64], b: &[f64]| Comparison::of(&runs(a), &runs(b), false).expect("comparable");
    let finding = |comparison: &Comparison| find(comparison, "offered", "p50 from due").change.finding;
    assert_eq!(finding(&compare(&[400.0], &[520.0])), Finding::Worse);
    let noisy = compare(&[400.0, 560.0, 420.0], &[520.0, 410.0, 530.0]);
    assert_eq!((noisy.basis, noisy.runs, finding(&noisy)), (Basis::Runs, [3, 3], Finding::WithinSpread));
    let spread = find(&noisy, "offered", "p50 from due").a.expect("every run has it");
    assert!((spread.median - 420.0).abs() < 5.0 && (spread.max - 560.0).abs() < 5.0, "{spread:?}");
    let steady = compare(&[400.0, 405.0, 395.0], &[520.0, 530.0, 510.0]);
    assert_eq!(finding(&steady), Finding::Worse);
    assert!(steady.chance.is_some_and(|chance| (chance - 0.1).abs() < 1e-9), "{:?}", steady.chance);
    // Each has three rounds, but that is another spread.
    assert_eq!(finding(&compare(&[400.0, 405.0], &[520.0, 530.0, 510.0])), Finding::SpreadUnknown);
    assert_eq!(find(&steady, "ladder", "highest rate that held").change.finding, Finding::WithinSpread);
    assert_eq!(compare(&[400.0], &[520.0]).chance, None);
    assert_eq!(compare(&[400.0, 405.0], &[520.0, 530.0, 510.0]).chance, None, "nothing was judged");
}

/// No rate that held is the worst that can be found of a ladder, and a run without a figure must not look like one that has it.
#[test]
fn a_figure_that_a_run_lacks_is_listed() {
    let none = |result: &mut BenchResult| {
        let ladders =
            result.cases.iter_mut().flat_map(|case| &mut case.targets).filter_map(|target| target.ladder.as_mut());
        ladders.for_each(|ladder| ladder.highest_per_second = None);
    };
    let without = changed(none);
    for (a, b, runs) in [(example::result(), without.clone(), [1, 0]), (without, example::result(), [0, 1])] {
        let comparison = pair(&a, &b, false).unwrap();
        let found = find(&comparison, "ladder", "highest rate that held");
        assert_eq!((found.change.finding, found.runs), (Finding::NotInAll, runs));
        assert_eq!([found.a.is_some(), found.b.is_some()], runs.map(|runs| runs == 1));
        assert_eq!(comparison.at_other_rates, ["ladder on nodes in chunks of 65536"]);
    }
    let (a, mut b) = (runs(&[400.0, 405.0, 395.0]), runs(&[401.0, 406.0, 396.0]));
    assert_eq!(Comparison::of(&a, &b, false).unwrap().at_other_rates, Vec::<String>::new());
    none(&mut b[1]);
    let comparison = Comparison::of(&a, &b, false).unwrap();
    let found = find(&comparison, "ladder", "highest rate that held");
    assert_eq!((found.change.finding, found.runs), (Finding::NotInAll, [3, 2]));
}

/// One bad round of each run: no median knows of it.
#[test]
fn operations_that_fail_are_compared() {
    let a = runs(&[400.0, 405.0, 395.0]);
    let mut b = runs(&[401.0, 406.0, 396.0]);
    b.iter_mut().for_each(|run| run.cases[1].targets[0].rounds[0].failed = 9);
    let comparison = Comparison::of(&a, &b, false).unwrap();
    let found = find(&comparison, "offered", "failed");
    assert_eq!((found.change.finding, found.b.map(|spread| spread.median)), (Finding::Worse, Some(3.0)));
    assert_eq!(find(&comparison, "steady", "failed").change.finding, Finding::WithinSpread);
}

#[test]
fn every_run_of_a_side_must_be_comparable_and_another_one() {
    let refused = |a: &[BenchResult], b: &[BenchResult], word: &str| {
        let why = Comparison::of(a, b, false).expect_err(word).to_string();
        assert!(why.contains(word), "{word}: {why}");
    };
    let (a, b) = (runs(&[400.0, 410.0]), runs(&[420.0, 430.0]));
    refused(&[a[0].clone(), a[0].clone()], &b, "A1 and A2: the same run twice");
    let with = |change: Edit| {
        let mut changed = b.clone();
        change(&mut changed[1]);
        changed
    };
    refused(&a, &with(|run| run.targets[0].ack_quorum = 3), "A1 and B2: targets[nodes].ack_quorum: 2 and 3");
    refused(&with(|run| run.targets[0].replicas = 5), &a, "A1 and A2: targets[nodes].replicas");
    refused(&a, &with(|run| run.environment.git_revision = "x".into()), "B1 and B2: environment.git_revision");
    refused(&a, &with(|run| run.environment.kernel = None), "A1 and B2: environment.kernel");
    let fewer = with(|run| drop(run.cases.remove(0)));
    let comparison = Comparison::of(&a, &fewer, false).expect("the other cases");
    assert!(comparison.differences.iter().all(|found| found.case != "steady"));
    assert!(comparison.only_in.iter().all(|only| only[0].starts_with("steady on nodes")), "{:?}", comparison.only_in);
}

/// Two disks of which nothing is known are not the same disk, and a machine may be in the way as the only thing.
#[test]
fn what_neither_knows_is_not_the_same() {
    let unknown = changed(|result| result.environment.disk.write_cache = None);
    let why = pair(&unknown, &unknown, false).expect_err("unknown").to_string();
    assert!(why.contains("environment.disk.write_cache: unknown and unknown"), "{why}");
    assert!(why.contains("--across-environments"), "{why}");
    assert_eq!(pair(&unknown, &unknown, true).expect("on request").environments_differ.len(), 1);
    let unasked = changed(|result| result.environment.doctor.clear());
    assert!(
        pair(&unasked, &unasked, false).expect_err("unasked").to_string().contains("environment.doctor: not asked")
    );
}
