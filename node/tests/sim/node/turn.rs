//! A turn of a shard's loop, as `node/src/io/owner.rs`: everything that arrived goes in, then every effect is done.

use super::{Arrived, Node, Operation, State};
use crate::core::{ConnId, Core, Event, ShardAt};
use crate::network::Frame;
use quarry_node::shard::{ConnectionId, Shard, ShardEffect, ShardEvent};
use quarry_protocol::time::Micros;

/// After a turn that ticked, the next tick comes this much later at the earliest.
const TICK_PAUSE_US: u64 = 100;
/// How often everything is checked, `Shard::invariants` included: in one turn of so many. It walks the whole index.
const CHECK_EVERY: u64 = 8;

impl Node {
    /// The shard's turn, if this one was not brought forward.
    pub(crate) fn turn(&mut self, core: &mut Core, at: ShardAt) {
        let now = core.now;
        if at.life != self.life || self.state != State::Up || self.shards[at.shard].turn_at != Some(now) {
            return;
        }
        self.shards[at.shard].turn_at = None;
        if self.is_paused(now) {
            return self.arm(core, at.shard, self.paused_until);
        }
        let Some(mut shard) = self.shards[at.shard].shard.take() else { return };
        let (ticked, closed) = self.take_in(core, at.shard, &mut shard);
        core.trace.take(|| shard.poll_action());
        while let Some(effect) = shard.poll_effect() {
            core.trace.take(|| shard.poll_action());
            self.perform(core, at.shard, effect);
        }
        // From here on the shard answers nothing that was asked there.
        self.shards[at.shard].questions.retain(|(conn, _), _| !closed.contains(conn));
        if core.healed || core.numbers.below(CHECK_EVERY) == 0 {
            shard.invariants();
            self.shards[at.shard].check_kept(&shard, &core.oracle);
        }
        let due = shard.poll_timeout();
        self.shards[at.shard].shard = Some(shard);
        if self.shards[at.shard].settled {
            return;
        }
        if !self.shards[at.shard].inbox.is_empty() {
            self.arm(core, at.shard, now + 1);
        }
        if let Some(due) = due {
            let pause = if ticked { TICK_PAUSE_US } else { 0 };
            self.arm(core, at.shard, due.0.max(now + pause));
        }
    }

    /// Hands the shard what arrived, or a part of it. Whether it was told that time passed, and which connections closed.
    fn take_in(&mut self, core: &mut Core, index: usize, shard: &mut Shard) -> (bool, Vec<ConnId>) {
        let (now, mut closed) = (Micros(core.now), Vec::new());
        let waiting = self.shards[index].inbox.len() as u64;
        let count = if waiting > 1 && core.numbers.percent(20) { core.numbers.between(1, waiting) } else { waiting };
        for _ in 0..count {
            let Some(arrived) = self.shards[index].inbox.pop_front() else { break };
            if let Arrived::Closed { conn } = arrived {
                closed.push(conn);
            }
            hand_over(shard, now, arrived);
        }
        let due = shard.poll_timeout().is_some_and(|due| due <= now);
        if due {
            shard.handle(now, ShardEvent::Tick);
        }
        (due, closed)
    }

    fn perform(&mut self, core: &mut Core, index: usize, effect: ShardEffect) {
        match effect {
            ShardEffect::Send { connection, frame } => self.answer(core, index, connection.0 as u32, frame),
            ShardEffect::Stored { connection, request_id, disk } => {
                self.answer_stored(core, index, connection.0 as u32, request_id, disk);
            }
            ShardEffect::Release { slot } => self.shards[index].release(slot),
            ShardEffect::Write { number, file, position, parts, bytes } => {
                self.write(core, index, (number, file, position), &parts, bytes);
            }
            ShardEffect::Create { file, .. } => self.begin(core, index, Operation::Create { file }),
            ShardEffect::Fill { file, .. } => self.begin(core, index, Operation::Fill { file }),
            ShardEffect::SyncFile { file } => self.begin(core, index, Operation::Name { file }),
            ShardEffect::ReadChunks { token, connection, request_id, disk, chunks } => {
                let conn = connection.0 as u32;
                self.begin(core, index, Operation::ReadChunks { token, conn, request_id, disk, chunks });
            }
            ShardEffect::ReadForCopy { token, file, position, bytes } => {
                self.begin(core, index, Operation::ReadForCopy { token, file, position, bytes });
            }
            ShardEffect::Close { connection, .. } => self.closed(core, connection.0 as u32),
            ShardEffect::Admin { .. } => unreachable!("nobody asked"),
            ShardEffect::Fail { .. } => {
                core.effect("disk fails", [self.index as u64, index as u64, 0, 0]);
                self.shards[index].failed = true;
                let delay = core.numbers.pick(&[1_000, 100_000, 3_000_000]);
                core.after(delay, Event::Mend { node: self.index, life: self.life });
            }
            ShardEffect::Warn { .. } => core.effect("warning", [self.index as u64, index as u64, 0, 0]),
            ShardEffect::Settled => self.shards[index].settled = true,
        }
    }

    pub(super) fn send(&self, core: &mut Core, conn: u32, frame: Frame) {
        if core.net.conn(conn).node_open == Some(self.life) {
            core.send_to_client(conn, frame);
        }
    }
}

fn hand_over(shard: &mut Shard, now: Micros, arrived: Arrived) {
    let id = |conn: u32| ConnectionId(u64::from(conn));
    let event = match arrived {
        Arrived::CopyRead { token, result } => {
            let result = result.as_deref().map_err(Clone::clone);
            return shard.handle(now, ShardEvent::CopyRead { token, result });
        }
        Arrived::Connected { conn } => ShardEvent::Connected { connection: id(conn) },
        Arrived::Closed { conn } => ShardEvent::Closed { connection: id(conn) },
        Arrived::Put { conn, request_id, disk, header, slot, copy } => {
            ShardEvent::Put { connection: id(conn), request_id, disk, header, slot, copy }
        }
        Arrived::Request { conn, request_id, disk, request } => {
            ShardEvent::Request { connection: id(conn), request_id, disk, request }
        }
        Arrived::Written { number, result } => ShardEvent::Written { number, result },
        Arrived::Prepared { file, result } => ShardEvent::Prepared { file, result },
        Arrived::ReadDone { token, sent, outcome } => ShardEvent::ReadDone { token, sent, outcome },
        Arrived::Stop => ShardEvent::Stop,
    };
    shard.handle(now, event);
}
