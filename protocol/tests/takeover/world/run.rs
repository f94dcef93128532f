//! Clients' effects, links, and running until something is reached.

use super::{
    BTreeSet, ChunkSeq, Client, DiskId, Load, Micros, News, Parcel, RecoveryEffect, RecoveryEvent, ReplicaRef, Request,
    Role, Swapping, World, WriterEffect, WriterEvent,
};
use quarry_protocol::limits::READ_BYTES_MAX;

impl World {
    pub(super) fn hear(&mut self, client: usize, news: News) {
        let now = self.now;
        let Some(state) = self.clients.get_mut(client) else { return };
        match (&mut state.role, news) {
            (Role::Recovering(recovery), News::Recovery(event)) => recovery.handle(now, event),
            (role, News::Stored { disk, segment, seq, connection }) => {
                let current = self.links.get(&(client, disk)) == Some(&connection);
                let replica = state.replicas.iter().position(|replica| replica.disk == disk);
                let Some(replica) = replica.filter(|_| current && state.segment == Some(segment)) else { return };
                match role {
                    Role::Recovering(recovery) => {
                        recovery.handle(now, RecoveryEvent::CopyStored { replica, segment, seq });
                    }
                    Role::Writing(writer) => writer.handle(now, WriterEvent::Stored { replica, seq }),
                    Role::Over(_) => {}
                }
            }
            (role, News::Refused { disk, segment, seq, refusal, connection }) => {
                let current = self.links.get(&(client, disk)) == Some(&connection);
                let replica = state.replicas.iter().position(|replica| replica.disk == disk);
                let Some(replica) = replica.filter(|_| current && state.segment == Some(segment)) else { return };
                match role {
                    Role::Recovering(recovery) => {
                        recovery.handle(now, RecoveryEvent::CopyRefused { replica, segment, seq, refusal });
                    }
                    Role::Writing(writer) => writer.handle(now, WriterEvent::Refused { replica, seq, refusal }),
                    Role::Over(_) => {}
                }
            }
            _ => {}
        }
        self.drain_client(client);
    }

    pub(crate) fn connect(&mut self, client: usize, disk: DiskId) {
        if self.links.contains_key(&(client, disk)) || !self.nodes.iter().any(|n| n.running && n.at.disk == disk) {
            return;
        }
        self.connections += 1;
        self.links.insert((client, disk), self.connections);
        self.link_changed(client, disk, None);
    }

    pub(crate) fn disconnect(&mut self, client: usize, disk: DiskId) {
        if self.links.remove(&(client, disk)).is_some() {
            self.link_changed(client, disk, Some("connection reset"));
        }
    }

    fn link_changed(&mut self, client: usize, disk: DiskId, down: Option<&str>) {
        let now = self.now;
        let Some(state) = self.clients.get_mut(client) else { return };
        let Some(replica) = state.replicas.iter().position(|replica| replica.disk == disk) else { return };
        let why = down.map(str::to_owned);
        match (&mut state.role, state.segment) {
            (Role::Recovering(recovery), Some(segment)) => recovery.handle(
                now,
                match why {
                    None => RecoveryEvent::Up { replica, segment },
                    Some(why) => RecoveryEvent::Down { replica, segment, why },
                },
            ),
            (Role::Writing(writer), _) => writer.handle(
                now,
                match why {
                    None => WriterEvent::Up { replica },
                    Some(why) => WriterEvent::Down { replica, why },
                },
            ),
            _ => {}
        }
        self.drain_client(client);
    }

    pub(crate) fn tick(&mut self, client: usize) {
        match &mut self.clients[client].role {
            Role::Recovering(recovery) => recovery.handle(self.now, RecoveryEvent::Tick),
            Role::Writing(writer) => writer.handle(self.now, WriterEvent::Tick),
            Role::Over(_) => {}
        }
        self.drain_client(client);
    }

