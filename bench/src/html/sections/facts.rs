//! Whether the run counts, and where it was made.

use crate::figures::words;
use crate::html::escape::escape;
use crate::html::label;
use crate::html::table::table;
use crate::result::BenchResult;

/// First of all: whether anything was lost.
pub(in crate::html) fn verdicts(result: &BenchResult) -> String {
    let all = result.cases.iter().flat_map(|case| case.targets.iter().map(move |target| (case, target)));
    let bad: Vec<_> = all.clone().filter(|(_, target)| !target.verdict.good()).collect();
    if bad.is_empty() {
        let chunks: u64 = all.map(|(_, target)| target.verdict.equal).sum();
        return format!("<p class=\"good\">Every acknowledged chunk was read back equal: {chunks} of them.</p>\n");
    }
    let lines = bad.iter().map(|(case, target)| {
        let text = format!("{}, {}: {}", case.name, label(result, target), words::verdict(&target.verdict));
        format!("<p class=\"bad\">{}</p>\n", escape(&text))
    });
    lines.collect()
}

/// The machine and the targets.
pub(in crate::html) fn environment(result: &BenchResult) -> String {
    let facts = words::environment(&result.environment);
    let environment = table(["Environment", ""], facts.into_iter().map(|(name, value)| [name.to_owned(), value]));
    let targets = result.targets.iter().map(|target| [target.label(), words::target(target)]);
    format!("{environment}{}", table(["Target", ""], targets))
}
