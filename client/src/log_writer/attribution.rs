//! Where the time of appends goes, for writers opened with [`crate::OpenOptions::attribution`].

use crate::link::PutTiming;
use quarry_protocol::ids::{ChunkSeq, SegmentId};
use quarry_protocol::put_times::PutTimes;
use quarry_protocol::record::Segment;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the time of one append went. The stages follow each other and add up to the whole; those between `window` and
/// `quorum` are of the replica that answered first.
///
/// ```text
///  append called      put          first answer        quorum answered        told
///        │   window    │ network, node_queue, │       quorum      │  order     │
///        └─────────────┴─ device, node_order ─┴───────────────────┴────────────┘
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppendTimes {
    /// In the client: from the call until the chunk was put to the replicas. Waiting for one's turn, for room in the window, and
    /// taking the checksum.
    pub window: Duration,
    /// On the way: from the put to the first answer, less what the node says it took. Sending, both networks stacks, and waking up
    /// on both sides. Of a replica that says nothing of its times (a bucket), all until its answer.
    pub network: Duration,
    /// On the node, from the chunk's arrival until the write that holds it was handed to the kernel.
    pub node_queue: Duration,
    /// Until that write was durable.
    pub device: Duration,
    /// On the node, until every write before it was durable too and the answer was made.
    pub node_order: Duration,
    /// From the first answer to the one that made the ack quorum.
    pub quorum: Duration,
    /// In the client: until every chunk before this one was committed too, and the appender was told.
    pub order: Duration,
    /// Each replica's own time, in the segment's order.
    pub replicas: Vec<ReplicaTimes>,
}

impl AppendTimes {
    /// The stages with their names, in the order in which an append passes them.
    #[must_use]
    pub fn stages(&self) -> [(&'static str, Duration); 7] {
        [
            ("window", self.window),
            ("network", self.network),
            ("node queue", self.node_queue),
            ("device", self.device),
            ("node order", self.node_order),
            ("quorum", self.quorum),
            ("order", self.order),
        ]
    }

    /// All stages together: from the call until the appender was told.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.stages().iter().map(|(_, took)| *took).sum()
    }
}

/// One replica's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaTimes {
    /// Its zone.
    pub zone: String,
    /// From the put to its answer; none if it had not answered when the append was committed.
    pub answered: Option<Duration>,
    /// What the node says of it.
    pub node: Option<PutTimes>,
    /// Whether its answer made the ack quorum.
    pub decided: bool,
}

/// The appends in flight.
pub(super) struct Attribution {
    first: ChunkSeq,
    appends: VecDeque<Append>,
    /// Of the segment that took the last append: the same for most.
    zones: Option<(SegmentId, Arc<[String]>)>,
}

struct Append {
    called: Instant,
    put: Instant,
    zones: Arc<[String]>,
    ack_quorum: usize,
    /// Replica, when it answered, and what it said; in the order of the answers.
    answers: Vec<(usize, Instant, Option<PutTimes>)>,
}

impl Attribution {
    pub(super) const fn new(next: ChunkSeq) -> Self {
        Self { first: next, appends: VecDeque::new(), zones: None }
    }

    /// The next append, called for at `called`, was put just now, to the replicas of `segment`.
    pub(super) fn put(&mut self, seq: ChunkSeq, called: Instant, segment: &Segment) {
        if self.appends.is_empty() {
            self.first = seq;
        }
        assert!(seq.0 == self.first.0 + self.appends.len() as u64, "append {seq} is timed after {}", self.first);
        let zones = match &self.zones {
            Some((known, zones)) if *known == segment.id => Arc::clone(zones),
            _ => {
                let zones: Arc<[_]> = segment.replicas.iter().map(|replica| replica.zone.clone()).collect();
                self.zones = Some((segment.id, Arc::clone(&zones)));
                zones
            }
        };
        let (put, ack_quorum) = (Instant::now(), usize::from(segment.ack_quorum));
        self.appends.push_back(Append { called, put, zones, ack_quorum, answers: Vec::new() });
    }

    /// A replica has stored it. Answers of a stopped segment, and second ones, change nothing.
    pub(super) fn answered(&mut self, seq: ChunkSeq, replica: usize, timing: Option<PutTiming>) {
        let Some(index) = seq.0.checked_sub(self.first.0) else { return };
        let Some(append) = self.appends.get_mut(index as usize) else { return };
        if replica < append.zones.len() && append.answers.iter().all(|(known, ..)| *known != replica) {
            let (at, node) = timing.map_or_else(|| (Instant::now(), None), |timing| (timing.at, Some(timing.node)));
            append.answers.push((replica, at, node));
        }
    }

    /// The oldest append is settled: its times, if it was committed by answers that were seen.
    pub(super) fn settled(&mut self, seq: ChunkSeq) -> Option<Arc<AppendTimes>> {
        if seq != self.first {
            return None;
        }
        let append = self.appends.pop_front()?;
        self.first = ChunkSeq(seq.0 + 1);
        append.times(Instant::now()).map(Arc::new)
    }
}

