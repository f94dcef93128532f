//! The world: nodes, clients, a network between them and a register, and one queue of everything that will happen.

mod chaos;
mod liveness;

use crate::client::{Client, Input, Opening, Reading, Repairing, Role, Trimming, name_of};
use crate::core::{ClientId, ConnId, Core, Event, NOBODY};
use crate::network::Frame;
use crate::node::{Node, State};
use crate::options::Options;
use bytes::Bytes;
use quarry_protocol::record::LogRecord;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: BTreeMap<ClientId, Client>,
    next_client: ClientId,
}

impl World {
    pub(crate) fn new(seed: u64, options: Options, pool: Bytes) -> Self {
        let mut core = Core::new(seed, options, pool);
        core.directory.0 = vec![None; core.options.nodes];
        core.make_buckets();
        let nodes = (0..core.options.nodes).map(|index| Node::formatted(&mut core, index)).collect();
        let mut world = Self { core, nodes, clients: BTreeMap::new(), next_client: 0 };
        for node in &world.nodes {
            world.core.after(0, Event::Start { node: node.index, life: node.life });
        }
        world.core.after(10, Event::Chaos);
        world
    }

    /// The phase in which anything may go wrong: this many steps.
    pub(crate) fn run(&mut self, steps: u64) {
        while self.core.notes.steps < steps {
            let Some(event) = self.core.next(u64::MAX) else { break };
            self.deliver(event);
        }
        self.heal_and_finish();
    }

    fn deliver(&mut self, event: Event) {
        let core = &mut self.core;
        match event {
            Event::Open { conn } => {
                let node = core.net.conn(conn).node;
                if core.net.conn(conn).client == NOBODY || core.reaches(conn) {
                    self.nodes[node].open(core, conn);
                }
            }
            Event::ToNode { conn, frame } => {
                if let Some(frame) = core.arrives(conn, true, frame) {
                    self.at_node(conn, *frame);
                }
            }
            Event::ToClient { conn, frame } => {
                if let Some(frame) = core.arrives(conn, false, frame) {
                    self.at_client(conn, frame);
                }
            }
            Event::Release { conn, to_node } => {
                for frame in core.release(conn, to_node) {
                    if to_node { self.at_node(conn, *frame) } else { self.at_client(conn, frame) }
                }
            }
            Event::ClosedAtNode { conn } => {
                let node = core.net.conn(conn).node;
                self.nodes[node].closed(core, conn);
            }
            Event::ClosedAtClient { conn, why } => {
                let client = core.net.conn(conn).client;
                self.tell(client, Input::Closed { conn, why });
            }
            Event::Turn { at } => {
                self.nodes[at.node].turn(core, at);
                self.nodes[at.node].stop_if_settled(core);
            }
            Event::Disk { at, operation } => self.nodes[at.node].disk_done(core, at, operation),
            Event::Start { node, life } => self.nodes[node].start(core, life),
            Event::Mend { node, life } => self.nodes[node].mend(core, life),
            Event::ClientWake { client } => self.tell(client, Input::Wake),
            Event::ClientNews { client, news } => {
                core.step("news", [u64::from(client), 0, 0, 0]);
                self.tell(client, Input::News(news));
            }
            Event::Register { call } => core.register_takes(*call),
            Event::Object { call } => core.bucket_takes(*call),
            Event::Chaos => {
                core.step("chaos", [0; 4]);
                self.chaos();
            }
        }
    }

    fn at_node(&mut self, conn: ConnId, frame: Frame) {
        let node = self.core.net.conn(conn).node;
        self.nodes[node].receive(&mut self.core, conn, frame);
    }

    fn at_client(&mut self, conn: ConnId, frame: Box<Frame>) {
        let client = self.core.net.conn(conn).client;
        self.core.step("at client", [u64::from(client), u64::from(conn), 0, 0]);
        self.tell(client, Input::Frame { conn, frame });
    }

    fn tell(&mut self, client: ClientId, input: Input) {
        let Some(state) = self.clients.get_mut(&client) else { return };
        state.take(&mut self.core, input);
        if state.is_over() && !self.core.healed {
            self.clients.remove(&client);
        }
    }

    // --- sessions -----------------------------------------------------------------------------------

    fn session(&mut self, log: usize, role: Role) -> ClientId {
        let id = self.next_client;
        self.next_client += 1;
        let client = Client::new(&mut self.core, id, log, role);
        self.clients.insert(id, client);
        id
    }

    pub(crate) fn open(&mut self, log: usize, appends: u64, deadline_us: u64) -> ClientId {
        self.core.effect("session: write", [u64::from(self.next_client), log as u64, appends, 0]);
        let role = Role::Opening(Box::new(Opening::new(&mut self.core, log, Some(appends), deadline_us)));
        self.session(log, role)
    }

    pub(crate) fn delete(&mut self, log: usize, deadline_us: u64) -> ClientId {
        self.core.effect("session: delete", [u64::from(self.next_client), log as u64, 0, 0]);
        let role = Role::Opening(Box::new(Opening::new(&mut self.core, log, None, deadline_us)));
        self.session(log, role)
    }

    pub(crate) fn read(&mut self, log: usize) -> ClientId {
        self.core.effect("session: read", [u64::from(self.next_client), log as u64, 0, 0]);
        let role = Role::Reading(Box::new(Reading::new(&mut self.core, name_of(log))));
        self.session(log, role)
    }

    /// Trims a log to its tail, or to somewhere below.
    pub(crate) fn trim(&mut self, log: usize, all: bool) -> ClientId {
        self.core.effect("session: trim", [u64::from(self.next_client), log as u64, 0, 0]);
        let trimming = Trimming::new(&mut self.core, name_of(log), all);
        self.session(log, Role::Trimming(Box::new(trimming)))
    }

    /// Segments in buckets are not repaired, and the specification that traces are held against has no repair.
    fn may_repair(&self, log: usize) -> bool {
        self.core.options.logs[log].bucket_percent == 0 && !self.core.trace.wanted
    }

    /// Repairs a log, and frees what no record needs.
    pub(crate) fn repair(&mut self, log: usize) -> ClientId {
        self.core.effect("session: repair", [u64::from(self.next_client), log as u64, 0, 0]);
        let repairing = Repairing::new(&mut self.core, name_of(log));
        self.session(log, Role::Repairing(Box::new(repairing)))
    }

    pub(crate) fn record(&self, log: usize) -> Option<&LogRecord> {
        self.core.register.record(&crate::client::name_of(log))
    }

    fn is_up(&self, node: usize) -> bool {
        self.nodes[node].state == State::Up
    }
}
