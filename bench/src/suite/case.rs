//! The cases of a suite.

use super::LoadSpec;
use crate::size::Size;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// What is done to targets, side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseSpec {
    /// How reports call it. With several sizes of chunks, each is a case of its own, and its size follows the name.
    pub name: String,
    /// Who decides when an operation begins, and what is wrong meanwhile.
    pub load: LoadSpec,
    /// Sizes of chunks, or `preferred` for what each store prefers.
    #[serde(default = "chunks")]
    pub chunks: Vec<ChunkSize>,
    /// Logs that are written at once, each by the one writer that a log can have.
    #[serde(default = "one")]
    pub logs: usize,
    /// Clients that the writers are spread over, each with connections of its own.
    #[serde(default = "one")]
    pub clients: usize,
    /// Instead of the suite's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<usize>,
    /// Instead of the suite's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_seconds: Option<f64>,
    /// Names of targets; all of them unless it is said.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Whether the raw device and the loopback are measured in the same rounds, also of phases and ladders. Yes, unless it is
    /// said, where nodes of our own are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<bool>,
    /// Writes in flight to the raw device of the baseline, instead of as many as all replicas together would have. The ratios are
    /// to a device at that depth then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_in_flight: Option<usize>,
    /// Whether the bare pipe is measured with it. Yes, unless it is said, beside a closed loop: it has no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipe: Option<bool>,
    /// Whether receipts say where the time of each append went: costs a few percent. For a closed or open loop.
    #[serde(default)]
    pub stages: bool,
    /// Whether that cost is measured: the same appends with receipts that say nothing, on logs of their own, in the same rounds.
    #[serde(default)]
    pub stages_cost: bool,
}

impl CaseSpec {
    /// A case with every default.
    #[must_use]
    pub fn new(name: &str, load: LoadSpec) -> Self {
        Self {
            name: name.to_owned(),
            load,
            chunks: chunks(),
            logs: one(),
            clients: one(),
            rounds: None,
            part_seconds: None,
            targets: Vec::new(),
            baseline: None,
            device_in_flight: None,
            pipe: None,
            stages: false,
            stages_cost: false,
        }
    }

    /// What the case with chunks of this size is called.
    #[must_use]
    pub fn name_with(&self, chunk: ChunkSize) -> String {
        if self.chunks.len() == 1 { self.name.clone() } else { format!("{}, {chunk}", self.name) }
    }
}

/// How large chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkSize {
    /// So many bytes.
    Bytes(Size),
    /// What the store prefers.
    Preferred,
}

const PREFERRED: &str = "preferred";

impl fmt::Display for ChunkSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(size) => size.fmt(f),
            Self::Preferred => f.write_str(PREFERRED),
        }
    }
}

impl FromStr for ChunkSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == PREFERRED {
            return Ok(Self::Preferred);
        }
        text.parse().map(Self::Bytes).map_err(|why| format!("{why}, or {PREFERRED:?}"))
    }
}

impl Serialize for ChunkSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChunkSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(bytes) => Ok(Self::Bytes(Size(bytes))),
            Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

const fn one() -> usize {
    1
}

fn chunks() -> Vec<ChunkSize> {
    vec![ChunkSize::Bytes(Size(64 << 10))]
}
