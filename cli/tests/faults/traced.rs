//! A trace of real processes for the specification: three nodes, two clients, a kill, a takeover. What each process notes of
//! its steps is put in one order and written as the module `TraceData`, which `tla/run trace` judges.

use crate::cluster::{Cluster, QUARRY};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

const LOG: &str = "orders";
const CHUNK_BYTES: usize = 1024;
/// Small, so that it fills up.
const WINDOW: u32 = 4;
const PATIENCE: Duration = Duration::from_mins(1);

/// A client process that appends what it is given.
struct Appender {
    process: Child,
    input: Option<ChildStdin>,
    said: PathBuf,
}

impl Appender {
    fn start(cluster: &Cluster, said: &Path) -> Self {
        let mut process = Command::new(QUARRY)
            .args(["log", "append", LOG, "--chunk-size", &CHUNK_BYTES.to_string(), "--window", &WINDOW.to_string()])
            .args(["--store", &cluster.url()])
            .env("QUARRY_LOG", "quarry::action=trace")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(said).expect("a log file"))
            .spawn()
            .expect("quarry runs");
        let input = process.stdin.take();
        Self { process, input, said: said.to_owned() }
    }

    fn give(&mut self, chunks: usize) {
        for chunk in 0..chunks {
            let bytes: Vec<u8> = (0..CHUNK_BYTES).map(|at| (chunk * 31 + at) as u8).collect();
            // A writer that was fenced does not read any more.
            let _ = self.input.as_mut().expect("open").write_all(&bytes);
        }
    }

    fn wait_for(&self, commits: usize) {
        wait_for(&self.said, "Commit", commits);
    }

    /// Ends the input; whether the client was content.
    fn finish(mut self) -> bool {
        self.input = None;
        self.process.wait().expect("a child ends").success()
    }
}

/// Runs a command of the client to its end.
fn run(cluster: &Cluster, arguments: &[&str], said: &Path) {
    let status = Command::new(QUARRY)
        .args(arguments)
        .args(["--store", &cluster.url()])
        .env("QUARRY_LOG", "quarry::action=trace")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(said).expect("a log file"))
        .status()
        .expect("quarry runs");
    assert!(status.success(), "{arguments:?}: {}", std::fs::read_to_string(said).unwrap_or_default());
}

/// Waits until a process has noted an action this many times.
fn wait_for(said: &Path, name: &str, wanted: usize) {
    let since = Instant::now();
    let count = || noted(said).iter().filter(|line| line.contains(&format!("|-> \"{name}\""))).count();
    while count() < wanted {
        let all = || std::fs::read_to_string(said).unwrap_or_default();
        assert!(since.elapsed() < PATIENCE, "{} of {wanted} times {name}: {}", count(), all());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The lines of a process that note actions, each with its timestamp.
fn noted(said: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(said).unwrap_or_default();
    let is_whole = |line: &&str| line.contains("quarry::action: [a |->") && line.ends_with(']');
    text.lines().filter(is_whole).map(str::to_owned).collect()
}

/// Timestamp and action of a line.
fn parts(line: &str) -> (String, String) {
    let (before, action) = line.split_once("quarry::action: ").expect("looked for");
    (before.split_whitespace().next().expect("a timestamp").to_owned(), action.to_owned())
}

fn field<'a>(action: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = action.split_once(&format!("{name} |-> \""))?;
    after.split('"').next()
}

/// Appends that a kill cut short are noted by nobody: the kill is.
fn with_crash(node: &Path, lines_before: usize) -> Vec<(String, String)> {
    let mut all: Vec<_> = noted(node).iter().map(|line| parts(line)).collect();
    let (at, last) = all[lines_before - 1].clone();
    let (log, replica) = (field(&last, "log").expect("a log"), field(&last, "replica").expect("a replica"));
    let crash = format!("[a |-> \"Crash\", log |-> \"{log}\", replica |-> \"{replica}\"]");
    all.insert(lines_before, (at, crash));
    all
}

fn count(trace: &[(String, String)], name: &str) -> usize {
    trace.iter().filter(|(_, action)| action.starts_with(&format!("[a |-> \"{name}\","))).count()
}

/// P1 to P9 as real processes keep them: what they noted is written for `make traces`, and is all there.
#[test]
fn the_steps_of_real_processes_are_noted() {
    let mut cluster = Cluster::traced(3);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("traces");
    std::fs::create_dir_all(&directory).expect("a directory");
    let said = |client: &str| directory.join(format!("{client}.log"));

    let mut first = Appender::start(&cluster, &said("first"));
    first.give(12);
    first.wait_for(12);
    // It may have connected later than the quorum.
    wait_for(&cluster.nodes[1].log(), "Store", 12);
    cluster.nodes[1].kill();
    let lines_before = noted(&cluster.nodes[1].log()).len();
    first.give(6);
    first.wait_for(18);
    cluster.nodes[1].start();
    let mut second = Appender::start(&cluster, &said("second"));
    second.give(5);
    second.wait_for(5);
    // The first one does not know yet.
    first.give(4);
    assert!(!first.finish(), "a fenced writer must not succeed");
    assert!(
        second.finish(),
        "the second client failed: {}",
        std::fs::read_to_string(said("second")).unwrap_or_default()
    );

    // A trim, and a reader of what is left.
    run(&cluster, &["log", "trim", LOG, "--below", "7"], &said("trim"));
    run(&cluster, &["log", "read", LOG], &said("read"));

    let mut trace = with_crash(&cluster.nodes[1].log(), lines_before);
    for said in
        [said("first"), said("second"), said("trim"), said("read"), cluster.nodes[0].log(), cluster.nodes[2].log()]
    {
        trace.extend(noted(&said).iter().map(|line| parts(line)));
    }
    // Steps of one process keep their order; those of several are ordered by the machine's clock.
    trace.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, least) in [
        ("Claim", 2),
        ("Open", 2),
        ("Commit", 23),
        ("Store", 46),
        ("AnswerFence", 2),
        ("Stop", 1),
        ("RaiseFloor", 1),
        ("Trim", 2),
        ("Read", 16),
    ] {
        assert!(count(&trace, name) >= least, "{} of {name}, at least {least}", count(&trace, name));
    }
    assert_eq!((count(&trace, "Crash"), count(&trace, "Restart")), (1, 1));
    write(&directory.join("processes.tla"), &trace);
    // The same with one answer missing that a recovery relied on: `make traces` expects this one to be rejected.
    let answer = trace.iter().position(|(_, action)| action.contains("\"AnswerFence\"")).expect("counted");
    trace.remove(answer);
    write(&directory.join("corrupted.tla"), &trace);
}

fn write(path: &Path, trace: &[(String, String)]) {
    let lines: Vec<_> = trace.iter().map(|(_, action)| format!("  {action}")).collect();
    let lines = lines.join(",\n");
    let module =
        format!("---- MODULE TraceData ----\nEXTENDS Integers\nWindow == {WINDOW}\nTrace == <<\n{lines}\n>>\n====\n");
    std::fs::write(path, module).expect("written");
}
