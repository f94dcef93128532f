//! How much of the new logs a node gets: in proportion to its room, less if it is busier than others.
//!
//! Weighted rendezvous hashing: each node draws a number from the log's id and its disk, its weight bends that number, and the
//! highest wins. Logs spread in proportion to weights, and a node that comes or goes moves no log but its own.

use quarry_protocol::ids::{DiskId, LogId};
use quarry_protocol::member::Member;

/// Room below which all nodes are the same. Far below it they are full, and say so.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// Added to every load: below it, differences say nothing.
const LOAD_BYTES_PER_S_MIN: f64 = (8 << 20) as f64;

/// What weights are measured against.
pub(super) struct Weights {
    /// Weight of a node of which nothing is known: as an average one.
    unknown: f64,
    /// Average load of the others.
    load_bytes_per_s: f64,
}

impl Weights {
    pub(super) fn of<'a>(members: impl Iterator<Item = Option<&'a Member>>) -> Self {
        let known: Vec<&Member> = members.flatten().filter(|member| member.capacity_bytes > 0).collect();
        if known.is_empty() {
            return Self { unknown: 1.0, load_bytes_per_s: 0.0 };
        }
        let count = known.len() as f64;
        let load = known.iter().map(|member| member.load_bytes_per_s as f64).sum::<f64>() / count;
        let mut weights = Self { unknown: 1.0, load_bytes_per_s: load };
        weights.unknown = known.iter().map(|member| weights.weight(Some(member))).sum::<f64>() / count;
        weights
    }

    fn weight(&self, member: Option<&Member>) -> f64 {
        let Some(member) = member.filter(|member| member.capacity_bytes > 0) else { return self.unknown };
        let free = member.free_bytes().max(FREE_BYTES_MIN) as f64;
        // 1 for an average load, 2 for none among busy ones, less and less for more.
        let load =
            (member.load_bytes_per_s as f64 + LOAD_BYTES_PER_S_MIN) / (self.load_bytes_per_s + LOAD_BYTES_PER_S_MIN);
        free * 2.0 / (1.0 + load)
    }

    /// The number that decides; the highest wins.
    pub(super) fn score(&self, log: LogId, disk: DiskId, member: Option<&Member>) -> f64 {
        // Above 0 and below 1, evenly.
        let drawn = ((hash(log, disk) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        self.weight(member) / -drawn.ln()
    }
}

fn hash(log: LogId, disk: DiskId) -> u64 {
    let half = |first: &[u8], second: &[u8]| u64::from(crc32c::crc32c_append(crc32c::crc32c(first), second));
    // Mixed, because a checksum alone is linear: its order would be the same for every log.
    let mut mixed = half(&log.0, &disk.0) << 32 | half(&disk.0, &log.0);
    for (shift, factor) in [(30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)] {
        mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
    }
    mixed ^ (mixed >> 31)
}
