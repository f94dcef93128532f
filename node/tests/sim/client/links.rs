//! A client's links to replicas, as `client/src/link/tcp`: one connection to each, puts whose outcomes come as events, calls
//! that end in an answer or in a failure. A link is up only while the node at the address says that it has the disk.

use super::bucket_links::BucketLinks;
use super::link::{Link, Pending, Phase};
use super::{Answered, Ask, Outcome};
use crate::core::{ClientId, ConnId, Core};
use crate::network::{Body, Frame};
use crate::node::CLUSTER;
use bytes::Bytes;
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::DiskId;
use quarry_protocol::message::{Reply, Request};
use quarry_protocol::record::ReplicaRef;
use quarry_protocol::telling::Telling;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

/// The bounds of `client/src/link/tcp/bounds.rs`.
const CONNECT_US: u64 = 4_000_000;
const CALL_US: u64 = 5_000_000;
const SILENCE_US: u64 = 4_000_000;
const PUT_US: u64 = 10_000_000;
const BACKOFF_US_MIN: u64 = 20_000;
const BACKOFF_US_MAX: u64 = 1_000_000;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Links {
    pub(crate) client: ClientId,
    of_disks: BTreeMap<DiskId, Link>,
    by_conn: BTreeMap<ConnId, DiskId>,
    next_request: u64,
    pub(super) buckets: BucketLinks,
    /// Everybody is being told something, beside whatever else goes on.
    pub(super) telling: Option<Telling>,
    /// What the client has not looked at yet.
    pub(super) out: VecDeque<Outcome>,
}

fn node_of(address: &str) -> usize {
    let digits = address.strip_prefix("node").and_then(|rest| rest.strip_suffix(":7000"));
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{address:?} is no address of a node"))
}

impl Links {
    pub(super) fn new(client: ClientId) -> Self {
        Self {
            client,
            of_disks: BTreeMap::new(),
            by_conn: BTreeMap::new(),
            next_request: 1,
            buckets: BucketLinks::default(),
            telling: None,
            out: VecDeque::new(),
        }
    }

    fn link(&mut self, core: &mut Core, to: &ReplicaRef) -> &mut Link {
        if let Entry::Vacant(vacant) = self.of_disks.entry(to.disk) {
            vacant.insert(Link::new(to.disk, node_of(&to.address)));
            self.connect(core, to.disk, 0);
        }
        self.of_disks.get_mut(&to.disk).expect("just made")
    }

    fn connect(&mut self, core: &mut Core, disk: DiskId, shard: usize) {
        let link = self.of_disks.get_mut(&disk).expect("a link");
        let conn = core.connect(self.client, link.node, shard);
        (link.conn, link.shard, link.retry_at) = (Some(conn), shard, None);
        link.phase = Phase::Connecting { since: core.now };
        self.by_conn.insert(conn, disk);
        let hello = Request::Hello { cluster: CLUSTER.to_owned() };
        core.send_to_node(conn, Frame::request(0, DiskId::ZERO, &hello));
    }

    /// Reports, from now on, whether this replica can be reached, and at once how things stand.
    pub(super) fn watch(&mut self, core: &mut Core, to: &ReplicaRef) {
        if self.buckets.is_bucket(to) {
            return self.out.push_back(Outcome::Up { disk: to.disk });
        }
        let link = self.link(core, to);
        link.watched = true;
        let (disk, up) = (link.disk, link.phase == Phase::Up);
        if matches!(link.phase, Phase::Down) {
            link.retry_at.get_or_insert(core.now + BACKOFF_US_MIN);
        }
        self.out.push_back(if up {
            Outcome::Up { disk }
        } else {
            Outcome::Down { disk, why: "connecting".to_owned() }
        });
    }

