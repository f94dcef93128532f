//! Everything that is made of a result.

use super::{cost, result_text};
use crate::args::{BenchCostArgs, BenchReportArgs};
use crate::exit::{Failure, Health};
use crate::output::{Output, say};
use quarry_bench::result::{BenchResult, CaseTarget, Verdict, write_in_one_step};
use quarry_bench::{hgrm, html};
use std::path::Path;

/// `quarry bench report`: prints the table (or the result as JSON), writes the files asked for and says which.
pub(super) fn again(args: &BenchReportArgs, output: Output) -> Result<Health, Failure> {
    let result = &BenchResult::read(&args.result)?;
    output.print(result, result_text::text);
    if let Some(path) = &args.html {
        write_page(result, path, &args.cost)?;
    }
    if let Some(dir) = &args.hgrm {
        write_percentiles(result, dir)?;
    }
    verdict(result)?;
    Ok(Health::Good)
}

/// Everything there is of a result: `result.json`, `report.html` and `hgrm/`.
pub(super) fn to_directory(result: &BenchResult, dir: &Path) -> Result<(), Failure> {
    // First what everything else can be made from again.
    result.write(&dir.join("result.json"))?;
    write_page(result, &dir.join("report.html"), &BenchCostArgs::default())?;
    write_percentiles(result, &dir.join("hgrm"))
}

/// A figure of a run that lost a chunk is worth nothing: such a run fails.
pub(super) fn verdict(result: &BenchResult) -> Result<(), Failure> {
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
    if bad.is_empty() { Ok(()) } else { Err(Failure::lost(format!("INTEGRITY: {}", bad.join("\n  ")))) }
}

fn write_page(result: &BenchResult, path: &Path, args: &BenchCostArgs) -> Result<(), Failure> {
    let page = html::page(result, &cost::report(args)?);
    write_in_one_step(path, page.as_bytes()).map_err(|why| Failure::new(format!("{}: {why}", path.display())))?;
    say(&format!("wrote {}", path.display()));
    Ok(())
}

fn write_percentiles(result: &BenchResult, dir: &Path) -> Result<(), Failure> {
    let files = hgrm::write(result, dir).map_err(|why| Failure::new(format!("{}: {why}", dir.display())))?;
    say(&format!("wrote {} percentile files to {}", files.len(), dir.display()));
    Ok(())
}
