//! The loop that owns a shard: events in, effects out, one turn after the other. Nobody else touches the shard, so
//! there is nothing to lock and nothing to interleave.

use super::connection::Connection;
use super::disk::{self, ReadBytes};
use super::prepare::{self, PrepareError};
use super::reads::ChunkRead;
use super::timing::Timing;
use super::world::{Event, World};
use crate::shard::{ConnectionId, ReadOutcome, Shard, ShardEffect, ShardEvent};
use glommio::timer::Timer;
use quarry_protocol::frame::{FrameHeader, FrameKind};
use quarry_protocol::ids::DiskId;
use quarry_protocol::limits::FRAME_HEADER_BYTES;
use quarry_protocol::put_times::PUT_TIMES_BYTES;
use quarry_protocol::time::Micros;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;

/// How long after a tick the next one comes at the earliest. Nothing that is timed is in a hurry, and only a loop that
/// waits, however briefly, lets other tasks go on and what they ask of the kernel begin.
const TICK_PAUSE_US: u64 = 100;

/// See the module's documentation.
pub(super) struct Owner {
    world: Rc<World>,
    shard: Shard,
    /// The shard's disk as formatted.
    disk: DiskId,
    /// Says why the shard's disk failed, once it did.
    failed: watch::Sender<Option<String>>,
    /// Connections with something new to send, by the end of the turn.
    to_flush: BTreeMap<ConnectionId, Rc<Connection>>,
    timing: Timing,
    timer: Option<(Micros, Timer)>,
}

impl Owner {
    /// The loop around `shard`, whose disk was formatted as `disk`.
    pub(super) fn new(world: Rc<World>, mut shard: Shard, disk: DiskId, failed: watch::Sender<Option<String>>) -> Self {
        if tracing::enabled!(target: "quarry::action", tracing::Level::TRACE) {
            shard.record_actions();
        }
        Self { world, shard, disk, failed, to_flush: BTreeMap::new(), timing: Timing::default(), timer: None }
    }

    /// Runs turns until a clean stop is done.
    pub(super) async fn run(mut self) {
        let mut events = VecDeque::new();
        let mut settled = false;
        let mut ticked = false;
        // What a start has to do (open a file, prepare others) waits for no event.
        settled |= self.perform();
        while !settled {
            let deadline = next_turn_at(self.shard.poll_timeout(), ticked, self.world.now());
            poll_fn(|cx| self.poll_turn(cx, &mut events, deadline)).await;
            let now = self.world.now();
            for event in events.drain(..) {
                self.handle(now, event);
            }
            ticked = deadline.is_some_and(|deadline| deadline <= now);
            if ticked {
                self.shard.handle(now, ShardEvent::Tick);
            }
            settled = self.perform();
            self.flush();
        }
        self.wind_up(events).await;
    }

