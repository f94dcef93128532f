//! One node process: formatted, started, watched, stopped.

use super::{LocalClusterPlan, ports};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::env;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a node may take until it serves. It replays its files first.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// How long a node may take to stop cleanly before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How many lines of a failed node's log an error quotes.
const LOG_LINES_QUOTED: usize = 12;

/// Why a node process could not be used.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The directory of the cluster.
    #[error("directory {}: {source}: choose another with --dir", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The process could not be started or waited for.
    #[error("node {node}: {what}: {source}")]
    Process {
        /// Its number, from 1.
        node: usize,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The process ended, or did not do what it should.
    #[error("node {node}: {why}; the end of {}:\n{quoted}", log.display())]
    Failed {
        /// Its number, from 1.
        node: usize,
        /// What happened.
        why: String,
        /// Where it writes what it has to say.
        log: PathBuf,
        /// The last lines of that.
        quoted: String,
    },
}

/// A node process of a [`super::LocalCluster`].
#[derive(Debug)]
pub struct LocalNode {
    number: usize,
    binary: PathBuf,
    data: PathBuf,
    cluster: String,
    zone: String,
    format_arguments: Vec<String>,
    start_arguments: Vec<String>,
    /// What it listens at.
    listen: String,
    /// What it is told to tell clients, if not that.
    advertised: Option<String>,
    /// What it tells clients.
    address: String,
    control: Option<String>,
    child: Option<Child>,
}

impl LocalNode {
    pub(super) fn new(number: usize, dir: &Path, plan: &LocalClusterPlan) -> Self {
        let data = dir.join(format!("node-{number}"));
        let listen = fs::read_to_string(data.with_extension("listen"))
            .map_or_else(|_| ports::choose(number), |text| text.trim().to_owned());
        let advertised = plan.advertised.get(number - 1).cloned();
        Self {
            number,
            binary: plan.binary.clone(),
            data,
            cluster: plan.cluster.clone(),
            zone: format!("zone-{}", (number - 1) % plan.zones + 1),
            format_arguments: plan.format_arguments.clone(),
            start_arguments: plan.start_arguments.clone(),
            address: advertised.clone().unwrap_or_else(|| listen.clone()),
            listen,
            advertised,
            control: None,
            child: None,
        }
    }

    /// Its number, from 1.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// `host:port` that clients reach its first shard by.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `host:port` that its first shard listens at.
    #[must_use]
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// `host:port` of its control plane, once it has served.
    #[must_use]
    pub fn control(&self) -> Option<&str> {
        self.control.as_deref()
    }

