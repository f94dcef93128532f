//! Where the time of puts goes, for those that asked (`TimedPut`): measured here, beside the machines, which know nothing of it.

use crate::shard::ConnectionId;
use crate::store::Part;
use quarry_protocol::put_times::PutTimes;
use quarry_protocol::replica::Slot;
use quarry_protocol::time::Micros;
use std::collections::BTreeMap;

/// Most puts timed at once. One more is answered as if it had not asked.
const TIMED_PUTS_MAX: usize = 8192;

type PutId = (ConnectionId, u64);

#[derive(Clone, Copy, Debug)]
struct Times {
    arrived: Micros,
    submitted: Option<Micros>,
    written: Option<Micros>,
}

/// The puts being timed.
#[derive(Debug, Default)]
pub(super) struct Timing {
    puts: BTreeMap<PutId, Times>,
    /// Those that wait to be written, by the slot of their payload.
    waiting: BTreeMap<Slot, PutId>,
    /// Those being written, by the number of their batch.
    writing: BTreeMap<u64, Vec<PutId>>,
}

impl Timing {
    /// A put that asked has arrived.
    pub(super) fn arrived(&mut self, connection: ConnectionId, request_id: u64, slot: Slot, at: Micros) {
        if self.puts.len() < TIMED_PUTS_MAX {
            self.puts.insert((connection, request_id), Times { arrived: at, submitted: None, written: None });
            self.waiting.insert(slot, (connection, request_id));
        }
    }

    /// A batch of these parts goes to the kernel.
    pub(super) fn submitted(&mut self, number: u64, parts: &[Part], at: Micros) {
        let slots = parts.iter().filter_map(|part| match part {
            Part::Slot { slot, .. } => Some(slot),
            Part::Bytes(_) | Part::Head(_) => None,
        });
        for slot in slots {
            let Some(id) = self.waiting.remove(slot) else { continue };
            if let Some(times) = self.puts.get_mut(&id) {
                times.submitted = Some(at);
                self.writing.entry(number).or_default().push(id);
            }
        }
    }

    /// The batch is durable, or failed.
    pub(super) fn written(&mut self, number: u64, at: Micros) {
        for id in self.writing.remove(&number).into_iter().flatten() {
            if let Some(times) = self.puts.get_mut(&id) {
                times.written = Some(at);
            }
        }
    }

    /// The slot is used for something else from now on.
    pub(super) fn released(&mut self, slot: Slot) {
        self.waiting.remove(&slot);
    }

    /// Whether any put asked: if not, nothing has to be told of here.
    pub(super) fn is_idle(&self) -> bool {
        self.puts.is_empty()
    }

    /// The put is answered as stored: its times, if it asked for them. One that was stored before counts from its arrival only.
    pub(super) fn answered(&mut self, connection: ConnectionId, request_id: u64, at: Micros) -> Option<PutTimes> {
        let Times { arrived, submitted, written } = self.puts.remove(&(connection, request_id))?;
        let us = |from: Micros, to: Micros| u32::try_from(to.since(from)).unwrap_or(u32::MAX);
        let submitted = submitted.unwrap_or(arrived);
        let written = written.unwrap_or(submitted);
        Some(PutTimes {
            queue_us: us(arrived, submitted),
            device_us: us(submitted, written),
            order_us: us(written, at),
        })
    }

    /// A request is answered with something else: if it was a put, it was refused.
    pub(super) fn refused(&mut self, connection: ConnectionId, request_id: u64) {
        self.puts.remove(&(connection, request_id));
    }

    /// The connection is gone: its puts are answered no more.
    pub(super) fn closed(&mut self, connection: ConnectionId) {
        self.puts.retain(|(of, _), _| *of != connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectionId = ConnectionId(1);

    fn part(slot: u32) -> Part {
        Part::Slot { slot: Slot(slot), len: 1 }
    }

    #[test]
    fn each_stage_counts_from_the_one_before() {
        let mut timing = Timing::default();
        timing.arrived(ONE, 7, Slot(3), Micros(100));
        timing.submitted(1, &[Part::Bytes(vec![0]), part(3), part(4)], Micros(130));
        timing.written(1, Micros(400));
        let times = PutTimes { queue_us: 30, device_us: 270, order_us: 11 };
        assert_eq!(timing.answered(ONE, 7, Micros(411)), Some(times));
        assert_eq!(timing.answered(ONE, 7, Micros(412)), None, "answered once");
    }

    /// A put that never reached a batch does not lend its times to the next user of its slot.
    #[test]
    fn a_released_slot_times_nobody_else() {
        let mut timing = Timing::default();
        timing.arrived(ONE, 7, Slot(3), Micros(100));
        timing.released(Slot(3));
        timing.submitted(1, &[part(3)], Micros(200));
        timing.written(1, Micros(300));
        assert_eq!(timing.answered(ONE, 7, Micros(150)), Some(PutTimes { queue_us: 0, device_us: 0, order_us: 50 }));
    }

    #[test]
    fn puts_that_did_not_ask_or_are_too_many_have_no_times_and_nothing_is_left_of_a_connection() {
        let mut timing = Timing::default();
        assert_eq!(timing.answered(ONE, 1, Micros(1)), None);
        for request in 0..=TIMED_PUTS_MAX as u64 {
            timing.arrived(ONE, request, Slot(request as u32), Micros(0));
        }
        assert_eq!(timing.answered(ONE, TIMED_PUTS_MAX as u64, Micros(1)), None);
        assert!(timing.answered(ONE, 0, Micros(1)).is_some());
        timing.refused(ONE, 2);
        assert_eq!(timing.answered(ONE, 2, Micros(1)), None);
        timing.closed(ONE);
        assert_eq!(timing.answered(ONE, 1, Micros(1)), None);
    }
}
