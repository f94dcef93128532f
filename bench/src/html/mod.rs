//! A result as one page: everything in it, nothing from elsewhere, no scripts. It can be mailed, archived and printed.

mod axis;
mod bars;
mod chart;
mod escape;
mod legend;
mod sections;
mod table;
#[cfg(test)]
mod tests;

use crate::cost::CostReport;
use crate::figures::words;
use crate::result::{BenchResult, CaseResult};
use crate::units;
use escape::escape;
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

/// The whole page, in UTF-8.
#[must_use]
pub fn page(result: &BenchResult, cost: &CostReport) -> String {
    let name = escape(&result.name);
    let mut body = format!(
        "<h1>quarry bench: {name}</h1>\n<p class=\"faint\">begun {}, took {}; <code>{}</code></p>\n",
        units::utc(result.begun_unix_seconds),
        units::latency(result.seconds * 1e6),
        escape(&result.command.join(" ")),
    );
    body.push_str(&sections::verdicts(result));
    body.push_str(&sections::environment(result));
    for case in &result.cases {
        body.push_str(&section(result, case));
    }
    body.push_str(&sections::cost(cost));
    let _ = writeln!(body, "<h2>Suite</h2>\n<pre>{}</pre>", escape(&result.suite));
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <title>quarry bench: {name}</title><style>{STYLE}</style></head>\n<body>\n{body}</body></html>\n"
    )
}

fn section(result: &BenchResult, case: &CaseResult) -> String {
    let mut html = format!("<h2>{}</h2>\n<p class=\"faint\">{}</p>\n", escape(&case.name), escape(&words::load(case)));
    html.push_str(&sections::figures(result, case));
    html.push_str(&sections::percentiles(result, case));
    html.push_str(&sections::ladder(result, case));
    html.push_str(&sections::ratios(result, case));
    html.push_str(&sections::stages(result, case));
    html.push_str(&sections::series(result, case));
    html
}

/// How a target is called in a case that may have it with several chunk sizes.
fn label(result: &BenchResult, target: &crate::result::CaseTarget) -> String {
    format!("{}, {}", result.targets[target.target].label(), units::bytes(target.chunk_bytes))
}
