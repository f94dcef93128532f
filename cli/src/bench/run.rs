//! `quarry bench run`.

use super::make_directory;
use super::run_args::BenchRunArgs;
use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use crate::table::table;
use crate::{progress, units};
use indicatif::ProgressBar;
use quarry_bench::engine::{self, EngineSetup, Progress};
use quarry_bench::result::{BenchResult, CaseResult, CaseTarget, PartResult, Verdict};
use std::cell::RefCell;
use std::env;
use std::path::Path;

pub(super) async fn run(args: &BenchRunArgs, store: Option<String>, output: Output) -> Result<Health, Failure> {
    let suite = args.suite(store.as_ref())?;
    if args.print_suite {
        output.line(&suite.to_toml());
        return Ok(Health::Good);
    }
    make_directory(&args.dir)?;
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).map_err(|why| not_written(out, &why))?;
    }
    let setup = EngineSetup {
        binary: env::current_exe().map_err(|why| Failure::new(format!("where is this program? {why}")))?,
        dir: args.dir.clone(),
        command: env::args().collect(),
    };
    let bar = RefCell::new(ProgressBar::hidden());
    let result = engine::run(&suite, &setup, &|told| show(&bar, told)).await;
    bar.borrow().finish_and_clear();
    let result = result?;
    if let Some(out) = &args.out {
        write(&result, out)?;
    }
    output.print(&result, text);
    verdict(&result)
}

fn show(bar: &RefCell<ProgressBar>, told: Progress<'_>) {
    match told {
        Progress::Begin { name, steps } => {
            bar.borrow().finish_and_clear();
            bar.replace(progress::of_steps(steps as u64, name));
        }
        Progress::Step => bar.borrow().inc(1),
        Progress::Note(note) => bar.borrow().suspend(|| say(&format!("warning: {note}"))),
    }
}

fn write(result: &BenchResult, out: &Path) -> Result<(), Failure> {
    let path = out.join("result.json");
    let json = serde_json::to_string(result).expect("results have string keys and finite numbers");
    std::fs::write(&path, json).map_err(|why| not_written(&path, &why))
}

fn not_written(path: &Path, why: &std::io::Error) -> Failure {
    Failure::new(format!("--out {}: {why}: choose another", path.display()))
}

/// A figure of a run that lost a chunk is worth nothing: such a run fails.
fn verdict(result: &BenchResult) -> Result<Health, Failure> {
    let mut bad = Vec::new();
    for case in &result.cases {
        for CaseTarget { target, verdict, .. } in &case.targets {
            if !verdict.good() {
                let Verdict { acknowledged, different, missing, .. } = verdict;
                bad.push(format!(
                    "case {:?} on {:?}: of {acknowledged} acknowledged chunks {different} came back different and {missing} not at all",
                    case.name, result.targets[*target].name
                ));
            }
        }
    }
    if bad.is_empty() { Ok(Health::Good) } else { Err(Failure::new(format!("INTEGRITY: {}", bad.join("\n  ")))) }
}

/// The result as people read it.
fn text(result: &BenchResult) -> String {
    let rows = result.cases.iter().flat_map(|case| rows(result, case));
    table(["CASE", "TARGET", "P50", "P99", "P99 SERVICE", "PAYLOAD", "FAILED", "VERDICT"], rows)
}

fn rows(result: &BenchResult, case: &CaseResult) -> Vec<[String; 8]> {
    let baseline = case.baseline.iter().flat_map(|baseline| {
        [("raw device", &baseline.device), ("loopback", &baseline.loopback)]
            .map(|(name, parts)| row(&case.name, name, parts.iter().collect::<Vec<_>>().as_slice(), String::new()))
    });
    let targets = case.targets.iter().map(|of| {
        let name = &result.targets[of.target].name;
        let parts: Vec<_> = match &of.ladder {
            Some(ladder) => ladder
                .steps
                .iter()
                .filter(|step| Some(step.per_second) == ladder.highest_per_second)
                .map(|step| &step.part)
                .collect(),
            None => of.rounds.iter().collect(),
        };
        let verdict = if of.verdict.good() { "equal" } else { "NOT EQUAL" };
        row(&case.name, name, &parts, verdict.to_owned())
    });
    let figures =
        case.targets.iter().filter_map(|of| of.phase.as_ref()).flat_map(|phase| &phase.figures).map(|figure| {
            let name = format!("  {}", figure.name);
            let value = match figure.unit.as_str() {
                "us" => units::latency(figure.spread.median),
                unit => format!("{:.2} {unit}", figure.spread.median),
            };
            [name, String::new(), value, String::new(), String::new(), String::new(), String::new(), String::new()]
        });
    baseline.chain(targets).chain(figures).collect()
}

fn row(case: &str, name: &str, parts: &[&PartResult], verdict: String) -> [String; 8] {
    let (mut due, mut service) = (quarry_bench::latencies::Latencies::new(), quarry_bench::latencies::Latencies::new());
    for part in parts {
        due.merge(&part.from_due.latencies());
        service.merge(&part.from_service.latencies());
    }
    let (bytes, seconds) =
        parts.iter().fold((0, 0.0), |(bytes, seconds), part| (bytes + part.bytes, seconds + part.seconds));
    let rate = if seconds > 0.0 { bytes as f64 / f64::from(1 << 20) / seconds } else { 0.0 };
    [
        case.to_owned(),
        name.to_owned(),
        units::latency(due.quantile_us(0.5)),
        units::latency(due.quantile_us(0.99)),
        units::latency(service.quantile_us(0.99)),
        format!("{rate:.0} MiB/s"),
        parts.iter().map(|part| part.failed).sum::<u64>().to_string(),
        verdict,
    ]
}
