//! The open loop: a fixed rate, whatever the store does. The lanes take turns: operation `n` is lane `n % lanes`'s.

use super::pacer::{Pacer, Schedule};
use super::{Lane, Part};
use futures::future::{join, join_all};
use quarry_protocol::limits::WINDOW_CHUNKS_MAX;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout_at;

/// For how many times the length of its part an open loop goes on handing over what is overdue.
pub(super) const DRAIN_PARTS: u32 = 1;
/// The shortest such time: a machine that is busy with something else for a moment is no store that does not keep up.
pub(super) const DRAIN_MIN: Duration = Duration::from_secs(3);
/// Most operations of a lane that were handed over and have not been looked at since. As many as fit in a writer's window: in it
/// there are never more.
const IN_FLIGHT_MAX: usize = WINDOW_CHUNKS_MAX as usize;

pub(super) async fn run<L: Lane>(lanes: &[L], per_second: f64, part: &Part) {
    let schedule = Schedule::new(part.begun_at, per_second, part.until);
    let pacer = Pacer::start(schedule, lanes.len());
    let lanes = lanes.iter().zip(pacer.permits()).enumerate();
    let count = lanes.len() as u64;
    join_all(lanes.map(|(index, (lane, permits))| {
        let turns = Turns { first: index as u64, step: count, schedule: &schedule, permits };
        turns.run(lane, part)
    }))
    .await;
}

/// The operations of one lane.
struct Turns<'a> {
    first: u64,
    step: u64,
    schedule: &'a Schedule,
    permits: &'a Semaphore,
}

impl Turns<'_> {
    async fn run<L: Lane>(self, lane: &L, part: &Part) {
        let (sent, mut pending) = mpsc::channel::<(Instant, Instant, L::Pending)>(IN_FLIGHT_MAX);
        let sending = async {
            let mut number = self.first;
            while number < self.schedule.operations()
                && self.send(lane, self.schedule.due_at(number), &sent).await.is_continue()
            {
                number += self.step;
            }
            drop(sent);
            self.charge(number, part);
        };
        let ending = async {
            while let Some((due_at, service_at, pending)) = pending.recv().await {
                let ended_well = pending.await;
                let mut recorder = part.recorder.borrow_mut();
                if ended_well {
                    recorder.ended(due_at, service_at, Instant::now());
                } else {
                    recorder.failed(due_at, Instant::now());
                }
            }
        };
        join(sending, ending).await;
    }

    /// Hands one over once it is due. Breaks off if that cannot be done any more.
    async fn send<L: Lane>(
        &self,
        lane: &L,
        due_at: Instant,
        sent: &mpsc::Sender<(Instant, Instant, L::Pending)>,
    ) -> ControlFlow<()> {
        let Ok(permit) = self.permits.acquire().await else { return ControlFlow::Break(()) };
        permit.forget();
        let service_at = Instant::now();
        if service_at >= self.schedule.cut_at() {
            return ControlFlow::Break(());
        }
        match timeout_at(self.schedule.cut_at().into(), lane.begin()).await {
            Ok(Some(pending)) => {
                let sent = sent.send((due_at, service_at, pending)).await;
                if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            }
            Ok(None) | Err(_) => ControlFlow::Break(()),
        }
    }

    /// What was never handed over, from operation `number` on, is charged all the same.
    fn charge(&self, mut number: u64, part: &Part) {
        let at = Instant::now().max(self.schedule.end_at());
        while number < self.schedule.operations() {
            part.recorder.borrow_mut().failed(self.schedule.due_at(number), at);
            number += self.step;
        }
    }
}
