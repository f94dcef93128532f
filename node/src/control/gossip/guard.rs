//! How many datagrams are looked at. A flood must not keep the control plane's thread busy with opening seals: it is cut off
//! before that, by source first, and strangers together so that they cannot crowd out members.

use quarry_protocol::time::Micros;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Datagrams per second that one source may send in the long run. A large cluster's busiest member sends some tens.
const SOURCE_PER_S: u64 = 200;
/// Datagrams that one source may send at once.
const SOURCE_BURST: u64 = 400;
/// Datagrams per second of all sources that are not members.
const STRANGERS_PER_S: u64 = 500;
/// Datagrams of all strangers at once.
const STRANGERS_BURST: u64 = 1000;
/// Most sources that have a bucket of their own. Beyond, strangers share the one of all strangers only.
const SOURCES_MAX: usize = 4096;
/// One datagram, in the unit of a bucket: a rate per second fills it by as many units every microsecond.
const DATAGRAM: u64 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Guard {
    sources: BTreeMap<IpAddr, Bucket>,
    strangers: Bucket,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: u64,
    since: Micros,
}

impl Bucket {
    const fn full(burst: u64, now: Micros) -> Self {
        Self { level: burst * DATAGRAM, since: now }
    }

    fn fill(&mut self, now: Micros, (per_s, burst): (u64, u64)) {
        let more = now.since(self.since).saturating_mul(per_s);
        self.level = self.level.saturating_add(more).min(burst * DATAGRAM);
        self.since = now;
    }

    fn take(&mut self, now: Micros, rate: (u64, u64)) -> bool {
        self.fill(now, rate);
        let enough = self.level >= DATAGRAM;
        if enough {
            self.level -= DATAGRAM;
        }
        enough
    }
}

impl Guard {
    pub(super) const fn new() -> Self {
        Self { sources: BTreeMap::new(), strangers: Bucket::full(STRANGERS_BURST, Micros(0)) }
    }

    /// Whether a datagram from `source` is looked at.
    pub(super) fn admits(&mut self, now: Micros, source: IpAddr, is_member: bool) -> bool {
        if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES_MAX {
            self.sources.retain(|_, bucket| {
                bucket.fill(now, (SOURCE_PER_S, SOURCE_BURST));
                bucket.level < SOURCE_BURST * DATAGRAM
            });
        }
        let room = self.sources.len() < SOURCES_MAX;
        let own = match self.sources.get_mut(&source) {
            Some(bucket) => bucket.take(now, (SOURCE_PER_S, SOURCE_BURST)),
            None if room || is_member => {
                let bucket = self.sources.entry(source).or_insert(Bucket::full(SOURCE_BURST, now));
                bucket.take(now, (SOURCE_PER_S, SOURCE_BURST))
            }
            None => true,
        };
        own && (is_member || self.strangers.take(now, (STRANGERS_PER_S, STRANGERS_BURST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn one_source_is_cut_off_and_let_in_again() {
        let mut guard = Guard::new();
        let let_in = (0..10_000).filter(|_| guard.admits(Micros(1), source(1), false)).count() as u64;
        assert_eq!(let_in, SOURCE_BURST);
        assert!(guard.admits(Micros(1), source(2), false), "others are not");
        let second: usize = (0..1000).filter(|i| guard.admits(Micros(1 + i * 1000), source(1), false)).count();
        assert!((SOURCE_PER_S as usize - 2..=SOURCE_PER_S as usize + 2).contains(&second), "{second} in a second");
    }

    #[test]
    fn strangers_do_not_crowd_out_members_and_take_bounded_memory() {
        let mut guard = Guard::new();
        let let_in = (0..20_000).filter(|i| guard.admits(Micros(1), source(1000 + i), false)).count() as u64;
        assert!((STRANGERS_BURST..=STRANGERS_BURST + 1).contains(&let_in), "{let_in}");
        assert_eq!(guard.sources.len(), SOURCES_MAX);
        for member in 0..50 {
            assert!(guard.admits(Micros(2), source(member), true));
        }
        assert!(guard.admits(Micros(60_000_000), source(7_000_000), false), "the flood is over");
        assert!(guard.sources.len() < 100, "{} sources are remembered", guard.sources.len());
    }
}
