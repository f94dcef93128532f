//! Records which git revision is built, so that a report can say what it measured.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}

fn main() {
    let revision = match git(&["rev-parse", "HEAD"]) {
        None => "unknown".to_owned(),
        Some(revision) => match git(&["status", "--porcelain", "--untracked-files=no"]) {
            Some(changes) if changes.is_empty() => revision,
            _ => format!("{revision}-dirty"),
        },
    };
    println!("cargo::rustc-env=QUARRY_GIT_REVISION={revision}");
    println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    println!("cargo::rerun-if-changed=../.git/index");
}
