//! What goes on beside repairs, and what goes wrong.

use super::{LOG, Load, Parcel, WINDOW, World, crc32c, id};
use crate::node::Node;
use bytes::Bytes;
use quarry_protocol::ids::{ChunkSeq, DiskId, SegmentId};
use quarry_protocol::message::Request;
use quarry_protocol::record::{Segment, SegmentEnd};

impl World {
    /// Somebody takes the log over: the planned boundary is sealed at what everybody has, and a new segment opens.
    pub(crate) fn take_over(&mut self) {
        let mut record = self.record.changed();
        record.epoch = record.epoch.next();
        if let Some(at) = record.segments.iter().position(|segment| segment.id == id(3) && !segment.is_sealed()) {
            let (at_seq, digest) = (ChunkSeq(18), self.written[&(id(3), ChunkSeq(17))].0.digest);
            record.segments[at].end = SegmentEnd::Sealed { at: at_seq, digest };
            record.segments.truncate(at + 1);
            let (replicas, epoch) = (record.segments[at].replicas.clone(), record.epoch);
            let (base, end, id) = (at_seq, SegmentEnd::Open, SegmentId { epoch, index: 0 });
            record.segments.push(Segment { id, base, end, replicas, ack_quorum: 2, window: WINDOW });
        }
        self.change(record);
    }

    pub(crate) fn trim(&mut self, floor: ChunkSeq) {
        if floor <= self.record.floor {
            return;
        }
        let mut record = self.record.changed();
        record.floor = floor;
        record.segments.retain(|segment| !segment.is_sealed() || segment.end_seq().is_none_or(|end| end > floor));
        let what = Request::Trim { log: LOG, word: record.number, floor };
        self.change(record);
        for node in 0..self.nodes.len() {
            let disk = self.nodes[node].at.disk;
            self.parcels.push_back(Parcel::ToNode { node, disk, client: 0, load: Load::Free(what.clone()) });
        }
    }

    /// The log is deleted, and nodes hear of it sooner or later.
    pub(crate) fn delete(&mut self) {
        let mut record = self.record.changed();
        record.epoch = record.epoch.next();
        record.deleted = true;
        let what = Request::Delete { log: LOG, epoch: record.epoch };
        self.change(record);
        for node in 0..self.nodes.len() {
            let disk = self.nodes[node].at.disk;
            self.parcels.push_back(Parcel::ToNode { node, disk, client: 0, load: Load::Free(what.clone()) });
        }
    }

    pub(crate) fn wipe(&mut self, node: usize) {
        self.wipes += 1;
        self.hurt_all(self.nodes[node].at.disk);
        let number = node as u8;
        self.nodes[node] = Node::new(number, self.wipes);
        self.crash(node, 0);
    }

    fn hurt_all(&mut self, disk: DiskId) {
        self.hurt.extend((0..20).map(|epoch| (disk, id(epoch))));
    }

    /// A chunk gets lost, or becomes another one whose checksums are right.
    pub(crate) fn damage(&mut self, node: usize, segment: SegmentId, seq: ChunkSeq, other: bool) {
        let disk = self.nodes[node].at.disk;
        let key = (LOG, segment, seq);
        let Some((header, payload)) = self.nodes[node].chunks.get_mut(&key) else { return };
        self.hurt.insert((disk, segment));
        if other {
            (header.payload_crc, *payload) = (crc32c(b"bad"), Bytes::from_static(b"bad"));
        } else {
            self.nodes[node].lose(key);
            self.drain_node(node);
        }
    }
}
