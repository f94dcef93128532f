//! Any events, with writes and reads that end in any order, connections that close, and sometimes a disk that fails.

use super::fake::{Fake, ONE, TWO, chunk};
use crate::shard::{ConnectionId, ShardEvent};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug)]
enum Step {
    Put {
        on: usize,
        epoch: u64,
        seq: u64,
        length: u32,
    },
    Fence {
        on: usize,
        epoch: u64,
    },
    Trim {
        floor: u64,
    },
    Read {
        on: usize,
        from: u64,
    },
    /// Effects are performed only now and then: what is handled in between shares batches.
    Perform,
    EndWrite {
        at: usize,
    },
    EndRead {
        at: usize,
    },
    Tick,
    Reconnect {
        on: usize,
    },
    FailWrite {
        at: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let on = || 0..2usize;
    prop_oneof![
        10 => (on(), 1..4u64, 0..12u64, 1..100_000u32).prop_map(|(on, epoch, seq, length)| Step::Put { on, epoch, seq, length }),
        2 => (on(), 1..4u64).prop_map(|(on, epoch)| Step::Fence { on, epoch }),
        1 => (0..12u64).prop_map(|floor| Step::Trim { floor }),
        4 => (on(), 0..12u64).prop_map(|(on, from)| Step::Read { on, from }),
        8 => Just(Step::Perform),
        6 => (0..4usize).prop_map(|at| Step::EndWrite { at }),
        3 => (0..4usize).prop_map(|at| Step::EndRead { at }),
        2 => Just(Step::Tick),
        1 => on().prop_map(|on| Step::Reconnect { on }),
        1 => (0..40usize).prop_map(|at| Step::FailWrite { at }),
    ]
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut fake = Fake::new(8);
    let mut on_now = [ONE, TWO];
    let mut next_connection = 100;
    // Unanswered requests of connections that are open.
    let mut asked = BTreeSet::new();
    for (request_id, step) in (0..).zip(steps) {
        match step {
            Step::Put { on, epoch, seq, length } => {
                asked.insert((on_now[on], request_id));
                fake.put(on_now[on], request_id, chunk(epoch, seq, length));
            }
            Step::Fence { on, epoch } => {
                asked.insert((on_now[on], request_id));
                fake.fence(on_now[on], request_id, epoch);
            }
            Step::Trim { floor } => {
                if on_now[0] == ONE {
                    asked.insert((ONE, request_id));
                }
                fake.trim(request_id, floor);
            }
            Step::Read { on, from } => {
                asked.insert((on_now[on], request_id));
                fake.read(on_now[on], request_id, from, 50_000);
            }
            Step::Perform => fake.perform(),
            Step::EndWrite { at } if at < fake.writing.len() => fake.end_write(at, None),
            Step::FailWrite { at } if at < fake.writing.len() => fake.end_write(at, Some("no more")),
            Step::EndRead { at } if at < fake.reading.len() => fake.end_read(at),
            Step::EndWrite { .. } | Step::FailWrite { .. } | Step::EndRead { .. } => {}
            Step::Tick => fake.tick(),
            Step::Reconnect { on } => {
                let gone = on_now[on];
                fake.handle(ShardEvent::Closed { connection: gone });
                asked.retain(|(connection, _)| *connection != gone);
                on_now[on] = ConnectionId(next_connection);
                next_connection += 1;
                fake.handle(ShardEvent::Connected { connection: on_now[on] });
            }
        }
    }
    fake.handle(ShardEvent::Stop);
    fake.settle();
    prop_assert_eq!(fake.slots_held(), 0, "every slot is released");
    prop_assert!(fake.settled);
    let mut answers = fake.stored.clone();
    answers.extend(fake.replies.iter().map(|(connection, request_id, _)| (*connection, *request_id)));
    let distinct: BTreeSet<_> = answers.iter().copied().collect();
    prop_assert_eq!(answers.len(), distinct.len(), "nobody is answered twice");
    prop_assert!(asked.is_subset(&distinct), "unanswered: {:?}", asked.difference(&distinct).collect::<Vec<_>>());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Every request of an open connection is answered once, every slot is released once, reads verify.
    #[test]
    fn everything_asked_is_answered_once(steps in prop::collection::vec(step(), 1..150)) {
        run(steps)?;
    }
}
