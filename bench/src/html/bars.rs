//! Rows with a figure and its spread, and rows made of shares.

use super::axis::Axis;
use super::chart::COLOURS;
use super::escape::escape;
use super::legend::{Entry, legend};
use crate::ratios::Spread;
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 250.0;
const RIGHT: f64 = 24.0;
const ROW: f64 = 26.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 48.0;
/// Narrower shares have no room for their number.
const SHARE_WITH_NUMBER: f64 = 0.05;

/// A row with a point, and a line from the least to the most.
pub(super) struct Ranged {
    pub(super) label: String,
    pub(super) colour: usize,
    pub(super) spread: Spread,
}

/// One chart of such rows; a line marks 1.
pub(super) fn ranged(title: &str, axis: &Axis, rows: &[Ranged]) -> String {
    let bottom = TOP + ROW * rows.len() as f64;
    let x = |value: f64| Some(LEFT + axis.position(value)? * (WIDTH - LEFT - RIGHT));
    let mut svg = open(title, bottom + BOTTOM);
    for value in axis.lines() {
        let Some(x) = x(value) else { continue };
        let below = bottom + 18.0;
        let _ = write!(svg, "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
        let text = escape(&(axis.text)(value));
        let _ = write!(svg, "<text class=\"middle\" x=\"{x:.1}\" y=\"{below}\">{text}</text>");
    }
    if let (true, Some(one)) = (axis.low <= 1.0 && axis.high >= 1.0, x(1.0)) {
        let _ = write!(svg, "<line class=\"rule\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
    }
    for (number, row) in rows.iter().enumerate() {
        let y = TOP + ROW * (number as f64 + 0.5);
        name(&mut svg, y, &row.label);
        let (Some(low), Some(middle), Some(high)) = (x(row.spread.min), x(row.spread.median), x(row.spread.max)) else {
            continue;
        };
        let class = format!("c{}", row.colour % COLOURS);
        let _ = write!(svg, "<line class=\"line {class}\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{y}\" y2=\"{y}\"/>");
        let _ = write!(svg, "<circle class=\"mark {class}\" cx=\"{middle:.1}\" cy=\"{y}\" r=\"5\"/>");
    }
    let (middle, below) = (f64::midpoint(LEFT, WIDTH - RIGHT), bottom + BOTTOM - 8.0);
    let label = escape(&axis.label);
    let _ = write!(svg, "<text class=\"middle label\" x=\"{middle}\" y=\"{below}\">{label}</text></svg>");
    format!("<figure><p class=\"title\">{}</p>{svg}</figure>\n", escape(title))
}

/// A row of shares, in the order of the names; they should add up to 1.
pub(super) struct Stacked {
    pub(super) label: String,
    pub(super) shares: Vec<f64>,
}

/// One chart of such rows, as wide as their whole.
pub(super) fn stacked(title: &str, names: &[String], rows: &[Stacked]) -> String {
    let bottom = TOP + ROW * rows.len() as f64;
    let width = WIDTH - LEFT - RIGHT;
    let mut svg = open(title, bottom + TOP);
    for (number, row) in rows.iter().enumerate() {
        let y = TOP + ROW * number as f64 + 3.0;
        name(&mut svg, y + ROW / 2.0 - 3.0, &row.label);
        let mut before = 0.0;
        for (colour, share) in row.shares.iter().enumerate() {
            let share = share.clamp(0.0, 1.0);
            let (x, part) = (LEFT + before * width, share * width);
            let height = ROW - 6.0;
            let colour = colour % COLOURS;
            let _ = write!(
                svg,
                "<rect class=\"bar c{colour}\" x=\"{x:.1}\" y=\"{y}\" width=\"{part:.1}\" height=\"{height}\"/>"
            );
            if share >= SHARE_WITH_NUMBER {
                let (x, y) = (x + part / 2.0, y + ROW / 2.0 + 1.0);
                let _ = write!(
                    svg,
                    "<text class=\"middle on c{colour}\" x=\"{x:.1}\" y=\"{y}\">{:.0} %</text>",
                    share * 100.0
                );
            }
            before += share;
        }
    }
    svg.push_str("</svg>");
    let entry = |(colour, name): (usize, &String)| Entry { label: name.clone(), colour, dashed: false };
    let entries: Vec<_> = names.iter().enumerate().map(entry).collect();
    format!("<figure><p class=\"title\">{}</p>{svg}{}</figure>\n", escape(title), legend(&entries))
}

fn open(title: &str, height: f64) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">", escape(title))
}

fn name(svg: &mut String, y: f64, label: &str) {
    let (x, y) = (LEFT - 12.0, y + 4.0);
    let _ = write!(svg, "<text class=\"end\" x=\"{x}\" y=\"{y}\">{}</text>", escape(label));
}
