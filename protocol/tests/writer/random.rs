//! Random histories: any quorum, any order of acknowledgements, broken links, full disks.

use crate::model::{Model, Outcome, config};
use proptest::prelude::*;
use quarry_protocol::message::Refusal;

#[derive(Clone, Debug)]
enum Step {
    Append { bytes: usize },
    Deliver { replica: usize, count: usize },
    Acknowledge { replica: usize, at: usize, twice: bool },
    Up { replica: usize },
    Down { replica: usize, delivered: usize },
    Full { replica: usize },
    Pass { micros: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let replica = 0..7_usize;
    prop_oneof![
        6 => (1..400_usize).prop_map(|bytes| Step::Append { bytes }),
        5 => (replica.clone(), 1..6_usize).prop_map(|(replica, count)| Step::Deliver { replica, count }),
        8 => (replica.clone(), 0..8_usize, any::<bool>())
            .prop_map(|(replica, at, twice)| Step::Acknowledge { replica, at, twice }),
        2 => replica.clone().prop_map(|replica| Step::Up { replica }),
        1 => (replica.clone(), 0..3_usize).prop_map(|(replica, delivered)| Step::Down { replica, delivered }),
        1 => replica.prop_map(|replica| Step::Full { replica }),
        1 => (0..400_000_u64).prop_map(|micros| Step::Pass { micros }),
    ]
}

/// Any N from 1 to 7 with any valid ack quorum.
pub(crate) fn quorum() -> impl Strategy<Value = (usize, usize)> {
    (1..=7_usize).prop_flat_map(|replicas| (Just(replicas), 1..=replicas))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// P2, P6, P9, P10: whatever happens, the model's checks hold after every step; and once all links work again, all that
    /// is in flight gets committed.
    #[test]
    fn every_history_is_in_order_bounded_and_live(
        (replicas, ack) in quorum(),
        up in any::<bool>(),
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut model = Model::new(config(replicas, ack));
        for replica in (0..replicas).filter(|_| up) {
            model.up(replica);
        }
        let mut appends = 0;
        for step in steps {
            match step {
                Step::Append { bytes } => { model.append(bytes); appends += 1; }
                Step::Deliver { replica, count } => (0..count).for_each(|_| model.deliver(replica % replicas)),
                Step::Acknowledge { replica, at, twice } => model.acknowledge(replica % replicas, at, twice),
                Step::Up { replica } => model.up(replica % replicas),
                Step::Down { replica, delivered } => model.down(replica % replicas, delivered),
                Step::Full { replica } => {
                    model.refuse(replica % replicas, Refusal::Full { live_bytes: 9, capacity_bytes: 10 });
                }
                Step::Pass { micros } => model.pass(micros),
            }
            if model.stopped.is_some() {
                break;
            }
        }
        if model.stopped.is_none() {
            // A long history may have used the deadline up; then stopping is right, and checked above.
            let healed = model.heal();
            prop_assert!(healed || model.stopped.is_some(), "stuck: {:?} in flight", model.writer.in_flight());
        }
        prop_assert_eq!(model.outcomes.len(), appends, "every append has exactly one outcome");
    }

    /// P2: in-order acknowledgements under every order of the events that bring them.
    #[test]
    fn any_order_of_stored_events_commits_in_order(
        (replicas, ack) in quorum(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 56),
    ) {
        let mut model = Model::new(config(replicas, ack));
        (0..replicas).for_each(|replica| model.up(replica));
        let tokens: Vec<_> = (0..8).map(|_| model.append(10)).collect();
        let mut waiting: Vec<usize> = Vec::new();
        for replica in 0..replicas {
            (0..8).for_each(|_| model.deliver(replica));
            waiting.extend([replica; 8]);
        }
        for index in order {
            if waiting.is_empty() {
                break;
            }
            let replica = waiting.swap_remove(index.index(waiting.len()));
            model.acknowledge(replica, index.index(8), false);
        }
        while let Some(replica) = waiting.pop() {
            model.acknowledge(replica, 0, false);
        }
        for token in tokens {
            prop_assert!(matches!(model.outcomes[&token], Outcome::Committed(_)));
        }
        prop_assert_eq!(model.writer.kept_for_stragglers(), (0, 0));
    }
}