    pub(super) fn drain_client(&mut self, client: usize) {
        for _ in 0..10_000 {
            let effect = match &mut self.clients[client].role {
                Role::Recovering(recovery) => recovery.poll_effect(),
                Role::Writing(_) => {
                    self.drain_writer(client);
                    None
                }
                Role::Over(_) => None,
            };
            let Some(effect) = effect else { return };
            self.perform(client, effect);
        }
        panic!("a recovery that never runs out of effects");
    }

    fn perform(&mut self, client: usize, effect: RecoveryEffect) {
        match effect {
            RecoveryEffect::ReadRecord { request, .. } => self.parcels.push(Parcel::Read { client, request }),
            RecoveryEffect::Swap { request, expected, record } => {
                self.parcels.push(Parcel::Swap { client, request, expected, record });
            }
            RecoveryEffect::Place { request, replicas, .. } => {
                // Later takeovers move on to other nodes.
                let start = client;
                let chosen = (0..replicas).map(|i| self.nodes[(start + i) % self.nodes.len()].at.clone()).collect();
                self.tell(client, RecoveryEvent::Placed { request, result: Ok(chosen) });
            }
            RecoveryEffect::Call { request, to, what } => self.send(client, &to, Load::Call { request, what }),
            RecoveryEffect::Fetch { request, from, log, segment, seq } => {
                let what = Request::Read { log, segment, from: seq, chunks_max: 1, bytes_max: READ_BYTES_MAX };
                self.send(client, &from, Load::Fetch { request, what });
            }
            RecoveryEffect::Attach { segment, replicas, .. } => {
                let state = &mut self.clients[client];
                (state.segment, state.replicas) = (Some(segment), replicas.clone());
                let up: Vec<_> = replicas.iter().map(|r| self.links.contains_key(&(client, r.disk))).collect();
                let Role::Recovering(recovery) = &mut self.clients[client].role else { unreachable!() };
                for (replica, _) in up.iter().enumerate().filter(|(_, up)| **up) {
                    recovery.handle(self.now, RecoveryEvent::Up { replica, segment });
                }
            }
            RecoveryEffect::Copy { to, header, payload, .. } => {
                self.oracle.put(&header, &payload);
                self.send(client, &to, Load::Put { header, payload });
            }
            RecoveryEffect::Finished(outcome) => match *outcome {
                Err(why) => self.clients[client].role = Role::Over(Some(Box::new(why))),
                Ok(report) if report.segment.is_none() => {
                    self.clients[client].report = Some(report);
                    self.clients[client].role = Role::Over(None);
                }
                Ok(report) => {
                    self.oracle.took_over(&report.record, report.next_seq);
                    self.clients[client].start_writing(report, self.now);
                    for replica in self.clients[client].replicas.clone() {
                        if self.links.contains_key(&(client, replica.disk)) {
                            self.link_changed(client, replica.disk, None);
                        }
                    }
                }
            },
        }
    }

    fn drain_writer(&mut self, client: usize) {
        while let Role::Writing(writer) = &mut self.clients[client].role
            && let Some(effect) = writer.poll_effect()
        {
            match effect {
                WriterEffect::Put { replica, header, payload } => {
                    self.oracle.put(&header, &payload);
                    let to = self.clients[client].replicas[replica].clone();
                    self.send(client, &to, Load::Put { header, payload });
                }
                WriterEffect::Committed { seq, .. } => {
                    let segment = self.clients[client].segment.expect("a writer has a segment");
                    let (_, record) = self.register.as_ref().expect("a writer's record exists");
                    if !record.deleted
                        && self.clients[client].report.as_ref().is_some_and(|r| r.record.log == record.log)
                    {
                        self.oracle.acknowledge(seq, segment, record, &self.nodes);
                    }
                }
                WriterEffect::Failed { .. }
                | WriterEffect::Stopped { .. }
                | WriterEffect::LeftBehind { .. }
                | WriterEffect::Rejoined { .. } => {}
            }
        }
    }

