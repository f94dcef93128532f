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
    /// Prints `value` as one line of JSON, or else what `text` makes of it.
    pub(crate) fn print<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) {
        if self.json {
            self.line(&serde_json::to_string(value).expect("reports have string keys and finite numbers"));
        } else {
            self.line(&text(value));
        }
    }

    /// Prints a line as it is.
    #[allow(clippy::unused_self, reason = "printing goes through Output, so that nothing prints past --json")]
    pub(crate) fn line(self, line: &str) {
        let mut stdout = io::stdout().lock();
        let written = writeln!(stdout, "{}", line.trim_end_matches('\n')).and_then(|()| stdout.flush());
        if let Err(why) = written {
            end_without_reader(&why);
        }
    }
}

/// Ends the process after standard output failed: quietly if its reader just went away (`quarry ... | head`).
pub(crate) fn end_without_reader(why: &io::Error) -> ! {
    if why.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("error: standard output: {why}");
    std::process::exit(2);
}
