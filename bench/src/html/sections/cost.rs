//! What a GiB costs by chunk size, and where tiers break even.

use super::plain;
use crate::cost::{BreakEven, CostReport, whole};
use crate::html::axis::{Axis, Scale};
use crate::html::chart::{Chart, Line, Mark};
use crate::html::escape::escape;
use crate::html::table::table;
use crate::units::bytes;

/// Every tier's curve, with a mark at each crossing.
pub(in crate::html) fn cost(report: &CostReport) -> String {
    let mut lines = Vec::new();
    for (colour, curve) in report.curves.iter().enumerate() {
        let points = curve.points.iter().map(|point| (point.chunk_bytes as f64, point.usd_per_gib)).collect();
        lines.push(Line { label: curve.tier.clone(), colour, dashed: false, points });
    }
    let marks = report.break_evens.iter().flat_map(|pair| marks_of(report, pair)).collect();
    let of_lines =
        |axis: fn(&(f64, f64)) -> f64| lines.iter().flat_map(move |line: &Line| line.points.iter().map(axis));
    let x = Axis::over("chunk size", Scale::Log, of_lines(|point| point.0), |size| bytes(whole(size)));
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
        Some(Mark { x: *size as f64, y, colour, hollow: false, text: bytes(*size) })
    })
}
