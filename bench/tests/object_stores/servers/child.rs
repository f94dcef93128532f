//! A server that is a process of its own: started, waited for, and killed by its own id when it is dropped.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a server may take to say where it listens: some read thousands of small files first, beside other tests.
const START_TIMEOUT: Duration = Duration::from_mins(4);
/// What precedes a server's address where it says it.
const ADDRESS_BEGINS: &str = "http://127.0.0.1:";

/// A running server.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(super) endpoint: String,
}

impl ServerProcess {
    /// Starts a program of `target/test-servers` and waits until it has printed `listening` and its address in one line.
    pub(super) fn start(program: &str, arguments: &[&str], listening: &str) -> Self {
        let path = installed(program);
        // It dies with this process, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(&path).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("starting {} through setpriv (Debian's util-linux): {error}", path.display());
        });
        let (send, said) = mpsc::channel();
        for output in [
            Box::new(child.stdout.take().expect("a pipe")) as Box<dyn Read + Send>,
            Box::new(child.stderr.take().expect("a pipe")),
        ] {
            let send = send.clone();
            // To its end, or the server would wait for room in the pipe.
            std::thread::spawn(move || {
                BufReader::new(output).lines().map_while(Result::ok).for_each(|line| drop(send.send(line)));
            });
        }
        drop(send);
        let mut process = Self { child, endpoint: String::new() };
        let mut heard = Vec::new();
        while let Ok(line) = said.recv_timeout(START_TIMEOUT) {
            if let Some(endpoint) = line.contains(listening).then(|| endpoint_in(&line)).flatten() {
                process.endpoint = endpoint;
                return process;
            }
            heard.push(line);
        }
        panic!(
            "{} did not say within {START_TIMEOUT:?} where it listens; it said:\n{}",
            path.display(),
            heard.join("\n")
        );
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that `deploy/test-servers/install` installs.
fn installed(program: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace");
    let dir = std::env::var_os("TEST_SERVERS_DIR").map_or_else(|| root.join("target/test-servers"), PathBuf::from);
    let path = dir.join(program);
    assert!(path.exists(), "{} is not there: run deploy/test-servers/install (make test does)", path.display());
    path
}

fn endpoint_in(line: &str) -> Option<String> {
    let rest = &line[line.find(ADDRESS_BEGINS)? + ADDRESS_BEGINS.len()..];
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!port.is_empty()).then(|| format!("{ADDRESS_BEGINS}{port}"))
}

#[test]
fn an_address_is_found_in_what_a_server_says() {
    let found = endpoint_in(" * Running on http://127.0.0.1:44241 (Press CTRL+C)");
    assert_eq!(found.as_deref(), Some("http://127.0.0.1:44241"));
    assert_eq!(endpoint_in("listening on http://127.0.0.1:"), None);
}
