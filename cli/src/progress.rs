//! Progress on standard error; nothing when that is not a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar for `total` bytes, or a running count when the total is not known.
pub(crate) fn of_bytes(total: Option<u64>, what: &str) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = match total {
        Some(_) => "{msg:24} {bar:32} {bytes:>11} of {total_bytes} {bytes_per_sec:>13} {eta:>4}",
        None => "{msg:24} {spinner} {bytes:>11} {bytes_per_sec:>13}",
    };
    finish(bar, template, what)
}

/// A bar for `total` steps.
pub(crate) fn of_steps(total: u64, what: &str) -> ProgressBar {
    finish(ProgressBar::new(total), "{msg:24} {bar:32} {pos:>3} of {len}", what)
}

fn finish(bar: ProgressBar, template: &str, what: &str) -> ProgressBar {
    bar.set_style(ProgressStyle::with_template(template).expect("constant progress templates parse"));
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
