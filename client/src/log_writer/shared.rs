//! What the appending callers and the writer's task share: the machine, behind one lock.
//!
//! Whoever changes the machine also does what it wants done: puts go to the links under the lock, so that they keep their
//! order; flushing links and waking callers happens after it.
//!
//! An append to an idle writer is flushed at once. While others are in flight it is left to the task, which comes next when the
//! caller waits for anything: a caller that appends several chunks in a row then sends them in one system call for each
//! replica, and who sends one chunk at a time loses a task switch. At [`UNFLUSHED_PUTS_MAX`] the caller flushes all the same.

use super::attribution::Attribution;
use super::pending::PendingAppend;
use super::placing::Placing;
use super::requests::Asked;
use super::rotate::{RotateError, Rotated, Rotations, Wish};
use super::segments::{Segments, Touched};
use super::settle::{Settled, Settling};
use crate::actions;
use crate::cluster::Cluster;
use crate::error::{AppendError, Fate};
use crate::link::{LinkEvent, LinkEvents, PutTiming};
use crate::quorum_store::Parts;
use bytes::Bytes;
use quarry_protocol::chunk::check_length;
use quarry_protocol::ids::{ChunkSeq, DiskId, Epoch, LogId, SegmentId};
use quarry_protocol::record::{ReplicaRef, Window};
use quarry_protocol::rotation::{RotatingWriter, RotationConfig, RotationEffect, RotationEvent, SegmentShape};
use quarry_protocol::time::Micros;
use quarry_protocol::writer::WriterEvent;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as FairMutex, MutexGuard as FairGuard, Notify, oneshot};
use tokio::time::Instant;

/// Most puts of one replica left to the task: as many as one system call sends.
const UNFLUSHED_PUTS_MAX: u32 = 32;

pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) log: LogId,
    pub(super) epoch: Epoch,
    pub(super) append_deadline: Duration,
    pub(super) parts: Arc<Parts>,
    started: Instant,
    /// Whether receipts say where the time went.
    timed: bool,
    /// Whoever appends holds this: those who wait for room queue up in the order of their calls.
    turn: FairMutex<()>,
    /// Whoever moves the log holds this.
    moves: FairMutex<()>,
    /// Tells the holder of the turn that its chunk may fit now.
    room: Notify,
    /// Tells the task that a deadline is nearer than it knows, or that the writer was closed.
    pub(super) wake: Notify,
    /// Tells everybody who waits for the writer's end.
    ended: Notify,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) machine: RotatingWriter,
    pub(super) segments: Segments,
    pub(super) settling: Settling,
    pub(super) rotations: Rotations,
    pub(super) placing: Placing,
    /// Where the time of appends goes, if somebody wants to know.
    pub(super) attribution: Option<Attribution>,
    /// Links that were put to and not flushed since.
    pub(super) unflushed: Touched,
    /// What the task has to ask the register or the cluster: at most one at a time.
    pub(super) requests: Vec<RotationEffect>,
    /// The disks of nodes that are being drained, as the machine was last told.
    drained: Vec<DiskId>,
    /// Bytes that the holder of the turn waits for room for.
    wanted: Option<u64>,
    /// When the task will look at the machine by itself. Only ever moved forward by the task, so that a busy writer does
    /// not touch its timer per append.
    armed: Option<Micros>,
    pub(super) stopped: Option<AppendError>,
    closed: bool,
}

/// When links are flushed that were put to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    /// At once.
    Now,
    /// At once, unless other appends are in flight: then by the task.
    UnlessBusy,
}

/// What is left to do once the lock is released.
#[derive(Default)]
pub(super) struct Aftermath {
    /// Links to flush.
    touched: Touched,
    /// Appends to tell of.
    pub(super) settled: Vec<Settled>,
    /// Whether the holder of the turn may go on.
    room: bool,
    /// Whether the task has to look again.
    pub(super) wake: bool,
    /// Whether the writer is finished.
    pub(super) ended: bool,
}

impl State {
    fn stored(&mut self, replica: usize, seq: ChunkSeq, timing: Option<PutTiming>) -> WriterEvent {
        if let Some(attribution) = &mut self.attribution {
            attribution.answered(seq, replica, timing);
        }
        WriterEvent::Stored { replica, seq }
    }
}

