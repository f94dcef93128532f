//! Any order of puts, trims, deletions, reads and completions, with everything audited at every step.

use super::*;
use proptest::prelude::*;
use quarry_protocol::ids::ChunkSeq;

#[derive(Clone, Debug)]
enum Step {
    Put { log: u8, bytes: u32, count: u8 },
    Trim { log: u8, keep: u64 },
    Drop { log: u8 },
    End { at: usize },
    EndRead { at: usize },
    Wait { micros: u64 },
    Pin { log: u8 },
    Unpin,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![1_u32..200, 4000_u32..70_000, Just(1 << 20), Just(4 << 20)];
    prop_oneof![
        8 => (0..5_u8, bytes, 1..4_u8).prop_map(|(log, bytes, count)| Step::Put { log, bytes, count }),
        4 => (0..5_u8, 0..6_u64).prop_map(|(log, keep)| Step::Trim { log, keep }),
        1 => (0..5_u8).prop_map(|log| Step::Drop { log }),
        8 => (0..4_usize).prop_map(|at| Step::End { at }),
        3 => (0..4_usize).prop_map(|at| Step::EndRead { at }),
        3 => (0..50_000_u64).prop_map(|micros| Step::Wait { micros }),
        1 => (0..5_u8).prop_map(|log| Step::Pin { log }),
        2 => Just(Step::Unpin),
    ]
}

#[derive(Default)]
struct Known {
    next: [u64; 5],
    floor: [u64; 5],
    pinned: Vec<u32>,
}

fn apply(driver: &mut Driver, known: &mut Known, step: &Step) {
    match *step {
        Step::Put { log, bytes, count } => {
            for _ in 0..count {
                let before = driver.order;
                driver.put(key(log, known.next[usize::from(log)]), bytes);
                known.next[usize::from(log)] += driver.order - before;
            }
        }
        Step::Trim { log, keep } => {
            let at = usize::from(log);
            known.floor[at] = known.floor[at].max(known.next[at].saturating_sub(keep));
            driver.store.free(super::log(log), ChunkSeq(known.floor[at]));
        }
        Step::Drop { log } => {
            let at = usize::from(log);
            known.floor[at] = known.next[at];
            driver.store.free(super::log(log), ChunkSeq(known.floor[at]));
        }
        Step::End { at } => {
            if let Some(&number) = driver.writes.keys().nth(at % driver.writes.len().max(1)) {
                driver.end(number, End::Done);
            }
        }
        Step::EndRead { at } => {
            if !driver.reads.is_empty() {
                driver.end_read(at % driver.reads.len());
            }
        }
        Step::Wait { micros } => driver.wait(micros),
        Step::Pin { log } => {
            let at = usize::from(log);
            if let Some(place) = driver.store.locate(&key(log, known.floor[at])) {
                driver.store.pin(place.file);
                *driver.pins.entry(place.file).or_default() += 1;
                known.pinned.push(place.file);
            }
        }
        Step::Unpin => unpin(driver, known),
    }
}

fn unpin(driver: &mut Driver, known: &mut Known) {
    let Some(file) = known.pinned.pop() else { return };
    *driver.pins.get_mut(&file).expect("it was pinned") -= 1;
    driver.store.unpin(file);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_everything_confirmed_is_there(steps in prop::collection::vec(step(), 50..400)) {
        let mut driver = Driver::started(6);
        let mut known = Known::default();
        (driver.hold, driver.hold_reads) = (true, true);
        for step in &steps {
            apply(&mut driver, &mut known, step);
            driver.run();
            driver.store.audit();
        }
        (driver.hold, driver.hold_reads) = (false, false);
        while !known.pinned.is_empty() {
            unpin(&mut driver, &mut known);
        }
        driver.finish();
        prop_assert!(driver.lost.is_empty() && driver.failed.is_none());
        for log in 0..5_u8 {
            let (floor, next) = (known.floor[usize::from(log)], known.next[usize::from(log)]);
            for seq in 0..next {
                prop_assert_eq!(driver.read_back(&key(log, seq)).is_some(), seq >= floor, "log {} seq {}", log, seq);
            }
        }
    }
}
