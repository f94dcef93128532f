//! The stores of a suite.

use crate::size::Size;
use serde::de::{IntoDeserializer, value};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// One store: exactly one of `nodes`, `emulated` and `url`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSpec {
    /// How cases and reports call it.
    pub name: String,
    /// Storage nodes that are started for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodesSpec>,
    /// An object store of our own, with latencies that others published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emulated: Option<EmulatedKind>,
    /// Any other store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Copies of each chunk; what the store has by itself unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<usize>,
    /// How many of them acknowledge; a majority of `replicas` if those are said, else what the store has by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<usize>,
    /// Payload bytes of a case at which its logs are read back and trimmed; a part appends half as many at most. Unless it is
    /// said: 512 MiB, or a quarter of the nodes' capacity if that is less; half of it where everything is in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Size>,
}

impl TargetSpec {
    /// A target with nothing but its name: one of `nodes`, `emulated` and `url` is still to be said.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, nodes: None, emulated: None, url: None, replicas: None, ack: None, holds: None }
    }
}

/// Nodes of the binary that measures, one process and one zone each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodesSpec {
    /// How many.
    pub count: usize,
    /// Passed on to `quarry start`.
    pub spin_us: u64,
    /// Passed on to `quarry format`.
    pub capacity: Size,
    /// Passed on to `quarry format`.
    pub file_size: Size,
    /// Payload bytes appended and trimmed before anything is measured, so that files are overwritten as in steady state. The
    /// capacity unless it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<Size>,
}

impl Default for NodesSpec {
    fn default() -> Self {
        Self { count: 3, spin_us: 0, capacity: Size(2 << 30), file_size: Size(128 << 20), warm_up: None }
    }
}

/// Which object store is imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EmulatedKind {
    /// Three directory buckets of S3 Express One Zone.
    #[serde(rename = "s3express")]
    S3Express,
    /// A bucket of S3 Standard.
    #[serde(rename = "s3")]
    S3,
    /// A bucket that answers at once: what client and server can do on this machine.
    #[serde(rename = "immediate")]
    Immediate,
}

impl FromStr for EmulatedKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::deserialize(text.into_deserializer()).map_err(|why: value::Error| why.to_string())
    }
}
