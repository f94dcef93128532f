//! The simulated network.
//!
//! Fault model. A connection keeps the order of its frames in each direction, as TCP does, and delays each of them by an
//! amount of its own. It may break at any time: then in each direction a suffix of what is on its way is lost, and the two
//! ends learn of it at different times, one of them perhaps never. A direction between a node and everybody, or between
//! a node and one client, may be cut for a while: frames wait and come after it. Beyond TCP, a request may turn up late,
//! after its connection is gone, or twice, on a connection of its own whose answers nobody hears; and a bit of a frame
//! may flip.

use crate::core::{ClientId, ConnId, Core, Event, NOBODY};
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::{CHUNK_HEADER_BYTES, FRAME_HEADER_BYTES};
use quarry_protocol::message::Request;
use std::collections::VecDeque;

/// A frame as it travels: its real bytes.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) head: [u8; FRAME_HEADER_BYTES],
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    None,
    /// A control body: `bytes[from..]`.
    Control {
        bytes: Vec<u8>,
        from: usize,
    },
    Chunk {
        head: [u8; CHUNK_HEADER_BYTES],
        payload: Bytes,
    },
}

impl Frame {
    pub(crate) fn request(id: u64, disk: DiskId, request: &Request) -> Self {
        let bytes = request.encode();
        let head = FrameHeader::control(FrameKind::Request, id, disk, &bytes).encode();
        Self { head, body: Body::Control { bytes, from: 0 } }
    }

    pub(crate) fn put(id: u64, disk: DiskId, header: &ChunkHeader, payload: Bytes) -> Self {
        let head = FrameHeader::chunk(FrameKind::Put, id, disk, header.stored_bytes()).encode();
        Self { head, body: Body::Chunk { head: header.encode(), payload } }
    }

    /// A copy that a repair makes.
    pub(crate) fn copy(id: u64, disk: DiskId, header: &ChunkHeader, payload: Bytes) -> Self {
        let head = FrameHeader::chunk(FrameKind::Copy, id, disk, header.stored_bytes()).encode();
        Self { head, body: Body::Chunk { head: header.encode(), payload } }
    }

    pub(crate) fn stored(id: u64, disk: DiskId) -> Self {
        Self { head: FrameHeader::control(FrameKind::Stored, id, disk, &[]).encode(), body: Body::None }
    }

    /// A whole frame as a shard makes it.
    pub(crate) fn whole(bytes: Vec<u8>) -> Self {
        let head = bytes[..FRAME_HEADER_BYTES].try_into().expect("a frame begins with its header");
        Self { head, body: Body::Control { bytes, from: FRAME_HEADER_BYTES } }
    }

    /// A chunk that was read, header and payload.
    pub(crate) fn chunk(id: u64, disk: DiskId, stored: &Bytes) -> Self {
        let head = FrameHeader::chunk(FrameKind::Chunk, id, disk, stored.len() as u32).encode();
        let chunk = stored[..CHUNK_HEADER_BYTES].try_into().expect("a stored chunk begins with its header");
        Self { head, body: Body::Chunk { head: chunk, payload: stored.slice(CHUNK_HEADER_BYTES..) } }
    }

    fn flip(&mut self, at: u64) {
        let flip = |bytes: &mut [u8]| {
            let at = at as usize % (8 * bytes.len());
            bytes[at / 8] ^= 1 << (at % 8);
        };
        match &mut self.body {
            Body::Chunk { head, .. } if at.is_multiple_of(3) => flip(head),
            Body::Chunk { payload, .. } if at % 3 == 1 => {
                let mut bytes = payload.to_vec();
                flip(&mut bytes);
                *payload = Bytes::from(bytes);
            }
            Body::Control { bytes, from } if at.is_multiple_of(2) && bytes.len() > *from => flip(&mut bytes[*from..]),
            _ => flip(&mut self.head),
        }
    }
}

