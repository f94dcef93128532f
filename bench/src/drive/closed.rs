//! The closed loop: a fixed number in flight; the next is due when one ends.

use super::{Lane, Part};
use std::collections::VecDeque;
use std::time::Instant;

/// Until the part is over or the lane takes no more.
pub(super) async fn run<L: Lane>(lane: &L, depth: usize, part: &Part) {
    let mut in_flight = VecDeque::with_capacity(depth);
    let (mut due_at, mut over) = (part.begun_at, false);
    loop {
        while !over && in_flight.len() < depth && part.may_begin() {
            let service_at = Instant::now();
            if let Some(pending) = lane.begin().await {
                in_flight.push_back((due_at, service_at, pending));
            } else {
                part.recorder.borrow_mut().failed(due_at, Instant::now());
                over = true;
            }
        }
        // Operations end in the order in which they began, so the oldest is the next.
        let Some((was_due_at, service_at, pending)) = in_flight.pop_front() else { return };
        let ended_well = pending.await;
        let now = Instant::now();
        let mut recorder = part.recorder.borrow_mut();
        if ended_well {
            recorder.ended(was_due_at, service_at, now);
        } else {
            recorder.failed(was_due_at, now);
            over = true;
        }
        due_at = now;
    }
}
