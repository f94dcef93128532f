//! How far from the physical limit.

use super::plain;
use crate::figures::{TargetFigures, TargetRatios, words};
use crate::html::axis::{Axis, Scale};
use crate::html::bars::{Ranged, ranged};
use crate::html::label;
use crate::ratios::Spread;
use crate::result::{BenchResult, CaseResult};

/// Median, least and most of every ratio, in one chart.
pub(in crate::html) fn ratios(result: &BenchResult, case: &CaseResult) -> String {
    let mut rows = Vec::new();
    for (colour, target) in case.targets.iter().enumerate() {
        let figures = TargetFigures::of(result, case, target);
        let Some(ratios) = figures.and_then(|figures| figures.ratios) else { continue };
        let name = label(result, target) + words::disk_mark(ratios.device);
        let row = |(what, spread): (&str, Spread)| Ranged { label: format!("{name}: {what}"), colour, spread };
        rows.extend(each(&ratios).into_iter().map(row));
    }
    if rows.is_empty() {
        return String::new();
    }
    let values = rows.iter().flat_map(|row| [row.spread.min, row.spread.max]);
    let device = case.baseline.as_ref().map_or_else(|| "device".to_owned(), words::raw_device);
    let label = format!("ratio to {device} + loopback; bandwidth of all copies, chunks of a node to the device's");
    let axis = Axis::over(&label, Scale::Log, values.chain([1.0]), plain);
    ranged(&format!("Beside the physical limit: {} (median, least to most of the rounds)", case.name), &axis, &rows)
}

fn each(ratios: &TargetRatios) -> Vec<(&'static str, Spread)> {
    let always = [("p50", Some(ratios.p50)), ("p99", Some(ratios.p99))];
    let perhaps = [
        ("bandwidth", ratios.bandwidth),
        ("chunks per node to writes", ratios.chunks_per_node),
        ("bandwidth to pipe", ratios.pipe_bandwidth),
        ("CPU to pipe", ratios.pipe_cpu),
    ];
    always.into_iter().chain(perhaps).filter_map(|(name, spread)| Some((name, spread?))).collect()
}
