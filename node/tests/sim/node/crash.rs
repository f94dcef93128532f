//! Ends of a node: crashes, wipes, clean stops.

use super::{Node, Operation, ShardHost, State};
use crate::core::{Core, Event};
use crate::disk::Crash;
use quarry_protocol::action::Step;
use quarry_protocol::ids::DiskId;
use std::collections::VecDeque;

impl Node {
    /// The process, or the power, goes. It comes back by itself.
    pub(crate) fn crash(&mut self, core: &mut Core, crash: Crash) {
        if matches!(self.state, State::Down | State::Refused) {
            return;
        }
        core.effect(if crash == Crash::Power { "power crash" } else { "process crash" }, [self.index as u64, 0, 0, 0]);
        // Without power nobody says goodbye.
        let silently = crash == Crash::Power && core.numbers.percent(50);
        for shard in 0..self.shards.len() {
            for conn in std::mem::take(&mut self.shards[shard].conns) {
                core.close_at_node(conn, silently);
            }
            let replica = self.shards[shard].identity;
            core.note_of_every_log(|| Step::Crash { replica });
            self.shards[shard].crash(core, crash);
        }
        self.go_down(core);
    }

    fn go_down(&mut self, core: &mut Core) {
        self.state = State::Down;
        core.directory.0[self.index] = None;
        self.life += 1;
        self.paused_until = 0;
        let typical = core.numbers.pick(&[1_000, 20_000, 500_000, 3_000_000]);
        let delay = if core.healed { 1_000 } else { core.numbers.delay(typical) };
        core.after(delay, Event::Start { node: self.index, life: self.life });
    }

    /// Every disk is replaced: the node comes back under its old address with new identities (P14).
    pub(crate) fn wipe(&mut self, core: &mut Core) {
        self.crash(core, Crash::Power);
        core.effect("wipe", [self.index as u64, 0, 0, 0]);
        let before: Vec<DiskId> = self.shards.iter().map(|shard| shard.identity).collect();
        self.format(core, before.len());
        for (replica, shard) in before.into_iter().zip(&self.shards) {
            core.note_of_every_log(|| Step::Wipe { replica, new: shard.identity });
        }
        if self.state == State::Refused {
            self.go_down(core);
        }
    }

    /// An operator looks after a node that failed or refused to start.
    pub(crate) fn mend(&mut self, core: &mut Core, life: u32) {
        if self.life != life {
            return;
        }
        core.step("mend", [self.index as u64, u64::from(life), 0, 0]);
        match self.state {
            State::Refused => self.wipe(core),
            State::Up if self.shards.iter().any(|shard| shard.failed) => self.crash(core, Crash::Process),
            _ => {}
        }
    }

    /// A clean stop is done when every shard has settled; then the process ends.
    pub(crate) fn stop_if_settled(&mut self, core: &mut Core) {
        if self.state == State::Up && self.shards.iter().all(|shard| shard.settled) {
            core.effect("stopped", [self.index as u64, 0, 0, 0]);
            self.crash(core, Crash::Process);
        }
    }
}

impl ShardHost {
    fn crash(&mut self, core: &mut Core, crash: Crash) {
        let (mut writes, mut naming) = (Vec::new(), Vec::new());
        for (_, operation) in std::mem::take(&mut self.operations) {
            match operation {
                Operation::Write(write) => writes.push(write),
                Operation::Name { file } => naming.push(file),
                _ => {}
            }
        }
        self.disk.crash(crash, writes, &naming, &mut core.numbers);
        self.shard = None;
        self.inbox = VecDeque::new();
        self.turn_at = None;
        self.slots.clear();
        self.vacant.clear();
        self.questions.clear();
        self.stuck.clear();
        (self.failed, self.stopping, self.settled) = (false, false, false);
    }
}
