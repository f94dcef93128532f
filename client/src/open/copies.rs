//! The links of the segment that a recovery copies into (P7.4): copies go over them like any put, and what becomes of
//! them comes back as the links' events.

use crate::cluster::Cluster;
use crate::link::{LinkEvent, LinkEvents, ReplicaLink, Subscription};
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::ids::{LogId, SegmentId};
use quarry_protocol::quorum::ReplicaSet;
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::recovery::RecoveryEvent;
use std::sync::Arc;

pub(super) struct Copies {
    events: LinkEvents,
    attached: Option<Attached>,
    /// Events of earlier attachments carry lower tags.
    first_tag: usize,
    next_tag: usize,
}

struct Attached {
    segment: SegmentId,
    links: Vec<Arc<dyn ReplicaLink>>,
    /// Kept for as long as events are wanted.
    _subscriptions: Vec<Subscription>,
    touched: ReplicaSet,
}

impl Copies {
    /// Events of the links go to `events`, to be brought back to [`Self::translate`].
    pub(super) fn new(events: LinkEvents) -> Self {
        Self { events, attached: None, first_tag: 0, next_tag: 0 }
    }

    /// Reports, from now on, on the links to `replicas`.
    pub(super) fn attach(&mut self, cluster: &dyn Cluster, log: LogId, segment: SegmentId, replicas: &[ReplicaRef]) {
        self.attached = None;
        self.first_tag = self.next_tag;
        let links: Vec<_> = replicas.iter().map(|replica| cluster.link(replica)).collect();
        self.next_tag += links.len();
        let tagged = (self.first_tag..).zip(&links);
        let subscriptions = tagged.map(|(tag, link)| link.subscribe(log, segment, tag, self.events.clone())).collect();
        let touched = ReplicaSet::default();
        self.attached = Some(Attached { segment, links, _subscriptions: subscriptions, touched });
    }

    /// Puts a copy to one of the replicas attached to.
    pub(super) fn put(&mut self, replica: usize, header: ChunkHeader, payload: Bytes) {
        let attached = self.attached.as_mut().expect("copies are put to links that were attached to");
        attached.links[replica].put(header, payload);
        attached.touched.insert(replica);
    }

    /// Sends what was put.
    pub(super) fn flush(&mut self) {
        if let Some(attached) = &mut self.attached {
            for replica in std::mem::take(&mut attached.touched).iter() {
                attached.links[replica].flush();
            }
        }
    }

    /// What a link's event means to the machine; nothing, if it comes from an earlier attachment.
    pub(super) fn translate(&self, tag: usize, event: LinkEvent) -> Option<RecoveryEvent> {
        let replica = tag.checked_sub(self.first_tag)?;
        let segment = self.attached.as_ref()?.segment;
        Some(match event {
            LinkEvent::Stored(seq) | LinkEvent::TimedStored(seq, _) => {
                RecoveryEvent::CopyStored { replica, segment, seq }
            }
            LinkEvent::Refused(seq, refusal) => RecoveryEvent::CopyRefused { replica, segment, seq, refusal },
            LinkEvent::Up => RecoveryEvent::Up { replica, segment },
            LinkEvent::Down(why) => RecoveryEvent::Down { replica, segment, why },
        })
    }
}
