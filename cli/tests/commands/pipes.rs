//! Readers that go away, as in `quarry status | head -1`: no failure, and no way for a failure to end with 0.

use crate::process::Dev;
use crate::running::{Ran, command, directory, finish, quarry_fed};
use std::fs::File;
use std::io::{Read, pipe};
use std::process::Stdio;

/// A pipe's end for a child to write to that nobody reads from.
fn unread() -> Stdio {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Runs with a standard output that nobody reads.
fn unheard(arguments: &[&str]) -> Ran {
    finish(command(arguments).stdout(unread()), Vec::new())
}

#[test]
fn a_failure_stays_one_when_nobody_reads_it() {
    let dir = directory();
    let url = format!("quarry://127.0.0.1:1/c?register=dir:{}", dir.path().display());
    for (arguments, code) in [
        (["doctor", "--data", "/proc"].as_slice(), 2),
        (&["doctor", "--data", "/proc", "--json"], 2),
        (&["status", "--store", &url], 2),
        (&["log", "tail", "x", "--store", &url, "--json"], 2),
        (&["log", "tail", "x", "--json"], 3),
        (&["frobnicate", "--json"], 3),
        (&["log", "ls", "--store", "memory://pipes", "--json"], 0),
        (&["--help"], 0),
    ] {
        unheard(arguments).ends_with(code);
        // Standard error too: `quarry ... 2>&1 | head -1`.
        finish(command(arguments).stdout(unread()).stderr(unread()), Vec::new()).ends_with(code);
    }
}

#[test]
fn a_standard_output_that_fails_is_a_failure() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("Linux has it"));
    let ran = finish(command(&["log", "ls", "--store", "memory://p", "--json"]).stdout(full()), Vec::new());
    ran.refuses(2, &["standard output", "No space left"]);
}

#[test]
fn reading_ends_quietly_with_its_reader() {
    let dev = Dev::start(1);
    quarry_fed(&["log", "append", "p", "--store", &dev.url], &vec![1; 8 << 20]).ends_with(0);
    let read = ["log", "read", "p", "--store", &dev.url];
    let quiet = unheard(&read).ends_with(0);
    assert_eq!(quiet.stderr, "");
    unheard(&[&read[..], &["--json"]].concat()).ends_with(0);

    let mut child = command(&read).stdout(Stdio::piped()).spawn().expect("quarry runs");
    let mut head = [0; 1000];
    child.stdout.take().expect("stdout is piped").read_exact(&mut head).expect("its beginning");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));

    // What failed before anything was printed still fails.
    unheard(&["log", "read", "p", "--from", "100000", "--store", &dev.url]).refuses(2, &["above the tail"]);
    dev.kill(0);
    unheard(&["status", "--store", &dev.url]).ends_with(2);
}
