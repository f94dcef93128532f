//! The links of the segments that a writer puts into.

use crate::cluster::Cluster;
use crate::link::{LinkEvents, ReplicaLink, Subscription};
use quarry_protocol::ids::{LogId, SegmentId};
use quarry_protocol::quorum::ReplicaSet;
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::rotation::PARTS_MAX;
use std::sync::Arc;

/// One segment's links, in the record's order of its replicas.
pub(super) struct SegmentLinks {
    pub(super) id: SegmentId,
    links: Vec<Arc<dyn ReplicaLink>>,
    /// Events of its links carry this tag and the ones after it.
    first_tag: usize,
    /// Kept for as long as events are wanted.
    _subscriptions: Vec<Subscription>,
}

impl SegmentLinks {
    pub(super) fn link(&self, replica: usize) -> &dyn ReplicaLink {
        self.links[replica].as_ref()
    }

    /// A replica as people know it.
    pub(super) fn who(&self, replica: usize) -> String {
        let replica = self.links[replica].replica();
        format!("{} (zone {})", replica.address, replica.zone)
    }
}

/// All of them, oldest first: at most [`PARTS_MAX`].
pub(super) struct Segments {
    cluster: Arc<dyn Cluster>,
    log: LogId,
    events: LinkEvents,
    attached: Vec<Arc<SegmentLinks>>,
    next_tag: usize,
}

impl Segments {
    pub(super) fn new(cluster: Arc<dyn Cluster>, log: LogId, events: LinkEvents) -> Self {
        Self { cluster, log, events, attached: Vec::with_capacity(PARTS_MAX), next_tag: 0 }
    }

    /// Has what becomes of puts to `replicas` reported. Inside a Tokio runtime only.
    pub(super) fn attach(&mut self, id: SegmentId, replicas: &[ReplicaRef]) {
        let links: Vec<_> = replicas.iter().map(|replica| self.cluster.link(replica)).collect();
        let first_tag = self.next_tag;
        self.next_tag += links.len();
        let tagged = (first_tag..).zip(&links);
        let subscriptions = tagged.map(|(tag, link)| link.subscribe(self.log, id, tag, self.events.clone())).collect();
        self.attached.push(Arc::new(SegmentLinks { id, links, first_tag, _subscriptions: subscriptions }));
    }

    pub(super) fn detach(&mut self, id: SegmentId) {
        self.attached.retain(|segment| segment.id != id);
    }

    pub(super) fn detach_all(&mut self) {
        self.attached.clear();
    }

    /// The links of a segment that was attached. After the writer's end there are none.
    pub(super) fn of(&self, id: SegmentId) -> Option<&Arc<SegmentLinks>> {
        self.attached.iter().rev().find(|segment| segment.id == id)
    }

    /// Whose event it is: the segment, and the replica in it. None of a segment that was let go of.
    pub(super) fn find(&self, tag: usize) -> Option<(SegmentId, usize)> {
        let segment = self
            .attached
            .iter()
            .find(|segment| (segment.first_tag..segment.first_tag + segment.links.len()).contains(&tag))?;
        Some((segment.id, tag - segment.first_tag))
    }
}

/// Links that were put to and have to be flushed.
#[derive(Default)]
pub(super) struct Touched([Option<PutTo>; PARTS_MAX]);

struct PutTo {
    segment: Arc<SegmentLinks>,
    replicas: ReplicaSet,
    /// How often, all replicas together.
    puts: u32,
}

impl Touched {
    pub(super) fn note(&mut self, segment: &Arc<SegmentLinks>, replica: usize) {
        for place in &mut self.0 {
            match place {
                Some(known) if known.segment.id == segment.id => {
                    known.replicas.insert(replica);
                    known.puts += 1;
                    return;
                }
                Some(_) => {}
                None => {
                    let mut replicas = ReplicaSet::default();
                    replicas.insert(replica);
                    *place = Some(PutTo { segment: Arc::clone(segment), replicas, puts: 1 });
                    return;
                }
            }
        }
        // More segments in one round than are ever written: the one that was let go of flushes its puts itself.
        segment.link(replica).flush();
    }

    /// How many puts of one replica wait, at least: the most of any segment.
    pub(super) fn puts_max(&self) -> u32 {
        let of = |put_to: &PutTo| put_to.puts.div_ceil(put_to.segment.links.len() as u32);
        self.0.iter().flatten().map(of).max().unwrap_or(0)
    }

    pub(super) fn flush(&self) {
        for PutTo { segment, replicas, .. } in self.0.iter().flatten() {
            replicas.iter().for_each(|replica| segment.link(replica).flush());
        }
    }
}
