//! The end of a run: everything is healed, and everything has to finish within a bound. In a run whose faults went beyond
//! what the cluster must survive, a log may be out of reach for good; then it must have said so.

use super::World;
use crate::client::{Client, Role, Writing};
use crate::core::{ClientId, Event};
use crate::disk::Crash;
use crate::node::{Node, ShardHost, State};
use quarry_node::store::StoreStatistics;

/// How long, in virtual microseconds, whatever was under way may take to end: the longest deadline, what a stuck
/// write takes, and what connections need to notice that their peer is gone.
const SETTLE_US: u64 = 150_000_000;
/// How long one open, read or trim may take afterwards.
const FINISH_US: u64 = 60_000_000;
/// How long a connection of nobody may stay, and everything else that comes late.
const IDLE_US: u64 = 400_000_000;
/// Deadline of the last opens, in microseconds.
const OPEN_US: u64 = 30_000_000;
/// Disks fuller than this are trimmed before the last appends.
const FILLED_PERCENT: u64 = 60;
/// Chunks that are appended to each log at the end.
const APPENDS: u64 = 12;
/// How many events a phase of the end may take, at most: more means that something runs in circles.
const EVENTS_MAX: u64 = 500_000;
/// How often it is looked whether scrub has found everything, while it has time to.
const SCRUB_LOOKS: u64 = 16;
/// How long a read of scrub may take, in virtual microseconds, before a shard that idles is at rest.
const SCRUB_READ_US: u64 = 1_000_000;

impl World {
    pub(super) fn heal_and_finish(&mut self) {
        self.heal();
        self.settle();
        self.find_rot();
        self.make_room();
        for log in 0..self.core.options.logs.len() {
            self.finish_log(log);
        }
        self.restart_everything();
        self.make_room();
        for log in 0..self.core.options.logs.len() {
            if self.take_over(log) {
                self.read_all(log, "after a restart");
            }
            self.end_all();
        }
        self.idle_down();
    }

    fn heal(&mut self) {
        let core = &mut self.core;
        core.effect("healed", [core.notes.steps, 0, 0, 0]);
        core.healed = true;
        core.heal_network();
        core.register.away_until = 0;
        let now = core.now;
        for node in &mut self.nodes {
            (node.paused_until, node.slow) = (0, 1);
            node.shards.iter_mut().for_each(|shard| shard.disk.room = usize::MAX);
            node.wake(&mut self.core);
            self.core.after(1_000, Event::Start { node: node.index, life: node.life });
        }
        for client in self.clients.values_mut() {
            client.paused_until = client.paused_until.min(now);
            client.finish_up();
            client.take(&mut self.core, crate::client::Input::Wake);
        }
    }

    /// Delivers events until `done`, for `bound` at most. Whether it was done.
    fn run_until(&mut self, bound: u64, done: impl Fn(&Self) -> bool) -> bool {
        let until = self.core.now + bound;
        for _ in 0..EVENTS_MAX {
            if done(self) {
                return true;
            }
            let Some(event) = self.core.next(until) else { return done(self) };
            self.deliver(event);
        }
        let event = self.core.next(until);
        panic!("{EVENTS_MAX} events without an end, now {event:?}: something runs in circles: {:#?}", self.clients);
    }

    /// Everything that was under way ends, well or not; and every node is up again.
    fn settle(&mut self) {
        let ended = |client: &Client| match &client.role {
            Role::Over { .. } => true,
            Role::Writing(writing) => writing.is_settled(),
            _ => false,
        };
        let settled = self
            .run_until(SETTLE_US, |world| world.clients.values().all(ended) && world.nodes.iter().all(Node::is_well));
        let hanging: Vec<_> = self.clients.values().filter(|client| !ended(client)).collect();
        let states: Vec<_> = self.nodes.iter().map(|node| node.state).collect();
        assert!(settled, "liveness: not over {SETTLE_US} us after everything healed: {states:?}, {hanging:#?}");
        self.end_all();
    }

    fn end_all(&mut self) {
        for (_, mut client) in std::mem::take(&mut self.clients) {
            client.kill(&mut self.core);
        }
    }

