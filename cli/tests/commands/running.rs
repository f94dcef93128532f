//! Runs of the command that end by themselves.

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The command under test.
pub(crate) const QUARRY: &str = env!("CARGO_BIN_EXE_quarry");
/// How long a run may take. Ample: what is slow here is a loaded machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A directory beside the build: `/tmp` may be a tmpfs, which has no Direct IO.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("commands-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// Bytes of which no eight in a row are found twice, the same in every run.
pub(crate) fn distinct_bytes(count: usize) -> Vec<u8> {
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.extend(word.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

/// The command, without any setting of whoever runs the tests.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(QUARRY);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("QUARRY_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    /// Fails unless it ended with `code`.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", String::from_utf8_lossy(&self.stdout), self.stderr);
        self
    }

    /// Fails unless it ended with `code`, an error, and named each of `parts`.
    #[track_caller]
    pub(crate) fn refuses(self, code: i32, parts: &[&str]) -> Self {
        let ran = self.ends_with(code);
        assert!(ran.stderr.contains("error: "), "it says nothing of an error: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{part:?} is not named: {}", ran.stderr);
        }
        ran
    }

    /// What it printed, as text.
    #[track_caller]
    pub(crate) fn out(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text is UTF-8")
    }

    /// What it printed: one line of JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let mut lines = self.json_lines();
        assert_eq!(lines.len(), 1, "one line of JSON: {}", self.out());
        lines.remove(0)
    }

    /// What it printed: lines of JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|why| panic!("not JSON, {why}: {line}"));
        self.out().lines().map(parse).collect()
    }
}

/// Runs the command with nothing on its standard input.
#[track_caller]
pub(crate) fn quarry(arguments: &[&str]) -> Ran {
    finish(&mut command(arguments), Vec::new())
}

/// Runs the command with `input` on its standard input.
#[track_caller]
pub(crate) fn quarry_fed(arguments: &[&str], input: &[u8]) -> Ran {
    finish(command(arguments).stdin(Stdio::piped()), input.to_vec())
}

/// Runs a prepared command to its end. One that takes too long is killed.
#[track_caller]
pub(crate) fn finish(command: &mut Command, input: Vec<u8>) -> Ran {
    let mut child = command.spawn().expect("quarry runs");
    let id = child.id();
    let feeder = child.stdin.take().map(|mut stdin| {
        thread::spawn(move || {
            // A command that refuses does not read.
            let _ = stdin.write_all(&input);
        })
    });
    let output = end_of(child).unwrap_or_else(|| {
        signal(id, "KILL");
        panic!("{command:?} did not end within {PATIENCE:?}");
    });
    feeder.into_iter().for_each(|feeder| feeder.join().expect("feeding does not panic"));
    let stderr = String::from_utf8(output.stderr).expect("errors are UTF-8");
    Ran { code: output.status.code(), stdout: output.stdout, stderr }
}

/// What a process left, unless it takes too long.
fn end_of(child: Child) -> Option<Output> {
    let (said, heard) = mpsc::channel();
    thread::spawn(move || said.send(child.wait_with_output().expect("a child can be waited for")));
    heard.recv_timeout(PATIENCE).ok()
}

/// Sends the named signal to a process that a test started.
pub(crate) fn signal(process: u32, name: &str) {
    let done = Command::new("kill").args(["-s", name, &process.to_string()]).status().expect("kill runs");
    assert!(done.success(), "kill -s {name} {process}");
}

/// Whether a process runs. One that has ended and was not waited for does not.
pub(crate) fn is_running(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Strings of a JSON array.
#[track_caller]
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    let array = value.as_array().unwrap_or_else(|| panic!("not an array: {value}"));
    array.iter().map(|entry| entry.as_str().unwrap_or_else(|| panic!("not a string: {entry}"))).collect()
}

/// Fails unless `value` has every one of `fields`, null or not.
#[track_caller]
pub(crate) fn has_fields(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "no field {field:?}: {value}");
    }
}
