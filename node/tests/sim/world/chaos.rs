//! What goes wrong, and who does what: drawn anew every chaos tick, from the run's rates.

use super::World;
use crate::core::{ClientId, Event};
use crate::disk::Crash;
use crate::node::State;

impl World {
    pub(super) fn chaos(&mut self) {
        if self.core.healed {
            return;
        }
        self.begin_sessions();
        self.harm_nodes();
        self.harm_disks();
        self.harm_buckets();
        self.harm_clients();
        self.harm_network();
        let delay = self.core.numbers.between(1, 2 * self.core.options.chaos_us);
        self.core.after(delay, Event::Chaos);
    }

    fn begin_sessions(&mut self) {
        for log in 0..self.core.options.logs.len() {
            let here: Vec<_> = self.clients.values().filter(|client| client.log == log).collect();
            let (sessions, writers) = (here.len(), here.iter().filter(|client| !client.is_reader()).count());
            if sessions >= self.core.options.sessions_max {
                continue;
            }
            let options = &self.core.options;
            let (read, trim, delete) = (options.read, options.trim, options.delete);
            let (open, deadline) = (if writers == 0 { 500 } else { options.open }, options.open_deadline_us);
            if self.core.numbers.per_mille(open) {
                let appends = self.core.numbers.pick(&[0, 3, 20, 100, 500]);
                self.open(log, appends, deadline);
            }
            if self.core.numbers.per_mille(read) {
                self.read(log);
            }
            if self.core.numbers.per_mille(trim) {
                let all = self.core.numbers.percent(10);
                self.trim(log, all);
            }
            let repairs = self.core.options.repair;
            if self.may_repair(log) && self.core.numbers.per_mille(repairs) {
                self.repair(log);
            }
            if self.core.numbers.per_mille(delete) {
                self.delete(log, deadline);
            }
        }
    }

    fn happens(&mut self, per_mille: u64, kind: &'static str) -> bool {
        self.core.happens(per_mille, kind)
    }

    fn some_node(&mut self) -> usize {
        self.core.numbers.index(self.nodes.len())
    }

    fn harm_nodes(&mut self) {
        let rates = self.core.options.rates;
        let node = self.some_node();
        if self.is_up(node) && self.happens(rates.process_crash, "process crash") {
            self.nodes[node].crash(&mut self.core, Crash::Process);
        }
        let node = self.some_node();
        if self.is_up(node) && self.happens(rates.power_crash, "power crash") {
            self.nodes[node].crash(&mut self.core, Crash::Power);
        }
        if self.happens(rates.all_crash, "all nodes crash") {
            let crash = self.core.numbers.pick(&[Crash::Process, Crash::Power]);
            for node in &mut self.nodes {
                node.crash(&mut self.core, crash);
            }
        }
        let node = self.some_node();
        if self.is_up(node) && self.happens(rates.clean_stop, "clean stop") {
            self.nodes[node].stop(&mut self.core);
        }
        let node = self.some_node();
        if self.happens(rates.node_pause, "node paused") {
            let typical = self.core.numbers.pick(&[5_000, 500_000, 5_000_000]);
            self.nodes[node].paused_until = self.core.now + self.core.numbers.delay(typical);
        }
        let node = self.some_node();
        if self.happens(rates.slow_node, "slow node") {
            let factor = self.core.numbers.pick(&[1, 1, 10, 100]);
            self.nodes[node].slow = factor;
            self.core.net.slow[node] = self.core.numbers.pick(&[1, factor]);
        }
    }

    fn harm_disks(&mut self) {
        let rates = self.core.options.rates;
        let node = self.some_node();
        if self.nodes[node].state == State::Down && self.happens(rates.superblock_rot, "rot in a superblock") {
            let both = self.core.options.is_fallible(node) && self.core.numbers.percent(10);
            self.nodes[node].rot_superblock(&mut self.core, both);
        }
        let shard = self.core.numbers.index(self.core.options.shards);
        if self.nodes[node].state == State::Down && self.happens(rates.manifest_rot, "rot in a manifest") {
            self.nodes[node].shards[shard].disk.rot_manifest(&mut self.core.numbers);
        }
        if self.happens(rates.disk_full, "file system full") {
            let disk = &mut self.nodes[node].shards[shard].disk;
            disk.room = if disk.room == usize::MAX { self.core.numbers.between(3, 5) as usize } else { usize::MAX };
        }
        if !self.core.options.is_fallible(node) {
            return;
        }
        if self.core.numbers.per_mille(rates.rot / 2)
            && self.nodes[node].shards[shard].rot_a_chunk(&mut self.core.numbers)
        {
            self.core.faults.count("rot in a chunk that lives");
        }
        if self.core.numbers.per_mille(rates.rot)
            && let Some(what) = self.nodes[node].shards[shard].disk.rot(&mut self.core.numbers)
        {
            self.core.faults.count(what);
        }
        if self.happens(rates.wipe, "node wiped") {
            self.nodes[node].wipe(&mut self.core);
        }
    }

    fn harm_buckets(&mut self) {
        if self.core.buckets.is_empty() {
            return;
        }
        let bucket = self.core.numbers.index(self.core.buckets.len());
        let may = self.core.options.fallible_buckets & (1 << bucket) != 0;
        if may && self.happens(self.core.options.rates.empty_bucket, "bucket emptied") {
            self.core.empty_bucket(bucket);
        }
    }

    fn some_client(&mut self) -> Option<ClientId> {
        let count = self.clients.len();
        if count == 0 {
            return None;
        }
        let index = self.core.numbers.index(count);
        self.clients.keys().nth(index).copied()
    }

    fn harm_clients(&mut self) {
        let rates = self.core.options.rates;
        let Some(client) = self.some_client() else { return };
        if self.happens(rates.client_pause, "client paused") {
            let typical = self.core.numbers.pick(&[10_000, 300_000, 3_000_000]);
            let until = self.core.now + self.core.numbers.delay(typical);
            self.clients.get_mut(&client).expect("it is there").paused_until = until;
        }
        if self.happens(rates.client_kill, "client killed") {
            self.clients.remove(&client).expect("it is there").kill(&mut self.core);
        }
    }

    fn harm_network(&mut self) {
        let rates = self.core.options.rates;
        if self.happens(rates.register_outage, "register out of reach") {
            let typical = self.core.numbers.pick(&[50_000, 1_000_000, 8_000_000]);
            self.core.register.away_until = self.core.now + self.core.numbers.delay(typical);
        }
        let node = self.some_node();
        let typical = self.core.numbers.pick(&[10_000, 300_000, 3_000_000]);
        let until = self.core.now + self.core.numbers.delay(typical);
        let now = self.core.now;
        if self.happens(rates.partition, "node cut off") {
            self.core.net.cut(node, None, true, (now, until));
            self.core.net.cut(node, None, false, (now, until));
        }
        let Some(client) = self.some_client() else { return };
        if self.happens(rates.one_way, "one way cut off") {
            let to_node = self.core.numbers.percent(50);
            let whom = if self.core.numbers.percent(50) { Some(client) } else { None };
            self.core.net.cut(node, whom, to_node, (now, until));
        }
        if self.core.numbers.per_mille(rates.break_connection) {
            let pick = self.core.numbers.index(16);
            if let Some(conn) = self.clients[&client].links.some_conn(pick) {
                self.core.faults.count("connection broken");
                self.core.break_connection(conn);
            }
        }
    }
}
