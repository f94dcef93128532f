//! The receipt of a large run: what was run, from which revision, what went wrong in it on purpose, and how it ended.

use crate::oracle::Counts;
use crate::seeds::Total;
use std::fmt::Write;
use std::process::Command;

/// The revision of a clean tree. A receipt of anything else would say nothing.
pub(crate) fn clean_revision() -> Result<String, String> {
    let changes = git(&["status", "--porcelain"])?;
    if !changes.is_empty() {
        return Err(format!(
            "the tree has changes that are not committed, so there is no revision to certify:\n{changes}"
        ));
    }
    git(&["rev-parse", "HEAD"])
}

fn git(arguments: &[&str]) -> Result<String, String> {
    let ran = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let ran = ran.map_err(|why| format!("git {arguments:?}: {why}"))?;
    if !ran.status.success() {
        return Err(format!("git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr)));
    }
    Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
}

/// The receipt, as Markdown.
pub(crate) fn receipt(revision: &str, (from, steps): (u64, u64), total: &Total, seconds: f64) -> String {
    let mut text = String::new();
    let verdict = if total.failures.is_empty() { "no seed failed" } else { "SEEDS FAILED" };
    let rate = 2.0 * total.steps as f64 / seconds;
    let last = from + total.seeds - 1;
    let _ = writeln!(text, "# Simulation receipt\n");
    let _ = writeln!(text, "| | |\n|---|---|");
    let _ = writeln!(text, "| outcome | {verdict} |");
    let _ = writeln!(text, "| revision | `{revision}` |");
    let _ = writeln!(text, "| seeds | {} ({from} to {last}), each run twice with equal traces |", total.seeds);
    let _ = writeln!(text, "| of them beyond what must be survived | {} |", total.beyond);
    let _ = writeln!(text, "| steps of the faulty phase, per run | {steps} |");
    let _ = writeln!(text, "| steps in all | 2 x {} |", total.steps);
    let _ = writeln!(text, "| simulated hours | 2 x {:.1} |", total.micros as f64 / 3.6e9);
    let _ = writeln!(text, "| wall clock | {seconds:.0} s, {rate:.0} steps a second |");
    let debug = if cfg!(debug_assertions) { "on" } else { "off" };
    let _ = writeln!(text, "| debug assertions | {debug} |\n");
    let _ = writeln!(text, "## What was done\n\n| | |\n|---|---|");
    for (what, count) in done(&total.counts) {
        let _ = writeln!(text, "| {what} | {count} |");
    }
    let _ = writeln!(text, "\n## Faults injected\n\n| fault | times |\n|---|---|");
    for (kind, count) in total.faults.iter() {
        let _ = writeln!(text, "| {kind} | {count} |");
    }
    if !total.failures.is_empty() {
        let seeds: Vec<u64> = total.failures.iter().map(|failure| failure.seed).collect();
        let _ = writeln!(text, "\nFailed seeds: {seeds:?}");
    }
    text
}

fn done(counts: &Counts) -> [(&'static str, u64); 14] {
    [
        ("chunks acknowledged", counts.acknowledged),
        ("chunks given to readers", counts.read),
        ("takeovers", counts.takeovers),
        ("rotations", counts.rotations),
        ("repairs", counts.repairs),
        ("copies made by repairs", counts.copies),
        ("copies freed", counts.freed),
        ("stalls at a boundary in doubt", counts.stalls),
        ("takeovers that failed and said so", counts.failed_opens),
        ("trims", counts.trims),
        ("deletions", counts.deletions),
        ("replays", counts.replays),
        ("identities retired", counts.retired),
        ("starts refused", counts.starts_refused),
    ]
}
