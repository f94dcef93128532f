//! `quarry bench cost`.

use crate::args::BenchCostArgs;
use crate::exit::{Failure, Health};
use crate::output::Output;
use crate::table::table;
use crate::units;
use quarry_bench::cost::{CostReport, Prices, RETENTION_HOURS};

/// Chunk sizes of the table.
const CHUNK_BYTES: [u64; 5] = [4 << 10, 16 << 10, 64 << 10, 512 << 10, 4 << 20];

pub(super) fn run(args: &BenchCostArgs, output: Output) -> Result<Health, Failure> {
    output.print(&report(args)?, text);
    Ok(Health::Good)
}

/// From the prices that were given, or from those that this version comes with.
pub(super) fn report(args: &BenchCostArgs) -> Result<CostReport, Failure> {
    let prices = match &args.prices {
        None => Prices::built_in(),
        Some(path) => Prices::read(path).map_err(Failure::usage)?,
    };
    Ok(CostReport::of(prices, args.retention_hours.unwrap_or(RETENTION_HOURS)))
}

fn text(report: &CostReport) -> String {
    let curves = report.curves.iter().map(|curve| {
        let mut row = [const { String::new() }; 1 + CHUNK_BYTES.len()];
        row[0].clone_from(&curve.tier);
        for (cell, size) in row[1..].iter_mut().zip(CHUNK_BYTES) {
            let point = curve.points.iter().find(|point| point.chunk_bytes == size);
            *cell = point.map_or_else(|| "-".to_owned(), |point| format!("{:.4}", point.usd_per_gib));
        }
        row
    });
    let sizes = CHUNK_BYTES.map(units::bytes);
    let header = ["TIER", &sizes[0], &sizes[1], &sizes[2], &sizes[3], &sizes[4]];
    let pairs = report.break_evens.iter().map(|pair| {
        let sizes: Vec<_> = pair.chunk_bytes.iter().map(|size| units::bytes(*size)).collect();
        let sizes =
            if sizes.is_empty() { "none: cheaper at every size".to_owned() } else { sizes.join(" and again at ") };
        [pair.cheaper_when_small.clone(), pair.other.clone(), sizes]
    });
    let tiers = report.prices.tiers.iter().map(|tier| {
        let verified = if tier.verified { "yes" } else { "NO" };
        let sources: Vec<_> = tier.sources.iter().map(|source| format!("{} ({})", source.url, source.dated)).collect();
        let replicas = tier.replicas.to_string();
        [tier.name.clone(), tier.region.clone(), replicas, verified.to_owned(), tier.note.clone(), sources.join(", ")]
    });
    format!(
        "US dollars for a GiB written and kept for {} hours, by chunk size; list prices, last looked at {}\n\n{}\n\n{}\n\n{}\n\n\
         VERIFIED: every price was found in the vendor's own words. Yours may differ: --prices FILE.",
        report.retention_hours,
        report.prices.looked_at,
        table(header, curves),
        table(["CHEAPER FOR SMALL CHUNKS", "THAN", "BREAKS EVEN AT"], pairs),
        table(["TIER", "REGION", "REPLICAS", "VERIFIED", "NOTE", "SOURCES"], tiers),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_tier_and_where_they_break_even() {
        let text = text(&report(&BenchCostArgs::default()).expect("built in"));
        let line = |begin: &str| text.lines().find(|line| line.trim_start().starts_with(begin)).map(str::to_owned);
        // 3 x (16.384 x 0.00113 + 0.0032 + 0.11 x 24 / 730) for 64 KiB.
        assert!(line("S3 Express, 3 zones").is_some_and(|line| line.contains("0.0760")), "{text}");
        assert!(text.contains("none: cheaper at every size") && text.contains("kept for 24 hours"), "{text}");
        assert!(!text.contains(" - "), "every size of the table is a point of the curves: {text}");
        assert!(line("Azure Premium Blob").is_some() && text.contains("NO"), "{text}");
    }

    #[test]
    fn prices_that_cannot_be_read_are_named() {
        let args = BenchCostArgs { prices: Some("/no/such/prices.toml".into()), ..BenchCostArgs::default() };
        let why = report(&args).expect_err("not there");
        assert!(why.message().contains("/no/such/prices.toml"), "{}", why.message());
    }
}
