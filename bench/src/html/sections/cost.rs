//! What a GiB costs by chunk size, and where tiers break even.

use super::plain;
use crate::cost::{BreakEven, CostReport, whole};
use crate::html::axis::{Axis, Scale};
use crate::html::chart::{Chart, Line, Mark};
use crate::html::escape::escape;
use crate::html::table::table;
use crate::units::bytes;

/// Marks nearer than by this factor have no room for a text each.
const SIZES_APART: f64 = 2.0;

/// Every tier's curve, with a mark at each crossing.
pub(in crate::html) fn cost(report: &CostReport) -> String {
    let mut lines = Vec::new();
    for (colour, curve) in report.curves.iter().enumerate() {
        let points = curve.points.iter().map(|point| (point.chunk_bytes as f64, point.usd_per_gib)).collect();
        // Two stores with nearly the same prices have nearly the same curve: dashes let the one below be seen.
        lines.push(Line { label: curve.tier.clone(), colour, dashed: colour % 2 == 0, points });
    }
    let marks = told_apart(report.break_evens.iter().flat_map(|pair| marks_of(report, pair)).collect());
    let of_lines =
        |axis: fn(&(f64, f64)) -> f64| lines.iter().flat_map(move |line: &Line| line.points.iter().map(axis));
    let x = Axis::over("chunk size", Scale::Binary, of_lines(|point| point.0), size_tick);
    let y = Axis::over("US dollars per GiB", Scale::Log, of_lines(|point| point.1), |usd| format!("${}", plain(usd)));
    let title = format!("Cost of a GiB written and kept for {} hours", report.retention_hours);
    let chart = Chart { title, x, y, lines, marks, rules: Vec::new() }.html();
    let crossings =
        report.break_evens.iter().map(|pair| [pair.cheaper_when_small.clone(), pair.other.clone(), said(pair)]);
    let sources = report.prices.tiers.iter().flat_map(|tier| {
        let verified = if tier.verified { "yes" } else { "NO" };
        tier.sources.iter().map(move |source| {
            [
                tier.name.clone(),
                tier.region.clone(),
                verified.to_owned(),
                source.url.clone(),
                source.dated.clone(),
                source.says.clone(),
            ]
        })
    });
    let notes = report.prices.tiers.iter().map(|tier| [tier.name.clone(), tier.note.clone()]);
    format!(
        "<h2>Cost</h2>\n<p class=\"faint\">List prices, last looked at {}. Requests and fees of every replica, storage, the share of \
         machines, traffic between zones; not reads, not the client.</p>\n{chart}{}{}{}",
        escape(&report.prices.looked_at),
        table(["Cheaper for small chunks", "than", "breaks even at"], crossings),
        table(["Tier", "what else to know"], notes),
        table(["Tier", "region", "verified", "source", "dated", "it says"], sources),
    )
}

/// Where two tiers break even.
fn said(pair: &BreakEven) -> String {
    let sizes: Vec<_> = pair.chunk_bytes.iter().map(|size| bytes(*size)).collect();
    if sizes.is_empty() { "none: cheaper at every size".to_owned() } else { sizes.join(" and again at ") }
}

fn marks_of<'a>(report: &'a CostReport, pair: &'a BreakEven) -> impl Iterator<Item = Mark> + 'a {
    let tier = report.prices.tiers.iter().position(|tier| tier.name == pair.other);
    pair.chunk_bytes.iter().filter_map(move |size| {
        let colour = tier?;
        let y = report.prices.tiers[colour].cost(*size as f64, report.retention_hours).total_usd();
        Some(Mark { x: *size as f64, y, colour, hollow: false, text: bytes(*size), below: false })
    })
}

/// Marks whose texts would lie on each other keep that of the first: all of them stand in the table.
fn told_apart(mut marks: Vec<Mark>) -> Vec<Mark> {
    marks.sort_by(|a, b| a.x.total_cmp(&b.x));
    let mut last = 0.0;
    for mark in &mut marks {
        if mark.x < last * SIZES_APART {
            mark.text.clear();
        } else {
            last = mark.x;
        }
    }
    marks
}

/// A chunk size beside a line of the chart: a power of two, without decimals.
fn size_tick(size: f64) -> String {
    match whole(size) {
        size if size < 1 << 20 => format!("{} KiB", size >> 10),
        size => format!("{} MiB", size >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_near_marks_do_not_lie_on_each_other() {
        let mark = |x: f64| Mark { x, y: 1.0, colour: 0, hollow: false, text: x.to_string(), below: false };
        let texts: Vec<_> =
            told_apart([70.0, 10.0, 60.0, 80.0].map(mark).to_vec()).into_iter().map(|mark| mark.text).collect();
        assert_eq!(texts, ["10", "60", "", ""]);
        assert_eq!((size_tick(65_536.0), size_tick(f64::from(4 << 20))), ("64 KiB".to_owned(), "4 MiB".to_owned()));
    }
}
