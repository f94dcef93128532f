//! Which stage the median and the 99th percentile are made of.

use crate::figures::{StagesCost, words};
use crate::html::bars::{Stacked, stacked};
use crate::html::escape::escape;
use crate::html::label;
use crate::html::table::table;
use crate::result::{BenchResult, CaseResult, Stage, Stages};
use crate::units::latency;
use std::fmt::Write;

/// Shares of each stage, the latencies of each, and the replicas.
pub(in crate::html) fn stages(result: &BenchResult, case: &CaseResult) -> String {
    let targets = case.targets.iter().filter_map(|target| Some((label(result, target), target.stages.as_ref()?)));
    let all: String = targets.map(|(name, stages)| of_target(&name, stages)).collect();
    let costs = case.targets.iter().filter_map(|target| Some((label(result, target), StagesCost::of(target)?)));
    let costs = costs.map(|(name, cost)| format!("<p>{}, {}</p>\n", escape(&name), escape(&words::stages_cost(&cost))));
    all + &costs.collect::<String>()
}

fn of_target(name: &str, stages: &Stages) -> String {
    let row = |label: &str, share: fn(&Stage) -> f64| Stacked {
        label: label.to_owned(),
        shares: stages.stages.iter().map(share).collect(),
    };
    let rows = [
        row("of a middling append", |stage| stage.share_of_p50),
        row("of the slowest hundredth", |stage| stage.share_of_p99),
    ];
    let names: Vec<_> = stages.stages.iter().map(|stage| stage.name.clone()).collect();
    let mut html = stacked(&format!("Where the time goes: {name}"), &names, &rows);
    let slowest = stages.stages.iter().max_by(|a, b| a.share_of_p99.total_cmp(&b.share_of_p99));
    if let Some(stage) = slowest {
        let share = stage.share_of_p99 * 100.0;
        let _ = writeln!(html, "<p>Most of the p99 is <b>{}</b>: {share:.0} %.</p>", escape(&stage.name));
    }
    let quantiles = |samples: &crate::result::Samples| {
        let latencies = samples.latencies();
        [0.5, 0.99, 0.999].map(|quantile| latency(latencies.quantile_us(quantile)))
    };
    let of_stage = stages.stages.iter().map(|stage| {
        let [p50, p99, p999] = quantiles(&stage.samples);
        [stage.name.clone(), p50, p99, p999]
    });
    html.push_str(&table(["Stage", "p50", "p99", "p99.9"], of_stage));
    let of_replica = stages.replicas.iter().map(|replica| {
        let [p50, p99, p999] = quantiles(&replica.samples);
        [format!("zone {}", replica.zone), p50, p99, p999, format!("{} appends", replica.decided)]
    });
    html.push_str(&table(["Replica", "p50", "p99", "p99.9", "made the quorum of"], of_replica));
    html
}