    /// Puts a chunk; to a link that is down it is dropped.
    pub(super) fn put(&mut self, core: &mut Core, disk: DiskId, header: &ChunkHeader, payload: Bytes) {
        if self.buckets.is_behind(disk) {
            return self.put_to_bucket(core, disk, *header, payload);
        }
        let Some(link) = self.of_disks.get_mut(&disk).filter(|link| link.phase == Phase::Up) else { return };
        let id = self.next_request;
        self.next_request += 1;
        link.begin(id, Pending::Put { segment: header.segment, seq: header.seq, at: core.now }, core.now);
        let conn = link.conn.expect("it is up");
        core.send_to_node(conn, Frame::put(id, disk, header, payload));
    }

    /// Has a replica store a copy; a link that is not up refuses it.
    pub(super) fn copy(&mut self, core: &mut Core, to: &ReplicaRef, header: &ChunkHeader, payload: Bytes, ask: Ask) {
        let Some(link) = self.of_disks.get_mut(&to.disk).filter(|link| link.phase == Phase::Up) else {
            return self.out.push_back(Outcome::Answered { ask, result: Err("the link is down".to_owned()) });
        };
        let id = self.next_request;
        self.next_request += 1;
        link.begin(id, Pending::Copy { ask, until: core.now + CALL_US }, core.now);
        let conn = link.conn.expect("it is up");
        core.send_to_node(conn, Frame::copy(id, to.disk, header, payload));
    }

    /// Asks anything but a put.
    pub(super) fn call(&mut self, core: &mut Core, to: &ReplicaRef, request: Request, ask: Ask) {
        if self.buckets.is_bucket(to) {
            return self.call_bucket(core, to.disk, request, ask);
        }
        let now = core.now;
        let link = self.link(core, to);
        match link.phase {
            Phase::Up => self.send(core, to.disk, &request, ask),
            Phase::Connecting { .. } => link.waiting.push((ask, request, now + CALL_US)),
            Phase::Down => {
                // Somebody who calls shortens the pause.
                link.retry_at = Some(link.retry_at.unwrap_or(u64::MAX).min(now + BACKOFF_US_MIN));
                self.out.push_back(Outcome::Answered { ask, result: Err("the link is down".to_owned()) });
            }
        }
    }

    fn send(&mut self, core: &mut Core, disk: DiskId, request: &Request, ask: Ask) {
        let link = self.of_disks.get_mut(&disk).expect("a link");
        let id = self.next_request;
        self.next_request += 1;
        link.begin(id, Pending::of(ask, request, core.now + CALL_US), core.now);
        let conn = link.conn.expect("it is up");
        core.send_to_node(conn, Frame::request(id, disk, request));
    }

    /// A frame came in.
    pub(super) fn receive(&mut self, core: &mut Core, conn: ConnId, frame: Frame) {
        let Some(&disk) = self.by_conn.get(&conn) else { return };
        if let Err(why) = self.take(core, disk, frame) {
            self.went_down(core, disk, &why);
        }
    }

    /// Acts on one frame, as `client/src/link/tcp/connection.rs`, `take`. An error ends the connection.
    fn take(&mut self, core: &mut Core, disk: DiskId, frame: Frame) -> Result<(), String> {
        let header = FrameHeader::decode(&frame.head).map_err(|why| why.to_string())?;
        let link = self.of_disks.get_mut(&disk).expect("a link");
        link.last_heard = core.now;
        if matches!(link.phase, Phase::Connecting { .. }) {
            let Body::Control { bytes, from } = frame.body else { return Err("no answer to a hello".to_owned()) };
            header.verify_body(&bytes[from..]).map_err(|why| why.to_string())?;
            let reply = Reply::decode(&bytes[from..]).map_err(|why| why.to_string())?;
            return self.greeted(core, disk, reply);
        }
        if header.disk != disk && (header.kind == FrameKind::Stored || header.disk != link.current) {
            return Err(format!("disk {} answered for disk {disk}", header.disk));
        }
        let id = header.request_id;
        if id >= self.next_request {
            return Err(format!("it answered request {id}, which was never made"));
        }
        match (header.kind, frame.body) {
            (FrameKind::Stored, _) => match link.pending.remove(&id) {
                Some(Pending::Put { segment, seq, .. }) => self.out.push_back(Outcome::Stored { disk, segment, seq }),
                Some(Pending::Copy { ask, .. }) => {
                    self.out.push_back(Outcome::Answered { ask, result: Ok(Answered::Stored) });
                }
                None => {}
                Some(_) => return Err("it answered something else with \"stored\"".to_owned()),
            },
            (FrameKind::Reply, Body::Control { bytes, from }) => {
                header.verify_body(&bytes[from..]).map_err(|why| why.to_string())?;
                let reply = Reply::decode(&bytes[from..]).map_err(|why| why.to_string())?;
                return self.replied(disk, id, reply);
            }
            (FrameKind::Chunk, Body::Chunk { head, payload }) => self.chunk(disk, id, &head, payload),
            _ => return Err("a frame that only clients send".to_owned()),
        }
        Ok(())
    }

