//! Runs of the command that serve until they are told to stop.

use crate::running::{command, directory, is_running, signal, text};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a process may take until it serves.
const READY_PATIENCE: Duration = Duration::from_mins(2);
/// How often a cluster is started that finds its ports taken.
const START_ATTEMPTS: usize = 5;
/// How long a process may take to stop: what `quarry dev` grants its nodes, and some.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// `quarry start` or `quarry dev`, killed when it is dropped.
pub(crate) struct Serving {
    child: Child,
    /// The first line that it printed.
    pub(crate) first_line: String,
    /// What it prints from then on.
    lines: Option<mpsc::Receiver<String>>,
    rest: mpsc::Receiver<String>,
}

/// How a process ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl Serving {
    /// Starts the command and waits for its first line.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::try_start(arguments).unwrap_or_else(|said| panic!("{arguments:?} does not serve: {said}"))
    }

    /// The same; what it said if it does not serve.
    fn try_start(arguments: &[&str]) -> Result<Self, String> {
        let mut child = command(arguments).stdout(Stdio::piped()).spawn().expect("quarry runs");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let (say_line, lines) = mpsc::channel();
        let (say_rest, rest) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| say_line.send(line))
        });
        thread::spawn(move || {
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said);
            say_rest.send(said)
        });
        match lines.recv_timeout(READY_PATIENCE) {
            Ok(line) if !line.starts_with("{\"error\"") => {
                Ok(Self { child, first_line: line, lines: Some(lines), rest })
            }
            failed => {
                let _ = child.kill();
                let _ = child.wait();
                Err(format!("{failed:?}; {}", rest.recv().unwrap_or_default()))
            }
        }
    }

    /// The next line that it prints.
    pub(crate) fn next_line(&mut self) -> String {
        let lines = self.lines.as_ref().expect("its output is still read");
        lines.recv_timeout(READY_PATIENCE).unwrap_or_else(|_| {
            let _ = self.child.kill();
            panic!("it says nothing more: {}", self.rest.recv_timeout(STOP_PATIENCE).unwrap_or_default())
        })
    }

    /// Closes the pipe that it prints to, at the next line that it prints.
    pub(crate) fn stop_reading(&mut self) {
        self.lines = None;
    }

    /// Its first line, as JSON.
    pub(crate) fn ready(&self) -> Value {
        let ready: Value = serde_json::from_str(&self.first_line).expect("the first line is JSON");
        assert_eq!(ready["event"], "ready", "{ready}");
        ready
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and waits for its end.
    pub(crate) fn stop(self) -> Ended {
        self.stop_with("TERM")
    }

    /// The same with another signal.
    pub(crate) fn stop_with(mut self, name: &str) -> Ended {
        signal(self.id(), name);
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                let stderr = self.rest.recv_timeout(STOP_PATIENCE).expect("standard error ends with the process");
                return Ended { code: status.code(), stderr };
            }
            assert!(since.elapsed() < STOP_PATIENCE, "process {} did not stop within {STOP_PATIENCE:?}", self.id());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it with `SIGKILL`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a running child can be killed");
        self.child.wait().expect("a killed child ends");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A local cluster, as `quarry dev` runs it, in a directory that goes with it.
pub(crate) struct Dev {
    pub(crate) serving: Serving,
    pub(crate) url: String,
    pub(crate) nodes: Vec<DevNode>,
    pub(crate) dir: TempDir,
}

/// A node of it.
pub(crate) struct DevNode {
    pub(crate) id: u32,
    pub(crate) data: PathBuf,
}

impl Dev {
    pub(crate) fn start(nodes: usize) -> Self {
        let dir = directory();
        let serving = Self::serve(dir.path(), nodes, &["--json"]);
        let ready = serving.ready();
        let url = ready["store"].as_str().expect("a URL").to_owned();
        let nodes = ready["nodes"].as_array().expect("nodes").iter().map(|node| DevNode {
            id: u32::try_from(node["pid"].as_u64().expect("a process id")).expect("process ids are small"),
            data: node["data"].as_str().expect("a directory").into(),
        });
        Self { nodes: nodes.collect(), serving, url, dir }
    }

    /// `quarry dev` with small nodes.
    pub(crate) fn serve(dir: &Path, nodes: usize, more: &[&str]) -> Serving {
        let count = nodes.to_string();
        let arguments = ["dev", "--nodes", &count, "--capacity", "96MiB", "--file-size", "16MiB", "--dir", text(dir)];
        let arguments = [&arguments, more].concat();
        // Ports are chosen before they are listened on: another process may be faster.
        for _ in 1..START_ATTEMPTS {
            match Serving::try_start(&arguments) {
                Err(said) if said.contains("Address already in use") => {}
                other => return other.unwrap_or_else(|said| panic!("{arguments:?} does not serve: {said}")),
            }
        }
        Serving::start(&arguments)
    }

    /// Kills one node, and waits for its end.
    pub(crate) fn kill(&self, node: usize) {
        let id = self.nodes[node].id;
        signal(id, "KILL");
        wait_for_end(id);
    }

    /// Its name.
    pub(crate) fn cluster(&self) -> &str {
        let (before, _) = self.url.split_once('?').expect("a store of nodes names a register");
        before.rsplit_once('/').expect("a store of nodes names its cluster").1
    }

    /// Where its register lies.
    pub(crate) fn register(&self) -> PathBuf {
        self.dir.path().join("register")
    }
}

/// Waits until a process, which need not be a child, has ended.
pub(crate) fn wait_for_end(process: u32) {
    let since = Instant::now();
    while is_running(process) {
        assert!(since.elapsed() < STOP_PATIENCE, "process {process} still runs after {STOP_PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
