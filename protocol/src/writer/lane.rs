//! One replica, as its writer sees it.

use crate::ids::ChunkSeq;
use crate::time::Micros;
use alloc::borrow::ToOwned;
use alloc::string::String;

/// How long a replica that refused a put (a full disk, say) is left alone at first, in microseconds.
const PAUSE_US_MIN: u64 = 50_000;
/// How long it is left alone at most, in microseconds.
const PAUSE_US_MAX: u64 = 1_000_000;

/// The traffic to one replica.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    /// Whether a connection stands.
    up: bool,
    /// The next chunk to put on it.
    pub(super) next: ChunkSeq,
    /// The highest seq it has stored on this connection. Buckets answer in any order.
    newest: Option<ChunkSeq>,
    /// Set while it is left behind (P10): the first seq it may lack.
    left: Option<ChunkSeq>,
    /// Set after a refusal: when to put again.
    paused_until: Option<Micros>,
    /// How long the next pause is.
    pause_us: u64,
    /// The last thing that went wrong with it, if nothing went right since.
    trouble: Option<String>,
    /// Since when it takes no puts, or refuses them.
    ailing_since: Option<Micros>,
}

impl Lane {
    pub(super) fn new(next: ChunkSeq, now: Micros) -> Self {
        Self {
            up: false,
            next,
            newest: None,
            left: None,
            paused_until: None,
            pause_us: PAUSE_US_MIN,
            trouble: None,
            ailing_since: Some(now),
        }
    }

    pub(super) const fn ailing_since(&self) -> Option<Micros> {
        self.ailing_since
    }

    /// Whether chunks may be put now.
    pub(super) const fn takes_puts(&self) -> bool {
        self.up && self.left.is_none() && self.paused_until.is_none()
    }

    /// Whether committed chunks are kept for it.
    pub(super) const fn is_kept_for(&self) -> bool {
        self.left.is_none()
    }

    /// What to say of it if the quorum is missed.
    pub(super) fn trouble(&self) -> String {
        match (&self.trouble, self.up) {
            (Some(why), _) => why.clone(),
            (None, true) => "connected, has not answered yet".to_owned(),
            (None, false) => "never connected".to_owned(),
        }
    }

    /// When it is to be tried again by itself.
    pub(super) const fn wakes_at(&self) -> Option<Micros> {
        if self.up { self.paused_until } else { None }
    }

    pub(super) fn connected(&mut self) {
        self.up = true;
        self.newest = None;
        self.paused_until = None;
        self.trouble = None;
        if self.left.is_none() {
            self.ailing_since = None;
        }
    }

    pub(super) fn disconnected(&mut self, now: Micros, why: String) {
        self.up = false;
        self.ailing_since.get_or_insert(now);
        self.paused_until = None;
        self.trouble = Some(why);
    }

    /// It refused a put, for a reason that may pass: leave it alone for a while.
    pub(super) fn pause(&mut self, now: Micros, why: String) {
        self.trouble = Some(why);
        self.ailing_since.get_or_insert(now);
        // Chunks already on their way may all be refused: one pause for all of them.
        if self.paused_until.is_none() {
            self.paused_until = Some(now.plus(self.pause_us));
            self.pause_us = (self.pause_us * 2).min(PAUSE_US_MAX);
        }
    }

    /// Ends a pause that is over; true if it did.
    pub(super) fn wake(&mut self, now: Micros) -> bool {
        let over = self.paused_until.is_some_and(|until| now >= until);
        if over {
            self.paused_until = None;
        }
        over
    }

    /// It stored a chunk. True if it was left behind and has stored the last one that it was sent: it keeps up again. Others may
    /// still be on their way, since the answer to the last one may have come first, even before it was left behind.
    pub(super) fn stored(&mut self, seq: ChunkSeq) -> bool {
        self.newest = self.newest.max(Some(seq));
        if self.paused_until.is_none() {
            self.pause_us = PAUSE_US_MIN;
            self.trouble = None;
            if self.up && self.left.is_none() {
                self.ailing_since = None;
            }
        }
        if let Some(lacks_from) = &mut self.left
            && *lacks_from == seq
        {
            *lacks_from = seq.next();
        }
        let has_last = self.newest.is_some_and(|newest| newest.next() == self.next);
        self.left.is_some() && self.up && self.paused_until.is_none() && has_last
    }

    pub(super) fn leave_behind(&mut self, now: Micros, lacks_from: ChunkSeq) {
        assert!(self.left.is_none(), "left behind twice, at {:?} and {lacks_from}", self.left);
        self.ailing_since.get_or_insert(now);
        self.left = Some(lacks_from);
    }

    /// Takes part again, from `at` on. Returns the first seq it lacks, if it was left behind.
    pub(super) fn rejoin(&mut self, at: ChunkSeq) -> Option<ChunkSeq> {
        let lacks_from = self.left.take()?;
        self.ailing_since = None;
        self.next = at;
        Some(lacks_from)
    }
}