    fn greeted(&mut self, core: &mut Core, disk: DiskId, reply: Reply) -> Result<(), String> {
        let Reply::Hello(info) = reply else { return Err("it refused a hello".to_owned()) };
        let has = |index: &usize| info.shards[*index].disk == disk || info.shards[*index].retired.contains(&disk);
        let index = (0..info.shards.len()).find(has).ok_or("disk replaced")?;
        let link = self.of_disks.get_mut(&disk).expect("a link");
        if index != link.shard {
            let conn = link.conn.take().expect("it greeted");
            self.by_conn.remove(&conn);
            core.close_at_client(conn);
            self.connect(core, disk, index);
            return Ok(());
        }
        (link.phase, link.current, link.backoff) = (Phase::Up, info.shards[index].disk, BACKOFF_US_MIN);
        if link.watched {
            self.out.push_back(Outcome::Up { disk });
        }
        for (ask, request, _) in std::mem::take(&mut link.waiting) {
            self.send(core, disk, &request, ask);
        }
        Ok(())
    }

    fn replied(&mut self, disk: DiskId, id: u64, reply: Reply) -> Result<(), String> {
        let link = self.of_disks.get_mut(&disk).expect("a link");
        let outcome = match (link.pending.remove(&id), reply) {
            (None, _) => return Ok(()),
            (Some(Pending::Put { segment, seq, .. }), Reply::Refused(refusal)) => {
                Outcome::Refused { disk, segment, seq, refusal }
            }
            (Some(Pending::Put { .. }), reply) => return Err(format!("it answered a put with {reply:?}")),
            (Some(Pending::Call { ask, .. } | Pending::Copy { ask, .. }), reply) => {
                Outcome::Answered { ask, result: Ok(Answered::Reply(reply)) }
            }
            (Some(Pending::Read { ask, chunks, next, corrupt, .. }), reply) => {
                let result = match reply {
                    _ if corrupt => Ok(Answered::Corrupt),
                    Reply::ReadEnd { next: ends, answer } if ends == next => Ok(Answered::Chunks { chunks, answer }),
                    Reply::Refused(refusal) => Ok(Answered::Reply(Reply::Refused(refusal))),
                    other => return Err(format!("it answered a read that stands at {next} with {other:?}")),
                };
                Outcome::Answered { ask, result }
            }
        };
        self.out.push_back(outcome);
        Ok(())
    }

    fn chunk(&mut self, disk: DiskId, id: u64, head: &[u8], payload: Bytes) {
        let link = self.of_disks.get_mut(&disk).expect("a link");
        let Some(Pending::Read { log, segment, next, chunks, corrupt, .. }) = link.pending.get_mut(&id) else { return };
        let header = ChunkHeader::decode(head).ok().filter(|header| header.verify_payload(&payload).is_ok());
        match header {
            Some(header) if (header.log, header.segment, header.seq) == (*log, *segment, *next) => {
                *next = next.next();
                chunks.push((header, payload));
            }
            _ => *corrupt = true,
        }
    }

