//! The physical limit, measured in the rounds of a case: the raw device, the loopback and the bare pipe.

use super::side::Side;
use super::{CasePlan, Engine, EngineError};
use crate::append::Load;
use crate::device::{DeviceFile, DeviceWork};
use crate::drive::CpuClock;
use crate::loopback::Loopback;
use crate::measured::{Measured, Until};
use crate::pipe::{Pipe, PipePlan};
use crate::result::{Baseline, CpuTime, PartResult, Samples};
use crate::suite::{DEVICE_IN_FLIGHT, DEVICE_IN_FLIGHT_BYTES_MAX};
use quarry_protocol::limits::BLOCK_BYTES;
use std::path::Path;

/// Bytes of the raw device's file, at least.
const FILE_BYTES_MIN: u64 = 256 << 20;
/// The file holds at least so many writes: more than are ever in flight.
const FILE_WRITES_MIN: u64 = 256;
const _: () = assert!(FILE_WRITES_MIN >= *DEVICE_IN_FLIGHT.end() as u64);

/// What appends are measured beside.
#[derive(Clone, Copy, Debug)]
struct BaselinePlan<'a> {
    /// The program that receives for the bare pipe, if that is wanted. It has a closed loop only.
    pipe: Option<&'a Path>,
    /// Where files go.
    dir: &'a Path,
    chunk_bytes: usize,
    load: Load,
    /// Writes in flight to the raw device; unless it is said, as many as all replicas together would have.
    device_in_flight: Option<usize>,
    logs: usize,
    replicas: usize,
    ack_quorum: usize,
}

/// Made ready for one case.
pub(super) struct BaselineParts {
    device: DeviceFile,
    loopback: Loopback,
    pipe: Option<Pipe>,
    work: DeviceWork,
    /// Chunks in flight in the pipe.
    depth: usize,
    measured: Baseline,
}

impl BaselineParts {
    /// What a case asks for, beside targets with chunks of these sizes.
    pub(super) fn for_case(
        engine: &Engine<'_>,
        plan: &CasePlan<'_>,
        load: Load,
        sides: &[Side],
    ) -> Result<Option<Self>, EngineError> {
        if plan.spec.baseline != Some(true) {
            return Ok(None);
        }
        // What the raw device stands beside: nodes that share it, before anything else.
        let own = sides.iter().find(|side| engine.targets[side.target].spec.nodes.is_some()).unwrap_or(&sides[0]);
        let facts = &engine.targets[own.target].facts;
        Self::prepare(&BaselinePlan {
            pipe: plan.spec.pipe.unwrap_or(false).then_some(&engine.setup.binary),
            dir: engine.dir,
            chunk_bytes: own.chunk_bytes,
            load,
            device_in_flight: plan.spec.device_in_flight,
            logs: plan.spec.logs,
            replicas: facts.replicas,
            ack_quorum: facts.ack_quorum,
        })
        .map(Some)
    }

    fn prepare(plan: &BaselinePlan<'_>) -> Result<Self, EngineError> {
        // An open loop has as many in flight as it happens to: beside it stands one append at a time.
        let depth = if let Load::Closed { depth } = plan.load { depth * plan.logs } else { 1 };
        let in_flight = plan.device_in_flight.unwrap_or(depth * plan.replicas);
        let mut work = DeviceWork { write_bytes: plan.chunk_bytes as u32, in_flight };
        let fit = (DEVICE_IN_FLIGHT_BYTES_MAX / u64::from(work.block_bytes())) as usize;
        let fit = fit.clamp(*DEVICE_IN_FLIGHT.start(), *DEVICE_IN_FLIGHT.end());
        work.in_flight = work.in_flight.min(fit);
        let file_bytes = FILE_BYTES_MIN.max(u64::from(work.block_bytes()) * FILE_WRITES_MIN);
        let file = plan.dir.join(format!("device-{}", std::process::id()));
        Ok(Self {
            device: DeviceFile::prepare(&file, file_bytes)?,
            loopback: Loopback::connect(plan.chunk_bytes).map_err(EngineError::Loopback)?,
            pipe: plan.pipe(file_bytes)?,
            work,
            depth: depth.min(fit),
            measured: Baseline {
                write_bytes: u64::from(work.block_bytes()),
                device_in_flight: work.in_flight,
                ..Baseline::default()
            },
        })
    }

    /// Whether the bare pipe is measured, too.
    pub(super) const fn has_pipe(&self) -> bool {
        self.pipe.is_some()
    }

    /// The raw device's part of a round. It blocks this thread on purpose: nothing of ours runs beside it.
    pub(super) fn device(&mut self, until: Until, counts: bool) -> Result<(), EngineError> {
        let clock = CpuClock::start(&[]);
        let measured = self.device.measure(self.work, until)?;
        if counts {
            self.measured.device.push(part(&measured, clock.elapsed()));
        }
        Ok(())
    }

    /// The loopback's part of a round; it blocks this thread, too.
    pub(super) fn loopback(&mut self, until: Until, counts: bool) -> Result<(), EngineError> {
        let clock = CpuClock::start(&[]);
        let measured = self.loopback.measure(until).map_err(EngineError::Loopback)?;
        if counts {
            self.measured.loopback.push(part(&measured, clock.elapsed()));
        }
        Ok(())
    }

    /// The bare pipe's part of a round, if it is measured.
    pub(super) fn pipe(&mut self, until: Until, counts: bool) -> Result<(), EngineError> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let receivers: Vec<_> = pipe.processes().collect();
        let clock = CpuClock::start(&receivers);
        let measured = pipe.measure(self.depth, until)?;
        if counts {
            self.measured.pipe.push(part(&measured, clock.elapsed()));
        }
        Ok(())
    }

    /// What was measured.
    pub(super) fn finish(self) -> Result<Baseline, EngineError> {
        self.loopback.close().map_err(EngineError::Loopback)?;
        Ok(self.measured)
    }
}

impl BaselinePlan<'_> {
    /// None where it is not wanted, has no such loop, or cannot write chunks of this size.
    fn pipe(&self, file_bytes: u64) -> Result<Option<Pipe>, EngineError> {
        let whole_blocks = (self.chunk_bytes as u64).is_multiple_of(u64::from(BLOCK_BYTES));
        let closed = matches!(self.load, Load::Closed { .. });
        let Some(binary) = self.pipe.filter(|_| closed && whole_blocks) else { return Ok(None) };
        let plan = PipePlan {
            binary: binary.to_path_buf(),
            dir: self.dir.to_path_buf(),
            replicas: self.replicas,
            ack_quorum: self.ack_quorum,
            chunk_bytes: self.chunk_bytes,
            file_bytes,
        };
        Ok(Some(Pipe::start(&plan)?))
    }
}

/// A part whose operations are due when they begin: both clocks are one.
fn part(measured: &Measured, cpu: CpuTime) -> PartResult {
    let samples = Samples::from(&measured.latencies);
    PartResult {
        from_due: samples.clone(),
        from_service: samples,
        operations: measured.latencies.count(),
        failed: 0,
        bytes: measured.bytes,
        seconds: measured.elapsed.as_secs_f64(),
        series: Vec::new(),
        cpu: Some(cpu),
    }
}