    /// After the last turn: hangs up, and waits for what is still on its way to or from the disk.
    async fn wind_up(&self, mut events: VecDeque<Event>) {
        for connection in self.world.connections() {
            connection.end("the node stops".into());
        }
        poll_fn(|cx| {
            events.clear();
            self.world.take(&mut events, cx);
            match (self.world.tasks(), events.is_empty()) {
                (0, _) => Poll::Ready(()),
                (_, true) => Poll::Pending,
                // Looked at once more, to leave a waker behind.
                (_, false) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        })
        .await;
    }

    /// Ready when there are events, or when the deadline has come.
    fn poll_turn(&mut self, cx: &mut Context<'_>, events: &mut VecDeque<Event>, deadline: Option<Micros>) -> Poll<()> {
        self.world.take(events, cx);
        if !events.is_empty() {
            return Poll::Ready(());
        }
        let Some(deadline) = deadline else { return Poll::Pending };
        loop {
            let now = self.world.now();
            if deadline <= now {
                return Poll::Ready(());
            }
            // A timer that rings early costs less than a new timer every turn: deadlines mostly move away.
            let (_, timer) = match &mut self.timer {
                Some(armed) if armed.0 <= deadline => armed,
                _ => self.timer.insert((deadline, Timer::new(Duration::from_micros(deadline.since(now))))),
            };
            if Pin::new(timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
        }
    }

    fn handle(&mut self, now: Micros, event: Event) {
        let event = match event {
            Event::CopyRead { token, result } => {
                let result = result.as_ref().map(ReadBytes::bytes).map_err(Clone::clone);
                return self.shard.handle(now, ShardEvent::CopyRead { token, result });
            }
            Event::Connected { connection } => ShardEvent::Connected { connection },
            Event::Closed { connection } => {
                self.timing.closed(connection);
                ShardEvent::Closed { connection }
            }
            Event::Put { connection, request_id, disk, header, slot, copy, timed } => {
                if let Some(at) = timed {
                    self.timing.arrived(connection, request_id, slot, at);
                }
                ShardEvent::Put { connection, request_id, disk, header, slot, copy }
            }
            Event::Request { connection, request_id, disk, request } => {
                ShardEvent::Request { connection, request_id, disk, request }
            }
            Event::Written { number, result, at } => {
                self.timing.written(number, at);
                ShardEvent::Written { number, result }
            }
            Event::Prepared { file, result } => ShardEvent::Prepared { file, result },
            Event::ReadDone { token, sent, outcome } => ShardEvent::ReadDone { token, sent, outcome },
            Event::Admin { ticket, request } => ShardEvent::Admin { ticket, request },
            Event::Members { list } => ShardEvent::Members { list },
            Event::Stop => ShardEvent::Stop,
        };
        self.shard.handle(now, event);
    }

    /// Performs every effect there is. True once the shard has settled.
    fn perform(&mut self) -> bool {
        let mut settled = false;
        while let Some(effect) = self.shard.poll_effect() {
            // Before it is performed: nobody may act on an answer that is not in the trace yet.
            self.report_actions();
            match effect {
                ShardEffect::Send { connection, frame } => {
                    if !self.timing.is_idle()
                        && let Ok(header) = FrameHeader::decode(&frame)
                    {
                        self.timing.refused(connection, header.request_id);
                    }
                    self.send(connection, &frame);
                }
                ShardEffect::Stored { connection, request_id, disk } => {
                    self.stored(connection, request_id, disk);
                }
                ShardEffect::Release { slot } => {
                    self.timing.released(slot);
                    self.world.release(slot);
                }
                ShardEffect::Write { number, file, position, parts, bytes } => {
                    let buffer = disk::gather(&parts, bytes, &self.world.slots.borrow());
                    if !self.timing.is_idle() {
                        self.timing.submitted(number, &parts, self.world.now());
                    }
                    self.spawn(move |world| async move {
                        let result = world.disk.write(file, position, buffer).await;
                        let at = world.now();
                        world.put(Event::Written { number, result, at });
                    });
                }
                ShardEffect::Create { file, bytes } => {
                    self.prepare(file, move |directory| prepare::create(directory, file, bytes));
                }
                ShardEffect::Fill { file, position, bytes } => {
                    self.prepare(file, move |directory| prepare::fill(directory, file, position, u64::from(bytes)));
                }
                ShardEffect::SyncFile { file } => self.finish(file),
                ShardEffect::ReadChunks { token, connection, request_id, disk, chunks } => {
                    self.read(token, connection, |connection| ChunkRead { connection, request_id, disk, chunks });
                }
                ShardEffect::ReadForCopy { token, file, position, bytes } => self.spawn(move |world| async move {
                    let result = world.disk.read(file, position, bytes).await;
                    world.put(Event::CopyRead { token, result });
                }),
                ShardEffect::Close { connection, why } => {
                    if let Some(connection) = self.world.connection(connection) {
                        connection.end(why);
                    }
                }
                ShardEffect::Admin { ticket, answer } => self.world.answer(ticket, answer),
                ShardEffect::Fail { why } => {
                    tracing::error!(%why, "the disk failed: this shard acknowledges nothing until the node is restarted");
                    self.failed.send_replace(Some(why));
                }
                ShardEffect::Warn { what } => tracing::warn!("{what}"),
                ShardEffect::Settled => settled = true,
            }
        }
        self.report_actions();
        settled
    }

    /// With `quarry::action=trace` in the log filter, every step the shard takes is one event (see
    /// [`quarry_protocol::action`]).
    fn report_actions(&mut self) {
        while let Some(action) = self.shard.poll_action() {
            tracing::trace!(target: "quarry::action", "{action}");
        }
    }

    fn stored(&mut self, connection: ConnectionId, request_id: u64, disk: DiskId) {
        let some_asked = !self.timing.is_idle();
        match some_asked.then(|| self.timing.answered(connection, request_id, self.world.now())).flatten() {
            None => {
                let frame = FrameHeader::control(FrameKind::Stored, request_id, disk, &[]);
                self.send(connection, &frame.encode());
            }
            Some(times) => {
                let body = times.encode();
                let mut frame = [0; FRAME_HEADER_BYTES + PUT_TIMES_BYTES];
                let header = FrameHeader::control(FrameKind::TimedStored, request_id, disk, &body);
                frame[..FRAME_HEADER_BYTES].copy_from_slice(&header.encode());
                frame[FRAME_HEADER_BYTES..].copy_from_slice(&body);
                self.send(connection, &frame);
            }
        }
    }

    fn send(&mut self, connection: ConnectionId, frame: &[u8]) {
        // A connection that is gone is nobody's fault.
        let Some(open) = self.world.connection(connection) else { return };
        open.output().push(frame);
        open.answered();
        self.to_flush.insert(connection, open);
    }

    fn flush(&mut self) {
        let now = self.world.now();
        while let Some((_, connection)) = self.to_flush.pop_first() {
            connection.flush(now);
        }
    }

    fn read(&mut self, token: u64, connection: ConnectionId, read: impl FnOnce(Rc<Connection>) -> ChunkRead) {
        let Some(connection) = self.world.connection(connection) else {
            return self.world.put(Event::ReadDone { token, sent: 0, outcome: ReadOutcome::ConnectionGone });
        };
        let read = read(connection);
        self.spawn(move |world| async move {
            let (sent, outcome) = read.run(&world).await;
            world.put(Event::ReadDone { token, sent, outcome });
        });
    }

    fn prepare(&self, file: u32, step: impl FnOnce(&Path) -> Result<(), PrepareError> + Send + 'static) {
        self.spawn(move |world| async move {
            let result = blocking(&world, step).await;
            world.put(Event::Prepared { file, result });
        });
    }

    fn finish(&self, file: u32) {
        let disk = self.disk;
        self.spawn(move |world| async move {
            let mut result = blocking(&world, move |directory| prepare::finish(directory, disk, file)).await;
            if result.is_ok() {
                // Opened now, so that the first append to it does not wait for that.
                result = world.disk.open(file).await.map(|_| ());
                if result.is_err() {
                    let taken_back = blocking(&world, move |directory| {
                        prepare::take_back(directory, disk, file);
                        Ok(())
                    });
                    taken_back.await.expect("taking back says nothing");
                }
            }
            world.put(Event::Prepared { file, result });
        });
    }

    /// Runs a task that nobody drops before it is done.
    fn spawn<F: Future<Output = ()> + 'static>(&self, task: impl FnOnce(Rc<World>) -> F) {
        let world = self.world.clone();
        world.task_begins();
        let task = task(world.clone());
        glommio::spawn_local(async move {
            task.await;
            world.task_ends();
        })
        .detach();
    }
}

/// When the next turn begins although nothing happened. After a turn that ticked this lies ahead, even if the shard left
/// something due: a loop that never waits would keep every other task of its thread from running.
fn next_turn_at(due: Option<Micros>, ticked: bool, now: Micros) -> Option<Micros> {
    due.map(|due| if ticked { due.max(now.plus(TICK_PAUSE_US)) } else { due })
}

/// Runs something that blocks on the executor's blocking thread.
async fn blocking(
    world: &World,
    step: impl FnOnce(&Path) -> Result<(), PrepareError> + Send + 'static,
) -> Result<(), String> {
    let directory = world.disk.directory();
    let done = glommio::executor().spawn_blocking(move || step(&directory)).await;
    done.map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_that_leaves_something_due_is_not_followed_by_another_at_once() {
        let now = Micros(1_000_000);
        for due in [Micros(0), Micros(999_999), now, now.plus(1)] {
            assert_eq!(next_turn_at(Some(due), true, now), Some(now.plus(TICK_PAUSE_US)), "due at {due:?}");
            assert_eq!(next_turn_at(Some(due), false, now), Some(due), "the first tick comes when it is due");
        }
        let later = now.plus(10 * TICK_PAUSE_US);
        assert_eq!(next_turn_at(Some(later), true, now), Some(later));
        assert_eq!(next_turn_at(None, true, now), None);
    }
}
