//! The task that gossips: datagrams, timers, and what this node has to say.

use super::announcement::Announcement;
use super::codec::GossipCodec;
use super::counters::{Cause, Counters};
use super::guard::Guard;
use super::identity::GossipId;
use super::key::ClusterKey;
use super::pace::Pace;
use super::passing::{Passing, Shared};
use super::roster::Roster;
use super::seal::{DATAGRAM_BYTES_MAX, Seal, Unopened};
use super::seeds;
use super::timers::Timers;
use crate::control::own;
use crate::control::publishing::Publisher;
use foca::{AccumulatingRuntime, Foca, OwnedNotification, State};
use quarry_protocol::member::{Liveness, Member};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// How often the roster is compared with what foca knows, if nothing happens.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(500);

/// What gossip begins with.
pub(in crate::control) struct GossipStart {
    pub(in crate::control) socket: UdpSocket,
    /// Where others reach the socket.
    pub(in crate::control) address: SocketAddr,
    pub(in crate::control) seeds: Vec<String>,
    pub(in crate::control) key: ClusterKey,
    pub(in crate::control) cluster: String,
    /// This node as it is now.
    pub(in crate::control) own: watch::Receiver<Member>,
    pub(in crate::control) publisher: Arc<Publisher>,
    pub(in crate::control) counters: Arc<Counters>,
}

/// See the module.
pub(in crate::control) struct Gossip {
    socket: UdpSocket,
    seal: Seal,
    seeds: Vec<String>,
    foca: Foca<GossipId, GossipCodec, SmallRng, Passing>,
    runtime: AccumulatingRuntime<GossipId>,
    timers: Timers,
    guard: Guard,
    shared: Shared,
    counters: Arc<Counters>,
    publisher: Arc<Publisher>,
    pace: Pace,
    own: watch::Receiver<Member>,
    /// What was said last, and its number.
    said: Option<Member>,
    version: u64,
    said_at: Instant,
    say_at: Instant,
}

impl Gossip {
    pub(in crate::control) fn new(start: GossipStart) -> Self {
        Self::with_pace(start, Pace::USUAL)
    }