impl Append {
    fn times(mut self, now: Instant) -> Option<AppendTimes> {
        // Links report in turns, so answers of different replicas may come out of their order.
        self.answers.sort_by_key(|(_, at, _)| *at);
        let (_, first, node) = *self.answers.first()?;
        let (decider, quorum_at, _) = *self.answers.get(self.ack_quorum - 1)?;
        let us = |us: u32| Duration::from_micros(u64::from(us));
        let mut network = first.saturating_duration_since(self.put);
        let told = node.unwrap_or_default();
        // By two clocks: what the node says is never more than what passed here.
        let mut of_node = |said_us: u32| {
            let took = us(said_us).min(network);
            network = network.saturating_sub(took);
            took
        };
        let (node_queue, device, node_order) =
            (of_node(told.queue_us), of_node(told.device_us), of_node(told.order_us));
        let zones = self.zones.iter().enumerate();
        let replicas = zones.map(|(index, zone)| {
            let answer = self.answers.iter().find(|(replica, ..)| *replica == index);
            let answered = answer.map(|(_, at, _)| at.saturating_duration_since(self.put));
            let node = answer.and_then(|(_, _, node)| *node);
            ReplicaTimes { zone: zone.clone(), answered, node, decided: index == decider }
        });
        let replicas = replicas.collect();
        Some(AppendTimes {
            window: self.put.saturating_duration_since(self.called),
            network,
            node_queue,
            device,
            node_order,
            quorum: quorum_at.saturating_duration_since(first.max(self.put)),
            order: now.saturating_duration_since(quorum_at),
            replicas,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quarry_protocol::ids::{DiskId, Epoch};
    use quarry_protocol::record::{ReplicaRef, SegmentEnd, Window};

    fn segment() -> Segment {
        let replica = |(number, zone): (u8, &str)| ReplicaRef {
            disk: DiskId([number; 16]),
            address: format!("{zone}:1"),
            zone: zone.to_owned(),
        };
        Segment {
            id: SegmentId { epoch: Epoch(1), index: 0 },
            base: ChunkSeq(0),
            end: SegmentEnd::Open,
            replicas: [(1, "a"), (2, "b"), (3, "c")].map(replica).into(),
            ack_quorum: 2,
            window: Window { chunks: 8, bytes: 8 },
        }
    }

    fn zones() -> Arc<[String]> {
        ["a", "b", "c"].map(str::to_owned).into()
    }

    fn node(queue_us: u32, device_us: u32, order_us: u32) -> PutTimes {
        PutTimes { queue_us, device_us, order_us }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Every stage is where the picture has it, and together they are the whole append.
    #[test]
    fn the_stages_add_up() {
        let called = Instant::now();
        let put = called + ms(10);
        let answers = vec![(2, put + ms(30), None), (1, put + ms(20), Some(node(2000, 5000, 1000)))];
        let append = Append { called, put, zones: zones(), ack_quorum: 2, answers };
        let times = append.times(put + ms(37)).expect("a quorum answered");
        let stages = times.stages().map(|(_, took)| took.as_millis());
        assert_eq!(stages, [10, 12, 2, 5, 1, 10, 7]);
        assert_eq!(times.total(), ms(47));
        let replicas: Vec<_> =
            times.replicas.iter().map(|r| (r.answered.map(|took| took.as_millis()), r.decided)).collect();
        assert_eq!(replicas, [(None, false), (Some(20), false), (Some(30), true)]);
    }

    /// A node's clock may run faster than ours.
    #[test]
    fn a_node_never_took_longer_than_the_answer() {
        let put = Instant::now();
        let answers = vec![(0, put + ms(3), Some(node(2000, 5000, 1000)))];
        let append = Append { called: put, put, zones: zones(), ack_quorum: 1, answers };
        let times = append.times(put + ms(3)).expect("a quorum answered");
        assert_eq!(times.stages().map(|(_, took)| took.as_millis()), [0, 0, 2, 1, 0, 0, 0]);
    }

    #[test]
    fn answers_find_their_append_and_second_ones_are_ignored() {
        let mut attribution = Attribution::new(ChunkSeq(5));
        let now = Instant::now();
        for seq in 5..8 {
            attribution.put(ChunkSeq(seq), now, &segment());
        }
        attribution.answered(ChunkSeq(4), 0, None);
        attribution.answered(ChunkSeq(9), 0, None);
        attribution.answered(ChunkSeq(5), 0, Some(PutTiming { at: now, node: node(1, 1, 1) }));
        attribution.answered(ChunkSeq(5), 0, None);
        attribution.answered(ChunkSeq(6), 0, None);
        attribution.answered(ChunkSeq(6), 1, None);
        assert_eq!(attribution.settled(ChunkSeq(5)), None, "one replica twice is no quorum");
        assert!(attribution.settled(ChunkSeq(6)).is_some_and(|times| times.replicas[1].decided));
        assert_eq!(attribution.settled(ChunkSeq(9)), None);
    }
}
