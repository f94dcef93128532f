//! `quarry doctor`: whether this machine and disk are fit for a storage node.

mod checks;
mod finding;
mod processes;

use crate::args::DoctorArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::table::table;
use finding::{Finding, Severity};
use quarry_bench::environment::{DiskFacts, DoctorFinding, Environment};
use serde_json::json;
use std::path::{Path, PathBuf};

pub(crate) fn run(args: &DoctorArgs, output: Output) -> Result<Health, Failure> {
    let dir = nearest_directory(&args.data)?;
    let disk = DiskFacts::of(&dir);
    let findings = examine(&dir, &disk);
    let worst = findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok);
    let value = json!({ "data": args.data, "examined": dir, "verdict": worst, "disk": disk, "checks": findings });
    output.print(&value, |_| text(&dir, worst, &findings));
    Ok(match worst {
        Severity::Ok => Health::Good,
        Severity::Unknown | Severity::Warning => Health::Warning,
        Severity::Bad => Health::Unhealthy,
    })
}

fn examine(dir: &Path, disk: &DiskFacts) -> [Finding; 11] {
    [
        processes::io_uring(),
        processes::memlock(),
        processes::open_files(),
        processes::kernel(),
        checks::file_system(disk),
        checks::direct_writes(dir),
        checks::free_space(dir),
        checks::alignment(disk),
        checks::write_cache(disk),
        checks::scheduler(disk),
        checks::rotational(disk),
    ]
}

/// This machine and the disk of `dir`, with what the doctor says of both: what a benchmark's figures mean nothing without.
pub(crate) fn environment(dir: &Path) -> Environment {
    let environment = Environment::of(dir);
    let findings = examine(dir, &environment.disk).map(|finding| DoctorFinding {
        code: finding.code.to_owned(),
        severity: finding.severity.to_string(),
        current: finding.current,
    });
    Environment { doctor: findings.to_vec(), ..environment }
}

/// `dir`, or the nearest directory above it that is there: what will hold a directory not made yet.
fn nearest_directory(dir: &Path) -> Result<PathBuf, Failure> {
    let absolute =
        std::path::absolute(dir).map_err(|why| Failure::usage(format!("--data {}: {why}", dir.display())))?;
    let found = absolute.ancestors().find(|ancestor| ancestor.is_dir()).map(Path::to_path_buf);
    found.ok_or_else(|| Failure::usage(format!("--data {}: no directory there or above", dir.display())))
}

fn text(dir: &Path, worst: Severity, findings: &[Finding]) -> String {
    let verdict = match worst {
        Severity::Ok => "fit for a storage node",
        Severity::Unknown => "nothing wrong was found, but not everything could be found out",
        Severity::Warning => "works, with shortcomings",
        Severity::Bad => "NOT fit for a storage node",
    };
    let rows = findings.iter().map(|finding| {
        let text = |text: &str| text.to_owned();
        let fix = if finding.severity == Severity::Ok { "" } else { &finding.fix };
        let severity = finding.severity.to_string();
        [text(finding.code), text(finding.check), finding.current.clone(), text(finding.wanted), severity, text(fix)]
    });
    format!(
        "{}: {verdict}\n\n{}",
        dir.display(),
        table(["CODE", "CHECK", "CURRENT", "WANTED", "SEVERITY", "FIX"], rows)
    )
}
