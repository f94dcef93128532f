//! The client's examples, as a newcomer runs them.

use crate::process::Dev;
use crate::running::{directory, text};
use std::path::PathBuf;
use std::process::Command;

/// Where cargo puts examples: beside the tests. `cargo test --workspace` builds them.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let built = test.parent().and_then(|deps| deps.parent()).expect("tests lie in a build").join("examples").join(name);
    assert!(built.exists(), "{} is not built: cargo build --examples -p quarry-client", built.display());
    built
}

/// The same program on nodes and on directories, with its writer killed on the way.
#[test]
fn a_channel_runs_on_any_store() {
    let dev = Dev::start(3);
    let dir = directory();
    for url in [dev.url.clone(), format!("file://{}", text(dir.path()))] {
        let ran = Command::new(example("channel")).arg(&url).output().expect("runs");
        let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success() && out.ends_with("CHANNEL OK\n"), "{url}: {out}\n{err}");
    }
}