/// One connection between a client and a shard.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) client: ClientId,
    pub(crate) node: usize,
    pub(crate) shard: usize,
    pub(crate) client_open: bool,
    /// The life of the node that accepted it, while that end is open.
    pub(crate) node_open: Option<u32>,
    /// When the last frame in each direction arrives: to the client, to the node.
    last: [u64; 2],
    /// Frames that would arrive later are lost.
    lost_after: [u64; 2],
    held: [VecDeque<Box<Frame>>; 2],
}

/// Frames in one direction between a node and somebody do not come through for a while.
#[derive(Debug)]
struct Cut {
    node: usize,
    client: Option<ClientId>,
    to_node: bool,
    until: u64,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) conns: Vec<Conn>,
    cuts: Vec<Cut>,
    /// What a node's links take longer, as a factor.
    pub(crate) slow: Vec<u64>,
}

impl Network {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { conns: Vec::new(), cuts: Vec::new(), slow: vec![1; nodes] }
    }

    fn add(&mut self, client: ClientId, node: usize, shard: usize) -> ConnId {
        self.conns.push(Conn {
            client,
            node,
            shard,
            client_open: client != NOBODY,
            node_open: None,
            last: [0; 2],
            lost_after: [u64::MAX; 2],
            held: [VecDeque::new(), VecDeque::new()],
        });
        self.conns.len() as ConnId - 1
    }

    pub(crate) fn conn(&mut self, conn: ConnId) -> &mut Conn {
        &mut self.conns[conn as usize]
    }

    fn cut_until(&self, conn: &Conn, to_node: bool, now: u64) -> Option<u64> {
        let applies = |cut: &&Cut| {
            cut.node == conn.node
                && cut.to_node == to_node
                && cut.until > now
                && cut.client.is_none_or(|client| client == conn.client)
        };
        self.cuts.iter().filter(applies).map(|cut| cut.until).max()
    }

    pub(crate) fn cut(&mut self, node: usize, client: Option<ClientId>, to_node: bool, (now, until): (u64, u64)) {
        self.cuts.retain(|cut| cut.until > now);
        self.cuts.push(Cut { node, client, to_node, until });
    }

    /// Ends every cut and slowness; returns what has to be released.
    fn heal(&mut self) -> Vec<(ConnId, bool)> {
        self.cuts.clear();
        self.slow.fill(1);
        let held = self.conns.iter().enumerate().flat_map(|(conn, state)| {
            [false, true].into_iter().filter_map(move |to_node| {
                (!state.held[usize::from(to_node)].is_empty()).then_some((conn as ConnId, to_node))
            })
        });
        held.collect()
    }
}

impl Core {
    /// A client begins to connect.
    pub(crate) fn connect(&mut self, client: ClientId, node: usize, shard: usize) -> ConnId {
        let conn = self.net.add(client, node, shard);
        let at = self.arrival(conn, true);
        self.at(at, Event::Open { conn });
        conn
    }

    fn arrival(&mut self, conn: ConnId, to_node: bool) -> u64 {
        let typical = self.options.network_us;
        let delay = self.numbers.delay(if self.healed { typical.min(1000) } else { typical });
        let slow = self.net.slow[self.net.conns[conn as usize].node];
        let last = &mut self.net.conns[conn as usize].last[usize::from(to_node)];
        *last = (self.now + delay * slow).max(*last + 1);
        *last
    }

    pub(crate) fn send_to_node(&mut self, conn: ConnId, mut frame: Frame) {
        if self.happens(self.options.operations.duplicate, "request duplicated") {
            self.haunt(conn, frame.clone());
        }
        if self.happens(self.options.operations.wire_rot, "frame damaged") {
            frame.flip(self.numbers.next());
        }
        let at = self.arrival(conn, true);
        self.at(at, Event::ToNode { conn, frame: Box::new(frame) });
    }

    pub(crate) fn send_to_client(&mut self, conn: ConnId, mut frame: Frame) {
        if !self.net.conn(conn).client_open {
            return;
        }
        if self.happens(self.options.operations.wire_rot, "frame damaged") {
            frame.flip(self.numbers.next());
        }
        let at = self.arrival(conn, false);
        self.at(at, Event::ToClient { conn, frame: Box::new(frame) });
    }

