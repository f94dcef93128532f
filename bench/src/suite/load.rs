//! Who decides when an operation begins, and what is wrong meanwhile.

use crate::size::Size;
use serde::de::{IntoDeserializer, value};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What a case does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LoadSpec {
    /// A fixed number in flight.
    Closed {
        /// How many, for each log.
        depth: usize,
    },
    /// A fixed rate, whatever the store does.
    Open {
        /// Operations per second, over all logs together.
        per_second: f64,
    },
    /// Rising rates, for the highest at which p99 from due time stays within a bound.
    Ladder(LadderSpec),
    /// Something happens while appends go on, or an operation other than append is measured.
    Phase(PhaseSpec),
}

impl LoadSpec {
    /// The phase, if it is one.
    #[must_use]
    pub const fn phase(&self) -> Option<&PhaseSpec> {
        match self {
            Self::Phase(phase) => Some(phase),
            _ => None,
        }
    }
}

/// How the highest rate is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderSpec {
    /// The bound, in microseconds.
    pub p99_us_max: f64,
    /// The first rate, in operations per second over all logs.
    pub first_per_second: f64,
    /// How much higher each next one is until one does not hold.
    #[serde(default = "factor")]
    pub factor: f64,
    /// How often the gap between the highest that held and the lowest that did not is halved then.
    #[serde(default = "halvings")]
    pub halvings: usize,
    /// Most rates in all.
    #[serde(default = "steps_max")]
    pub steps_max: usize,
}

impl LadderSpec {
    /// The first rate of a ladder that does not say: slow for any store.
    pub const FIRST_PER_SECOND: f64 = 100.0;

    /// A ladder with every default.
    #[must_use]
    pub const fn new(p99_us_max: f64, first_per_second: f64) -> Self {
        Self { p99_us_max, first_per_second, factor: factor(), halvings: halvings(), steps_max: steps_max() }
    }
}

/// A phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseSpec {
    /// Which.
    pub kind: PhaseKind,
    /// Appends in flight meanwhile.
    #[serde(default = "depth")]
    pub depth: usize,
    /// The failure detection time (`replica_patience`), in milliseconds.
    #[serde(default = "patience_ms")]
    pub patience_ms: u64,
    /// `slow`: how much of the time the slow node stands still, in percent.
    #[serde(default = "stopped_percent")]
    pub stopped_percent: u32,
    /// `restart`, `catch_up` and `repair`: payload bytes that are there before.
    #[serde(default = "older")]
    pub older: Size,
}

impl PhaseSpec {
    /// A phase with every default.
    #[must_use]
    pub const fn new(kind: PhaseKind) -> Self {
        Self { kind, depth: depth(), patience_ms: patience_ms(), stopped_percent: stopped_percent(), older: older() }
    }
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseKind {
    /// One replica stands still again and again, for a few milliseconds each time.
    Slow,
    /// One replica stands still.
    Paused,
    /// One replica is killed.
    Killed,
    /// A new writer takes over a log that nobody writes.
    TakeoverIdle,
    /// A new writer takes over a log whose writer was cut off with its window full.
    TakeoverFull,
    /// A node is killed and started again, and replays.
    Restart,
    /// The log is trimmed all the time.
    Trim,
    /// A reader reads older data.
    CatchUp,
    /// A lost copy of older data is made anew.
    Repair,
}

impl FromStr for PhaseKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::deserialize(text.into_deserializer()).map_err(|why: value::Error| why.to_string())
    }
}

impl PhaseKind {
    /// Its name in a suite and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Paused => "paused",
            Self::Killed => "killed",
            Self::TakeoverIdle => "takeover_idle",
            Self::TakeoverFull => "takeover_full",
            Self::Restart => "restart",
            Self::Trim => "trim",
            Self::CatchUp => "catch_up",
            Self::Repair => "repair",
        }
    }

    /// Whether it needs nodes that the run started, because it hurts them.
    #[must_use]
    pub const fn hurts_nodes(self) -> bool {
        matches!(self, Self::Slow | Self::Paused | Self::Killed | Self::Restart | Self::Repair)
    }
}

const fn factor() -> f64 {
    2.0
}

const fn halvings() -> usize {
    3
}

const fn steps_max() -> usize {
    14
}

const fn depth() -> usize {
    16
}

const fn patience_ms() -> u64 {
    2000
}

const fn stopped_percent() -> u32 {
    50
}

const fn older() -> Size {
    Size(128 << 20)
}
