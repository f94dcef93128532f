//! `quarry bench run`.

use super::run_args::BenchRunArgs;
use super::{make_directory, outputs, result_text};
use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use crate::{doctor, progress};
use indicatif::ProgressBar;
use quarry_bench::engine::{self, EngineSetup, Progress};
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
    let (mut result, failed) = result?;
    result.environment = doctor::environment(&args.dir);
    if let Some(out) = &args.out {
        outputs::to_directory(&result, out)?;
    }
    output.print(&result, result_text::text);
    outputs::verdict(&result)?;
    match failed {
        None => Ok(Health::Good),
        Some(why) => Err(Failure::new(format!("{why}: the cases after the last one above were not run"))),
    }
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
