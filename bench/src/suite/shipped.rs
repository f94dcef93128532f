//! Suites that come with the command.

/// Name and TOML of each.
pub const SHIPPED: [(&str, &str); 3] = [
    ("quick", include_str!("../../suites/quick.toml")),
    ("full", include_str!("../../suites/full.toml")),
    ("tiers", include_str!("../../suites/tiers.toml")),
];

/// The TOML of a suite that comes with the command.
#[must_use]
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| *text)
}