    /// D6: within two passes of scrub every node finds, by itself, whatever is damaged on its disks.
    fn find_rot(&mut self) {
        let Some(period_us) = self.core.options.scrub_us else { return };
        for node in 0..self.nodes.len() {
            for shard in 0..self.core.options.shards {
                let host = &mut self.nodes[node].shards[shard];
                if self.core.options.is_fallible(node) && host.rot_a_chunk(&mut self.core.numbers) {
                    self.core.faults.count("rot left for scrub to find");
                }
            }
        }
        let (from, bound) = (self.core.now, 2 * period_us + FINISH_US);
        for look in 1..=SCRUB_LOOKS {
            self.run_until(from + look * bound / SCRUB_LOOKS - self.core.now, |_| false);
            if self.undiscovered() == 0 {
                return;
            }
        }
        for node in &self.nodes {
            for host in &node.shards {
                let left = host.undiscovered();
                let scrub = host.shard.as_ref().map(|shard| shard.statistics().store.scrub);
                assert!(left.is_empty(), "D6: node {} does not find its rot: {left:?}, {scrub:?}", node.index);
            }
        }
    }

    fn undiscovered(&self) -> usize {
        let hosts = self.nodes.iter().flat_map(|node| &node.shards);
        hosts.map(|host| host.undiscovered().len()).sum()
    }

    /// Whether some disk refuses puts, or is close to it.
    fn is_filled(&self, percent: u64) -> bool {
        let mut stores = self.stores();
        stores.any(|store| store.full || store.live_bytes * 100 > store.capacity_bytes * percent)
    }

