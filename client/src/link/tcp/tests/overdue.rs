//! Requests that are not answered, without waiting for real.

use super::super::bounds::{PUT_TIMEOUT, SILENCE_MAX};
use super::super::state::State;
use super::fake_node::{LOG, chunk};
use bytes::Bytes;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(1);

fn up(now: Instant) -> State {
    let mut state = State::new("a:1", now);
    state.went_up(now);
    state
}

/// A peer that is gone without a word is noticed, but only if something waits for it.
#[test]
fn silence_counts_only_while_something_waits() {
    let start = Instant::now();
    let mut state = up(start);
    let later = start + 10 * SILENCE_MAX;
    assert_eq!(state.overdue(later), None);
    let header = chunk(LOG, 0, &Bytes::from_static(b"x"));
    let (_, id) = state.put(&header, later).unwrap();
    assert_eq!(state.overdue(later + SILENCE_MAX), None);
    assert!(state.overdue(later + SILENCE_MAX + TICK).unwrap().contains("said nothing"));
    state.heard(later + SILENCE_MAX);
    assert_eq!(state.overdue(later + SILENCE_MAX + TICK), None);
    state.stored(id, None).unwrap();
    assert_eq!(state.overdue(later + 10 * SILENCE_MAX), None);
}

/// A "stored" that got lost, on a connection that is otherwise alive, is asked for again.
#[test]
fn a_put_whose_answer_is_dropped_ends_the_connection() {
    let start = Instant::now();
    let mut state = up(start);
    let ids: Vec<u64> = (0..3)
        .map(|seq| state.put(&chunk(LOG, seq, &Bytes::from_static(b"x")), start + TICK * seq as u32).unwrap().1)
        .collect();
    state.stored(ids[0], None).unwrap();
    state.stored(ids[2], None).unwrap();
    let due = start + TICK + PUT_TIMEOUT;
    state.heard(due);
    assert_eq!(state.overdue(due), None);
    assert!(state.overdue(due + TICK).unwrap().contains("3.0/1"));
}