    fn send(&mut self, client: usize, to: &ReplicaRef, load: Load) {
        // By address: a node that was wiped is still found there, under another identity.
        let node = self.nodes.iter().position(|node| node.at.address == to.address).expect("an address in use");
        self.parcels.push(Parcel::ToNode { node, disk: to.disk, client, load });
    }

    /// The node stops at once: its connections break.
    pub(crate) fn crash(&mut self, node: usize, survive: usize) {
        self.nodes[node].crash(survive);
        self.break_links(node);
    }

    pub(crate) fn break_links(&mut self, node: usize) {
        let disk = self.nodes[node].at.disk;
        for client in 0..self.clients.len() {
            self.disconnect(client, disk);
        }
    }

    /// The node comes back under its old address with a new disk (P14).
    pub(crate) fn wipe(&mut self, node: usize) {
        self.break_links(node);
        self.oracle.losses = true;
        self.nodes[node] = super::Node::new(node as u8, 1);
    }

    /// Everything works: parcels in order, disks confirm, links come up, time passes. Until `done`, or `rounds` are over.
    pub(crate) fn run_until(
        &mut self,
        rounds: usize,
        sleeping: &BTreeSet<usize>,
        done: impl Fn(&Self) -> bool,
    ) -> bool {
        for _ in 0..rounds {
            if done(self) {
                return true;
            }
            for client in (0..self.clients.len()).filter(|client| !sleeping.contains(client)) {
                for node in 0..self.nodes.len() {
                    let disk = self.nodes[node].at.disk;
                    self.connect(client, disk);
                }
                self.tick(client);
            }
            for parcel in std::mem::take(&mut self.parcels) {
                match parcel {
                    Parcel::ToClient { client, .. } if sleeping.contains(&client) => self.parcels.push(parcel),
                    parcel => self.deliver(parcel, Swapping::Works),
                }
            }
            for node in 0..self.nodes.len() {
                self.nodes[node].persist(usize::MAX);
                self.drain_node(node);
            }
            self.now = self.now.plus(5_000);
        }
        done(self)
    }

    /// A new client takes over in a world that works; its number.
    pub(crate) fn take_over(&mut self, replicas: usize, ack: usize) -> usize {
        let client = self.open(replicas, ack);
        let opened = self.run_until(2_000, &BTreeSet::new(), |world| world.clients[client].writer().is_some());
        assert!(opened, "no takeover: {}", self.why_not(client));
        client
    }

    pub(crate) fn why_not(&self, client: usize) -> String {
        match &self.clients[client].role {
            Role::Recovering(recovery) => format!("{recovery:#?}"),
            Role::Over(why) => format!("over: {why:?}"),
            Role::Writing(_) => "it is writing".to_owned(),
        }
    }

    /// Appends `count` chunks and waits until all are committed.
    pub(crate) fn append_and_commit(&mut self, client: usize, count: usize) {
        self.append_and_commit_while(client, count, &BTreeSet::new());
    }

    /// The same, while some clients sleep.
    pub(crate) fn append_and_commit_while(&mut self, client: usize, count: usize, sleeping: &BTreeSet<usize>) {
        let mut left = count;
        let start = self.clients[client].writer().expect("a writer").committed();
        let reached = |world: &Self| -> ChunkSeq { world.clients[client].writer().expect("a writer").committed() };
        while left > 0 {
            if self.append(client) {
                left -= 1;
            } else {
                let before = reached(self);
                assert!(self.run_until(1_000, sleeping, |world| reached(world) > before), "no room");
            }
        }
        let goal = start.plus(count as u64);
        assert!(self.run_until(1_000, sleeping, |world| reached(world) >= goal), "not committed");
    }

    pub(crate) fn pass(&mut self, micros: u64) {
        self.now = Micros(self.now.0 + micros);
        (0..self.clients.len()).for_each(|client| self.tick(client));
    }

    pub(crate) fn client(&self, client: usize) -> &Client {
        &self.clients[client]
    }
}