    fn stores(&self) -> impl Iterator<Item = StoreStatistics> + '_ {
        let shards = self.nodes.iter().flat_map(|node| &node.shards).filter_map(|host| host.shard.as_ref());
        shards.map(|shard| shard.statistics().store)
    }

    /// D7: disks that are full take trims, and then puts again, by themselves.
    fn make_room(&mut self) {
        if !self.is_filled(FILLED_PERCENT) {
            return;
        }
        self.core.faults.count("disk full at the end");
        for log in 0..self.core.options.logs.len() {
            let trimmer = self.trim(log, true);
            self.run_until(FINISH_US, |world| world.is_over(trimmer));
        }
        self.end_all();
        self.run_until(FINISH_US, |world| !world.is_filled(100));
        self.replace_the_damaged();
        let resumed = self.run_until(FINISH_US, |world| !world.is_filled(100));
        if !resumed && !self.core.options.beyond {
            let (stores, register): (Vec<_>, _) = (self.stores().collect(), &self.core.register);
            panic!("liveness: a disk is full although every log was trimmed: {stores:#?}, {register:#?}");
        }
    }

    /// What is set aside because it is damaged may leave a disk without room: an operator replaces it.
    fn replace_the_damaged(&mut self) {
        for node in 0..self.nodes.len() {
            let full = |host: &ShardHost| {
                let store = host.shard.as_ref().map(|shard| shard.statistics().store);
                store.is_some_and(|store| store.full && store.files_set_aside > 0)
            };
            if self.core.options.is_fallible(node) && self.nodes[node].shards.iter().any(full) {
                self.core.faults.count("disk replaced for want of room");
                self.nodes[node].wipe(&mut self.core);
            }
        }
        let up = self.run_until(FINISH_US, |world| world.nodes.iter().all(|node| node.state == State::Up));
        assert!(up, "liveness: a replaced disk does not start");
    }

    /// A takeover without a chunk; whether it worked.
    fn take_over(&mut self, log: usize) -> bool {
        let client = self.open(log, 0, OPEN_US);
        self.run_until(FINISH_US, |world| world.writing(client).is_some() || world.is_over(client));
        let opened = self.writing(client).is_some();
        assert!(
            opened || self.core.options.beyond,
            "liveness: log {log} was not taken over: {:#?}",
            self.clients[&client]
        );
        opened
    }

    /// A log can be opened, written, read and trimmed.
    fn finish_log(&mut self, log: usize) {
        let mut committed = self.write_some(log);
        if committed != Some(APPENDS) && self.stores().any(|store| store.full) {
            // Damage that was only found now leaves less room.
            self.make_room();
            committed = self.write_some(log);
        }
        if committed != Some(APPENDS) {
            assert!(self.core.options.beyond, "liveness: log {log} is not written: {committed:?}, {:#?}", self.clients);
            self.core.faults.count("log out of reach, and said so");
            return self.end_all();
        }
        self.repair_all(log);
        self.read_all(log, "before a trim");
        let trimmer = self.trim(log, false);
        let ended = self.run_until(FINISH_US, |world| world.is_over(trimmer));
        let done = matches!(self.clients[&trimmer].role, Role::Over { done: true }) || self.core.options.beyond;
        assert!(ended && done, "liveness: log {log} was not trimmed: {:#?}", self.clients[&trimmer]);
        self.read_all(log, "after a trim");
        self.end_all();
    }

    /// Opens a log and appends to it; how many chunks were committed, if it was opened.
    fn write_some(&mut self, log: usize) -> Option<u64> {
        let client = self.open(log, APPENDS, OPEN_US);
        let settled = |world: &Self| world.writing(client).is_some_and(Writing::is_settled) || world.is_over(client);
        let ended = self.run_until(FINISH_US, settled);
        assert!(ended, "liveness: an open neither works nor fails: {:#?}", self.clients[&client]);
        self.writing(client).map(|writing| writing.committed)
    }

    /// A repair comes to an end once everybody answers, and nothing that must be survived is a loss to it.
    fn repair_all(&mut self, log: usize) {
        if !self.may_repair(log) {
            return;
        }
        let repairer = self.repair(log);
        let ended = self.run_until(FINISH_US, |world| world.is_over(repairer));
        let done = matches!(self.clients[&repairer].role, Role::Over { done: true }) || self.core.options.beyond;
        assert!(ended && done, "liveness: log {log} was not repaired: {:#?}", self.clients[&repairer]);
    }

    /// Reads a log from its floor to its end: it holds all that was acknowledged.
    fn read_all(&mut self, log: usize, when: &str) {
        let reader = self.read(log);
        let over = self.run_until(FINISH_US, |world| world.is_over(reader));
        let client = &self.clients[&reader];
        let (done, next) = match &client.role {
            Role::Over { done } => (*done, client.read_to),
            _ => (false, None),
        };
        assert!(over, "liveness: a read of log {log} {when} does not end: {client:#?}");
        if !done {
            assert!(self.core.options.beyond, "liveness: a read of log {log} {when} fails: {:?}", client.why);
            return;
        }
        let Some(record) = self.record(log).filter(|record| !record.deleted) else { return };
        let last = self.core.oracle.history(record.log).and_then(|history| history.last_key_value());
        let Some((last, _)) = last.filter(|(last, _)| **last >= record.floor) else { return };
        assert!(
            next.is_some_and(|next| next > *last),
            "a read of log {log} {when} ended at {next:?}, {last} is missing"
        );
    }

    /// The power goes everywhere, and everything comes back.
    fn restart_everything(&mut self) {
        let stop = self.core.numbers.percent(50);
        for node in 0..self.nodes.len() {
            if stop && node % 2 == 0 {
                self.nodes[node].stop(&mut self.core);
            } else {
                self.nodes[node].crash(&mut self.core, Crash::Power);
            }
        }
        let lives: Vec<u32> = self.nodes.iter().map(|node| node.life).collect();
        let stopped = |world: &Self| {
            world
                .nodes
                .iter()
                .zip(&lives)
                .all(|(node, life)| node.state == State::Up && (!stop || node.index % 2 == 1 || node.life > *life))
        };
        let up = self.run_until(FINISH_US, stopped);
        let states: Vec<_> = self.nodes.iter().map(|node| (node.state, node.life)).collect();
        assert!(up, "liveness: nodes do not stop and start: {states:?}, before {lives:?}");
    }

    /// Nobody wants anything any more: nothing is left over, and nothing happens.
    fn idle_down(&mut self) {
        self.end_all();
        self.run_until(IDLE_US, |_| false);
        // Scrub goes on for ever, but nothing it does takes long.
        let rests = |world: &Self| world.nodes.iter().flat_map(|node| &node.shards).all(ShardHost::is_at_rest);
        self.run_until(SCRUB_READ_US, rests);
        for node in &self.nodes {
            for shard in &node.shards {
                let statistics = shard.shard.as_ref().expect("it is up").statistics();
                let left = (statistics.storing, statistics.slots, statistics.reading, statistics.reads_waiting);
                assert!(
                    left == (0, 0, 0, 0) && shard.is_at_rest(),
                    "node {} is not at rest: {statistics:#?}",
                    node.index
                );
                assert!(
                    statistics.connections == 0,
                    "node {} keeps {} connections",
                    node.index,
                    statistics.connections
                );
            }
        }
    }

    fn is_over(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_none_or(Client::is_over)
    }

    fn writing(&self, client: ClientId) -> Option<&Writing> {
        match &self.clients.get(&client)?.role {
            Role::Writing(writing) => Some(writing),
            _ => None,
        }
    }
}
