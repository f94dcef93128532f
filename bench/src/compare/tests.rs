use super::*;
use crate::result::{CaseLoad, TargetKind, example};

type Edit = fn(&mut BenchResult);

fn changed(change: Edit) -> BenchResult {
    let mut result = example::result();
    change(&mut result);
    result
}

fn find<'a>(comparison: &'a Comparison, case: &str, figure: &str) -> &'a Difference {
    let found = comparison.differences.iter().find(|found| found.case == case && found.figure == figure);
    found.unwrap_or_else(|| panic!("no {figure} of {case}"))
}

#[test]
fn a_run_does_not_differ_from_itself() {
    let result = example::result();
    let comparison = Comparison::of(&result, &result, false).unwrap();
    let findings: Vec<_> = comparison.differences.iter().map(|found| found.change.finding).collect();
    assert!(
        findings.iter().all(|finding| matches!(finding, Finding::WithinSpread | Finding::SpreadUnknown)),
        "{findings:?}"
    );
    assert!(comparison.differences.iter().all(|found| found.change.relative == Some(0.0)));
    assert_eq!(comparison.only_in, [Vec::<String>::new(), Vec::new()]);
    // Seven figures and six ratios; seven and two; seven; seven, four ratios and its rate; seven, four ratios and its figure.
    assert_eq!(comparison.differences.len(), 13 + 9 + 7 + 12 + 12);
}

/// 20 % slower is more than the 10 % by which rounds differ either way; 5 % is not.
#[test]
fn only_what_exceeds_the_spread_is_a_difference() {
    let with = |factor: f64| {
        let mut result = example::result();
        result.cases[1].targets[0].rounds = example::rounds(420.0 * factor, 1500.0 / factor, 65_536);
        Comparison::of(&example::result(), &result, false).unwrap()
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
    let comparison = Comparison::of(&example::result(), &twice, false).unwrap();
    assert_eq!(find(&comparison, "steady", "payload").change.finding, Finding::Better);
    assert_eq!(find(&comparison, "steady", "ratio of bandwidth").change.finding, Finding::Better);
    assert_eq!(find(&comparison, "steady", "processor time").change.finding, Finding::Better);
    let one = changed(|result| result.cases[1].targets[0].rounds = example::rounds(9e5, 9e6, 65_536)[..1].to_vec());
    let comparison = Comparison::of(&example::result(), &one, false).unwrap();
    assert_eq!(find(&comparison, "offered", "p50 from due").change.finding, Finding::SpreadUnknown);
    assert_eq!(find(&comparison, "ladder", "highest rate").change.finding, Finding::SpreadUnknown);
}

/// Each of these makes a figure mean another thing, and each is refused by itself, with the field and both values.
#[test]
fn different_things_are_not_compared() {
    let refused: [(Edit, &str, [&str; 2]); 16] = [
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
        let why = Comparison::of(&example::result(), &changed(change), false).expect_err(field);
        assert_eq!(why.differences.len(), 1, "{field}: {why}");
        let text = why.to_string();
        assert!(text.contains(field) && values.iter().all(|value| text.contains(value)), "{field}: {text}");
    }
}

#[test]
fn another_machine_is_compared_only_on_request_and_then_named() {
    let other = changed(|result| result.environment.processor = Some("Other".to_owned()));
    let comparison = Comparison::of(&example::result(), &other, true).expect("on request");
    let [differs] = &comparison.environments_differ[..] else { panic!("{comparison:?}") };
    assert_eq!(differs.field, "environment.processor");
    let worse = changed(|result| result.targets[0].replicas = 1);
    assert!(Comparison::of(&example::result(), &worse, true).is_err(), "only the machine may differ");
}

#[test]
fn another_revision_is_what_comparing_is_for() {
    let newer = changed(|result| result.environment.git_revision = "newer".to_owned());
    let comparison = Comparison::of(&example::result(), &newer, false).expect("comparable");
    assert_eq!(comparison.revisions[1], "newer");
}

#[test]
fn what_only_one_has_is_named_and_nothing_in_common_is_refused() {
    let fewer = changed(|result| drop(result.cases.remove(1)));
    let comparison = Comparison::of(&example::result(), &fewer, false).unwrap();
    assert_eq!(comparison.only_in, [vec!["offered on nodes in chunks of 65536".to_owned()], Vec::new()]);
    let others = changed(|result| result.cases.iter_mut().for_each(|case| case.name.push('2')));
    let why = Comparison::of(&example::result(), &others, false).expect_err("nothing in common").to_string();
    assert!(why.contains("none in common") && why.contains("steady2"), "{why}");
}