impl Shared {
    /// Attaches to the open segment: inside a Tokio runtime only. What its links report goes to `events`.
    pub(super) fn new(parts: Arc<Parts>, config: RotationConfig, events: LinkEvents, attribution: bool) -> Self {
        let (log, epoch, name) = (config.record.log, config.record.epoch, config.name.as_str().into());
        let append_deadline = Duration::from_micros(config.deadline_us);
        let mut machine = RotatingWriter::new(config, Micros(0));
        if actions::are_wanted() {
            machine.record_actions();
        }
        let state = State {
            attribution: attribution.then(|| Attribution::new(machine.next_seq())),
            machine,
            placing: Placing::new(Arc::clone(&parts.cluster)),
            segments: Segments::new(Arc::clone(&parts.cluster), log, events),
            settling: Settling::new(epoch),
            rotations: Rotations::default(),
            unflushed: Touched::default(),
            requests: Vec::new(),
            drained: Vec::new(),
            wanted: None,
            armed: None,
            stopped: None,
            closed: false,
        };
        let shared = Self {
            name,
            log,
            epoch,
            append_deadline,
            parts,
            started: Instant::now(),
            timed: attribution,
            turn: FairMutex::new(()),
            moves: FairMutex::new(()),
            room: Notify::new(),
            wake: Notify::new(),
            ended: Notify::new(),
            state: Mutex::new(state),
        };
        shared.change(|_, _| ());
        shared
    }

    pub(super) fn segment(&self) -> SegmentId {
        self.lock().machine.segment().id
    }

    pub(super) fn replicas(&self) -> Vec<ReplicaRef> {
        self.lock().machine.segment().replicas.clone()
    }

    pub(super) fn stalled_at(&self) -> Option<(ChunkSeq, String)> {
        self.lock().machine.stalled_at()
    }

    /// Asks for the end of the open segment, and waits for it.
    pub(super) async fn rotate(&self) -> Result<Rotated, RotateError> {
        self.rotated(Wish::Rotate, |_| RotationEvent::Rotate).await
    }

    /// Has further segments made like `shape`, on `tier`.
    pub(super) async fn move_to(&self, tier: Arc<dyn Cluster>, shape: SegmentShape) -> Result<Rotated, RotateError> {
        let _alone = self.moves.lock().await;
        self.rotated(Wish::Move, |state| {
            state.placing.aim(tier);
            RotationEvent::Move(shape)
        })
        .await
    }

    async fn rotated(
        &self,
        wish: Wish,
        ask: impl FnOnce(&mut State) -> RotationEvent + Send,
    ) -> Result<Rotated, RotateError> {
        let rotated = self.change(|state, now| {
            if let Some(why) = &state.stopped {
                return Err(RotateError::Stopped(why.clone()));
            }
            let rotated = state.rotations.wait(wish);
            let event = ask(state);
            state.machine.handle(now, event);
            Ok(rotated)
        })?;
        rotated.await.unwrap_or_else(|_| Err(RotateError::Stopped(self.runtime_gone(Fate::NeverStored))))
    }

    /// Flushes what appending callers left.
    pub(super) fn flush_links(&self) {
        let touched = std::mem::take(&mut self.lock().unflushed);
        touched.flush();
    }

    /// What is to be asked of the register or the cluster.
    pub(super) fn take_requests(&self) -> Vec<Asked> {
        let mut state = self.lock();
        let requests = std::mem::take(&mut state.requests).into_iter();
        let asked = |effect| {
            let moving = matches!(effect, RotationEffect::Place { moving: true, .. });
            // The newest first: an address may have had another disk before.
            let segments = state.machine.record().segments.iter().rev().filter(|_| moving);
            let known = segments.flat_map(|segment| segment.replicas.iter().cloned()).collect();
            Asked { tier: state.placing.tier(moving), known, effect }
        };
        requests.map(asked).collect()
    }

    /// Has the writer move on from nodes that are being drained.
    pub(super) fn look_for_drained(&self) {
        let disks = self.lock().placing.tier(false).draining();
        self.change(|state, now| {
            if disks != state.drained {
                state.drained.clone_from(&disks);
                state.machine.handle(now, RotationEvent::Unwanted { disks });
            }
        });
    }

