//! What the lines and colours of a chart are.

use super::chart::COLOURS;
use super::escape::escape;
use std::fmt::Write;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) colour: usize,
    pub(super) dashed: bool,
}

/// A list with a stroke of each colour.
pub(super) fn legend(entries: &[Entry]) -> String {
    let mut html = "<ul class=\"legend\">".to_owned();
    for entry in entries {
        let dashed = if entry.dashed { " dashed" } else { "" };
        let (colour, label) = (entry.colour % COLOURS, escape(&entry.label));
        let stroke = format!("<path class=\"line c{colour}{dashed}\" d=\"M0 5H26\"/>");
        let _ = write!(html, "<li><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\">{stroke}</svg>{label}</li>");
    }
    html.push_str("</ul>");
    html
}
