//! What a run ends with: its exit code, and what it says when it failed.

use crate::output::{Output, say};
use serde_json::json;
use std::process::ExitCode;

/// How things are, for a command that did what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// Exit code 0.
    Good,
    /// Exit code 1: something needs attention.
    Warning,
    /// Exit code 2: something is broken.
    Unhealthy,
}

/// Why a command did not do what it was asked to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    message: String,
    kind: Kind,
}

/// What kind of failure it is: each has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    World = 2,
    Usage = 3,
    Lost = 4,
}

#[allow(clippy::needless_pass_by_value, reason = "callers hand over errors and strings that they are done with")]
impl Failure {
    /// The world is not as it should be: exit code 2.
    pub(crate) fn new(message: impl ToString) -> Self {
        Self { message: message.to_string(), kind: Kind::World }
    }

    /// The command line is not as it should be: exit code 3.
    pub(crate) fn usage(message: impl ToString) -> Self {
        Self { message: message.to_string(), kind: Kind::Usage }
    }

    /// A usage failure if `usage`, else one of the world.
    pub(crate) fn of(usage: bool, message: impl ToString) -> Self {
        if usage { Self::usage(message) } else { Self::new(message) }
    }

    /// Chunks that were acknowledged are lost or came back different: exit code 4.
    pub(crate) fn lost(message: impl ToString) -> Self {
        Self { message: message.to_string(), kind: Kind::Lost }
    }

    /// Whether it is that chunks are lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.kind == Kind::Lost
    }

    /// What happened.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    fn to_json(&self) -> String {
        json!({ "error": self.message, "exit_code": self.code() }).to_string()
    }

    const fn code(&self) -> u8 {
        self.kind as u8
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

/// The exit code of a run, after saying why it failed.
pub(crate) fn report(output: Output, outcome: Result<Health, Failure>) -> ExitCode {
    match outcome {
        Ok(Health::Good) => ExitCode::SUCCESS,
        Ok(Health::Warning) => ExitCode::from(1),
        Ok(Health::Unhealthy) => ExitCode::from(2),
        Err(failure) => {
            say(&format!("error: {}", failure.message));
            if output.json {
                output.line(&failure.to_json());
            }
            ExitCode::from(failure.code())
        }
    }
}

/// Prints what clap has to say: help and version with exit code 0, a wrong command line with 3.
pub(crate) fn usage(error: &clap::Error, json: bool) -> ExitCode {
    // Nothing is left to do when even this cannot be printed.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    let failure = Failure::usage(error.render().to_string().trim_start_matches("error: ").trim_end());
    if json {
        Output { json }.line(&failure.to_json());
    }
    ExitCode::from(failure.code())
}
