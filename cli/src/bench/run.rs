//! `quarry bench run`.

use super::run_args::BenchRunArgs;
use super::{make_directory, outputs, result_text};
use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use crate::{doctor, progress};
use indicatif::ProgressBar;
use quarry_bench::engine::{self, EngineError, EngineSetup, Progress};
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
    let (mut result, failed) = result.map_err(|why| failure(&why, &why.to_string()))?;
    result.environment = doctor::environment(&args.dir);
    // Printed and judged whether it can be written or not.
    output.print(&result, result_text::text);
    let written = args.out.as_ref().map_or(Ok(()), |out| outputs::to_directory(&result, out));
    let ran = failed.map_or(Ok(Health::Good), |why| {
        Err(failure(&why, &format!("{why}: the cases after the last one above were not run")))
    });
    worst(vec![outputs::verdict(&result).map(|()| Health::Good), ran, written.map(|()| Health::Good)])
}

fn failure(why: &EngineError, told: &str) -> Failure {
    if matches!(why, EngineError::Lost { .. }) { Failure::lost(told) } else { Failure::new(told) }
}

/// The first that lost chunks, or else the first that failed; the others are told, too.
fn worst(outcomes: Vec<Result<Health, Failure>>) -> Result<Health, Failure> {
    let (lost, others): (Vec<_>, Vec<_>) = outcomes.into_iter().filter_map(Result::err).partition(Failure::is_lost);
    let mut failures = lost.into_iter().chain(others);
    let Some(first) = failures.next() else { return Ok(Health::Good) };
    failures.for_each(|failure| say(&format!("error: {}", failure.message())));
    Err(first)
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

fn not_written(path: &Path, why: &std::io::Error) -> Failure {
    Failure::new(format!("--out {}: {why}: choose another", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full disk for the files, or a node that is away, must not hide that chunks are lost.
    #[test]
    fn lost_chunks_come_before_everything_else() {
        let lost = || Err(Failure::lost("lost"));
        let other = |why: &str| Err(Failure::new(why));
        assert_eq!(worst(vec![Ok(Health::Good), Ok(Health::Good)]), Ok(Health::Good));
        assert_eq!(worst(vec![Ok(Health::Good), other("a node"), other("a disk")]), other("a node"));
        assert_eq!(worst(vec![Ok(Health::Good), lost(), other("a disk")]), lost());
        assert_eq!(worst(vec![other("a disk"), lost(), Ok(Health::Good)]), lost());
        let why = EngineError::Lost { lost: "3".to_owned(), why: "a node".to_owned() };
        assert!(failure(&why, "3").is_lost());
        assert!(!failure(&EngineError::Empty { case: "x".to_owned() }, "x").is_lost());
    }
}
