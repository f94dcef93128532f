//! What gossip counts, and what it says about datagrams that it drops: often enough to be noticed, never as fast as they come.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long nothing more is said about one cause after something was.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Why a datagram, or a part of one, is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its source, or strangers together, sent too many.
    Flood,
    /// Larger than any datagram.
    Oversize,
    /// Not a sealed datagram of this version.
    Malformed,
    /// Sealed with another key or for another cluster, or damaged.
    Seal,
    /// It opened, and is not what foca says.
    Message,
    /// It opened, and holds words of a node that are not understood or go beyond a bound.
    Announcement,
    /// A node claims what others know better.
    Refused,
    /// It could not be sent.
    Send,
}

impl Cause {
    const ALL: [Self; 8] = [
        Self::Flood,
        Self::Oversize,
        Self::Malformed,
        Self::Seal,
        Self::Message,
        Self::Announcement,
        Self::Refused,
        Self::Send,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Flood => "flood",
            Self::Oversize => "oversize",
            Self::Malformed => "malformed",
            Self::Seal => "seal",
            Self::Message => "message",
            Self::Announcement => "announcement",
            Self::Refused => "refused",
            Self::Send => "send",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Flood => "too many datagrams: find out who sends them, and let only nodes reach this port",
            Self::Oversize | Self::Malformed => "it is not gossip: let only nodes reach this port",
            Self::Seal => {
                "it was sealed with another cluster key or for another cluster: give every node the same key file"
            }
            Self::Message | Self::Announcement => "another version, or a broken node: run one version",
            Self::Refused => "nothing is placed on that node until this is corrected",
            Self::Send => "the network refused a datagram",
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    received: AtomicU64,
    sent: AtomicU64,
    dropped: [AtomicU64; Cause::ALL.len()],
    said: Mutex<[Option<Instant>; Cause::ALL.len()]>,
}

impl Counters {
    pub(super) fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts something that is dropped, and says so if nothing was said about its cause lately.
    pub(super) fn drop_for(&self, cause: Cause, what: &dyn fmt::Display) {
        let count = self.dropped[cause as usize].fetch_add(1, Ordering::Relaxed) + 1;
        let mut said = self.said.lock().expect("nobody panics while saying something");
        let said = &mut said[cause as usize];
        if said.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!(cause = cause.name(), count, "gossip dropped: {what}: {}", cause.advice());
        }
    }

    /// Datagrams received and sent.
    pub(crate) fn datagrams(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }

    /// How much was dropped, by cause.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = (Cause, u64)> + '_ {
        Cause::ALL.into_iter().map(|cause| (cause, self.dropped[cause as usize].load(Ordering::Relaxed)))
    }

    #[cfg(test)]
    pub(super) fn dropped_for(&self, wanted: Cause) -> u64 {
        self.dropped().find(|(cause, _)| *cause == wanted).map_or(0, |(_, count)| count)
    }
}
