//! What `quarry bench` makes of results and prices: nothing is measured here.

use crate::running::{directory, quarry};
use std::fs;
use std::path::Path;

/// A result made by hand.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/src/result/example.json");

/// The example with one text replaced.
fn changed(dir: &Path, from: &str, to: &str) -> String {
    let text = fs::read_to_string(EXAMPLE).expect("the example");
    assert!(text.contains(from), "{from}");
    let path = dir.join("changed.json");
    fs::write(&path, text.replace(from, to)).expect("writes");
    path.display().to_string()
}

#[test]
fn a_report_is_made_again_from_a_file() {
    let dir = directory();
    let (html, hgrm) = (dir.path().join("r.html"), dir.path().join("percentiles"));
    let paths = [&html, &hgrm].map(|path| path.display().to_string());
    let ran = quarry(&["bench", "report", EXAMPLE, "--html", &paths[0], "--hgrm", &paths[1]]).ends_with(0);
    assert!(ran.out().contains("s3express (emulated)"), "{}", ran.out());
    assert!(ran.stderr.contains("wrote 10 percentile files"), "{}", ran.stderr);
    assert!(fs::read_to_string(&html).expect("a page").starts_with("<!DOCTYPE html>"));
    assert_eq!(fs::read_dir(&hgrm).expect("a directory").count(), 10);
    let lost = changed(dir.path(), "\"missing\":0", "\"missing\":2");
    let ran = quarry(&["bench", "report", &lost]).ends_with(4);
    assert!(ran.out().contains("BAD: of 3000"), "{}", ran.out());
}

#[test]
fn results_of_another_schema_or_not_there_are_refused() {
    let dir = directory();
    let other = changed(dir.path(), "quarry-bench-result/2", "quarry-bench-result/9");
    quarry(&["bench", "report", &other]).refuses(2, &["changed.json", "quarry-bench-result/9", "measure again"]);
    quarry(&["bench", "report", "/no/such/result.json"]).refuses(2, &["/no/such/result.json"]);
}

#[test]
fn only_what_may_be_compared_is_compared() {
    let dir = directory();
    assert!(quarry(&["bench", "cmp", EXAMPLE, EXAMPLE]).out().contains("no difference beyond the spread"));
    let other = changed(dir.path(), "\"begun_unix_seconds\":1760000000", "\"begun_unix_seconds\":1760000001");
    let ran = quarry(&["bench", "cmp", EXAMPLE, &other, "--against", EXAMPLE, &other]).ends_with(0);
    assert!(ran.out().contains("medians of 2 and 2 runs"), "{}", ran.out());
    quarry(&["bench", "cmp", EXAMPLE, EXAMPLE, "--against", &other]).refuses(2, &["A1 and A2: the same run twice"]);
    quarry(&["bench", "cmp", EXAMPLE]).refuses(3, &["--against"]);
    let other = changed(dir.path(), "\"ack_quorum\":2", "\"ack_quorum\":1");
    quarry(&["bench", "cmp", EXAMPLE, &other]).refuses(2, &["targets[nodes].ack_quorum: 2 and 1"]);
    let other = changed(dir.path(), "\"kernel\":\"6.18.0\"", "\"kernel\":\"7.0.0\"");
    quarry(&["bench", "cmp", EXAMPLE, &other]).refuses(2, &["environment.kernel", "6.18.0", "7.0.0"]);
    let ran = quarry(&["bench", "cmp", EXAMPLE, &other, "--across-environments"]).ends_with(0);
    assert!(ran.out().starts_with("DIFFERENT MACHINES, or"), "{}", ran.out());
}

#[test]
fn costs_come_from_the_prices_that_are_given() {
    let dir = directory();
    assert!(quarry(&["bench", "cost"]).out().contains("S3 Express, 3 zones"));
    let prices = concat!(env!("CARGO_MANIFEST_DIR"), "/../bench/prices.toml");
    let mine = dir.path().join("mine.toml");
    let text = fs::read_to_string(prices).expect("prices").replace("S3 Express, 3 zones", "Mine");
    fs::write(&mine, text.replace("quarry, 3", "quarry: 3")).expect("writes");
    let mine = mine.display().to_string();
    let ran = quarry(&["bench", "cost", "--prices", &mine, "--retention-hours", "1", "--json"]).ends_with(0);
    assert!(ran.out().contains("\"tier\":\"Mine\"") && ran.out().contains("\"retention_hours\":1.0"), "{}", ran.out());
    fs::write(dir.path().join("mine.toml"), "schema = 1").expect("writes");
    quarry(&["bench", "cost", "--prices", &mine]).refuses(3, &["mine.toml", "schema"]);
}