    /// A request turns up out of nowhere, later.
    fn haunt(&mut self, conn: ConnId, frame: Frame) {
        let Conn { node, shard, .. } = *self.net.conn(conn);
        let ghost = self.net.add(NOBODY, node, shard);
        let typical = self.numbers.pick(&[1_000, 50_000, 2_000_000]);
        let at = self.now + self.numbers.delay(typical);
        self.at(at, Event::Open { conn: ghost });
        self.at(at + 1, Event::ToNode { conn: ghost, frame: Box::new(frame) });
        let closed = at + self.numbers.delay(1_000_000);
        self.at(closed, Event::ClosedAtNode { conn: ghost });
    }

    /// The connection breaks somewhere in the middle.
    pub(crate) fn break_connection(&mut self, conn: ConnId) {
        let typical = self.options.network_us;
        for to_node in [false, true] {
            let lost_after = self.now + self.numbers.below(2 * typical);
            self.net.conn(conn).lost_after[usize::from(to_node)] = lost_after;
            let told = lost_after + 1 + if self.numbers.percent(80) { self.numbers.delay(typical) } else { 20_000_000 };
            self.at(
                told,
                if to_node {
                    Event::ClosedAtNode { conn }
                } else {
                    Event::ClosedAtClient { conn, why: "connection reset" }
                },
            );
        }
    }

    /// The client closes its end, or is gone.
    pub(crate) fn close_at_client(&mut self, conn: ConnId) {
        if !std::mem::replace(&mut self.net.conn(conn).client_open, false) {
            return;
        }
        let at = self.arrival(conn, true);
        // A machine that vanished says nothing; the node finds out by asking.
        let silent = !self.healed && self.numbers.percent(10);
        self.at(if silent { at + 60_000_000 } else { at }, Event::ClosedAtNode { conn });
    }

    /// The node's end is gone: with a word, or without.
    pub(crate) fn close_at_node(&mut self, conn: ConnId, silently: bool) {
        let state = self.net.conn(conn);
        state.node_open = None;
        if state.client_open && !silently {
            let at = self.arrival(conn, false);
            self.at(at, Event::ClosedAtClient { conn, why: "the node closed the connection" });
        }
    }

    /// A frame arrives: what is left of it. None if it is lost, or waits for a cut to end.
    pub(crate) fn arrives(&mut self, conn: ConnId, to_node: bool, frame: Box<Frame>) -> Option<Box<Frame>> {
        let (now, index) = (self.now, usize::from(to_node));
        let state = &self.net.conns[conn as usize];
        if now > state.lost_after[index] {
            if to_node && self.happens(self.options.operations.late_request, "request after its connection") {
                self.haunt(conn, *frame);
            }
            return None;
        }
        let cut = self.net.cut_until(state, to_node, now);
        if let Some(until) = cut
            && self.net.conns[conn as usize].held[index].is_empty()
        {
            self.at(until, Event::Release { conn, to_node });
        }
        let state = self.net.conn(conn);
        if cut.is_some() || !state.held[index].is_empty() {
            state.held[index].push_back(frame);
            return None;
        }
        Some(frame)
    }

    /// What a cut has held up.
    pub(crate) fn release(&mut self, conn: ConnId, to_node: bool) -> VecDeque<Box<Frame>> {
        let state = &self.net.conns[conn as usize];
        if let Some(until) = self.net.cut_until(state, to_node, self.now) {
            self.at(until, Event::Release { conn, to_node });
            return VecDeque::new();
        }
        std::mem::take(&mut self.net.conn(conn).held[usize::from(to_node)])
    }

    /// Whether a connection attempt gets through now, both ways.
    pub(crate) fn reaches(&self, conn: ConnId) -> bool {
        let state = &self.net.conns[conn as usize];
        [true, false].into_iter().all(|to_node| self.net.cut_until(state, to_node, self.now).is_none())
    }

    pub(crate) fn heal_network(&mut self) {
        for (conn, to_node) in self.net.heal() {
            self.after(0, Event::Release { conn, to_node });
        }
    }
}