    /// A connection ended at the other side.
    pub(super) fn closed(&mut self, core: &mut Core, conn: ConnId, why: &str) {
        if let Some(&disk) = self.by_conn.get(&conn) {
            self.went_down(core, disk, why);
        }
    }

    fn went_down(&mut self, core: &mut Core, disk: DiskId, why: &str) {
        let link = self.of_disks.get_mut(&disk).expect("a link");
        let Some(conn) = link.conn.take() else { return };
        core.close_at_client(conn);
        self.by_conn.remove(&conn);
        link.phase = Phase::Down;
        link.retry_at = link.watched.then_some(core.now + link.backoff);
        link.backoff = (2 * link.backoff).min(BACKOFF_US_MAX);
        let waiting = std::mem::take(&mut link.waiting).into_iter().map(|(ask, ..)| ask);
        let pending = std::mem::take(&mut link.pending).into_values().filter_map(|pending| pending.ask());
        for ask in waiting.chain(pending) {
            self.out.push_back(Outcome::Answered { ask, result: Err(why.to_owned()) });
        }
        if link.watched {
            self.out.push_back(Outcome::Down { disk, why: why.to_owned() });
        }
    }

    /// Time passed.
    pub(super) fn tick(&mut self, core: &mut Core) {
        self.tick_buckets(core);
        let now = core.now;
        let due: Vec<DiskId> = self
            .of_disks
            .values()
            .filter(|link| link.due().is_some_and(|due| due <= now))
            .map(|link| link.disk)
            .collect();
        for disk in due {
            let link = self.of_disks.get_mut(&disk).expect("a link");
            if link.retry_at.is_some_and(|at| at <= now) {
                let shard = link.shard;
                self.connect(core, disk, shard);
            } else if link.is_dead(now) {
                self.went_down(core, disk, "no answer in time");
            } else {
                let overdue = link.take_overdue(now);
                let timed_out = |ask| Outcome::Answered { ask, result: Err("no answer in time".to_owned()) };
                self.out.extend(overdue.into_iter().map(timed_out));
            }
        }
    }

    pub(super) fn due(&self) -> Option<u64> {
        let telling = self.telling.as_ref().and_then(Telling::poll_timeout).map(|due| due.0);
        self.of_disks.values().filter_map(Link::due).chain(telling).chain(self.buckets.due()).min()
    }

    /// The client is gone.
    pub(super) fn close(&mut self, core: &mut Core) {
        for conn in std::mem::take(&mut self.by_conn).into_keys() {
            core.close_at_client(conn);
        }
    }

    /// Breaks one of the connections, if there are any.
    pub(crate) fn some_conn(&self, pick: usize) -> Option<ConnId> {
        self.by_conn.keys().nth(pick % self.by_conn.len().max(1)).copied()
    }
}

impl Link {
    /// When something has to be done although nothing happens.
    fn due(&self) -> Option<u64> {
        let times = [
            self.retry_at,
            match self.phase {
                Phase::Connecting { since } => Some(since + CONNECT_US),
                Phase::Up if !self.pending.is_empty() => Some(self.last_heard + SILENCE_US),
                _ => None,
            },
            self.waiting.iter().map(|(.., until)| *until).min(),
            self.pending.values().map(|pending| pending.until(PUT_US)).min(),
        ];
        times.into_iter().flatten().min()
    }

    fn is_dead(&self, now: u64) -> bool {
        match self.phase {
            Phase::Connecting { since } => now >= since + CONNECT_US,
            Phase::Up => {
                let silent = !self.pending.is_empty() && now >= self.last_heard + SILENCE_US;
                silent || self.pending.values().any(|pending| pending.is_put() && now >= pending.until(PUT_US))
            }
            Phase::Down => false,
        }
    }
}
