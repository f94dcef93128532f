//! Both loops and both clocks, on lanes that behave badly on purpose. Nothing here holds only on a fast machine: what is
//! asserted of time are lower bounds that sleeping guarantees.

use super::*;
use crate::result::Samples;
use futures::future::LocalBoxFuture;
use std::collections::VecDeque;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// What a lane does with one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    /// Ends at once.
    Well,
    /// Makes its caller wait before it takes it.
    StallsCaller(Duration),
    /// Takes it, and ends it later.
    Lasts(Duration),
    /// Takes it, and fails it.
    Fails,
    /// Takes no more for good.
    Refuses,
    /// Makes its caller wait for ever.
    Hangs,
}

/// Does what it is told, operation by operation, and then ends all others well.
#[derive(Default)]
struct Told {
    does: RefCell<VecDeque<Does>>,
    begun: Cell<usize>,
    in_flight: Rc<Cell<usize>>,
    in_flight_most: Cell<usize>,
}

impl Told {
    fn to(does: impl IntoIterator<Item = Does>) -> Self {
        Self { does: RefCell::new(does.into_iter().collect()), ..Self::default() }
    }
}

impl Lane for Told {
    type Pending = LocalBoxFuture<'static, bool>;

    async fn begin(&self) -> Option<Self::Pending> {
        let does = self.does.borrow_mut().pop_front().unwrap_or(Does::Well);
        match does {
            Does::StallsCaller(time) => sleep(time).await,
            Does::Hangs => pending().await,
            Does::Refuses => return None,
            Does::Well | Does::Lasts(_) | Does::Fails => {}
        }
        self.begun.set(self.begun.get() + 1);
        self.in_flight.set(self.in_flight.get() + 1);
        self.in_flight_most.set(self.in_flight_most.get().max(self.in_flight.get()));
        let in_flight = Rc::clone(&self.in_flight);
        Some(Box::pin(async move {
            if let Does::Lasts(time) = does {
                sleep(time).await;
            }
            in_flight.set(in_flight.get() - 1);
            does != Does::Fails
        }))
    }
}

fn count(samples: &Samples) -> u64 {
    samples.0.iter().map(|(_, count)| count).sum()
}

fn count_from(samples: &Samples, least: Duration) -> u64 {
    // Values keep three digits.
    let least = least.as_nanos() as u64 * 998 / 1000;
    samples.0.iter().filter(|(ns, _)| *ns >= least).map(|(_, count)| count).sum()
}

fn sum_us(samples: &Samples) -> f64 {
    samples.0.iter().map(|(ns, count)| *ns as f64 * *count as f64 / 1e3).sum()
}

async fn on(lanes: &[Told], load: Load, until: Until) -> PartResult {
    measure(lanes, load, until, 10, None).await
}

/// Pitfall 43: whoever waits behind a stalled store is charged for it on the clock that counts.
#[tokio::test]
async fn a_stall_is_charged_to_everything_that_was_due_meanwhile() {
    let mut does = vec![Does::Well; 5];
    does.push(Does::StallsCaller(60 * MS));
    let part = on(&[Told::to(does)], Load::Open { per_second: 1000.0 }, Until::operations(100)).await;
    assert_eq!((part.operations, part.failed, part.bytes), (100, 0, 1000));
    assert_eq!((count(&part.from_due), count(&part.from_service)), (100, 100));
    // Operation 5, due after 5 ms, went 60 ms later; 6 to 35 were due by then, and waited 30 ms at least.
    assert!(count_from(&part.from_due, 30 * MS) >= 31, "{:?}", part.from_due);
    assert!(count_from(&part.from_service, 60 * MS) >= 1, "{:?}", part.from_service);
    // The other clock knows nothing of what stood behind the one that was stalled.
    let unseen_us = sum_us(&part.from_due) - sum_us(&part.from_service);
    assert!(unseen_us >= 30.0 * 30_000.0 * 0.99, "{unseen_us} us");
}