    /// Its zone.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where it writes what it has to say.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    pub(super) fn add_start_arguments(&mut self, arguments: &[String]) {
        self.start_arguments.extend_from_slice(arguments);
    }

    /// The command that starts it.
    #[must_use]
    pub fn start_command(&self) -> Vec<String> {
        let mut command = vec!["start".into(), "--data".into(), self.data.to_string_lossy().into_owned()];
        command.extend(["--listen".into(), self.listen.clone()]);
        if let Some(advertised) = &self.advertised {
            command.extend(["--advertise".into(), advertised.clone()]);
        }
        command.extend(self.start_arguments.iter().cloned());
        command
    }

    pub(super) async fn format_and_start(&mut self) -> Result<(), NodeError> {
        if !self.data.join("superblock").exists() {
            self.format().await?;
        }
        self.start().await
    }

    async fn format(&self) -> Result<(), NodeError> {
        let mut command = self.command()?;
        command.arg("format").arg("--data").arg(&self.data);
        command.args(["--cluster", &self.cluster, "--zone", &self.zone]).args(&self.format_arguments);
        let status = command.stdout(Stdio::null()).status().await.map_err(self.process("format"))?;
        if status.success() { Ok(()) } else { Err(self.failed(format!("`quarry format` ended with {status}"))) }
    }

    pub(super) async fn start(&mut self) -> Result<(), NodeError> {
        let mut command = self.command()?;
        command.args(self.start_command()).arg("--json").stdout(Stdio::piped());
        command.args(["--stop-with-parent", &std::process::id().to_string()]);
        let mut child = command.spawn().map_err(self.process("start"))?;
        let stdout = child.stdout.take().expect("stdout was asked to be piped");
        let mut lines = BufReader::new(stdout).lines();
        self.child = Some(child);
        match timeout(READY_WITHIN, next_ready(&mut lines)).await {
            Ok(Ok(Some(ready))) => self.note_ready(&ready)?,
            Ok(Ok(None)) => {
                let status = self.wait().await;
                return Err(self.failed(format!("it ended before it served, with {status}")));
            }
            Ok(Err(source)) => return Err(self.process("read its output")(source)),
            Err(_) => {
                self.kill().await?;
                return Err(self.failed(format!("it did not serve within {READY_WITHIN:?}, and was killed")));
            }
        }
        // Whatever else it prints is read and dropped, so that it never blocks on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(())
    }

    fn note_ready(&mut self, ready: &Value) -> Result<(), NodeError> {
        let text = |name: &str| ready.get(name).and_then(Value::as_str).map(str::to_owned);
        self.address =
            text("advertise").ok_or_else(|| self.failed(format!("it serves without an address: {ready}")))?;
        self.control = text("control");
        if self.advertised.is_none() {
            // The system may have chosen the port.
            self.listen = self.address.clone();
        }
        fs::write(self.data.with_extension("listen"), &self.listen).map_err(self.process("note its address"))
    }

    /// A command whose process ends with this one, and whose words go to the node's log.
    fn command(&self) -> Result<Command, NodeError> {
        let log =
            OpenOptions::new().create(true).append(true).open(self.log()).map_err(self.process("open its log"))?;
        let mut command = Command::new(&self.binary);
        // Settings that stand in this process's environment are not meant for its nodes.
        let settings = env::vars_os().map(|(name, _)| name).filter(|name| is_setting(&name.to_string_lossy()));
        settings.for_each(|name| {
            command.env_remove(name);
        });
        command.stdin(Stdio::null()).stderr(Stdio::from(log)).kill_on_drop(true);
        // A Ctrl-C reaches every process of the terminal's group: the nodes must end when their parent says so.
        command.process_group(0);
        Ok(command)
    }

    pub(super) async fn wait(&mut self) -> ExitStatus {
        let Some(child) = self.child.as_mut() else { return std::future::pending().await };
        let status = child.wait().await.expect("a child that was not reaped can be waited for");
        self.child = None;
        status
    }

    pub(super) async fn kill(&mut self) -> Result<ExitStatus, NodeError> {
        let failed = self.process("kill");
        if let Some(child) = self.child.as_mut() {
            child.start_kill().map_err(failed)?;
            return Ok(self.wait().await);
        }
        Err(self.failed("it does not run".to_owned()))
    }

    pub(super) async fn wipe(&mut self) -> Result<(), NodeError> {
        assert!(self.child.is_none(), "node {} runs", self.number);
        fs::remove_dir_all(&self.data).map_err(self.process("empty the data directory"))?;
        self.format().await
    }

    pub(super) fn check_running(&mut self) -> Result<(), NodeError> {
        let ended = match self.child.as_mut().map(Child::try_wait) {
            None | Some(Ok(None)) => return Ok(()),
            Some(Ok(Some(status))) => format!("it ended by itself, with {status}"),
            Some(Err(source)) => return Err(self.process("look after it")(source)),
        };
        self.child = None;
        Err(self.failed(ended))
    }

    pub(super) fn signal(&self, signal: Signal, what: &'static str) -> Result<(), NodeError> {
        let Some(pid) = self.process_id().and_then(|id| Pid::from_raw(id.cast_signed())) else {
            return Err(self.failed(format!("cannot {what} it: it does not run")));
        };
        kill_process(pid, signal).map_err(|errno| self.process(what)(errno.into()))
    }

    pub(super) async fn stop(&mut self) -> Result<(), NodeError> {
        if self.child.is_none() {
            return Ok(());
        }
        self.signal(Signal::TERM, "stop")?;
        match timeout(STOP_WITHIN, self.wait()).await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.failed(format!("it stopped with {status}"))),
            Err(_) => {
                self.kill().await?;
                Err(self.failed(format!("it did not stop within {STOP_WITHIN:?}, and was killed")))
            }
        }
    }

    fn process(&self, what: &'static str) -> impl Fn(io::Error) -> NodeError + use<> {
        let node = self.number;
        move |source| NodeError::Process { node, what, source }
    }

    fn failed(&self, why: String) -> NodeError {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let quoted = lines[lines.len().saturating_sub(LOG_LINES_QUOTED)..].join("\n");
        NodeError::Failed { node: self.number, why, log: self.log(), quoted }
    }
}

fn is_setting(variable: &str) -> bool {
    variable.starts_with("QUARRY_") && variable != "QUARRY_LOG"
}

/// The first line that says the node serves; `None` if its output ends before.
async fn next_ready(lines: &mut Lines<BufReader<ChildStdout>>) -> io::Result<Option<Value>> {
    while let Some(line) = lines.next_line().await? {
        if let Ok(value) = serde_json::from_str::<Value>(&line)
            && value.get("event").and_then(Value::as_str) == Some("ready")
        {
            return Ok(Some(value));
        }
    }
    Ok(None)
}
