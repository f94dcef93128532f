//! The engine from suite to result, on a store in memory: everything but nodes and the device.

use super::*;
use crate::result::{CaseTarget, TargetKind};
use std::cell::RefCell;

/// Runs a suite of `cases` on a fresh store in memory.
async fn run_on_memory(cases: &str) -> (BenchResult, Vec<String>) {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let target = format!("[[target]]\nname = \"memory\"\nurl = \"memory://engine-{number}\"\nholds = \"64MiB\"\n");
    let suite = format!("name = \"test\"\nrounds = 2\npart_seconds = 0.1\n{target}{cases}");
    let suite = Suite::parse(&suite).unwrap_or_else(|why| panic!("{suite}: {why}"));
    let dir = tempfile::tempdir().expect("a directory");
    let setup =
        EngineSetup { binary: PathBuf::from("/none"), dir: dir.path().to_path_buf(), command: vec!["test".to_owned()] };
    let notes = RefCell::new(Vec::new());
    let say = |told: Progress<'_>| {
        if let Progress::Note(note) = told {
            notes.borrow_mut().push(note.to_owned());
        }
    };
    let (result, failed) = run(&suite, &setup, &say).await.unwrap_or_else(|why| panic!("{why}"));
    assert!(failed.is_none(), "{failed:?}");
    assert_eq!(Suite::parse(&result.suite).expect("is a suite"), suite);
    (result, notes.into_inner())
}

fn only(case: &CaseResult) -> &CaseTarget {
    let [target] = &case.targets[..] else { panic!("{case:?}") };
    assert!(target.verdict.good(), "{}: {:?}", case.name, target.verdict);
    target
}

#[tokio::test]
async fn loads_are_measured_round_by_round_and_read_back() {
    let (result, notes) = run_on_memory(
        "[[case]]\nname = \"closed\"\nload.closed.depth = 4\nlogs = 3\nclients = 2\nchunks = [1, \"16KiB\"]\n\
         [[case]]\nname = \"open\"\nload.open.per_second = 200\nlogs = 2\n",
    )
    .await;
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!((result.schema.as_str(), result.targets[0].kind), (SCHEMA, TargetKind::Memory));
    assert_eq!((result.targets[0].replicas, result.targets[0].ack_quorum), (3, 2));
    let names: Vec<_> = result.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["closed, 1", "closed, 16KiB", "open"]);
    for case in &result.cases {
        let target = only(case);
        assert_eq!((target.rounds.len(), case.baseline.is_some()), (2, false), "{}", case.name);
        for part in &target.rounds {
            assert_eq!((part.failed, part.bytes), (0, part.operations * target.chunk_bytes));
            assert_eq!(part.from_due.latencies().count(), part.operations);
            assert_eq!(part.series.iter().map(|point| point.operations).sum::<u64>(), part.operations);
        }
        // Every round and the one before them, and a last append to each log.
        let counted: u64 = target.rounds.iter().map(|part| part.operations).sum();
        let verdict = target.verdict;
        assert!(verdict.acknowledged + verdict.trimmed > counted + case.logs as u64, "{counted}: {verdict:?}");
    }
    let open = only(&result.cases[2]);
    assert!(open.rounds.iter().all(|part| part.operations == 20), "200 a second for a tenth of a second");
}

/// A store fast enough to outgrow its bound is read back and trimmed on the way.
#[tokio::test]
async fn logs_that_grow_are_read_back_and_trimmed() {
    let (result, _) = run_on_memory(
        "[[case]]\nname = \"large\"\nload.closed.depth = 4\nchunks = [\"4MiB\"]\nrounds = 5\npart_seconds = 3600\n",
    )
    .await;
    let target = only(&result.cases[0]);
    // Half of what it may hold ends a part, however long that might take.
    assert!(target.rounds.iter().all(|part| part.operations == 8), "{:?}", target.rounds);
    assert_eq!((target.verdict.trimmed, target.verdict.acknowledged), (48, 1), "{:?}", target.verdict);
}

#[tokio::test]
async fn a_ladder_ends_with_the_highest_rate_that_held() {
    let (result, _) = run_on_memory(
        "[[case]]\nname = \"ladder\"\nload.ladder = { p99_us_max = 1e6, first_per_second = 50, steps_max = 3, factor = 2 }\n",
    )
    .await;
    let ladder = only(&result.cases[0]).ladder.as_ref().expect("a ladder");
    assert!(ladder.steps.windows(2).all(|pair| pair[0].per_second < pair[1].per_second), "{ladder:?}");
    assert_eq!(ladder.steps.len(), 3);
    let held = ladder.steps.iter().filter(|step| step.held).map(|step| step.per_second);
    assert_eq!(ladder.highest_per_second, held.reduce(f64::max));
}

#[tokio::test]
async fn phases_that_hurt_no_node_run_on_any_store() {
    let (result, _) = run_on_memory(
        "[[case]]\nname = \"takeover\"\nload.phase = { kind = \"takeover_idle\" }\n\
         [[case]]\nname = \"trim\"\nload.phase = { kind = \"trim\" }\n\
         [[case]]\nname = \"reads\"\nload.phase = { kind = \"catch_up\", older = \"1MiB\" }\n",
    )
    .await;
    let phase = |case: &CaseResult| only(case).phase.clone().expect("a phase");
    let [takeover, trim, reads] = [0, 1, 2].map(|index| phase(&result.cases[index]));
    assert!(takeover.healthy.is_empty() && trim.healthy.len() == 2 && reads.healthy.len() == 2);
    assert!(only(&result.cases[0]).rounds.iter().all(|part| part.operations > 0 && part.failed == 0));
    let figure = |phase: &crate::result::PhaseResult, name: &str| {
        let found = phase.figures.iter().find(|figure| figure.name.starts_with(name));
        found.unwrap_or_else(|| panic!("{name}: {phase:?}")).rounds.clone()
    };
    let (whole, open) = (figure(&takeover, "from the call of open"), figure(&takeover, "of that, open alone"));
    assert!(whole.iter().zip(&open).all(|(whole, open)| whole > open && *open > 0.0), "{takeover:?}");
    assert!(figure(&trim, "trimmed meanwhile").iter().all(|chunks| *chunks > 0.0));
    assert!(figure(&reads, "read meanwhile").iter().all(|rate| *rate > 0.0));
    assert_eq!(figure(&reads, "p99 over healthy p99").len(), 2);
}
