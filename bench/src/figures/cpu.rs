//! Processor time of an operation, as far as it can be told apart: process by process.

use crate::ratios::Spread;
use crate::result::PartResult;
use serde::Serialize;

/// Microseconds of processor time, user and system, for each operation that ended well.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CpuPerOperation {
    /// Of the process that measures: load generator, client library, and its side of the network in the kernel.
    pub client_us: Spread,
    /// Of each node's process, in the order of the nodes: its side of the network, the machines, the disk. One that holds no replica
    /// has next to nothing. Empty without such processes; absent where they cannot be told.
    pub nodes_us: Option<Vec<Spread>>,
}

impl CpuPerOperation {
    /// Over all rounds; `None` if a round did nothing or cannot tell.
    pub(super) fn of(parts: &[&PartResult]) -> Option<Self> {
        let each = |figure: &dyn Fn(&PartResult) -> Option<f64>| {
            let all: Option<Vec<_>> = parts.iter().map(|part| (part.operations > 0).then(|| figure(part))?).collect();
            all.filter(|all| !all.is_empty()).map(Spread::of)
        };
        let client_us = each(&|part| Some(part.cpu.as_ref()?.client_us / part.operations as f64))?;
        let count = parts.iter().map(|part| part.cpu.as_ref()?.nodes_us.as_ref().map(Vec::len));
        // Nodes that were not there in every round would shift the others.
        let same = count.clone().all(|of_part| of_part.is_some() && Some(of_part) == count.clone().next());
        let nodes = count.clone().next().flatten().filter(|_| same);
        let node = |index| each(&|part| Some(part.cpu.as_ref()?.nodes_us.as_ref()?[index] / part.operations as f64));
        Some(Self { client_us, nodes_us: nodes.and_then(|nodes| (0..nodes).map(node).collect()) })
    }
}
