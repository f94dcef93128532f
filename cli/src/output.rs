//! Results go to standard output, as text or as JSON; everything else goes to standard error.

use serde::Serialize;
use std::io::{self, Write};

/// How results are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// As JSON, one value per line.
    pub(crate) json: bool,
}

impl Output {
    /// Prints `value` as one line of JSON, or else what `text` makes of it. False if nobody reads any more.
    pub(crate) fn print<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> bool {
        if self.json {
            self.line(&serde_json::to_string(value).expect("reports have string keys and finite numbers"))
        } else {
            self.line(&text(value))
        }
    }

    /// Prints a line as it is. False if nobody reads any more.
    #[allow(clippy::unused_self, reason = "printing goes through Output, so that nothing prints past --json")]
    pub(crate) fn line(self, line: &str) -> bool {
        let mut stdout = io::stdout().lock();
        is_read(writeln!(stdout, "{}", line.trim_end_matches('\n')).and_then(|()| stdout.flush()))
    }
}

/// What came of a write to standard output. That its reader went away (`quarry ... | head`) is no failure, and must not
/// hide one either: the command goes on and ends with the exit code that it has earned. Any other failure ends the process.
pub(crate) fn is_read(written: io::Result<()>) -> bool {
    match written {
        Ok(()) => true,
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => false,
        Err(why) => {
            say(&format!("error: standard output: {why}: what was asked for is not all printed"));
            std::process::exit(2);
        }
    }
}

/// Says something beside the results, on standard error. That nobody reads it must not end a command.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
