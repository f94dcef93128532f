//! What a GiB costs, by the size of its chunks.

use super::prices::{Bucket, Machine, Tier};
use serde::Serialize;

const GIB: f64 = (1 << 30) as f64;
const HOURS_PER_MONTH: f64 = 730.0;
const MIB_PER_SECOND_IN_GIB_PER_HOUR: f64 = 3600.0 / 1024.0;

/// What writing a GiB of payload costs, and keeping it for a while, in US dollars, all replicas together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Requests.
    pub requests_usd: f64,
    /// Fees by bytes sent.
    pub upload_usd: f64,
    /// Keeping it.
    pub storage_usd: f64,
    /// Machines: by what they hold or by what they write, whichever is more.
    pub machines_usd: f64,
    /// Traffic between zones.
    pub traffic_usd: f64,
}

impl Cost {
    /// All of it.
    #[must_use]
    pub fn total_usd(&self) -> f64 {
        self.requests_usd + self.upload_usd + self.storage_usd + self.machines_usd + self.traffic_usd
    }
}

impl Tier {
    /// Of a GiB in chunks of `chunk_bytes`, kept for `hours`.
    #[must_use]
    pub fn cost(&self, chunk_bytes: f64, hours: f64) -> Cost {
        let replicas = f64::from(self.replicas);
        let traffic_usd = f64::from(self.cross_zone_copies) * self.cross_zone_usd_per_gib;
        let of_buckets = self.bucket.map(|bucket| bucket.cost(chunk_bytes, hours, replicas));
        let of_machines = self.machine.map(|machine| Cost {
            machines_usd: replicas * machine.hours_per_gib(hours) * machine.usd_per_hour,
            ..Cost::default()
        });
        Cost { traffic_usd, ..of_buckets.or(of_machines).unwrap_or_default() }
    }
}

impl Bucket {
    fn cost(&self, chunk_bytes: f64, hours: f64, replicas: f64) -> Cost {
        let puts = replicas * GIB / chunk_bytes;
        let charged_bytes = (chunk_bytes - self.upload_free_bytes_per_put as f64).max(0.0);
        Cost {
            requests_usd: puts * self.put_usd_per_1000 / 1000.0,
            upload_usd: puts * charged_bytes / GIB * self.upload_usd_per_gib,
            storage_usd: replicas * self.storage_usd_per_gib_month * hours / HOURS_PER_MONTH,
            ..Cost::default()
        }
    }
}

impl Machine {
    /// Hours of one machine that one copy of a GiB takes up.
    fn hours_per_gib(&self, hours: f64) -> f64 {
        let held = hours / (self.storage_gib * self.fill);
        let written = 1.0 / (self.write_mib_per_second * MIB_PER_SECOND_IN_GIB_PER_HOUR * self.write_use);
        held.max(written)
    }
}