    /// The answer to such a request.
    pub(super) fn answered(&self, event: RotationEvent) {
        self.change(|state, now| state.machine.handle(now, event));
    }

    pub(super) fn next_seq(&self) -> ChunkSeq {
        self.lock().machine.next_seq()
    }

    pub(super) fn tail(&self) -> ChunkSeq {
        self.lock().machine.committed()
    }

    #[cfg(test)]
    pub(super) fn kept_for_stragglers(&self) -> (u64, u64) {
        self.lock().machine.kept_for_stragglers()
    }

    pub(super) async fn append(&self, payload: Bytes) -> Result<PendingAppend, AppendError> {
        let called = self.timed.then(std::time::Instant::now);
        let crc = self.judge(&payload)?;
        let turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => self.turn.lock().await,
        };
        loop {
            if let Some(pending) = self.submit(&payload, crc, &turn, called, true)? {
                return Ok(pending);
            }
            // Room that appears before this waits is not missed: notify_one leaves a permit.
            self.room.notified().await;
        }
    }

    pub(super) fn try_append(&self, payload: &Bytes) -> Result<PendingAppend, AppendError> {
        let called = self.timed.then(std::time::Instant::now);
        let crc = self.judge(payload)?;
        let Window { chunks: window_chunks, bytes: window_bytes } = self.lock().machine.segment().window;
        let full = || AppendError::NoRoom { log: self.name.to_string(), window_chunks, window_bytes };
        let turn = self.turn.try_lock().map_err(|_| full())?;
        self.submit(payload, crc, &turn, called, false)?.ok_or_else(full)
    }

    /// Waits until everything appended so far is settled.
    pub(super) async fn flush(&self) -> Result<ChunkSeq, AppendError> {
        let settled = {
            let mut state = self.lock();
            if let Some(why) = &state.stopped {
                return Err(why.with_fate(state.settling.worst_fate()));
            }
            state.settling.when_settled()
        };
        if let Some(settled) = settled {
            // The last append's own outcome is the outcome of all before it: acknowledgements come in order.
            settled.await.unwrap_or_else(|_| Err(self.runtime_gone(Fate::Unknown)))?;
        }
        Ok(self.tail())
    }

    pub(super) async fn stopped(&self) -> AppendError {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if let Some(why) = &self.lock().stopped {
                return why.clone();
            }
            ended.await;
        }
    }

    /// No more appends will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// Whether the task has nothing left to do.
    pub(super) fn is_finished(&self) -> bool {
        let state = self.lock();
        state.stopped.is_some() || (state.closed && state.settling.is_empty())
    }

    /// When the task has to call [`Self::tick`].
    pub(super) fn armed(&self) -> Option<Instant> {
        self.lock().armed.map(|at| self.started + Duration::from_micros(at.0))
    }

    pub(super) fn tick(&self) {
        self.change(|state, now| {
            state.armed = None;
            state.machine.handle(now, RotationEvent::Tick);
        });
    }

    /// Takes in what the links report.
    pub(super) fn take_events(&self, events: &mut Vec<(usize, LinkEvent)>) {
        self.change(|state, now| {
            for (tag, event) in events.drain(..) {
                let Some((segment, replica)) = state.segments.find(tag) else { continue };
                let event = match event {
                    LinkEvent::Stored(seq) => state.stored(replica, seq, None),
                    LinkEvent::TimedStored(seq, timing) => state.stored(replica, seq, Some(timing)),
                    LinkEvent::Refused(seq, refusal) => WriterEvent::Refused { replica, seq, refusal },
                    LinkEvent::Up => WriterEvent::Up { replica },
                    LinkEvent::Down(why) => WriterEvent::Down { replica, why },
                };
                state.machine.handle(now, RotationEvent::Link { segment, event });
            }
        });
    }

    /// The task is over: the links are let go of.
    pub(super) fn detach(&self) {
        self.lock().segments.detach_all();
    }

    /// The task is gone before it was finished: its runtime was shut down.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        if state.stopped.is_none() {
            state.stopped = Some(self.runtime_gone(Fate::NeverStored));
        }
        state.settling.abandon();
        let stopped = state.stopped.clone().expect("it was stopped just now, or before");
        state.rotations.stopped(&stopped);
        drop(state);
        self.room.notify_one();
        self.ended.notify_waiters();
    }

    /// Refuses what no window could ever hold; else the payload's checksum, taken once for its whole way (D3).
    fn judge(&self, payload: &Bytes) -> Result<u32, AppendError> {
        let (log, got) = (|| self.name.to_string(), payload.len());
        if check_length(got as u64).is_err() {
            return Err(AppendError::ChunkSize { log: log(), got });
        }
        Ok(crc32c::crc32c(payload))
    }

    /// Appends if there is room; if not and `wait`, sees to it that `room` is told once there is.
    fn submit(
        &self,
        payload: &Bytes,
        payload_crc: u32,
        _turn: &FairGuard<'_, ()>,
        called: Option<std::time::Instant>,
        wait: bool,
    ) -> Result<Option<PendingAppend>, AppendError> {
        self.change_and_flush(Flush::UnlessBusy, |state, now| {
            state.wanted = None;
            if let Some(why) = &state.stopped {
                return Err(why.with_fate(Fate::NeverStored));
            }
            let (got, window_bytes) = (payload.len(), state.machine.window_bytes());
            if got as u64 > window_bytes {
                return Err(AppendError::LargerThanWindow { log: self.name.to_string(), got, window_bytes });
            }
            if !state.machine.would_fit(got as u64) {
                state.wanted = wait.then_some(payload.len() as u64);
                return Ok(None);
            }
            let seq = state.machine.next_seq();
            let (outcome, receiver) = oneshot::channel();
            let token = state.settling.add(outcome);
            if let (Some(attribution), Some(called)) = (&mut state.attribution, called) {
                attribution.put(seq, called, state.machine.segment());
            }
            state.machine.handle(now, RotationEvent::Append { token, payload: payload.clone(), payload_crc });
            Ok(Some(PendingAppend::new(seq, Arc::clone(&self.name), receiver)))
        })
    }

    /// Changes the machine, does what it wants done, flushes links and wakes whom that concerns.
    fn change<T>(&self, change: impl FnOnce(&mut State, Micros) -> T) -> T {
        self.change_and_flush(Flush::Now, change)
    }

    fn change_and_flush<T>(&self, flush: Flush, change: impl FnOnce(&mut State, Micros) -> T) -> T {
        let mut after = Aftermath::default();
        let result = {
            let mut state = self.lock();
            let (idle, waiting) = (state.settling.is_empty(), state.unflushed.puts_max());
            let result = change(&mut state, self.now());
            self.do_effects(&mut state, &mut after);
            if flush == Flush::Now || idle || state.unflushed.puts_max() >= UNFLUSHED_PUTS_MAX {
                after.touched = std::mem::take(&mut state.unflushed);
            } else {
                // The first of them wakes the task; it flushes all that came by then.
                after.wake |= waiting == 0;
            }
            Self::arm(&mut state, &mut after);
            after.room = state.wanted.is_some_and(|bytes| state.stopped.is_some() || state.machine.would_fit(bytes));
            after.wake |= state.closed && state.settling.is_empty();
            result
        };
        after.touched.flush();
        for settled in after.settled {
            settled.tell();
        }
        if after.room {
            self.room.notify_one();
        }
        if after.ended {
            self.ended.notify_waiters();
        }
        if after.wake || after.ended {
            self.wake.notify_one();
        }
        result
    }

    /// Sees to it that the task wakes in time, without touching its timer while it would wake early enough anyway.
    fn arm(state: &mut State, after: &mut Aftermath) {
        if let Some(due) = state.machine.poll_timeout()
            && state.armed.is_none_or(|armed| due < armed)
        {
            state.armed = Some(due);
            after.wake = true;
        }
    }

    fn runtime_gone(&self, fate: Fate) -> AppendError {
        AppendError::Stopped { log: self.name.to_string(), why: "its runtime was shut down".to_owned(), fate }
    }

    fn now(&self) -> Micros {
        Micros(self.started.elapsed().as_micros() as u64)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
