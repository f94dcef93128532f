//! The writer's task: brings what the links report, and the passing of time, to the machine.

use super::requests;
use super::shared::Shared;
use crate::link::LinkEvent;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How often a writer asks whether a node that it writes to is being drained.
const LOOK_FOR_DRAINED_EVERY: Duration = Duration::from_secs(1);
/// Most events taken in under one hold of the lock.
const EVENTS_PER_ROUND: usize = 256;
/// How far away a timer is that is not needed.
const FAR: Duration = Duration::from_hours(24);

/// Runs until the writer is finished. The subscriptions live as long as the task.
pub(super) async fn run(guard: AbandonOnDrop, mut events: mpsc::UnboundedReceiver<(usize, LinkEvent)>) {
    let shared = &guard.0;
    let mut round = Vec::with_capacity(EVENTS_PER_ROUND);
    let mut timer = std::pin::pin!(tokio::time::sleep(FAR));
    let mut timer_armed = None;
    let mut under_way = FuturesUnordered::new();
    let mut drains = tokio::time::interval(LOOK_FOR_DRAINED_EVERY);
    while !shared.is_finished() {
        shared.flush_links();
        let armed = shared.armed();
        if armed != timer_armed {
            timer.as_mut().reset(armed.unwrap_or_else(far));
            timer_armed = armed;
        }
        for asked in shared.take_requests() {
            under_way.push(requests::perform(Arc::clone(&shared.parts), asked));
        }
        tokio::select! {
            biased;
            _ = events.recv_many(&mut round, EVENTS_PER_ROUND) => shared.take_events(&mut round),
            () = &mut timer => {
                timer.as_mut().reset(far());
                timer_armed = None;
                shared.tick();
            }
            Some(answer) = under_way.next() => shared.answered(answer),
            _ = drains.tick() => shared.look_for_drained(),
            () = shared.wake.notified() => {}
        }
    }
}

fn far() -> Instant {
    Instant::now() + FAR
}

/// Fails what is in flight if the task is dropped before it is finished, or before it ever ran.
pub(super) struct AbandonOnDrop(pub(super) Arc<Shared>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        if !self.0.is_finished() {
            self.0.abandon();
        }
        self.0.detach();
    }
}
