//! What is true of a bucket's machine after every event.

use super::Bucket;
use crate::ids::Epoch;
use crate::limits::{BUCKET_PUTS_MAX, BUCKET_REQUESTS_MAX, BUCKET_SEGMENTS_MAX};

impl Bucket {
    /// Checks what can be checked in constant time; called after every event.
    pub(super) fn cheap_invariants(&self) {
        self.pool.invariants();
        let puts = self.waiting_puts.len() + self.pool.puts();
        assert!(puts <= BUCKET_PUTS_MAX, "{puts} puts, the most is {BUCKET_PUTS_MAX}");
        let requests = self.requests.len();
        assert!(requests <= BUCKET_REQUESTS_MAX, "{requests} requests, the most is {BUCKET_REQUESTS_MAX}");
        let waiting = self.waiting_puts.len() + self.requests.waiting();
        assert!(self.looks || waiting == 0, "{waiting} wait for a look at the identity that nobody asked for");
        assert!(self.deleted <= self.fence, "deleted at {}, fenced at {}", self.deleted, self.fence);
        let segments = self.known.segments.len();
        assert!(segments <= BUCKET_SEGMENTS_MAX, "{segments} segments, the most is {BUCKET_SEGMENTS_MAX}");
    }

    /// Checks everything.
    pub fn invariants(&self) {
        self.cheap_invariants();
        for (id, segment) in &self.known.segments {
            let (limit, dropped) = (segment.known.limit(), segment.dropped);
            // What keeps a writer from going on lies at its end, or beyond: it is never deleted.
            assert!(dropped <= limit, "slots of {id} below {dropped} are dropped, it ends at {limit}");
            assert!(segment.fenced <= self.fence, "{id} is fenced at {}, the log at {}", segment.fenced, self.fence);
            assert!(segment.fenced == Epoch(0) || segment.fenced > id.epoch, "{id} is fenced at {}", segment.fenced);
        }
        let at_work = self.sweeper.outstanding();
        assert!(at_work == 0 || self.sweeper.is_at_work(), "{at_work} slots are swept for nobody");
    }
}
