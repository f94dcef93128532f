//! A chart of lines and marks over two axes.

use super::axis::Axis;
use super::escape::escape;
use super::legend::{Entry, legend};
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 50.0;

/// Colours that the style has; lines take them in turn.
pub(super) const COLOURS: usize = 6;

/// A line through points, rising in x.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) label: String,
    pub(super) colour: usize,
    pub(super) dashed: bool,
    pub(super) points: Vec<(f64, f64)>,
}

/// A single point that is pointed out.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) colour: usize,
    pub(super) hollow: bool,
    pub(super) text: String,
    /// Whether the text stands below, where the lines leave room, and not above.
    pub(super) below: bool,
}

/// A line across the whole chart, at one value of the vertical axis or of the horizontal one.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    At(f64, String),
    From(f64),
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// What is seen, for those who do not.
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
    pub(super) marks: Vec<Mark>,
    pub(super) rules: Vec<Rule>,
}

impl Chart {
    /// As a figure with its legend.
    pub(super) fn html(&self) -> String {
        let mut svg =
            format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(&self.title));
        self.grid(&mut svg);
        for rule in &self.rules {
            self.rule(&mut svg, rule);
        }
        for line in &self.lines {
            self.line(&mut svg, line);
        }
        for mark in &self.marks {
            self.mark(&mut svg, mark);
        }
        svg.push_str("</svg>");
        let entry = |line: &Line| Entry { label: line.label.clone(), colour: line.colour, dashed: line.dashed };
        let entries: Vec<_> = self.lines.iter().map(entry).collect();
        format!("<figure><p class=\"title\">{}</p>{svg}{}</figure>\n", escape(&self.title), legend(&entries))
    }

    fn x(&self, value: f64) -> Option<f64> {
        Some(LEFT + self.x.position(value)? * (WIDTH - LEFT - RIGHT))
    }

    fn y(&self, value: f64) -> Option<f64> {
        Some(HEIGHT - BOTTOM - self.y.position(value)? * (HEIGHT - TOP - BOTTOM))
    }

    fn grid(&self, svg: &mut String) {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for value in self.y.lines() {
            let Some(y) = self.y(value) else { continue };
            let text = escape(&(self.y.text)(value));
            let _ = write!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
            let (x, y) = (LEFT - 8.0, y + 4.0);
            let _ = write!(svg, "<text class=\"end\" x=\"{x}\" y=\"{y:.1}\">{text}</text>");
        }
        for value in self.x.lines() {
            let Some(x) = self.x(value) else { continue };
            let text = escape(&(self.x.text)(value));
            let _ = write!(svg, "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
            let y = bottom + 18.0;
            let _ = write!(svg, "<text class=\"middle\" x=\"{x:.1}\" y=\"{y}\">{text}</text>");
        }
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>");
        let (middle, below) = (f64::midpoint(LEFT, right), HEIGHT - 8.0);
        let label = escape(&self.x.label);
        let _ = write!(svg, "<text class=\"middle label\" x=\"{middle}\" y=\"{below}\">{label}</text>");
        let (middle, label) = (f64::midpoint(TOP, bottom), escape(&self.y.label));
        let _ = write!(
            svg,
            "<text class=\"middle label\" transform=\"translate(14 {middle}) rotate(-90)\" x=\"0\" y=\"0\">{label}</text>"
        );
    }

    fn rule(&self, svg: &mut String, rule: &Rule) {
        match rule {
            Rule::At(value, text) => {
                let Some(y) = self.y(*value) else { return };
                let (right, above) = (WIDTH - RIGHT, y - 6.0);
                let _ = write!(svg, "<line class=\"rule\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
                let _ = write!(svg, "<text class=\"end\" x=\"{right}\" y=\"{above:.1}\">{}</text>", escape(text));
            }
            Rule::From(value) => {
                let Some(x) = self.x(*value) else { return };
                let bottom = HEIGHT - BOTTOM;
                let _ = write!(svg, "<line class=\"rule\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
            }
        }
    }

    /// A line is broken where a value has no place.
    fn line(&self, svg: &mut String, line: &Line) {
        let mut path = String::new();
        let mut pen_up = true;
        for (x, y) in &line.points {
            let (Some(x), Some(y)) = (self.x(*x), self.y(*y)) else {
                pen_up = true;
                continue;
            };
            let _ = write!(path, "{}{x:.1} {y:.1}", if pen_up { 'M' } else { 'L' });
            pen_up = false;
        }
        let dashed = if line.dashed { " dashed" } else { "" };
        let _ = write!(svg, "<path class=\"line c{}{dashed}\" d=\"{path}\"/>", line.colour % COLOURS);
    }

    fn mark(&self, svg: &mut String, mark: &Mark) {
        let (Some(x), Some(y)) = (self.x(mark.x), self.y(mark.y)) else { return };
        let hollow = if mark.hollow { " hollow" } else { "" };
        let _ = write!(
            svg,
            "<circle class=\"mark c{}{hollow}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>",
            mark.colour % COLOURS
        );
        // Towards the middle, so that no text leaves the chart.
        let (class, shift) = if x > WIDTH * 0.7 { ("end", -8.0) } else { ("start", 8.0) };
        let (x, y) = (x + shift, if mark.below { y + 18.0 } else { y - 8.0 });
        let _ = write!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(&mark.text));
    }
}
