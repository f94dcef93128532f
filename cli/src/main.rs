//! The `quarry` command: nodes, logs, and how they are doing.
//!
//! One file per command. [`args`] is the whole command line at a glance; [`exit`] says what the exit codes mean.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod check_impact;
mod chunked_input;
mod cluster;
mod demo;
mod dev;
mod doctor;
mod drill;
mod exit;
mod format;
mod log;
mod node;
mod orphans;
mod output;
mod progress;
mod repair;
mod start;
mod status;
mod store;
mod table;
mod units;
mod verify;

use args::{Cli, Command};
use clap::Parser;
use exit::{Failure, Health};
use output::Output;
use std::env;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // What was parsed of the command line is gone by now.
        Err(error) => return exit::usage(&error, env::args_os().any(|argument| argument == "--json")),
    };
    let output = Output { json: cli.json };
    exit::report(output, run(cli, output))
}

fn run(cli: Cli, output: Output) -> Result<Health, Failure> {
    let store = cli.store;
    // A drill makes happen what is warned of.
    log_to_stderr(if matches!(cli.command, Command::Drill(_)) { "error" } else { "warn" });
    match cli.command {
        Command::Format(args) => format::run(&args, output),
        Command::Start(args) => start::run(args, output),
        Command::Verify(args) => verify::run(&args, output),
        Command::Cluster(command) => cluster::run(&command, output),
        Command::Doctor(args) => doctor::run(&args, output),
        Command::Dev(args) => one_thread()?.block_on(dev::run(args, output)),
        Command::Demo(args) => one_thread()?.block_on(demo::run(args, output)),
        Command::Drill(args) => one_thread()?.block_on(drill::run(args, output)),
        Command::Bench(args) => one_thread()?.block_on(bench::run(args, store, output)),
        Command::CheckImpact(args) => threads()?.block_on(check_impact::run(&args, store, output)),
        Command::Node(command) => threads()?.block_on(node::run(command, store, output)),
        Command::Repair(args) => threads()?.block_on(repair::run(&args, store, output)),
        Command::Status(args) => threads()?.block_on(status::run(&args, store, output)),
        Command::Log(command) => threads()?.block_on(log::run(command, store, output)),
    }
}

/// For commands whose main future may block on standard input or output: the client's tasks run beside it.
fn threads() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|why| Failure::new(format!("no runtime: {why}")))
}

/// For commands that measure, or that start node processes: everything happens on the main thread, which lives as long
/// as the process (nodes are killed with the thread that started them).
fn one_thread() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(|why| Failure::new(format!("no runtime: {why}")))
}

/// What the libraries, and thereby a node, have to say goes to standard error; `QUARRY_LOG` chooses how much.
fn log_to_stderr(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("QUARRY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A standard error that nobody reads must not end a command.
    subscriber.log_internal_errors(false).init();
}