    pub(super) fn with_pace(start: GossipStart, pace: Pace) -> Self {
        let shared = Shared::new(Roster::new(pace.twin_after.as_micros() as u64, pace.forget_after.as_micros() as u64));
        let counters = start.counters;
        let passing = Passing { shared: shared.clone(), counters: Arc::clone(&counters) };
        let (node, incarnation) = { (start.own.borrow().node, start.own.borrow().incarnation) };
        let id = GossipId { node, incarnation, address: start.address };
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).expect("the system has random numbers");
        let random = SmallRng::seed_from_u64(u64::from_le_bytes(seed));
        let now = Instant::now();
        Self {
            socket: start.socket,
            seal: Seal::new(&start.key, &start.cluster),
            seeds: start.seeds,
            foca: Foca::with_custom_broadcast(id, pace.foca(), random, GossipCodec, passing),
            runtime: AccumulatingRuntime::new(),
            timers: Timers::default(),
            guard: Guard::new(),
            shared,
            counters,
            publisher: start.publisher,
            pace,
            own: start.own,
            said: None,
            version: 0,
            said_at: now,
            say_at: now,
        }
    }

    /// Gossips until told to stop, and says good-bye then.
    pub(in crate::control) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut datagram = vec![0; DATAGRAM_BYTES_MAX + 1];
        let is_ipv4 = self.foca.identity().address.is_ipv4();
        let mut seeds = seeds::look_up(self.seeds.clone(), self.pace.seeds, is_ipv4, Arc::clone(&self.counters));
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut own_ended = false;
        loop {
            let due = self.timers.next().map_or(self.say_at, |due| due.min(self.say_at));
            tokio::select! {
                received = self.socket.recv_from(&mut datagram) => {
                    // An error here is a refusal of something that was sent earlier (ICMP): that node is down, foca finds out.
                    if let Ok((bytes, from)) = received {
                        self.received(&datagram[..bytes], from);
                    }
                }
                () = sleep_until(due) => {}
                changed = self.own.changed(), if !own_ended => {
                    own_ended = changed.is_err();
                    self.own_changed();
                }
                Some(address) = seeds.recv() => self.call(address),
                _ = look.tick() => self.look(),
                _ = &mut stop => break,
            }
            self.turn();
        }
        if let Err(why) = self.foca.leave_cluster(&mut self.runtime) {
            tracing::debug!(%why, "left without a word");
        }
        self.perform();
    }

    /// What is due, and what came of it.
    fn turn(&mut self) {
        let now = Instant::now();
        while let Some(timer) = self.timers.take_due(now) {
            if let Err(why) = self.foca.handle_timer(timer, &mut self.runtime) {
                tracing::debug!(%why, "a timer of gossip");
            }
            self.perform();
        }
        if self.say_at <= now {
            self.announce();
        }
        self.perform();
        if self.shared.take_changed() {
            self.look();
        }
    }

    fn received(&mut self, datagram: &[u8], from: SocketAddr) {
        self.counters.received();
        let is_member = self.foca.iter_members().any(|member| member.id().address == from);
        if !self.guard.admits(self.shared.now(), from.ip(), is_member) {
            return self.counters.drop_for(Cause::Flood, &format_args!("from {from}"));
        }
        let plain = match self.seal.open(datagram) {
            Ok(plain) => plain,
            Err(why) => {
                let cause = match why {
                    Unopened::Malformed => Cause::Malformed,
                    Unopened::Oversize => Cause::Oversize,
                    Unopened::Seal => Cause::Seal,
                };
                return self.counters.drop_for(cause, &format_args!("a datagram from {from}"));
            }
        };
        if let Err(why) = self.foca.handle_data(&plain, &mut self.runtime) {
            self.counters.drop_for(Cause::Message, &format_args!("a message from {from}: {why}"));
        }
    }

    /// Does what foca wants done.
    fn perform(&mut self) {
        while let Some((to, plain)) = self.runtime.to_send() {
            match self.socket.try_send_to(&self.seal.seal(&plain), to.address) {
                Ok(_) => self.counters.sent(),
                Err(why) => self.counters.drop_for(Cause::Send, &format_args!("to {}: {why}", to.address)),
            }
        }
        let now = Instant::now();
        while let Some((after, timer)) = self.runtime.to_schedule() {
            self.timers.set(now, after, timer);
        }
        let mut look = false;
        while let Some(notification) = self.runtime.to_notify() {
            look = true;
            self.note(&notification);
        }
        if look {
            self.look();
        }
    }

    fn note(&mut self, notification: &OwnedNotification<GossipId>) {
        match notification {
            OwnedNotification::MemberUp(id) => {
                tracing::info!(node = %id.node, address = %id.address, "a node is up");
                // It knows nothing of this one yet.
                self.say_soon();
            }
            OwnedNotification::MemberDown(id) => {
                tracing::info!(node = %id.node, address = %id.address, "a node is down");
            }
            OwnedNotification::Rejoin(id) => {
                tracing::info!(incarnation = id.incarnation, "others took this node for dead, it joined again");
                self.said = None;
                self.say_soon();
            }
            OwnedNotification::Rename(_, id) => {
                tracing::debug!(node = %id.node, address = %id.address, "a node started again");
            }
            OwnedNotification::Active | OwnedNotification::Idle | OwnedNotification::Defunct => {}
        }
    }

    fn own_changed(&mut self) {
        let now = self.own.borrow_and_update().clone();
        if self.said.as_ref().is_none_or(|said| own::is_news(said, &now)) {
            self.say_soon();
        }
    }

    fn say_soon(&mut self) {
        self.say_at = self.say_at.min(self.said_at + self.pace.announce_pause);
    }

    /// Says what this node is now.
    fn announce(&mut self) {
        let now = Instant::now();
        (self.said_at, self.say_at) = (now, now + self.pace.announce);
        self.version += 1;
        let id = *self.foca.identity();
        let member = Member { incarnation: id.incarnation, ..self.own.borrow().clone() };
        let words = Announcement { id, version: self.version, member: member.clone() };
        self.said = Some(member);
        if let Err(why) = self.foca.add_broadcast(&words.encode()) {
            self.counters.drop_for(Cause::Announcement, &format_args!("this node's own: {why}"));
        }
    }

    /// Calls a seed that is not a member: at start, and after a partition that outlasted everybody's memory.
    fn call(&mut self, seed: SocketAddr) {
        let known = |address: SocketAddr| self.foca.iter_members().any(|member| member.id().address == address);
        if seed != self.foca.identity().address && !known(seed) {
            let called = self.foca.announce(GossipId::at(seed), &mut self.runtime);
            called.unwrap_or_else(|why| tracing::debug!(%why, %seed, "calling a seed"));
        }
    }

    /// Brings the roster up to what foca knows, and tells everybody in this process.
    fn look(&mut self) {
        let mut living = vec![(*self.foca.identity(), Liveness::Alive)];
        living.extend(self.foca.iter_membership_state().filter_map(|member| match member.state() {
            State::Alive => Some((*member.id(), Liveness::Alive)),
            State::Suspect => Some((*member.id(), Liveness::Suspect)),
            State::Down => None,
        }));
        let mut roster = self.shared.roster();
        roster.living(self.shared.now(), &living);
        self.publisher.publish(roster.members());
    }
}