#[tokio::test]
async fn a_slow_operation_is_slow_on_both_clocks() {
    for load in [Load::Open { per_second: 1000.0 }, Load::Closed { depth: 2 }] {
        let part = on(&[Told::to([Does::Lasts(30 * MS)])], load, Until::operations(3)).await;
        assert!(count_from(&part.from_due, 30 * MS) >= 1 && count_from(&part.from_service, 30 * MS) >= 1, "{load:?}");
        assert!(part.seconds >= 0.030, "{load:?}: {}", part.seconds);
    }
}

/// What a store does not take in time is not waited for without end, nor is it forgotten.
#[tokio::test]
async fn what_is_never_handed_over_fails_and_is_charged() {
    let lanes = [Told::to([Does::Hangs]), Told::default()];
    let part = on(&lanes, Load::Open { per_second: 1000.0 }, Until::elapsed(40 * MS)).await;
    assert_eq!((part.operations, part.failed), (20, 20), "every other operation is the lane's that hangs");
    assert_eq!((count(&part.from_due), count(&part.from_service)), (40, 20));
    // It was waited for as long again as the part took, at least: the first waited through all of it, the last through half.
    assert!(count_from(&part.from_due, 80 * MS) >= 1, "{:?}", part.from_due);
    assert!(count_from(&part.from_due, 40 * MS) >= 20, "{:?}", part.from_due);
}

#[tokio::test]
async fn a_lane_that_ends_takes_down_only_itself() {
    let lanes = [Told::to([Does::Well, Does::Fails, Does::Refuses]), Told::default()];
    let part = on(&lanes, Load::Open { per_second: 1000.0 }, Until::operations(20)).await;
    assert_eq!((part.operations, part.failed, count(&part.from_due)), (11, 9, 20));
    let lanes = [Told::to([Does::Well, Does::Fails]), Told::to([Does::Refuses])];
    let part = on(&lanes, Load::Closed { depth: 1 }, Until::operations(20)).await;
    assert_eq!((part.operations, part.failed, count(&part.from_due)), (1, 2, 3));
}

#[tokio::test]
async fn a_closed_loop_keeps_its_depth_and_its_end() {
    let lanes = [Told::to([Does::Lasts(MS); 40]), Told::to([Does::Lasts(MS); 40])];
    let part = on(&lanes, Load::Closed { depth: 3 }, Until::operations(30)).await;
    assert_eq!(part.operations, 30);
    for lane in &lanes {
        assert_eq!((lane.in_flight_most.get(), lane.in_flight.get()), (3, 0));
    }
    let part = on(&[Told::default()], Load::Closed { depth: 1 }, Until::elapsed(20 * MS)).await;
    assert!(part.operations > 0 && part.seconds <= 20.0, "{part:?}");
}

#[tokio::test]
async fn lanes_take_turns_in_an_open_loop() {
    let lanes = [Told::default(), Told::default(), Told::default()];
    on(&lanes, Load::Open { per_second: 5000.0 }, Until::operations(11)).await;
    assert_eq!(lanes.map(|lane| lane.begun.get()), [4, 4, 3]);
}

/// The series holds every operation once, and its slices rise.
#[tokio::test]
async fn a_series_is_all_of_the_part() {
    let part = on(&[Told::to([Does::Lasts(120 * MS)])], Load::Open { per_second: 100.0 }, Until::operations(20)).await;
    let (first, last) = (part.series[0], part.series[part.series.len() - 1]);
    assert_eq!(part.series.iter().map(|point| point.operations).sum::<u64>(), 20);
    assert!(part.series.windows(2).all(|pair| pair[0].at_seconds < pair[1].at_seconds), "{:?}", part.series);
    assert!(first.max_us >= 119_000.0 && last.at_seconds <= part.seconds, "{:?}", part.series);
    let timed = on(&[Told::default()], Load::Open { per_second: 1000.0 }, Until::elapsed(200 * MS)).await;
    assert!(timed.series.len() >= 2, "{:?}", timed.series);
}
