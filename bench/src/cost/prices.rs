//! What things cost, and who says so.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// The prices that this version comes with.
const BUILT_IN: &str = include_str!("../../prices.toml");
/// The only value of [`Prices::schema`] that this version reads.
const SCHEMA: &str = "quarry-prices/1";

/// A dated list of prices, in US dollars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Always `quarry-prices/1`.
    pub schema: String,
    /// When the sources were last looked at.
    pub looked_at: String,
    /// What chunks can be written to.
    pub tiers: Vec<Tier>,
}

/// Something that chunks can be written to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// What it is called; unique.
    pub name: String,
    /// Where these prices hold.
    pub region: String,
    /// Copies of each chunk.
    pub replicas: u32,
    /// Whether every price was found in the vendor's own words.
    pub verified: bool,
    /// What else to know.
    pub note: String,
    /// Copies that leave the writer's zone for a price.
    pub cross_zone_copies: u32,
    /// That price, for both directions.
    pub cross_zone_usd_per_gib: f64,
    /// For an object store.
    pub bucket: Option<Bucket>,
    /// For storage nodes.
    pub machine: Option<Machine>,
    /// Where prices were found.
    pub sources: Vec<Source>,
}

/// Prices of an object store, for each replica.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Of a thousand PUTs.
    pub put_usd_per_1000: f64,
    /// Of a GiB sent, beyond what is free of each PUT.
    pub upload_usd_per_gib: f64,
    /// Bytes of each PUT for which nothing is charged.
    pub upload_free_bytes_per_put: u64,
    /// Of keeping a GiB for a month.
    pub storage_usd_per_gib_month: f64,
}

/// Price of a storage node, and what can be had for it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Of the machine.
    pub usd_per_hour: f64,
    /// What its disks hold.
    pub storage_gib: f64,
    /// How much of that is used on the average, 0 to 1.
    pub fill: f64,
    /// What its disks write durably.
    pub write_mib_per_second: f64,
    /// How much of that is used on the average, 0 to 1.
    pub write_use: f64,
}

/// Where a price was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The page.
    pub url: String,
    /// Of when it is.
    pub dated: String,
    /// What it says.
    pub says: String,
}

/// Why prices cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {why}")]
pub struct PricesError {
    place: String,
    why: String,
}

impl Prices {
    /// Those that this version comes with.
    ///
    /// # Panics
    /// Never: a test reads them.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("the prices that were compiled in are good")
    }

    /// Those of a file like `bench/prices.toml`.
    pub fn read(path: &Path) -> Result<Self, PricesError> {
        let failed = |why: String| PricesError { place: path.display().to_string(), why };
        let text = std::fs::read_to_string(path).map_err(|why| failed(why.to_string()))?;
        Self::parse(&text).map_err(failed)
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let prices: Self = toml::from_str(text).map_err(|why| why.to_string())?;
        if prices.schema != SCHEMA {
            return Err(format!("schema {:?}: this version reads {SCHEMA:?} only", prices.schema));
        }
        let mut names = BTreeSet::new();
        for tier in &prices.tiers {
            tier.check().map_err(|why| format!("tier {:?}: {why}", tier.name))?;
            if !names.insert(&tier.name) {
                return Err(format!("two tiers are called {:?}", tier.name));
            }
        }
        if names.is_empty() { Err("no [[tiers]]: name at least one".to_owned()) } else { Ok(prices) }
    }
}

impl Tier {
    fn check(&self) -> Result<(), String> {
        if self.replicas == 0 || self.cross_zone_copies > self.replicas {
            let (replicas, cross) = (self.replicas, self.cross_zone_copies);
            return Err(format!(
                "replicas = {replicas}, cross_zone_copies = {cross}: at least 1, and no more copies than replicas"
            ));
        }
        let mut figures = vec![("cross_zone_usd_per_gib", self.cross_zone_usd_per_gib)];
        match (&self.bucket, &self.machine) {
            (Some(bucket), None) => figures.extend([
                ("put_usd_per_1000", bucket.put_usd_per_1000),
                ("upload_usd_per_gib", bucket.upload_usd_per_gib),
                ("storage_usd_per_gib_month", bucket.storage_usd_per_gib_month),
            ]),
            (None, Some(machine)) => {
                machine.check()?;
                figures.push(("usd_per_hour", machine.usd_per_hour));
            }
            _ => return Err("give either [tiers.bucket] or [tiers.machine]".to_owned()),
        }
        let bad = figures.into_iter().find(|(_, usd)| !(usd.is_finite() && *usd >= 0.0));
        bad.map_or(Ok(()), |(name, usd)| Err(format!("{name} = {usd}: a price is 0 or more")))
    }
}

impl Machine {
    fn check(&self) -> Result<(), String> {
        let shares = [("fill", self.fill), ("write_use", self.write_use)];
        if let Some((name, share)) = shares.into_iter().find(|(_, share)| !(*share > 0.0 && *share <= 1.0)) {
            return Err(format!("{name} = {share}: more than 0, at most 1"));
        }
        let sizes = [("storage_gib", self.storage_gib), ("write_mib_per_second", self.write_mib_per_second)];
        let bad = sizes.into_iter().find(|(_, size)| !(size.is_finite() && *size > 0.0));
        bad.map_or(Ok(()), |(name, size)| Err(format!("{name} = {size}: more than 0")))
    }
}
