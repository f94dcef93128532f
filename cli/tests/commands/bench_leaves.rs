//! What `quarry bench run` leaves behind when it does not get to its end: nothing of its own, and everything that was there.

use crate::running::{command, directory, is_running, quarry, signal, text};
use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long something may take that happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Nodes, and a case that goes on until it is stopped.
const SUITE: &str = r#"
name = "long"
rounds = 1
part_seconds = 3600
[[target]]
name = "nodes"
nodes = { count = 3, capacity = "256MiB", file_size = "16MiB", warm_up = 0 }
[[case]]
name = "closed"
load.closed.depth = 1
baseline = false
"#;

/// A directory with the suite, and one for files, in which somebody's own file lies.
fn prepared(suite: &str) -> (tempfile::TempDir, [String; 2]) {
    let dir = directory();
    let (file, files) = (dir.path().join("suite.toml"), dir.path().join("files"));
    fs::write(&file, suite).expect("writes");
    fs::create_dir(&files).expect("makes");
    fs::write(files.join("mine"), "mine").expect("writes");
    let paths = [text(&file).to_owned(), text(&files).to_owned()];
    (dir, paths)
}

fn entries(dir: &str) -> Vec<String> {
    let names = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

/// Waits until `look` sees something.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(LOOK_EVERY);
    }
}

/// The processes that `parent` has started and that run.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("a directory").flatten();
    let processes = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let of_parent = |process: &u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let field = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1).map(str::to_owned));
        field == Some(parent.to_string()) && is_running(*process)
    };
    processes.filter(of_parent).collect()
}

/// The logs of all three nodes are there once all of them were started, and no part of the run ends by itself.
fn all_serve(run: &mut Child, files: &str) -> Option<Vec<u32>> {
    assert!(run.try_wait().expect("a child").is_none(), "it ended by itself");
    let own = entries(files).into_iter().find(|name| name.starts_with("run-"))?;
    let served = |node: u32| Path::new(files).join(&own).join(format!("nodes-0/node-{node}.listen")).exists();
    (1..=3).all(served).then(|| children(run.id()))
}

#[test]
fn an_interrupted_run_takes_its_nodes_and_files_with_it() {
    let (_dir, [suite, files]) = prepared(SUITE);
    let mut run = command(&["bench", "run", &suite, "--dir", &files]).spawn().expect("quarry runs");
    let nodes = wait_for("nodes that serve", || all_serve(&mut run, &files));
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    signal(run.id(), "INT");
    let status = wait_for("its end", || run.try_wait().expect("a child"));
    assert_eq!(status.code(), Some(2), "{status}");
    assert_eq!(entries(&files), ["mine"]);
    wait_for("the nodes' end", || nodes.iter().all(|node| !is_running(*node)).then_some(()));
}

#[test]
fn a_run_that_fails_takes_its_files_with_it() {
    let other = "[[target]]\nname = \"no directory\"\nurl = \"file:///proc/no/such/place\"\n[[case]]";
    let (_dir, [suite, files]) = prepared(&SUITE.replacen("[[case]]", other, 1));
    quarry(&["bench", "run", &suite, "--dir", &files]).refuses(2, &["no directory"]);
    assert_eq!(entries(&files), ["mine"]);
}
