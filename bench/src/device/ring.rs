//! The closed loop: keep a fixed number of writes in flight, time each from submission to completion.

use super::buffers::AlignedSlots;
use super::{DeviceError, DeviceWork};
use crate::latencies::Latencies;
use crate::measured::{Measured, Until};
use io_uring::{IoUring, opcode, types};
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::time::Instant;

/// Whether this process may use `io_uring` at all.
pub fn probe_io_uring() -> Result<(), io::Error> {
    IoUring::new(2).map(drop)
}

pub(super) fn measure(
    file: &File,
    work: DeviceWork,
    until: Until,
    place: &mut dyn FnMut() -> u64,
) -> Result<Measured, DeviceError> {
    let mut writes = Writes::new(file, work)?;
    let begun_at = Instant::now();
    let (mut begun, mut latencies) = (0, Latencies::new());
    while begun < work.in_flight as u64 && until.allows(begun, begun_at.elapsed()) {
        writes.begin(begun as usize, place())?;
        begun += 1;
    }
    while writes.in_flight > 0 {
        writes.wait()?;
        while let Some(slot) = writes.finish(&mut latencies)? {
            if until.allows(begun, begun_at.elapsed()) {
                writes.begin(slot, place())?;
                begun += 1;
            }
        }
    }
    let bytes = latencies.count() * u64::from(work.block_bytes());
    Ok(Measured { latencies, bytes, elapsed: begun_at.elapsed() })
}

/// The writes in flight and the memory they are written from.
struct Writes<'a> {
    ring: IoUring,
    file: &'a File,
    write_bytes: u32,
    slots: ManuallyDrop<AlignedSlots>,
    /// Per slot: when and where its write began.
    begun: Vec<(Instant, u64)>,
    in_flight: usize,
}

impl<'a> Writes<'a> {
    fn new(file: &'a File, work: DeviceWork) -> Result<Self, DeviceError> {
        let entries = (work.in_flight as u32).next_power_of_two();
        let ring = IoUring::new(entries).map_err(|source| DeviceError::Ring { what: "set-up", source })?;
        let write_bytes = work.block_bytes();
        let slots = ManuallyDrop::new(AlignedSlots::new(work.in_flight, write_bytes as usize));
        let begun = vec![(Instant::now(), 0); work.in_flight];
        Ok(Self { ring, file, write_bytes, slots, begun, in_flight: 0 })
    }

    fn begin(&mut self, slot: usize, position: u64) -> Result<(), DeviceError> {
        let entry = opcode::Write::new(types::Fd(self.file.as_raw_fd()), self.slots.slot(slot), self.write_bytes)
            .offset(position)
            .build()
            .user_data(slot as u64);
        self.begun[slot] = (Instant::now(), position);
        // SAFETY: the file outlives `self`; the slot's memory is freed in `drop` only once nothing is in flight, and
        // nobody writes to it meanwhile. A slot has one write at a time, so the queue, made for all, has room.
        unsafe { self.ring.submission().push(&entry) }.expect("the queue has an entry for every slot");
        self.in_flight += 1;
        self.ring.submit().map_err(|source| DeviceError::Ring { what: "submission", source })?;
        Ok(())
    }

    /// Waits until at least one write has completed.
    fn wait(&mut self) -> Result<(), DeviceError> {
        loop {
            match self.ring.submit_and_wait(1) {
                Ok(_) => return Ok(()),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(DeviceError::Ring { what: "wait", source }),
            }
        }
    }

    /// Takes one completion, if there is one, and gives back its slot.
    fn finish(&mut self, latencies: &mut Latencies) -> Result<Option<usize>, DeviceError> {
        let Some(completion) = self.ring.completion().next() else { return Ok(None) };
        self.in_flight -= 1;
        let slot = completion.user_data() as usize;
        let (begun_at, position) = self.begun[slot];
        let (result, bytes) = (completion.result(), self.write_bytes);
        if result != bytes.cast_signed() {
            let why = if result < 0 {
                io::Error::from_raw_os_error(-result).to_string()
            } else {
                format!("only {result} bytes were written")
            };
            return Err(DeviceError::Write { bytes, position, why });
        }
        latencies.record(begun_at.elapsed());
        Ok(Some(slot))
    }
}

impl Drop for Writes<'_> {
    fn drop(&mut self) {
        while self.in_flight > 0 {
            if self.wait().is_err() {
                // The kernel may still read the buffers: better to leak them than to free them under it.
                return;
            }
            self.in_flight -= self.ring.completion().count();
        }
        // SAFETY: dropped once, here, and nothing is in flight any more.
        unsafe { ManuallyDrop::drop(&mut self.slots) }
    }
}
