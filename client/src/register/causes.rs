//! An error in one line, with what it hides.

use std::error::Error;

/// Most characters of a cause: a server may answer with a page.
const CAUSE_CHARS_MAX: usize = 600;

/// What `error` says and what its sources add to that.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    let line: Vec<&str> = text.split_whitespace().collect();
    line.join(" ").chars().take(CAUSE_CHARS_MAX).collect()
}
